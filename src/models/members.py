"""The members of a portfolio: each a model in K bags, number k fitted without fold k.

Matrices are those of `Encoder.encode(X, unseen=UNSEEN)`, of shape (n, columns). A member can say its log-odds (n,),
those of each bag (K, n), and what the columns contribute (n, columns + 1), of which the last is the base.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xgboost as xgb

from models.logistic import PlainLogistic
from models.trees import cells, contributions, margins
from models.woe import WOELogistic

EVIDENCE, COLUMNS = "evidence", "columns"
LINES = {EVIDENCE: WOELogistic, COLUMNS: PlainLogistic}
Line = WOELogistic | PlainLogistic

_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")


@dataclass(frozen=True, eq=False)
class TreeMember:
    """Boosters in bags; where there is one `refitted` on all rows, it predicts and the bags give the interval only."""

    name: str
    weight: float
    is_category: np.ndarray
    boosters: tuple[xgb.Booster, ...]
    refitted: xgb.Booster | None

    @property
    def _speakers(self) -> tuple[xgb.Booster, ...]:
        return self.boosters if self.refitted is None else (self.refitted,)

    def logit(self, matrix: np.ndarray) -> np.ndarray:
        """Log-odds, of shape (n,)."""
        return margins(self._speakers, cells(matrix, self.is_category)).mean(axis=0)

    def bags(self, matrix: np.ndarray) -> np.ndarray:
        """Log-odds of each bag, of shape (K, n)."""
        return margins(self.boosters, cells(matrix, self.is_category))

    def contributions(self, matrix: np.ndarray) -> np.ndarray:
        """Exact Shapley values and the base, of shape (n, columns + 1)."""
        return contributions(self._speakers, cells(matrix, self.is_category))

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the boosters; return what `from_json` needs beside them."""
        for k, booster in enumerate(self.boosters):
            booster.save_model(folder / f"{self.name}_{k}.ubj")
        if self.refitted is not None:
            self.refitted.save_model(folder / f"{self.name}_all.ubj")
        return {
            "kind": "trees",
            "name": self.name,
            "weight": self.weight,
            "bags": len(self.boosters),
            "refitted": self.refitted is not None,
        }


@dataclass(frozen=True)
class LineMember:
    """Logistic regressions in bags, on weights of evidence or on the columns as they are."""

    name: str
    weight: float
    lines: tuple[Line, ...]

    def logit(self, matrix: np.ndarray) -> np.ndarray:
        """Log-odds, of shape (n,)."""
        return self.bags(matrix).mean(axis=0)

    def bags(self, matrix: np.ndarray) -> np.ndarray:
        """Log-odds of each bag, of shape (K, n)."""
        return np.stack([line.logit(matrix) for line in self.lines])

    def contributions(self, matrix: np.ndarray) -> np.ndarray:
        """Each column's term from its training mean, and the base, of shape (n, columns + 1)."""
        each = np.mean([line.contributions(matrix) for line in self.lines], axis=0)
        base = np.full((len(matrix), 1), np.mean([line.base for line in self.lines]))
        return np.hstack([each, base])

    def save(self, folder: Path) -> dict[str, Any]:
        """Nothing to write beside what is returned for `from_json`."""
        return {"kind": self.name, "weight": self.weight, "lines": [line.to_json() for line in self.lines]}


Member = TreeMember | LineMember


def from_json(stored: Mapping[str, Any], is_category: np.ndarray, folder: Path) -> Member:
    """The member that `save` described; raises `ValueError` for a description that is not one of ours."""
    if stored["kind"] in LINES:
        line = LINES[stored["kind"]]
        return LineMember(stored["kind"], stored["weight"], tuple(line.from_json(one) for one in stored["lines"]))
    name = stored["name"]
    if stored["kind"] != "trees" or not set(name) <= _LETTERS:
        raise ValueError(
            f"A member is of {', '.join(LINES)} or of trees with a name of small letters, but {folder} holds "
            f"{stored['kind']!r} named {name!r}. Take the folder as it was saved."
        )
    boosters = tuple(_read(folder / f"{name}_{k}.ubj") for k in range(stored["bags"]))
    return TreeMember(
        name, stored["weight"], is_category, boosters, _read(folder / f"{name}_all.ubj") if stored["refitted"] else None
    )


def _read(path: Path) -> xgb.Booster:
    return xgb.Booster(model_file=path)
