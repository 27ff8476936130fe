"""Whose turn it is: which workloads go on, for how long, within the time that is left."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt

from ..results import statistics
from ..results.latency import FEWEST_BLOCKS
from ..results.quotients import ratio_of
from .power import Meter
from .reliability import half_width
from .workloads import BLOCK_S, LEAD_IN_S, Running

#: A workload with fewer undisturbed blocks goes on even when its interval is narrow enough: who stops at the first
#: narrow interval gets intervals that hold less often than they say (Chow and Robbins 1965 prove the 95 % for large
#: numbers only).
LEAST_BLOCKS = 30

#: So few are enough where they are spread over so many seconds: long blocks average by themselves, and the seconds
#: show what changes slowly.
FEWER_BLOCKS = 10
SPREAD_S = 10.0

#: A block for a coarse energy meter is so many times as long as the meter needs: passes may run faster than known.
METERED_LENGTHS = 1.1


@dataclass(frozen=True)
class Schedule:
    """Deals out rounds until every interval, and that of every ratio to `reference`, is within `precision`."""

    precision: float
    reference: str | None = None

    def base(self, row: Sequence[Running]) -> Running | None:
        """The reference among the workloads of one batch size."""
        return next((each for each in row if each.workload.name == self.reference), None)

    def order(self, row: Sequence[Running], shuffle: random.Random) -> list[Running]:
        """The blocks of one round: the others in a fresh order, with the reference before, between and after them.

        A network is held against the two blocks of the reference beside its own: on two cores, adjacent blocks agreed
        to 3.9 % where distant ones did to 7.2. The reference takes at most about half of the time, so that where it is
        costly several others stand between two of its blocks.
        """
        base = self.base(row)
        others = [each for each in row if each is not base]
        shuffle.shuffle(others)
        if base is None or not others:
            return [*others, *filter(None, [base])]
        group = _group(base, others)
        order = [base]
        for start in range(0, len(others), group):
            order += [*others[start : start + group], base]
        return order

    def cost(self, row: Sequence[Running]) -> float:
        """Seconds that a round of these is expected to take."""
        base = self.base(row)
        others = [each for each in row if each is not base]
        together = sum(each.block_s for each in others)
        if base is None:
            return together
        return together + base.block_s * (1 + ceil(len(others) / _group(base, others)) if others else 1)

    def next_round(self, alive: Sequence[Running], now: float, left_s: float) -> list[Running]:
        """The unfinished workloads of the batch size whose turn it is; empty when all is done or nothing fits.

        Small batches have their first FEWEST_BLOCKS rounds first: where time lacks for all, they cost little. After
        that, rounds are dealt out in proportion to 1/sqrt(cost), which makes the sum of the variances least for a given
        time (Cochran 1977, section 5.5). Until then a round for which too little time is left is run without its
        costliest workloads: the others get the blocks that they need. Disturbed blocks are made up for before,
        FEWEST_BLOCKS of them at most.
        """
        turns = []
        for batch_size in sorted({running.workload.batch_size for running in alive}):
            unfinished = self.unfinished(at(alive, batch_size), now)
            few = [running for running in unfinished if running.useful < FEWEST_BLOCKS]
            if few and (base := self.base(unfinished)) is not None and base not in few:
                few.append(base)  # what runs without it beside it is compared with nothing
            chosen = unfinished if self.cost(unfinished) <= left_s else self.affordable(few, left_s)
            if chosen:
                rounds = min(running.useful for running in chosen)
                further = max(rounds - FEWEST_BLOCKS, 0) * sqrt(self.cost(chosen))
                turns.append((further, rounds >= FEWEST_BLOCKS, batch_size, chosen))
        return min(turns, key=lambda turn: turn[:3])[3] if turns else []

    def round_for_meter(self, alive: Sequence[Running], meter: Meter | None, left_s: float) -> list[Running]:
        """Workloads of one batch size whose blocks were all too short for the energy meter, to be run for longer.

        That comes after the times, for what is left of the budget, once for each workload. The lead-in lasts an update
        of the meter, so that what its readings lag behind is the same network's.
        """
        if meter is None or meter.least_s <= BLOCK_S:
            return []
        for batch_size in sorted({running.workload.batch_size for running in alive}):
            row = [
                each
                for each in at(alive, batch_size)
                if not (each.for_meter or each.latency.metered or each.workload.control)
            ]
            for running in row:
                running.for_meter = True
                running.length_s, running.lead_in_s = METERED_LENGTHS * meter.least_s, meter.update_s
            chosen = self.affordable(row, left_s)
            for running in row:
                if running not in chosen:
                    running.length_s, running.lead_in_s = BLOCK_S, LEAD_IN_S
            if chosen:
                return chosen
        return []

    def affordable(self, row: Sequence[Running], left_s: float) -> list[Running]:
        """The cheapest workloads of which a round fits into the time that is left, the reference first."""
        chosen: list[Running] = []
        base = self.base(row)
        for running in sorted(row, key=lambda running: (running is not base, running.block_s)):
            if self.cost([*chosen, running]) <= left_s:
                chosen.append(running)
        return chosen

    def unfinished(self, row: Sequence[Running], now: float) -> list[Running]:
        """The workloads of one batch size that are not precise enough, with the reference if ratios need it."""
        base = self.base(row)
        networks = [running for running in row if not running.workload.control]
        imprecise = [running for running in networks if not self.precise(running, base, now)]
        return [*imprecise, base] if base and imprecise and base not in imprecise else imprecise

    def precise(self, running: Running, base: Running | None, now: float) -> bool:
        """Whether the interval of the median, and of the ratio to the reference, are within the precision."""
        seen = running.latency
        least = LEAST_BLOCKS if now - running.since < SPREAD_S else FEWER_BLOCKS
        if len(seen.clean) < least or half_width(seen) > self.precision:
            return False
        if base is None or base is running or not base.latency.clean:
            return True
        ratio, interval = ratio_of(seen, base.latency)
        return statistics.half_width(interval, ratio) <= self.precision


def at(alive: Sequence[Running], batch_size: int) -> list[Running]:
    """The workloads of one batch size."""
    return [running for running in alive if running.workload.batch_size == batch_size]


def _group(base: Running, others: Sequence[Running]) -> int:
    """How many others stand between two blocks of the reference, so that these take at most about half of the time."""
    blocks = int(sum(each.block_s for each in others) / base.block_s)
    return ceil(len(others) / max(blocks, 1))
