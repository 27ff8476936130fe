"""How many times as long one network takes as another, and when measuring stops. Standard library only."""

from __future__ import annotations

from bisect import bisect
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, exp, floor, hypot, log, log10
from statistics import geometric_mean
from typing import NamedTuple

from . import drift, statistics
from .between import Z, between, expected
from .intervals import student
from .latency import FEWEST_BLOCKS, WIDEST, Block, Latency
from .logbook import Logbook
from .states import NO_STATE, met, states_of

#: Two copies of one network may differ by so much before a run is marked for it: their tensors lie elsewhere in memory.
SAME = 0.01


#: So many processes, or visits to a state, tell how these vary; of two the interval would be all there is.
FEWEST_GROUPS = 3


class Estimate(NamedTuple):
    """A ratio of one run, with its 95 % interval."""

    ratio: float
    ci95: tuple[float, float]

    @property
    def error(self) -> float:
        """The standard error of the logarithm."""
        return log(self.ci95[1] / self.ci95[0]) / (2 * Z)


class StateRatio(NamedTuple):
    """A ratio in one state of the machine, over so many runs, with its 95 % interval."""

    state: int
    ratio: float
    ci95: tuple[float, float]
    runs: int


@dataclass(frozen=True)
class Ratio:
    """How many times as long `architecture` takes as `reference`, with its 95 % interval.

    `ratio` is for the machine's usual state, over as many `runs` as the logbook and this one have of it; `in_run` is
    what this run found alone, in the `state` that most of it was in. With one run both are the same; `runs` is 0 where
    no logbook was asked. `by_state` has the ratio in each state that was ever met. `reliable` where `ratios_to` says
    so, `why` what stands against it; the times may be vaguer.
    """

    batch_size: int
    architecture: str
    reference: str
    ratio: float
    ci95: tuple[float, float]
    reliable: bool = True
    in_run: float | None = None
    in_run_ci95: tuple[float, float] | None = None
    runs: int = 0
    state: int = NO_STATE
    by_state: tuple[StateRatio, ...] = ()
    why: str | None = None

    @property
    def sentence(self) -> str:
        """'resnet50 takes 4.9 (4.6 to 5.2) times as long as mobilenetv1 at batch 1 on this machine, over 5 runs; in
        this run 4.72 +- 0.05', with its doubts behind."""
        doubts = [] if self.has_interval else ["measured once"]
        doubts += [] if self.reliable else ["not reliable"]
        said = f"{self.architecture} takes {self.shown} times as long as {self.reference} at batch {self.batch_size}"
        if self.runs > 1 and self.in_run is not None and self.in_run_ci95 is not None:
            reach = max(self.in_run - self.in_run_ci95[0], self.in_run_ci95[1] - self.in_run)
            digits = _decimals(2 * reach, self.in_run)
            alone = f"{self.in_run:.{digits}f} +- {reach:.{digits}f}"
            said += f" on this machine, over {self.runs} runs; in this run {alone}"
        elif self.runs:
            said += " in this run"
        return f"{said} ({', '.join(doubts)})" if doubts else said

    @property
    def shown(self) -> str:
        """'3.9 (3.8 to 4.0)'; '3.9' without an interval.

        As many decimals as the interval's width supports, two digits at least.
        """
        low, high = self.ci95
        if not self.has_interval:
            return f"{self.ratio:.2g}"
        digits = _decimals(high - low, self.ratio)
        return "{} ({} to {})".format(*(f"{value:.{digits}f}" for value in (self.ratio, low, high)))

    @property
    def has_interval(self) -> bool:
        """False where each side was measured once."""
        return self.ci95[0] < self.ci95[1]


def _decimals(width: float, value: float) -> int:
    """As many as an interval of that width supports, for two digits of the value at least."""
    supported = ceil(-log10(width)) if width > 0 else 4
    return min(max(supported, 1 - floor(log10(value)), 0), 4)


def beyond(interval: tuple[float, float], control: Control | None) -> tuple[float, float]:
    """The interval of a ratio, wider by what two copies of one network differed by in its run: where it leaves out 1
    the two networks can be told apart."""
    if control is None:
        return interval
    middle = (log(interval[0]) + log(interval[1])) / 2
    reach = hypot(log(interval[1]) - middle, log(control.floor))
    return exp(middle - reach), exp(middle + reach)


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

    Blocks that ran beside each other met the same machine, so slow changes cancel in their quotient: the estimate is
    the median of `quotients`. Its interval is that median's, or Student's of the medians of several processes, or of
    several visits to the machine's state, where that is wider: an interval is as wide as what varies most (Kalibera and
    Jones 2013). With fewer than FEWEST_BLOCKS of them, it is the quotient of
    the medians, with a bootstrap interval.
    """
    found = _quotients(above, below, undisturbed)
    if len(found) >= FEWEST_BLOCKS:
        return statistics.median([value for _, value in found]), _interval(found, (*above.blocks, *below.blocks))
    return above.p50_s / below.p50_s, statistics.bootstrap_ratio_interval(above.seconds, below.seconds)


def undisturbed(block: Block) -> bool:
    """Whether nothing was seen that disturbed the block."""
    return block.disturbed is None


def quotients(above: Latency, below: Latency, counts: Callable[[Block], bool] = undisturbed) -> list[float]:
    """Each block of `above` over the geometric mean of the two blocks of `below` between which it ran.

    Where `above` ran more often, its blocks are the ones between which the others ran. All three must be ones that
    count (undisturbed ones). Where each ran once a round, in any order, the quotients are those within the rounds.
    """
    return [quotient for _, quotient in _quotients(above, below, counts)]


def _quotients(above: Latency, below: Latency, counts: Callable[[Block], bool]) -> list[tuple[Block, float]]:
    """`quotients`, each with the block that it is of."""
    if len(above.blocks) > len(below.blocks):
        return [(block, 1 / quotient) for block, quotient in _quotients(below, above, counts)]
    around = sorted(below.blocks, key=lambda block: block.order)
    rounds = Counter(block.round for block in around)
    reach = 1 if max(rounds.values(), default=0) > 1 else 0  # a round may begin with the last block of the one before
    orders = [block.order for block in around]
    found = []
    for block in filter(counts, above.blocks):
        place = bisect(orders, block.order)
        beside = [
            each
            for each in around[max(place - 1, 0) : place + 1]
            if block.round - (reach if each.order < block.order else 0) <= each.round <= block.round
        ]
        if beside and all(map(counts, beside)):
            found.append((block, block.seconds / geometric_mean(each.seconds for each in beside)))
    return found


def _interval(found: Sequence[tuple[Block, float]], blocks: Iterable[Block]) -> tuple[float, float]:
    """The 95 % interval of the median of quotients, at the level at which they vary most."""
    values = [value for _, value in found]
    low, high = statistics.median_interval(values)
    middle = statistics.median(values)
    away = sorted(block.order for block in blocks if (block.disturbed or "").startswith(drift.CAUSE))
    processes: dict[int, list[float]] = {}
    visits: dict[tuple[int, int], list[float]] = {}
    for block, value in found:
        processes.setdefault(block.process, []).append(value)
        visits.setdefault((block.process, bisect(away, block.order)), []).append(value)
    for groups in (processes.values(), visits.values()):
        logs = [log(statistics.median(group)) for group in groups if len(group) >= FEWEST_BLOCKS]
        if len(logs) >= FEWEST_GROUPS and (over := student(logs)) is not None:
            reach = (over[1] - over[0]) / 2
            low, high = min(low, middle * exp(-reach)), max(high, middle * exp(reach))
    return low, high


def in_state(above: Latency, below: Latency, numbers: Mapping[int, int], state: int) -> Estimate | None:
    """The ratio while the machine was in that state; None where too few of its blocks were undisturbed."""

    def counts(block: Block) -> bool:
        drifted = (block.disturbed or drift.CAUSE).startswith(drift.CAUSE)  # which is another state, not a disturbance
        return drifted and numbers.get(block.order, NO_STATE) == state

    found = quotients(above, below, counts)
    if len(found) < FEWEST_BLOCKS:
        return None
    return Estimate(statistics.median(found), statistics.median_interval(found))


def ratios_to(
    reference: str | None,
    cells: Mapping[str, Sequence[Latency]],
    widest: float = WIDEST,
    logbook: Logbook | None = None,
    control: Sequence[Latency] = (),
) -> tuple[Ratio, ...]:
    """Ratio of every other architecture to the reference, batch size by batch size.

    A ratio can be relied on where FEWEST_BLOCKS blocks of this run and their neighbours are undisturbed, its interval
    is within `widest` (half width), what this run found is what earlier ones lead to expect, and the `control` could
    not be told from the reference. A machine that gets slower for all may leave times vague whose ratio is not.
    """
    if reference is None:
        return ()
    base = {cell.batch_size: cell for cell in cells[reference] if cell.measured}
    blocks = [block for row in (*cells.values(), control) for cell in row for block in cell.blocks]
    numbers = states_of(blocks, logbook.states if logbook else ())
    seen = met([block for block in blocks if block.disturbed is None], numbers)
    now = seen[0].number if seen else NO_STATE
    usual = logbook.usual_with(seen) if logbook else NO_STATE
    apart = {size: told for size, told in controls(reference, cells, control).items() if told.apart}
    found = []
    for name, row in cells.items():
        for cell in row:
            below = base.get(cell.batch_size)
            if name == reference or not cell.measured or below is None:
                continue
            alone = Estimate(*ratio_of(cell, below))
            few = len(quotients(cell, below)) < FEWEST_BLOCKS
            ratio = Ratio(cell.batch_size, name, reference, *alone, True, *alone, 1 if logbook else 0, now)
            changed = None
            if logbook:
                own = {
                    state: it
                    for state in {*numbers.values()} - {NO_STATE}
                    if (it := in_state(cell, below, numbers, state))
                }
                ratio, changed = _over_runs(ratio, own if seen else {NO_STATE: alone}, usual, logbook)
            why = (
                cell.error
                or below.error
                or ("too few blocks beside undisturbed ones of the reference" if few else None)
                or changed
                or (apart[cell.batch_size].sentence if cell.batch_size in apart else None)
                or _wide(ratio, widest)
            )
            found.append(replace(ratio, reliable=why is None, why=why))
    return tuple(found)


def _over_runs(ratio: Ratio, own: Mapping[int, Estimate], usual: int, logbook: Logbook) -> tuple[Ratio, str | None]:
    """The ratio with what the logbook says of it; and what stands against joining this run's `own` estimates, by state,
    to those before."""
    known: list[StateRatio] = []
    changed = None
    for state in sorted(
        {*own, *(past.state for past in logbook.ratios_of(ratio.architecture, ratio.reference, ratio.batch_size))}
    ):
        before = logbook.ratios_of(ratio.architecture, ratio.reference, ratio.batch_size, state)
        found = [(past.ratio, past.error) for past in before]
        now = own.get(state)
        if found and now is not None:
            past = between(found, logbook.spread, logbook.spread_runs)
            if not expected(now.ratio, now.error, past):
                before_it = f"{past.ci95[0]:.3g} to {past.ci95[1]:.3g} in {len(found)} before"
                changed = f"{now.ratio:.3g} in this run, but {before_it}: the machine or the network has changed "
                changed += "(--no-logbook measures by itself)"
                found = []
        if now is not None:
            found.append((now.ratio, now.error))
        if len(found) > 1:
            known.append(StateRatio(state, *between(found, logbook.spread, logbook.spread_runs)[:2], len(found)))
        elif now is not None:
            known.append(StateRatio(state, *now, 1))
    ratio = replace(ratio, by_state=tuple(known))
    headline = next((each for each in known if each.state == usual), None)
    if headline is None:
        return ratio, changed
    return replace(ratio, ratio=headline.ratio, ci95=headline.ci95, runs=headline.runs), changed


def _wide(ratio: Ratio, widest: float) -> str | None:
    width = statistics.half_width(ratio.ci95, ratio.ratio)
    return None if width <= widest else f"the 95 % interval is +-{100 * width:.1f} %, more than {100 * widest:g} %"


class Control(NamedTuple):
    """What two copies of one network differ by in a run: their ratio, which should be 1, and its 95 % interval."""

    reference: str
    batch_size: int
    ratio: float
    ci95: tuple[float, float]

    @property
    def apart(self) -> bool:
        """Whether they differ beyond what chance and SAME allow."""
        return self.ci95[0] > 1 + SAME or self.ci95[1] < 1 - SAME

    @property
    def floor(self) -> float:
        """The smallest factor that can be told from 1 in this run: the end of the interval that is farther from it."""
        return max(self.ci95[1], 1 / self.ci95[0])

    @property
    def sentence(self) -> str:
        """'two copies of alexnet differ by 3.1 %'."""
        return f"two copies of {self.reference} differ by {100 * abs(self.ratio - 1):.1f} % at batch {self.batch_size}"


def controls(
    reference: str | None, cells: Mapping[str, Sequence[Latency]], control: Sequence[Latency]
) -> dict[int, Control]:
    """The control of each batch size at which it ran often enough."""
    base = {cell.batch_size: cell for cell in cells.get(reference or "", ())}
    found = {}
    for copy in control:
        below = base.get(copy.batch_size)
        if below is not None and len(quotients(copy, below)) >= FEWEST_BLOCKS:
            found[copy.batch_size] = Control(str(reference), copy.batch_size, *ratio_of(copy, below))
    return found
