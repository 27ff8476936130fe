"""Interleaved sampling: blocks of consecutive passes, in rounds of every network, order fresh each round.

Back-to-back loops compare two networks at two different moments, so that a neighbour's burst falls on one of
them; interleaving single passes lets each network find the other's data in the caches. Blocks in shuffled
rounds avoid both: within a block caches and clocks are those of steady use, and whatever changes slowly meets
every network alike (the randomised block design; Box, Hunter and Hunter 2005, chapter 4). What changes within a round
meets a network and the two blocks of the reference beside it alike.
"""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass, field

from ..results import drift
from ..results.conditions import Sampling
from ..results.latency import FEWEST_BLOCKS, Block, Latency
from . import disturbance
from .memory import MEMORY, described, free_memory, out_of_memory
from .reliability import judged
from .schedule import Schedule, at
from .workloads import BLOCK_S, LEAD_IN_S, Key, Progress, Running, Step, Workload

__all__ = ["Key", "Progress", "SamplingInterrupted", "Workload", "measure"]

#: A block that is disturbed ends after so many times its length: where threads wait for one another, a neighbour
#: on one of the CPUs can make a pass a hundred times as long, and a block of many passes would use up the time budget.
MOST_LENGTHS = 4

#: Warm-up ends when so many passes in a row were not faster than the fastest before by more than FALLING ...
STEADY_PASSES = 3
FALLING = 0.02

#: ... or when it took this share of the time budget, the first pass not counted.
MOST_WARM_UP = 0.02

#: The share of the time that a second copy of the reference may take, with the reference's blocks that it needs.
CONTROL_SHARE = 0.2

#: Drift is looked for again when there are so many times as many blocks, so that it takes time in proportion to them.
MARKED_AGAIN = 1.1


class SamplingInterrupted(KeyboardInterrupt):
    """Ctrl-C while measuring; `latencies` holds every workload, those cut short or not reached saying so."""

    def __init__(self, latencies: dict[Key, Latency]) -> None:
        super().__init__("interrupted")
        self.latencies = latencies


def measure(
    workloads: Iterable[Workload],
    sampling: Sampling = Sampling(),
    *,
    clock: Callable[[], float] = time.perf_counter,
    sync: Callable[[], None] = lambda: None,
    reference: str | None = None,
    progress: Callable[[Progress], None] | None = None,
    witness: disturbance.Witness | None = None,
    rearrange: Callable[[], None] = lambda: None,
    shuffle: random.Random | None = None,
) -> dict[Key, Latency]:
    """Time every workload until its interval, and that of its ratio to `reference`, is within the precision.

    The time budget covers warm-up and blocks, not compiling; what it cut short carries a note. Every workload gets a
    Latency: with blocks, or with an `error`. `sync` is called at both ends of a block, so that on a GPU passes queue up
    within one. Without a `witness` no block is called disturbed. `rearrange` is called before each round, so that
    tensors lie elsewhere in memory. Raises SamplingInterrupted on Ctrl-C.
    """
    schedule = Schedule(sampling.precision, reference)
    run = _Run(sampling, clock, sync, schedule, progress, witness, rearrange, shuffle or random.Random(0))
    return run.run(list(workloads))


@dataclass
class _Run:
    """One measurement under way."""

    sampling: Sampling
    clock: Callable[[], float]
    sync: Callable[[], None]
    schedule: Schedule
    progress: Callable[[Progress], None] | None
    witness: disturbance.Witness | None
    rearrange: Callable[[], None]
    shuffle: random.Random
    start: float = 0.0
    round: int = 0
    order: int = 0
    last: Running | None = None  # whose block was the last
    control_s: float = 0.0  # spent on controls
    marked: int = 0  # blocks when drift was last looked for
    alive: list[Running] = field(default_factory=list)
    results: dict[Key, Latency] = field(default_factory=dict)
    lacked: dict[Key, str] = field(default_factory=dict)  # what was said where memory lacked beside others

    def run(self, workloads: Sequence[Workload]) -> dict[Key, Latency]:
        self.start = self.clock()
        cut = "not reached before the interruption"
        try:
            waiting = list(workloads)
            while waiting:
                waiting = self.together(waiting)
                self.finish("")
        except KeyboardInterrupt:
            self.finish("interrupted")
            raise SamplingInterrupted(self.in_order(workloads, cut)) from None
        return self.in_order(workloads, cut)

    def in_order(self, workloads: Sequence[Workload], otherwise: str) -> dict[Key, Latency]:
        """The results in the order in which the workloads were given."""
        return {
            workload.key: self.results.get(workload.key) or Latency(workload.batch_size, error=otherwise)
            for workload in workloads
        }

    def together(self, workloads: Sequence[Workload]) -> list[Workload]:
        """Measure as many workloads as fit into memory together; returns those that must wait until it is free.

        Batch sizes take turns, ascending at first; then rounds are dealt out by cost.
        """
        later: list[Workload] = []
        for batch_size in sorted({workload.batch_size for workload in workloads}):
            row = [workload for workload in workloads if workload.batch_size == batch_size]
            self.rearrange()  # what that needs more of memory is taken while nothing is timed
            later += self.warm_up(row, {workload.name for workload in later})
            self.one_round([each for each in at(self.alive, batch_size) if not each.workload.control])
        while turn := self.next_round():
            self.one_round(turn)
        return later

    def warm_up(self, workloads: Sequence[Workload], waiting: Set[str]) -> list[Workload]:
        """Warm up the workloads of one batch size; returns those for which memory lacked while others held it.

        `waiting` names the networks that lacked memory at a smaller batch.
        """
        later: list[Workload] = []
        for workload in workloads:
            if workload.name in waiting:  # at a smaller batch already
                later.append(workload)
                continue
            if reason := self.unaffordable(workload) if workload.control else self.hopeless(workload):
                self.results[workload.key] = Latency(workload.batch_size, error=reason)
                continue
            self.tell(f"warming up {workload.shown}, batch {workload.batch_size}")
            try:
                self.alive.append(self.warm(workload))
                continue
            except Exception as failure:
                waits = out_of_memory(failure) and bool(self.alive)
                if waits:
                    self.lacked[workload.key] = described(failure)
                else:
                    self.results[workload.key] = Latency(workload.batch_size, error=described(failure))
            if waits:
                later.append(workload)
            free_memory()  # not in the handler: its traceback still holds the failed network's tensors
        return later

    def hopeless(self, workload: Workload) -> str | None:
        """Why this workload need not be tried; None: it should be."""
        for (name, batch_size), seen in self.results.items():
            if name == workload.name and batch_size < workload.batch_size and (seen.error or "").startswith(MEMORY):
                return f"not tried: out of memory already at batch {batch_size}"
        if self.left <= 0 and workload.key in self.lacked:
            return f"{self.lacked[workload.key]} (beside other networks; no time was left to try it alone)"
        expected = self.expected(workload)
        if self.left <= 0 or 2 * expected > self.left:  # one pass to warm up, one to time
            about = f" (about {expected:.2g} s a pass)" if expected else ""
            return f"not measured{about}: the time budget of {self.sampling.time_budget:g} s was used up"
        return None

    def unaffordable(self, workload: Workload) -> str | None:
        """Why there is no control at this batch size: too few blocks of it would fit into its share of the time."""
        row = at(self.alive, workload.batch_size)
        base = self.schedule.base(row)
        if base is None or len(row) < 2:
            return "nothing is compared"
        sizes = {each.workload.batch_size for each in self.alive}
        if 2 * FEWEST_BLOCKS * base.block_s > CONTROL_SHARE * self.left / len(sizes):
            return "there was no time for a second copy of the reference"
        return None

    def expected(self, workload: Workload) -> float:
        """Seconds of one pass, foretold in proportion from the network's smaller batches; 0 without any."""
        smaller = [known for known in self.alive if known.workload.name == workload.name]
        return max((known.pass_s / known.workload.batch_size for known in smaller), default=0.0) * workload.batch_size

    def warm(self, workload: Workload) -> Running:
        """Make the step and run it until its time stops falling; memory is measured on the first pass.

        What a first pass takes beyond the second (a compiler, lazy initialisation) is not charged to the time
        budget. There is no second where the first took what smaller batches foretold.
        """
        step = workload.prepare()
        start = self.clock()
        if hasattr(step, "peak_bytes"):
            peak = step.peak_bytes()
        else:
            peak = None
            step()
        self.sync()
        best = self.clock() - start
        cold = best > 2 * self.expected(workload)
        steady, until = 0, self.clock() + self.sampling.time_budget * MOST_WARM_UP
        while steady < STEADY_PASSES and (cold or self.clock() + best <= until):
            seconds, _ = self.timed(step, 1)
            if cold:
                self.start, cold = self.start + max(best - seconds, 0.0), False
            steady = 0 if seconds < best * (1 - FALLING) else steady + 1
            best = min(best, seconds)
        state = getattr(step, "optimizer_state_bytes", None)
        return Running(workload, step, max(best, 1e-9), self.clock(), peak, state)

    def next_round(self) -> list[Running]:
        """The workloads that are run next; empty when all is done or nothing fits. The energy meter's come last."""
        meter = self.witness.meter if self.witness else None
        return self.schedule.next_round(self.alive, self.clock(), self.left) or self.schedule.round_for_meter(
            self.alive, meter, self.left
        )

    def one_round(self, row: Sequence[Running]) -> None:
        """One block of each workload, of the reference more of them, in a fresh order and at a fresh place."""
        if self.order >= MARKED_AGAIN * self.marked:
            self.mark()
        self.round += 1
        self.rearrange()
        base = self.schedule.base(row)
        order = self.schedule.order([*row, *self.control(row, base)], self.shuffle)
        if base is not None and self.last is base and len(order) > 1:
            del order[0]  # the round before ended with it
        for running in order:
            if all(running is not each for each in self.alive):  # it failed in this round
                continue
            if self.left <= 0 and running.blocks:  # what was warmed up is timed once, come what may
                continue
            self.tell(f"{running.workload.shown}, batch {running.workload.batch_size}, block {len(running.blocks) + 1}")
            try:
                running.blocks.append(self.block(running))
                running.pass_s = min(running.pass_s, running.blocks[-1].seconds)
                self.last = running
                continue
            except Exception as reason:
                self.results[running.workload.key] = Latency(running.workload.batch_size, error=described(reason))
            self.alive.remove(running)
            running.step = gone
            free_memory()

    def control(self, row: Sequence[Running], base: Running | None) -> list[Running]:
        """The control of that batch size, if it is its turn: it has its share of the time, and is never waited for."""
        if base is None or len(row) < 2:
            return []
        there = [each for each in at(self.alive, base.workload.batch_size) if each.workload.control]
        cost = sum(each.block_s + base.block_s for each in there)
        elapsed = self.clock() - self.start
        if self.schedule.cost(row) + cost > self.left or self.control_s + cost > CONTROL_SHARE * (elapsed + cost):
            return []
        self.control_s += cost
        return there

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
            times = self.witness.reference_work() if self.witness and self.witness.reference_work else {}
        finally:
            if collecting:
                gc.enable()
        self.order += 1
        disturbed, found = None, None
        if self.witness and before and after:
            disturbed, evidence = self.witness.disturbance(before, after)
            found = {**evidence, **times}
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

    def mark(self) -> None:
        """Mark the blocks that ran while the machine had drifted from what was usual so far."""
        every = [block for running in self.alive for block in running.blocks]
        marked = {block.order: block for block in drift.marked(every)}
        for running in self.alive:
            running.blocks = [marked[block.order] for block in running.blocks]
        self.marked = self.order

    def finish(self, cut: str) -> None:
        """File the results of what is alive, and let its memory go."""
        self.mark()
        for running in self.alive:
            seen = running.latency
            if seen.measured:
                self.results[running.workload.key] = judged(seen, self.sampling.precision, cut)
            else:
                reason = cut or f"the time budget of {self.sampling.time_budget:g} s was used up"
                self.results[running.workload.key] = Latency(seen.batch_size, error=f"not measured: {reason}")
            running.step = gone
        self.alive.clear()
        free_memory()

    @property
    def left(self) -> float:
        """Seconds of the time budget that are left."""
        return self.sampling.time_budget - (self.clock() - self.start)

    def tell(self, doing: str) -> None:
        if self.progress:
            self.progress(Progress(doing, self.clock() - self.start, self.sampling.time_budget))


def gone() -> object:
    """Stands where a finished workload's step was, so that the network's memory can go."""
    raise AssertionError("a finished workload was run")
