"""What a check finds: the records, and the exit code that follows from them. Standard library only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..results.profile import StaticProfile
from .budget import Budget
from .lock import LayerChange

#: What a verdict can be. 'over' and 'under' break a limit; 'cannot tell' breaks it when strict.
STATUSES = ("within", "over", "under", "cannot tell", "error")


@dataclass(frozen=True)
class LayerShare:
    """A layer and the part of the whole that it holds."""

    layer: str
    type: str
    amount: int
    share: float


@dataclass(frozen=True)
class Verdict:
    """One limit of one budget, judged.

    `value` and `bound` are in base units (for latency: times as long as `reference`, with the 95 %
    `interval`); `upper` says that `bound` is a maximum. `baseline` is the accepted value, where there is
    one. `heaviest` are the layers that weigh most in `value`, in counts of `driver`; `changed` those that differ
    from the baseline, both the largest first. `detail` is what else there is to say; for an error, everything. `file`
    is the one that states the budget.
    """

    budget: str
    model: str
    measure: str
    status: str
    value: float | None = None
    limit: str = ""
    bound: float | None = None
    upper: bool = True
    interval: tuple[float, float] | None = None
    batch_size: int | None = None
    reference: str | None = None
    growth: float | None = None  # the growth allowed over the baseline, where that is the limit
    baseline: int | None = None
    before: str | None = None
    driver: str = ""
    heaviest: tuple[LayerShare, ...] = ()
    changed: tuple[LayerChange, ...] = ()
    detail: str = ""
    file: str = ""

    @property
    def headroom(self) -> float | None:
        """How far inside the limit the value is, as a fraction of the limit; negative outside."""
        if self.value is None or not self.bound:
            return None
        distance = self.bound - self.value if self.upper else self.value - self.bound
        return distance / self.bound

    @property
    def change(self) -> float | None:
        """Growth over the baseline, as a fraction of it."""
        if self.value is None or not self.baseline:
            return None
        return (self.value - self.baseline) / self.baseline


@dataclass(frozen=True)
class Checked:
    """A budget, what its model costs (None where it could not be counted), and the verdicts."""

    budget: Budget
    profile: StaticProfile | None
    verdicts: tuple[Verdict, ...]


def exit_code(checked: Sequence[Checked], strict: bool = False) -> int:
    """2 where something could not be judged at all, else 1 where a limit is broken, else 0."""
    seen = {verdict.status for one in checked for verdict in one.verdicts}
    if "error" in seen:
        return 2
    return int(any(broken(status, strict) for status in seen))


def broken(status: str, strict: bool = False) -> bool:
    """Whether this status turns a check red."""
    return status in ("over", "under", "error") or (strict and status == "cannot tell")
