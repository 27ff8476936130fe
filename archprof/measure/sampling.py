"""Interleaved sampling: blocks of consecutive passes, every network once a round, order fresh each round.

Back-to-back loops compare two networks at two different moments, so that a neighbour's burst falls on one of
them; interleaving single passes lets each network find the other's data in the caches. Blocks in shuffled
rounds avoid both: within a block caches and clocks are those of steady use, and whatever changes slowly meets
every network alike (the randomised block design; Box, Hunter and Hunter 2005, chapter 4).
"""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass, field
from math import sqrt

from ..base.errors import BadOption
from ..results import drift, statistics
from ..results.latency import FEWEST_BLOCKS, TIME_BUDGET_S, Block, Latency
from ..results.ratios import ratio_of
from . import disturbance
from .cells import BLOCK_S, LEAD_IN_S, Cell, Key, Progress, Running, Step
from .memory import MEMORY, described, free_memory, out_of_memory
from .reliability import half_width, judged
from .steps import forward_step

__all__ = ["Cell", "Interrupted", "Key", "Progress", "check_sampling", "forward_step", "measure"]

#: A block that is disturbed ends after so many times its length: where threads wait for one another, a neighbour
#: on one of the CPUs can make a pass a hundred times as long, and a block of many passes would use up the time budget.
MOST_LENGTHS = 4

#: A block for a coarse energy meter is so many times as long as the meter needs: passes may run faster than known.
METERED_LENGTHS = 1.1

#: Warm-up ends when so many passes in a row were not faster than the fastest before by more than FALLING ...
STEADY_PASSES = 3
FALLING = 0.02

#: ... or when it took this share of the time budget, the first pass not counted.
MOST_WARM_UP = 0.02

#: A cell with fewer undisturbed blocks goes on even when its interval is narrow enough: who stops at the first
#: lucky interval gets intervals that hold less often than they say (Chow and Robbins 1965 prove the 95 % for large
#: numbers only).
LEAST_BLOCKS = 30

#: So few are enough where they are spread over so many seconds: long blocks average by themselves, and the seconds
#: show what changes slowly.
FEWER_BLOCKS = 10
SPREAD_S = 10.0

#: Paces are looked at again when there are so many times as many blocks, so that it takes time in proportion to them.
MARKED_AGAIN = 1.1


class Interrupted(KeyboardInterrupt):
    """Ctrl-C while measuring; `latencies` holds every cell, those cut short or not reached saying so."""

    def __init__(self, latencies: dict[Key, Latency]) -> None:
        super().__init__("interrupted")
        self.latencies = latencies


def measure(
    cells: Iterable[Cell],
    *,
    clock: Callable[[], float] = time.perf_counter,
    sync: Callable[[], None] = lambda: None,
    time_budget: float = TIME_BUDGET_S,
    precision: float = 0.02,
    reference: str | None = None,
    progress: Callable[[Progress], None] | None = None,
    witness: disturbance.Witness | None = None,
    rearrange: Callable[[], None] = lambda: None,
    shuffle: random.Random | None = None,
) -> dict[Key, Latency]:
    """Time every cell until its interval, and that of its ratio to `reference`, is within `precision`.

    `time_budget` (seconds) covers warm-up and blocks, not compiling; what it cut short carries a note. Every
    cell gets a Latency: with blocks, or with an `error`. `sync` is called at both ends of a block, so that on
    a GPU passes queue up within one. Without a `witness` no block is called disturbed. `rearrange` is called before
    each round, so that tensors lie elsewhere in memory. Raises BadOption for a precision or a budget that is not
    positive, Interrupted on Ctrl-C.
    """
    check_sampling(time_budget, precision)
    sampling = _Sampling(
        clock, sync, time_budget, precision, reference, progress, witness, rearrange, shuffle or random.Random(0)
    )
    return sampling.run(list(cells))


def check_sampling(time_budget: float, precision: float) -> None:
    """Raise BadOption for a time budget (seconds) or a precision (a fraction) that makes no sense."""
    if not time_budget > 0:
        raise BadOption(f"time budget is {time_budget:g} s;", "wanted: more than 0 seconds.")
    if not 0 < precision < 1:
        raise BadOption(f"precision is {precision:g};", "wanted: a fraction between 0 and 1, such as 0.02.")


@dataclass
class _Sampling:
    """One measurement under way."""

    clock: Callable[[], float]
    sync: Callable[[], None]
    time_budget: float
    precision: float
    reference: str | None
    progress: Callable[[Progress], None] | None
    witness: disturbance.Witness | None
    rearrange: Callable[[], None]
    shuffle: random.Random
    start: float = 0.0
    round: int = 0
    order: int = 0
    marked: int = 0  # blocks when paces were last looked at
    alive: list[Running] = field(default_factory=list)
    results: dict[Key, Latency] = field(default_factory=dict)
    lacked: dict[Key, str] = field(default_factory=dict)  # what was said where memory lacked beside others

    def run(self, cells: Sequence[Cell]) -> dict[Key, Latency]:
        self.start = self.clock()
        cut = "not reached before the interruption"
        try:
            waiting = list(cells)
            while waiting:
                waiting = self.together(waiting)
                self.finish("")
        except KeyboardInterrupt:
            self.finish("interrupted")
            raise Interrupted(self.in_order(cells, cut)) from None
        return self.in_order(cells, cut)

    def in_order(self, cells: Sequence[Cell], otherwise: str) -> dict[Key, Latency]:
        """The results in the order in which the cells were given."""
        return {cell.key: self.results.get(cell.key) or Latency(cell.batch_size, error=otherwise) for cell in cells}

    def together(self, cells: Sequence[Cell]) -> list[Cell]:
        """Measure as many cells as fit into memory together; returns those that must wait until it is free.

        Batch sizes take turns, ascending at first; then rounds are dealt out by cost.
        """
        later: list[Cell] = []
        for batch_size in sorted({cell.batch_size for cell in cells}):
            row = [cell for cell in cells if cell.batch_size == batch_size]
            self.rearrange()  # what that needs more of memory is taken while nothing is timed
            later += self.warm_up(row, {cell.name for cell in later})
            self.one_round(self.at(batch_size))
        while running := self.next_round() or self.round_for_meter():
            self.one_round(running)
        return later

    def warm_up(self, cells: Sequence[Cell], waiting: Set[str]) -> list[Cell]:
        """Warm up the cells of one batch size; returns those for which memory lacked while others held it.

        `waiting` names the networks that lacked memory at a smaller batch.
        """
        later: list[Cell] = []
        for cell in cells:
            if cell.name in waiting:  # at a smaller batch already
                later.append(cell)
                continue
            if reason := self.hopeless(cell):
                self.results[cell.key] = Latency(cell.batch_size, error=reason)
                continue
            self.tell(f"warming up {cell.name}, batch {cell.batch_size}")
            try:
                self.alive.append(self.warm(cell))
                continue
            except Exception as failure:
                waits = out_of_memory(failure) and bool(self.alive)
                if waits:
                    self.lacked[cell.key] = described(failure)
                else:
                    self.results[cell.key] = Latency(cell.batch_size, error=described(failure))
            if waits:
                later.append(cell)
            free_memory()  # not in the handler: its traceback still holds the failed network's tensors
        return later

    def hopeless(self, cell: Cell) -> str | None:
        """Why this cell need not be tried; None: it should be."""
        for (name, batch_size), seen in self.results.items():
            if name == cell.name and batch_size < cell.batch_size and (seen.error or "").startswith(MEMORY):
                return f"not tried: out of memory already at batch {batch_size}"
        if self.left <= 0 and cell.key in self.lacked:
            return f"{self.lacked[cell.key]} (beside other networks; no time was left to try it alone)"
        expected = self.expected(cell)
        if self.left <= 0 or 2 * expected > self.left:  # one pass to warm up, one to time
            about = f" (about {expected:.2g} s a pass)" if expected else ""
            return f"not measured{about}: the time budget of {self.time_budget:g} s was used up"
        return None

    def expected(self, cell: Cell) -> float:
        """Seconds of one pass, foretold in proportion from the network's smaller batches; 0 without any."""
        smaller = [known for known in self.alive if known.cell.name == cell.name]
        return max((known.pass_s / known.cell.batch_size for known in smaller), default=0.0) * cell.batch_size

    def warm(self, cell: Cell) -> Running:
        """Make the step and run it until its time stops falling; memory is measured on the first pass.

        What a first pass takes beyond the second (a compiler, lazy initialisation) is not charged to the time
        budget. There is no second where the first took what smaller batches foretold.
        """
        step = cell.prepare()
        start = self.clock()
        if hasattr(step, "peak_bytes"):
            peak = step.peak_bytes()
        else:
            peak = None
            step()
        self.sync()
        best = self.clock() - start
        cold = best > 2 * self.expected(cell)
        steady, until = 0, self.clock() + self.time_budget * MOST_WARM_UP
        while steady < STEADY_PASSES and (cold or self.clock() + best <= until):
            seconds, _ = self.timed(step, 1)
            if cold:
                self.start, cold = self.start + max(best - seconds, 0.0), False
            steady = 0 if seconds < best * (1 - FALLING) else steady + 1
            best = min(best, seconds)
        state = getattr(step, "optimizer_state_bytes", None)
        return Running(cell, step, max(best, 1e-9), self.clock(), peak, state)

    def next_round(self) -> list[Running]:
        """The unfinished cells of the batch size whose turn it is; empty when all is done or nothing fits.

        After FEWEST_BLOCKS rounds each, rounds are dealt out in proportion to 1/sqrt(cost), which makes the
        sum of the variances least for a given time (Cochran 1977, section 5.5). Until then a round for which
        too little time is left is run without its costliest cells: the others get the blocks that they need.
        Disturbed blocks are made up for before, FEWEST_BLOCKS of them at most.
        """
        turns = []
        for batch_size in sorted({running.cell.batch_size for running in self.alive}):
            unfinished = self.unfinished(self.at(batch_size))
            few = [running for running in unfinished if running.useful < FEWEST_BLOCKS]
            chosen = unfinished if _cost(unfinished) <= self.left else self.affordable(few)
            if chosen:
                rounds = min(running.useful for running in chosen)
                turns.append((max(rounds - FEWEST_BLOCKS, 0) * sqrt(_cost(chosen)), rounds, batch_size, chosen))
        return min(turns, key=lambda turn: turn[:3])[3] if turns else []

    def round_for_meter(self) -> list[Running]:
        """Cells of one batch size whose blocks were all too short for the energy meter, to be run for longer.

        That comes after the times, for what is left of the budget, once for each cell. The lead-in lasts an update of
        the meter, so that what its readings lag behind is the same network's.
        """
        meter = self.witness.meter if self.witness else None
        if meter is None or meter.least_s <= BLOCK_S:
            return []
        for batch_size in sorted({running.cell.batch_size for running in self.alive}):
            row = [cell for cell in self.at(batch_size) if not cell.for_meter and not cell.latency.metered]
            for running in row:
                running.for_meter = True
                running.length_s, running.lead_in_s = METERED_LENGTHS * meter.least_s, meter.update_s
            chosen = self.affordable(row)
            for running in row:
                if running not in chosen:
                    running.length_s, running.lead_in_s = BLOCK_S, LEAD_IN_S
            if chosen:
                return chosen
        return []

    def affordable(self, row: Sequence[Running]) -> list[Running]:
        """The cheapest cells whose blocks fit into the time that is left, together."""
        chosen: list[Running] = []
        for running in sorted(row, key=lambda running: running.block_s):
            if _cost([*chosen, running]) <= self.left:
                chosen.append(running)
        return chosen

    def one_round(self, running: Sequence[Running]) -> None:
        """One block of each cell, in a fresh order and at a fresh place."""
        if self.order >= MARKED_AGAIN * self.marked:
            self.mark()
        self.round += 1
        self.rearrange()
        order = list(running)
        self.shuffle.shuffle(order)
        for cell in order:
            if self.left <= 0 and cell.blocks:  # what was warmed up is timed once, come what may
                continue
            self.tell(f"{cell.cell.name}, batch {cell.cell.batch_size}, block {len(cell.blocks) + 1}")
            try:
                cell.blocks.append(self.block(cell))
                cell.pass_s = min(cell.pass_s, cell.blocks[-1].seconds)
                continue
            except Exception as reason:
                self.results[cell.cell.key] = Latency(cell.cell.batch_size, error=described(reason))
            self.alive.remove(cell)
            cell.step = gone
            free_memory()

    def block(self, running: Running) -> Block:
        """One block: untimed lead-in, then the timed passes, with the witness's readings at both ends.

        The energy meter is read closest to the passes: the other readings take time, and the device its idle power.
        """
        meter = self.witness.meter if self.witness else None
        collecting = gc.isenabled()
        gc.disable()
        try:
            self.timed(running.step, running.lead_in, running.length_s)
            before = self.witness.look() if self.witness else None
            energy = meter.read() if meter else None
            seconds, passes = self.timed(running.step, running.passes, running.length_s)
            joules = meter.joules(energy, seconds * passes) if meter else None
            after = self.witness.look() if self.witness else None
            readings = self.witness.pace() if self.witness and self.witness.pace else {}
        finally:
            if collecting:
                gc.enable()
        self.order += 1
        disturbed, found = None, None
        if self.witness and before and after:
            disturbed, evidence = self.witness.verdict(before, after)
            found = {**evidence, **readings}
        running.length_s, running.lead_in_s = BLOCK_S, LEAD_IN_S
        return Block(seconds, passes, self.round, self.order, disturbed, found, joules)

    def timed(self, step: Step, passes: int, length_s: float = BLOCK_S) -> tuple[float, int]:
        """Seconds of one pass, from so many in a row, and how many it came to: it ends after MOST_LENGTHS."""
        self.sync()
        start = self.clock()
        done = 0
        while done < passes and (not done or self.clock() - start < MOST_LENGTHS * length_s):
            step()
            done += 1
        self.sync()
        return (self.clock() - start) / max(done, 1), done

    def at(self, batch_size: int) -> list[Running]:
        return [running for running in self.alive if running.cell.batch_size == batch_size]

    def unfinished(self, row: Sequence[Running]) -> list[Running]:
        """The cells of one batch size that are not precise enough, with the reference if ratios need it."""
        base = next((running for running in row if running.cell.name == self.reference), None)
        vague = [running for running in row if not self.precise(running, base)]
        return [*vague, base] if base and vague and base not in vague else vague

    def precise(self, running: Running, base: Running | None) -> bool:
        """Whether the interval of the median, and of the ratio to the reference, are within the precision."""
        seen = running.latency
        least = LEAST_BLOCKS if self.clock() - running.since < SPREAD_S else FEWER_BLOCKS
        if len(seen.clean) < least or half_width(seen) > self.precision:
            return False
        if base is None or base is running or not base.latency.clean:
            return True
        ratio, interval = ratio_of(seen, base.latency)
        return statistics.half_width(interval, ratio) <= self.precision

    def mark(self) -> None:
        """Mark the blocks that ran at another pace than most so far."""
        paced = {block.order: block for block in drift.marked([block for cell in self.alive for block in cell.blocks])}
        for running in self.alive:
            running.blocks = [paced[block.order] for block in running.blocks]
        self.marked = self.order

    def finish(self, cut: str) -> None:
        """File the results of what is alive, and let its memory go."""
        self.mark()
        for running in self.alive:
            seen = running.latency
            if seen.measured:
                self.results[running.cell.key] = judged(seen, self.precision, cut)
            else:
                reason = cut or f"the time budget of {self.time_budget:g} s was used up"
                self.results[running.cell.key] = Latency(seen.batch_size, error=f"not measured: {reason}")
            running.step = gone
        self.alive.clear()
        free_memory()

    @property
    def left(self) -> float:
        """Seconds of the time budget that are left."""
        return self.time_budget - (self.clock() - self.start)

    def tell(self, doing: str) -> None:
        if self.progress:
            self.progress(Progress(doing, self.clock() - self.start, self.time_budget))


def _cost(row: Iterable[Running]) -> float:
    """Seconds that a block of each is expected to take."""
    return sum(running.block_s for running in row)


def gone() -> object:
    """Stands where a finished cell's step was, so that the network's memory can go."""
    raise AssertionError("a finished cell was run")
