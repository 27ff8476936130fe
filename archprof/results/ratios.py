"""How many times as long one network takes as another, and when measuring stops. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, exp, floor, hypot, log, log10, sqrt
from typing import NamedTuple

from . import statistics
from .between import Between, Z, between, expected, trend
from .latency import FEWEST_BLOCKS, WIDEST, Latency
from .logbook import Logbook, PastRatio
from .quotients import Estimate, in_state, quotients, ratio_of
from .states import NO_STATE, met, states_of

#: Runs that an estimate is made of at most, the latest. Fewer would tell of the mood of the hour: on a shared host runs
#: that follow each other resemble each other.
RECENT = 100

#: A ratio that rises or falls from run to run, with Kendall's tau so many standard deviations from 0, has no value that
#: runs have in common (by chance once in a thousand).
CREEP = 3.3

#: Two copies of one network may differ by so much before a run is marked for it: their tensors lie elsewhere in memory.
SAME = 0.01


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
    so, `why` what stands against it; the times may be vaguer. After a change of the machine or the network a new `era`
    begins, `since` its first run.
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
    era: int = 1
    since: str = ""

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
            since = f" since {self.since[:10]}" if self.since else ""
            said += f" on this machine, over {self.runs} runs{since}; in this run {alone}"
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
    seen = met(blocks, numbers)
    usual = logbook.usual_with(seen) if logbook else NO_STATE
    apart = {size: told for size, told in controls(reference, cells, control).items() if told.apart}
    found = []
    for name, row in cells.items():
        for cell in row:
            below = base.get(cell.batch_size)
            if name == reference or not cell.measured or below is None:
                continue
            own = by_state(cell, below, numbers)
            alone = ratio_of(cell, below, numbers)
            now = seen[0].number if seen else NO_STATE
            ratio = Ratio(cell.batch_size, name, reference, *alone, True, *alone, 1 if logbook else 0, now)
            few = len(quotients(cell, below)) < FEWEST_BLOCKS
            changed = None
            if logbook:
                ratio, changed = _over_runs(ratio, own, usual, logbook)
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


def by_state(above: Latency, below: Latency, numbers: Mapping[int, int]) -> dict[int, Estimate]:
    """The ratio of a run in each state that it met often enough; and under NO_STATE that of the whole run."""
    found = {state: each for state in {*numbers.values()} if (each := in_state(above, below, numbers, state))}
    if len(quotients(above, below)) >= FEWEST_BLOCKS:
        found[NO_STATE] = ratio_of(above, below, numbers)
    return found


def _over_runs(ratio: Ratio, own: Mapping[int, Estimate], usual: int, logbook: Logbook) -> tuple[Ratio, str | None]:
    """The ratio over the runs of the logbook and this one, whose `own` estimates are by state; and what stands against
    joining them.

    Runs that a change of the machine or the network divides are of different eras: a run joins the last era or the one
    before, whichever has more runs among those that lead to expect it, and begins a new one where neither does. Left
    out are runs that were mostly in a state whose ratio is another than the usual one's.
    """
    earlier = logbook.ratios_of(ratio.architecture, ratio.reference, ratio.batch_size)
    numbers = list(dict.fromkeys(past.era for past in reversed(earlier)))[:2]
    eras = [
        _Era(number, [past for past in earlier if past.era == number], ratio, own, usual, logbook) for number in numbers
    ]
    fitting = [era for era in eras if era.expected]
    if fitting:
        return max(fitting, key=lambda era: len(era.before)).joined(ratio)  # of equals the last one
    ratio = replace(ratio, by_state=tuple(_by_state((), own, logbook).values()))
    if not eras:
        return ratio, None
    before = eras[0].before
    low, high = _between(before, logbook).ci95
    told = f"{ratio.ratio:.3g} in this run, but {low:.3g} to {high:.3g} in {len(before)} before"
    changed = "the machine or the network has changed (--no-logbook measures by itself)"
    return replace(ratio, era=max(past.era for past in earlier) + 1), f"{told}: {changed}"


class _Era:
    """Runs between two changes, and this one: whether it is what they lead to expect."""

    def __init__(
        self,
        number: int,
        earlier: Sequence[PastRatio],
        ratio: Ratio,
        own: Mapping[int, Estimate],
        usual: int,
        logbook: Logbook,
    ) -> None:
        self.number, self.logbook = number, logbook
        self.known = _by_state(earlier, own, logbook)
        others = _other_states(self.known, usual, logbook)
        runs = [past for past in earlier if past.state == NO_STATE and past.main not in others][-RECENT:]
        self.before = [Estimate(past.ratio, past.ci95) for past in runs]
        self.since = runs[0].date if runs and number > 1 else ""
        self.now = own.get(NO_STATE) if ratio.state not in others else None

    @property
    def expected(self) -> bool:
        """Whether this run is what the earlier ones lead to expect; also where the two cannot be compared."""
        if not self.before or self.now is None:
            return True
        return expected(self.now.ratio, self.now.error, _between(self.before, self.logbook))

    def joined(self, ratio: Ratio) -> tuple[Ratio, str | None]:
        """The ratio with the earlier runs; and what stands against that."""
        ratio = replace(ratio, by_state=tuple(self.known.values()), era=self.number, since=self.since)
        runs = [*self.before, *([] if self.now is None else [self.now])]
        if not runs:
            return ratio, None
        whole = _joined(NO_STATE, runs, self.logbook)
        ratio = replace(ratio, ratio=whole.ratio, ci95=whole.ci95, runs=whole.runs)
        if abs(trend([each.ratio for each in runs])) <= CREEP:
            return ratio, None
        first, last = runs[0].ratio, runs[-1].ratio
        return ratio, f"it has been going from {first:.3g} to {last:.3g} over {len(runs)} runs"


def _by_state(earlier: Sequence[PastRatio], own: Mapping[int, Estimate], logbook: Logbook) -> dict[int, StateRatio]:
    """The ratio in each state, over the runs that met it."""
    found: dict[int, list[Estimate]] = {}
    for past in earlier:
        found.setdefault(past.state, []).append(Estimate(past.ratio, past.ci95))
    for state, each in own.items():
        found.setdefault(state, []).append(each)
    return {state: _joined(state, found[state], logbook) for state in sorted(found) if state != NO_STATE}


def _joined(state: int, found: Sequence[Estimate], logbook: Logbook) -> StateRatio:
    """A ratio over runs; of a single one as that run has it."""
    if len(found) == 1:
        return StateRatio(state, *found[0], 1)
    whole = _between(found, logbook)
    return StateRatio(state, whole.ratio, whole.ci95, len(found))


def _between(found: Sequence[Estimate], logbook: Logbook) -> Between:
    return between([(each.ratio, each.error) for each in found], logbook.spread, logbook.spread_runs)


def _other_states(known: Mapping[int, StateRatio], usual: int, logbook: Logbook) -> set[int]:
    """The states whose ratio differs from the usual one's by more than runs in one state do."""
    ends = {}
    for state, each in known.items():
        ends[state] = Estimate(each.ratio, each.ci95)
        if each.runs == 1:
            ends[state] = Estimate(*_between([ends[state]], logbook)[:2])
    return {state for state in ends if usual in ends and not ends[usual].overlaps(ends[state])}


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
        """The factor that two networks must differ by to be told apart: what two copies differ by beyond chance."""
        alone = Estimate(self.ratio, self.ci95)
        return exp(Z * sqrt(max(log(self.ratio) ** 2 - alone.error**2, 0.0)))

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
