"""How many times as long one network takes as another, and when measuring stops. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from . import statistics
from .latency import FEWEST_BLOCKS, WIDEST, Block, Latency


@dataclass(frozen=True)
class Ratio:
    """How many times as long `architecture` takes as `reference`, with its 95 % interval.

    `reliable` where `ratios_to` says so; the two times may be vaguer.
    """

    batch_size: int
    architecture: str
    reference: str
    ratio: float
    ci95: tuple[float, float]
    reliable: bool = True

    @property
    def sentence(self) -> str:
        """'resnet50 takes 3.9 (3.8 to 4.0) times as long as mobilenetv1 at batch 1', with its doubts behind."""
        doubts = [] if self.has_interval else ["measured once"]
        doubts += [] if self.reliable else ["not reliable"]
        said = f"{self.architecture} takes {self.shown} times as long as {self.reference} at batch {self.batch_size}"
        return f"{said} ({', '.join(doubts)})" if doubts else said

    @property
    def shown(self) -> str:
        """'3.9 (3.8 to 4.0)'; '3.9' without an interval.

        As many decimals as the interval's width supports, two digits at least.
        """
        low, high = self.ci95
        if not self.has_interval:
            return f"{self.ratio:.2g}"
        digits = min(max(ceil(-log10(high - low)), 1 - floor(log10(self.ratio)), 0), 4)
        return "{} ({} to {})".format(*(f"{value:.{digits}f}" for value in (self.ratio, low, high)))

    @property
    def has_interval(self) -> bool:
        """False where each side was measured once."""
        return self.ci95[0] < self.ci95[1]


@dataclass(frozen=True)
class Stopping:
    """When measuring was to stop: at a precision (half width of the 95 % intervals, a fraction) or at a time
    budget, both asked for; and how long it took."""

    precision: float
    time_budget_s: float
    took_s: float

    def sentence(self, cells: Sequence[Latency], ratios: Sequence[Ratio]) -> str:
        """Which of the two ended it, for the run's measurements and ratios."""
        within = f"within {100 * self.precision:g} %"
        times = self.met(cells)
        known = sum(ratio.reliable and self._met(ratio.ci95, ratio.ratio) for ratio in ratios)
        if (times, known) == (len(cells), len(ratios)):
            return f"Measuring stopped after {self.took_s:.3g} s: every 95 % interval is {within}."
        and_ratios = f" and {known} of {len(ratios)} ratios" if ratios else ""
        return (
            f"The time budget of {self.time_budget_s:g} s ended measuring: {times} of {len(cells)} times"
            f"{and_ratios} are {within}; --time-budget allows more."
        )

    def met(self, cells: Sequence[Latency]) -> int:
        """How many of the measurements are within the precision."""
        return sum(cell.reliable and self._met(cell.ci95_s, cell.p50_s) for cell in cells)

    def _met(self, interval: tuple[float, float], centre: float) -> bool:
        return statistics.half_width(interval, centre) <= self.precision


def ratio_of(above: Latency, below: Latency) -> tuple[float, tuple[float, float]]:
    """How many times as long `above` takes as `below`, and the 95 % interval.

    Blocks of one round ran within moments of each other, so slow changes of the machine cancel in their
    quotient: the estimate is the median of the quotients within rounds, its interval that median's. Where
    fewer than FEWEST_BLOCKS rounds have an undisturbed block of both, it is the quotient of the medians,
    with a bootstrap interval.
    """
    quotients = _paired(above.clean, below.clean)
    if len(quotients) >= FEWEST_BLOCKS:
        return statistics.median(quotients), statistics.median_interval(quotients)
    return above.p50_s / below.p50_s, statistics.bootstrap_ratio_interval(above.seconds, below.seconds)


def _paired(above: Iterable[Block], below: Iterable[Block]) -> list[float]:
    """Quotients of the blocks of equal rounds."""
    base = {block.round: block.seconds for block in below}
    return [block.seconds / base[block.round] for block in above if block.round in base]


def ratios_to(
    reference: str | None, cells: Mapping[str, Sequence[Latency]], widest: float = WIDEST
) -> tuple[Ratio, ...]:
    """Ratio of every other architecture to the reference, batch size by batch size.

    A ratio can be relied on where FEWEST_BLOCKS rounds have an undisturbed block of both and its own interval is within
    `widest` (half width): a machine that gets slower for all may leave times vague whose ratio is not.
    """
    if reference is None:
        return ()
    base = {cell.batch_size: cell for cell in cells[reference] if cell.measured}
    found = []
    for name, row in cells.items():
        for cell in row:
            below = base.get(cell.batch_size)
            if name == reference or not cell.measured or below is None:
                continue
            ratio, interval = ratio_of(cell, below)
            sure = (
                not cell.error
                and not below.error
                and statistics.half_width(interval, ratio) <= widest
                and len(_paired(cell.clean, below.clean)) >= FEWEST_BLOCKS
            )
            found.append(Ratio(cell.batch_size, name, reference, ratio, interval, sure))
    return tuple(found)
