"""What changed in the counts of two saved comparisons: grew, shrank or unchanged. Standard library only.

Counts are exact and the same on every machine, so any difference counts, and conditions do not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..base import units
from .comparison import ArchitectureResult, Comparison
from .profile import StaticProfile

GREW, SHRANK, UNCHANGED, NOT_COMPARED = "grew", "shrank", "unchanged", "not compared"

#: Fields that depend on no input.
_OF_PARAMETERS = ("parameters", "parameter_bytes")

#: Field of a profile -> what it is called, and how it is shown.
_COUNTS: dict[str, tuple[str, Callable[[float], str]]] = {
    "parameters": ("parameters", units.count),
    "macs": ("mult-adds", units.count),
    "activations": ("activations", units.count),
    "parameter_bytes": ("parameter memory", units.size),
    "peak_activation_bytes": ("peak activation memory", units.size),
    "training_activation_bytes": ("activation memory for training", units.size),
}


@dataclass(frozen=True)
class CountChange:
    """One count of one network, before and after; `why` qualifies the verdict.

    Where nothing could be compared, `count` says what that is, and there are no numbers.
    """

    name: str
    count: str
    verdict: str
    why: str = ""
    before: int | None = None
    after: int | None = None
    shown: Callable[[float], str] = units.count

    @property
    def sentence(self) -> str:
        """'resnet18: mult-adds 1.81 G -> 2.28 G, +26.00 %: grew'."""
        why = f" ({self.why})" if self.why else ""
        if self.before is None or self.after is None:
            return f"{self.name}: {self.count} {self.verdict}{why}"
        sides = [self.shown(side) for side in (self.before, self.after)]
        if sides[0] == sides[1]:
            sides = [f"{side:,}" for side in (self.before, self.after)]
        change = f", {units.signed_percent((self.after - self.before) / self.before)}" if self.before else ""
        return f"{self.name}: {self.count} {sides[0]} -> {sides[1]}{change}: {self.verdict}{why}"


def count_changes(before: Comparison, after: Comparison) -> tuple[CountChange, ...]:
    """Every count of every network of either comparison, in the order of `before`, what is new last."""
    old, new = ({row.name: row for row in side.architectures} for side in (before, after))
    names = dict.fromkeys([*old, *new])
    return tuple(change for name in names for change in _changes(name, old.get(name), new.get(name)))


def _changes(name: str, old: ArchitectureResult | None, new: ArchitectureResult | None) -> Iterator[CountChange]:
    for side, row in (("before", old), ("after", new)):
        if row is None:
            yield CountChange(name, "counts", NOT_COMPARED, f"not in the comparison {side}")
            return
    assert old is not None and new is not None
    if old.profile is None and new.profile is None:
        return
    for side, row in (("before", old), ("after", new)):
        if row.profile is None:
            yield CountChange(name, "counts", NOT_COMPARED, f"failed {side}: {row.error or 'it was not counted'}")
            return
    assert old.profile is not None and new.profile is not None
    other_input = _other_input(old.profile, new.profile)
    for field, (count, shown) in _COUNTS.items():
        one, two = getattr(old.profile, field), getattr(new.profile, field)
        if one is None or two is None or (other_input and field not in _OF_PARAMETERS):
            continue
        verdict = UNCHANGED if one == two else GREW if two > one else SHRANK
        why = _lower_bounds(old.profile, new.profile) if field == "macs" else ""
        yield CountChange(name, count, verdict, why, one, two, shown)
    if other_input:
        yield CountChange(name, "counts other than those of parameters", NOT_COMPARED, other_input)


def _other_input(old: StaticProfile, new: StaticProfile) -> str:
    if old.input_shape != new.input_shape:
        return f"input shape {list(old.input_shape)} against {list(new.input_shape)}"
    if old.batch_size != new.batch_size:
        return f"batch size {old.batch_size} against {new.batch_size}"
    return ""


def _lower_bounds(old: StaticProfile, new: StaticProfile) -> str:
    """Which side's mult-adds leave operators out; '' where both leave out the same."""
    said = [
        f"a lower bound {side}: {', '.join(item.op for item in profile.uncounted)} has no formula"
        for side, profile in (("before", old), ("after", new))
        if profile.uncounted and old.uncounted != new.uncounted
    ]
    return "; ".join(said)
