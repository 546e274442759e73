"""What is known of a night: a JSON file a day, whole at any moment, from which a cut run goes on."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path

from contracts.files import whole
from contracts.places import mlruns

WAITING, RUNNING, DONE, KEPT, LOOK, FAILED, NOT_DUE, NOT_RUN, NOBODY = (
    "waiting", "running", "done", "champion stays", "to be looked at", "failed", "not due", "not run", "no champion",
)  # fmt: skip
WELL = (DONE, KEPT, LOOK, NOT_DUE, NOBODY)


@dataclass(frozen=True)
class StepState:
    """One step of a night.

    inputs    digest of all that its result follows from; a step that is done is not run again while it is the same
    seconds   how long the last try took
    said      what the command said, its last lines: of a failure the reason
    """

    name: str
    state: str = WAITING
    inputs: str = ""
    exit_code: int | None = None
    tries: int = 0
    began: str = ""
    seconds: float = 0.0
    said: str = ""


@dataclass(frozen=True)
class NightState:
    """A night of a day, with its steps in order.

    swept  what was removed before it began, a line each
    taken  the bytes of all that runs and nights had written once it was over, by part (`keeping.PARTS`)
    """

    name: str
    as_of: str
    steps: tuple[StepState, ...]
    swept: tuple[str, ...] = ()
    taken: Mapping[str, int] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """Of all parts together."""
        return sum(self.taken.values())

    def step(self, name: str) -> StepState:
        """A step by its name; a waiting one where the night did not know it yet."""
        return next((step for step in self.steps if step.name == name), StepState(name))

    def having(self, step: StepState) -> "NightState":
        """The same with a step in place of the one of its name."""
        return replace(self, steps=tuple(step if known.name == step.name else known for known in self.steps))

    @property
    def exit_code(self) -> int:
        """0 done, 3 where a champion stays or ought not to, else that of the first step that failed."""
        failed = [step for step in self.steps if step.state == FAILED]
        if failed:
            return failed[0].exit_code or 1
        if any(step.state in (WAITING, RUNNING, NOT_RUN) for step in self.steps):
            return 1
        return 3 if any(step.state in (KEPT, LOOK, NOBODY) for step in self.steps) else 0


def place(name: str, as_of: date) -> Path:
    """The folder of a night's day: state.json, a log a step, report.html."""
    return mlruns() / "nights" / name / as_of.isoformat()


def read(name: str, as_of: date) -> NightState | None:
    """The state of a night's day; None where it never began."""
    file = place(name, as_of) / "state.json"
    if not file.exists():
        return None
    told: Mapping = json.loads(file.read_text(encoding="utf-8"))
    steps = tuple(StepState(**step) for step in told["steps"])
    return NightState(told["name"], told["as_of"], steps, tuple(told.get("swept", ())), told.get("taken", {}))


def write(state: NightState) -> None:
    """Keep a state: the file holds this one or the one before, whenever the process ends."""
    file = place(state.name, date.fromisoformat(state.as_of)) / "state.json"
    with whole(file) as written:
        written.write_text(json.dumps(asdict(state), indent=1), encoding="utf-8")


def days(name: str) -> list[date]:
    """The days of a night that began, earliest first."""
    folder = mlruns() / "nights" / name
    return sorted(date.fromisoformat(place.name) for place in folder.glob("????-??-??"))
