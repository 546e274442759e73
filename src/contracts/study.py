"""The dates of a run: the only place where one date is made from another.

A run of `as_of` D and horizon H tests on the origin D - H, whose outcomes have just matured, and trains on the
origins D - 2H and earlier: no outcome it learns from overlaps one it is judged by (the embargo). Scores of day D
stand at origin D.
"""

from dataclasses import dataclass
from datetime import date, timedelta

from contracts.errors import Refused


@dataclass(frozen=True)
class Study:
    """What a run may know and where it looks back from. Days are whole; a day starts at 00:00 UTC.

    as_of         the first day that the run may not know
    horizon_days  the days after an origin in which the outcome is looked for: [origin, origin + horizon)
    origins       how many past origins to train on, at most
    spacing_days  the days between two of them

    Raises `Refused` for a horizon, number or spacing below one.
    """

    as_of: date
    horizon_days: int
    origins: int
    spacing_days: int

    def __post_init__(self):
        for name in ("horizon_days", "origins", "spacing_days"):
            if getattr(self, name) < 1:
                raise Refused(f"{name} must be at least 1, but is {getattr(self, name)}. Give a positive whole number.")

    @classmethod
    def read(cls, as_of: str, horizon_days: int, origins: int, spacing_days: int) -> "Study":
        """The same from an ISO date, as notebooks and commands give it; raises `Refused` for what is no date."""
        return cls(day(as_of, "as_of"), horizon_days, origins, spacing_days)

    @property
    def horizon(self) -> timedelta:
        """The horizon as a span of time."""
        return timedelta(days=self.horizon_days)

    @property
    def test_origin(self) -> date:
        """The latest origin whose outcomes are known on `as_of`."""
        return self.as_of - self.horizon

    @property
    def training_origins(self) -> tuple[date, ...]:
        """Earliest first; the latest ends where the test begins."""
        latest = self.test_origin - self.horizon
        return tuple(latest - timedelta(days=k * self.spacing_days) for k in reversed(range(self.origins)))

    @property
    def matured_origins(self) -> tuple[date, ...]:
        """The training origins and the test's: what the registered model is fitted on once the evidence is in."""
        return (*self.training_origins, self.test_origin)

    @property
    def test_days(self) -> tuple[date, date]:
        """First and last origin to test on of subjects that come on days of their own, such as applications.

        These are the `spacing_days` that end with the test origin.
        """
        return self.test_origin - timedelta(days=self.spacing_days - 1), self.test_origin

    @property
    def training_days(self) -> tuple[date, date]:
        """First and last origin to learn from of such subjects: `origins` times `spacing_days`, all of whose outcomes
        were known when the test began.
        """
        last = self.test_days[0] - self.horizon
        return last - timedelta(days=self.origins * self.spacing_days - 1), last

    @property
    def closed_origins(self) -> tuple[date, ...]:
        """Origins whose outcomes are known on `as_of`, `spacing_days` apart, earliest first; they may overlap."""
        return tuple(self.test_origin - timedelta(days=k * self.spacing_days) for k in reversed(range(self.origins)))

    def halved(self, first_day: date, window_days: int) -> "Study":
        """The study of closed snapshots that data from `first_day` on can hold.

        Its horizon is that of this one, or half of what the data reach back, so that as much history precedes the
        latest snapshot as follows; three origins a horizon, each with `window_days` of history. Raises `Refused` for
        less.
        """
        reach = (self.as_of - first_day).days
        horizon = min(self.horizon_days, reach // 2)
        spacing = -(-horizon // 3)
        kept = min(self.origins, 1 + (reach - horizon - window_days) // max(1, spacing))
        if horizon < 1 or kept < 1:
            raise Refused(
                f"A snapshot closed by {self.as_of} needs {window_days} days of history before it and as many after it "
                f"as before, but the data begin on {first_day}. Choose an as_of of "
                f"{first_day + timedelta(days=2 * window_days)} or later."
            )
        return Study(self.as_of, horizon, kept, spacing)

    def seen_from(self, first_day: date, window_days: int) -> "Study":
        """The study with only those origins that have `window_days` of history after `first_day`.

        A window that begins before the data do would call everybody a newcomer. Raises `Refused` when the test
        origin, or every training origin, has such a window.
        """
        earliest = first_day + timedelta(days=window_days)
        kept = sum(origin >= earliest for origin in self.training_origins)
        if not kept or self.test_origin < earliest:
            raise Refused(
                f"A run as of {self.as_of} tests on {self.test_origin} and trains on {self.training_origins[-1]} and "
                f"before, each with {window_days} days of history, but the data begin on {first_day}. "
                f"Choose an as_of of {earliest + 2 * self.horizon} or later, or a shorter horizon or window."
            )
        return Study(self.as_of, self.horizon_days, kept, self.spacing_days)


def day(text: str, name: str) -> date:
    """A date from its ISO form YYYY-MM-DD; raises `Refused` with the name of the parameter that it came by."""
    try:
        if len(text) != 10:
            raise ValueError
        return date.fromisoformat(text)
    except (ValueError, TypeError):
        raise Refused(f"{name} must be a date such as 2018-01-02, but is {text!r}. Write it as YYYY-MM-DD.") from None


def looking_back(as_of: date, origins: int, spacing_days: int) -> tuple[date, ...]:
    """So many origins, the last of them `as_of` itself, earliest first; raises `Refused` for a number below one."""
    for name, value in (("origins", origins), ("spacing_days", spacing_days)):
        if value < 1:
            raise Refused(f"{name} must be at least 1, but is {value}. Give a positive whole number.")
    return tuple(as_of - timedelta(days=k * spacing_days) for k in reversed(range(origins)))
