"""What changed between two saved comparisons: slower, faster, or can't tell. Standard library only.

A change counts when it is large enough to matter (a factor) and more than chance (a test on the raw
samples): with many samples a test alone finds differences that matter to nobody, with few a factor alone is
noise (Kalibera and Jones 2013).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..base import units
from ..base.errors import BadOption
from . import drift, environment, statistics
from .comparison import ArchitectureResult, Comparison
from .latency import Latency

#: Smallest factor that counts. Two runs of one process differ by a few per cent through where the loader put
#: things in memory, which no sample within a run can show (Mytkowicz et al. 2009).
FACTOR = 1.05

#: Chance of calling one unchanged result changed, over all results of a diff together (Bonferroni).
CHANCE = 0.05

SLOWER, FASTER, CANNOT_TELL = "slower", "faster", "can't tell"


@dataclass(frozen=True)
class Difference:
    """One network at one batch size, before and after. `factor` is after over before; `p` the test's p-value.

    `why` says what stands against a verdict of slower or faster. Without measurements on both sides there
    are no figures.
    """

    name: str
    batch_size: int
    verdict: str
    why: str = ""
    before_s: float | None = None
    after_s: float | None = None
    factor: float | None = None
    ci95: tuple[float, float] | None = None
    p: float | None = None

    @property
    def sentence(self) -> str:
        """'resnet50, batch 1: 30.1 ms -> 33.4 ms, 1.11 (1.09 to 1.13) times as long: slower'."""
        verdict = f"{self.verdict} ({self.why})" if self.why else self.verdict
        if self.factor is None or self.ci95 is None:
            return f"{self.name}, batch {self.batch_size}: {verdict}"
        low, high = self.ci95
        return (
            f"{self.name}, batch {self.batch_size}: {units.milliseconds(self.before_s)} ms -> "
            f"{units.milliseconds(self.after_s)} ms, {self.factor:.2f} ({low:.2f} to {high:.2f}) "
            f"times as long: {verdict}"
        )


def diff(before: Comparison, after: Comparison, factor: float = FACTOR) -> tuple[Difference, ...]:
    """Every network and batch size of either comparison, in the order of `before`, what is new last.

    Raises BadOption where the two were measured under different conditions, naming each difference, or for a
    factor that is not above 1.
    """
    check_factor(factor)
    if changed := environment.disagreements(before.environment, after.environment):
        raise BadOption(
            f"the two were measured under different conditions ({'; '.join(changed)}).",
            "Measure both on one machine with the same options.",
        )
    pairs = list(_pairs(before, after))
    chance = CHANCE / max(sum(isinstance(pair, tuple) for *_, pair in pairs), 1)
    drifted = drift.drifts(_reference_times(before), _reference_times(after))
    floors = [{size: one.floor for size, one in side.controls.items()} for side in (before, after)]
    return tuple(
        Difference(name, batch_size, CANNOT_TELL, pair)
        if isinstance(pair, str)
        else compared(name, *pair, factor, chance, drifted, max([1.0, *(side.get(batch_size, 1.0) for side in floors)]))
        for name, batch_size, pair in pairs
    )


def check_factor(factor: float) -> None:
    """Raise BadOption for a factor that is not above 1."""
    if not factor > 1:
        raise BadOption(f"factor is {factor:g};", "expected a factor above 1, such as 1.05.")


def compared(
    name: str,
    before: Latency,
    after: Latency,
    factor: float,
    chance: float = CHANCE,
    drifted: Sequence[drift.Drift] = (),
    floor: float = 1.0,
) -> Difference:
    """The verdict on two measurements of one network: both `factor` and the rank-sum test must speak.

    A change must exceed `floor` as well, what two copies of one network differed by in either run.

    Where the machine drifted between the two, a change must exceed `factor` by as much as it drifted.
    """
    change = after.p50_s / before.p50_s
    p = statistics.rank_sum_p(after.seconds, before.seconds)
    verdict, why = SLOWER if change > 1 else FASTER, ""
    if not (before.reliable and after.reliable):
        side, seen = ("before", before) if not before.reliable else ("after", after)
        verdict, why = CANNOT_TELL, f"unreliable {side}: {seen.why}"
    elif max(change, 1 / change) < factor:
        verdict, why = CANNOT_TELL, f"less than a factor of {factor:g}"
    elif max(change, 1 / change) < floor:
        verdict, why = CANNOT_TELL, f"two copies of one network differ by up to {100 * (floor - 1):.1f} % here"
    elif drifted and max(change, 1 / change) < factor * drifted[0].factor:
        verdict, why = CANNOT_TELL, f"the machine drifted: {drifted[0].text}"
    elif p > chance:
        verdict = CANNOT_TELL
        why = f"may be chance: p = {p:.2g} from {len(before.seconds)} and {len(after.seconds)} samples"
    return Difference(
        name,
        before.batch_size,
        verdict,
        why,
        before.p50_s,
        after.p50_s,
        change,
        statistics.bootstrap_ratio_interval(after.seconds, before.seconds),
        p,
    )


def _reference_times(side: Comparison) -> dict[str, float]:
    """How long the reference work took while a comparison was measured."""
    return drift.reference_times([block for row in side.architectures for cell in row.latency for block in cell.clean])


def _pairs(before: Comparison, after: Comparison) -> Iterator[tuple[str, int, tuple[Latency, Latency] | str]]:
    """Name, batch size, and either both measurements or why there are not two to compare."""
    old, new = ({row.name: row for row in side.architectures} for side in (before, after))
    for name in [*old, *(name for name in new if name not in old)]:
        sizes = {cell.batch_size for side in (old, new) if name in side for cell in side[name].latency}
        for batch_size in sorted(sizes):
            yield name, batch_size, _pair(old.get(name), new.get(name), batch_size)


def _pair(
    old: ArchitectureResult | None, new: ArchitectureResult | None, batch_size: int
) -> tuple[Latency, Latency] | str:
    found = []
    for side, row in (("before", old), ("after", new)):
        seen = row.latency_at(batch_size) if row else None
        if seen is None:
            return f"not in the comparison {side}"
        if not seen.measured:
            return f"failed {side}: {seen.error}"
        found.append(seen)
    shapes = [row.profile.input_shape for row in (old, new) if row and row.profile]
    if len(set(shapes)) > 1:
        return f"input shape {list(shapes[0])} against {list(shapes[1])}"
    return found[0], found[1]
