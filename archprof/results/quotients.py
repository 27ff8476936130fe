"""How many times as long one network takes as another within a run, from blocks side by side. Standard library only."""

from __future__ import annotations

from bisect import bisect
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from math import exp, hypot, log, sqrt
from typing import NamedTuple

from . import drift, statistics
from .between import Z, variance_between
from .intervals import student_quantile
from .latency import FEWEST_BLOCKS, Block, Latency
from .states import NO_STATE

#: The share of quotients that must be within one state for those that straddle two to be left out.
MOST = 0.75

#: So many processes, or visits to a state, tell how these vary.
FEWEST_GROUPS = 3

#: The standard deviation over the median of the distances from the median, and that of a median over that of a mean: of
#: the normal distribution.
MAD, MEDIAN = 1.4826, 1.2533


class Estimate(NamedTuple):
    """A ratio of one run, with its 95 % interval."""

    ratio: float
    ci95: tuple[float, float]

    @property
    def error(self) -> float:
        """The standard error of the logarithm."""
        return log(self.ci95[1] / self.ci95[0]) / (2 * Z)

    def overlaps(self, other: Estimate) -> bool:
        """Whether the two intervals have a value in common: where they have none, the ratios differ."""
        return self.ci95[0] <= other.ci95[1] and other.ci95[0] <= self.ci95[1]


class Quotient(NamedTuple):
    """A block of one network over the two of the other that ran beside it, and these blocks."""

    value: float
    block: Block
    beside: tuple[Block, ...]


def ratio_of(above: Latency, below: Latency, numbers: Mapping[int, int] | None = None) -> Estimate:
    """How many times as long `above` takes as `below`, and the 95 % interval.

    Blocks that ran beside each other met the same machine, so slow changes cancel in their quotient: the estimate is
    the median of `quotients`. With the `numbers` of the machine's states, by a block's order, those are left out that
    straddle two (if MOST are within one), and states whose ratio is another than that of the commonest. The interval is
    the median's, wider by what processes, or visits to a state, vary by beyond chance (Kalibera and Jones 2013). With
    fewer than FEWEST_BLOCKS quotients, the estimate is the quotient of the medians, with a bootstrap interval.
    """
    found = quotients(above, below)
    if numbers:
        found, numbers = _of_one_ratio(found, numbers)
    if len(found) >= FEWEST_BLOCKS:
        return _estimate(found, numbers or {})
    return Estimate(above.p50_s / below.p50_s, statistics.bootstrap_ratio_interval(above.seconds, below.seconds))


def in_state(above: Latency, below: Latency, numbers: Mapping[int, int], state: int) -> Estimate | None:
    """The ratio while the machine was in that state; None where too few blocks ran then, undisturbed."""
    found = [each for each in quotients(above, below) if _states(each, numbers) == {state}]
    return _estimate(found, numbers) if len(found) >= FEWEST_BLOCKS else None


def quotients(above: Latency, below: Latency) -> list[Quotient]:
    """Each block of `above` over the geometric mean of the two blocks of `below` between which it ran.

    Where `above` ran more often, its blocks are the ones between which the others ran. None of the three may be
    disturbed; a state of the machine other than the run's usual one (drift) is no disturbance, since it is beside all
    three. Where each ran once a round, in any order, the quotients are those within the rounds.
    """
    if len(above.blocks) > len(below.blocks):
        return [each._replace(value=1 / each.value) for each in quotients(below, above)]
    around = sorted(below.blocks, key=lambda block: block.order)
    rounds = Counter(block.round for block in around)
    reach = 1 if max(rounds.values(), default=0) > 1 else 0  # a round may begin with the last block of the one before
    orders = [block.order for block in around]
    found = []
    for block in filter(undisturbed, above.blocks):
        place = bisect(orders, block.order)
        beside = tuple(
            each
            for each in around[max(place - 1, 0) : place + 1]
            if block.round - (reach if each.order < block.order else 0) <= each.round <= block.round
        )
        if beside and all(map(undisturbed, beside)):
            between = sqrt(beside[0].seconds * beside[-1].seconds)
            found.append(Quotient(block.seconds / between, block, beside))
    return found


def undisturbed(block: Block) -> bool:
    """Whether nothing was seen but that the machine had drifted."""
    return (block.disturbed or drift.CAUSE).startswith(drift.CAUSE)


def _states(quotient: Quotient, numbers: Mapping[int, int]) -> set[int]:
    return {numbers.get(block.order, NO_STATE) for block in (quotient.block, *quotient.beside)}


def _of_one_ratio(found: list[Quotient], numbers: Mapping[int, int]) -> tuple[list[Quotient], Mapping[int, int]]:
    """Those within the commonest state, and within others whose ratio cannot be told from that one's, with the numbers
    of the states; all of them and no states where these change from one block to the next, so that hardly any quotient
    is of one alone."""
    within: dict[int, list[Quotient]] = {}
    for each in found:
        states = _states(each, numbers)
        if len(states) == 1:
            within.setdefault(states.pop(), []).append(each)
    if not within or sum(map(len, within.values())) < MOST * len(found):
        return found, {}
    most = max(within, key=lambda state: len(within[state]))
    if len(within[most]) < FEWEST_BLOCKS:
        return [each for these in within.values() for each in these], numbers
    usual = _estimate(within[most], numbers)
    chosen = [
        each
        for these in within.values()
        if len(these) < FEWEST_BLOCKS or usual.overlaps(_estimate(these, numbers))
        for each in these
    ]
    return chosen, numbers


def _estimate(found: Sequence[Quotient], numbers: Mapping[int, int]) -> Estimate:
    """The median of quotients, and its interval with what processes and visits to a state vary by beyond chance."""
    values = [each.value for each in found]
    middle, ends = statistics.median(values), statistics.median_interval(values)
    logs = [log(value / middle) for value in values]
    spread = statistics.median([abs(each) for each in logs]) * MAD
    more = 0.0
    for groups in (_by_process(found), _by_visit(found, numbers)):
        known = [group for group in groups if len(group) >= FEWEST_BLOCKS]
        if len(known) >= FEWEST_GROUPS:
            medians = [log(statistics.median(group)) for group in known]
            errors = [max(MEDIAN * spread / sqrt(len(group)), 1e-6) for group in known]
            reach = student_quantile(len(known) - 1) * sqrt(variance_between(medians, errors) / len(known))
            more = max(more, reach)
    low, high = (abs(log(end / middle)) * _shared(found) for end in ends)
    return Estimate(middle, (middle * exp(-hypot(low, more)), middle * exp(hypot(high, more))))


def _shared(found: Sequence[Quotient]) -> float:
    """By how much an interval is wider because neighbours share a block of the reference: with blocks that vary alike,
    a quotient has the variance 1 + 1/2 and a quarter in common with one beside it."""
    in_order = sorted(found, key=lambda each: each.block.order)
    shared = sum(bool({*map(id, one.beside)} & {*map(id, other.beside)}) for one, other in pairwise(in_order))
    return sqrt(1 + 2 * 0.25 * shared / len(found) / 1.5)


def _by_process(found: Iterable[Quotient]) -> Iterable[list[float]]:
    groups: dict[int, list[float]] = {}
    for each in found:
        groups.setdefault(each.block.process, []).append(each.value)
    return groups.values()


def _by_visit(found: Sequence[Quotient], numbers: Mapping[int, int]) -> Iterable[list[float]]:
    """The quotients of each stretch of blocks in one state."""
    orders = sorted(numbers)
    changes = [after for before, after in pairwise(orders) if numbers[before] != numbers[after]]
    groups: dict[int, list[float]] = {}
    for each in found:
        groups.setdefault(bisect(changes, each.block.order), []).append(each.value)
    return groups.values() if numbers else ()
