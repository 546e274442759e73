"""What a run was judged by: the test rows with their outcomes and the probabilities foretold, a file a run.

They name customers, so that they lie under data/evidence/ beside the scores, and the run knows them by their sha256.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

import ibis
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from contracts.errors import Refused
from contracts.files import whole
from contracts.places import data
from contracts.subjects import keys_of
from registry import runs
from registry.fingerprint import file_digest, table_fingerprint
from registry.record import EVIDENCE
from registry.store import client


def keep(run_id: str, stage: Path) -> None:
    """Move the staged test rows to data/evidence/`run_id`.parquet; the run is tagged with what they are.

    crm.evidence is the sha256 of the file, crm.test_subjects and crm.test_outcomes are fingerprints of who was judged,
    and of that with what happened: two runs with equal ones were judged by the same.
    """
    place = _place(run_id)
    with whole(place) as file:
        shutil.copyfile(stage / EVIDENCE, file)
    rows = pd.read_parquet(place)
    found = fingerprints(rows)
    origins = pd.to_datetime(rows.origin).dt.date
    runs.tag(
        run_id,
        {
            "crm.evidence": file_digest(place),
            "crm.test_subjects": found["test subjects"],
            "crm.test_outcomes": found["test outcomes"],
            "crm.test_origin": str(origins.max()),
        },
    )


def keep_rows(run_id: str, digests: Mapping[str, pa.Table]) -> None:
    """The digest of each raw table's rows (`registry.row_digest`) in data/evidence/rows/`run_id`/, named by table."""
    folder = data() / "evidence" / "rows" / run_id
    for name, digest in digests.items():
        with whole(folder / f"{name}.parquet") as file:
            pq.write_table(digest, file)


def rows_kept(run_id: str) -> dict[str, pa.Table]:
    """The digests that a run kept, by table; none of a run that is older than them."""
    folder = data() / "evidence" / "rows" / run_id
    return {file.stem: pq.read_table(file) for file in sorted(folder.glob("*.parquet"))}


def remove(run_id: str) -> None:
    """Remove all that a run kept beside the data: test rows, digests, and what it was compared with."""
    for name in ("evidence", "comparisons"):
        (data() / name / f"{run_id}.parquet").unlink(missing_ok=True)
    shutil.rmtree(data() / "evidence" / "rows" / run_id, ignore_errors=True)


def fingerprints(rows: pd.DataFrame) -> Mapping[str, str]:
    """`test subjects` and `test outcomes` of test rows: what two runs must share to be compared."""
    # in this order since the first fingerprints of test rows: the order of columns counts
    keys = sorted(keys_of(rows.columns), key=lambda name: (name != "customer_id", name != "origin"))
    whole = "int8" if rows.outcome.isin([0, 1]).all() else "int64"  # an event, or cents
    kept = rows[[*keys, "outcome"]].assign(
        **{name: rows[name].astype(str) for name in keys if name != "origin"},
        origin=pd.to_datetime(rows.origin).dt.date,
        outcome=rows.outcome.astype(whole),
    )
    return {
        "test subjects": table_fingerprint(ibis.duckdb.connect().create_table("subjects", kept[keys])),
        "test outcomes": table_fingerprint(ibis.duckdb.connect().create_table("outcomes", kept)),
    }


def read(run_id: str) -> pd.DataFrame:
    """The test rows of a run, in the order of origin and customer.

    Raises `Refused` when the run has none, or when the file is gone or not what the run was judged by.
    """
    promised = client().get_run(run_id).data.tags.get("crm.evidence")
    place = _place(run_id)
    if promised is None:
        raise Refused(f"Run {run_id} kept no test rows: it did not end, or is older than this rule. Train it again.")
    if not place.exists():
        raise Refused(
            f"The test rows of run {run_id} must lie at {place}, but are gone. Restore them from a copy, or train it "
            f"again with `crm retrain`."
        )
    if file_digest(place) != promised:
        raise Refused(
            f"The test rows of run {run_id} must have the sha256 {promised[:12]}..., but {place} has "
            f"{file_digest(place)[:12]}...: they were changed. Restore them, or train it again."
        )
    return pd.read_parquet(place)


def _place(run_id: str) -> Path:
    return data() / "evidence" / f"{run_id}.parquet"
