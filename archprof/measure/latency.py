"""Interleaved sampling: blocks of consecutive passes, every cell once a round, in a fresh order each round.

Back-to-back loops compare two networks at two different moments, so that a neighbour's burst falls on one of
them; interleaving single passes lets each network find the other's data in the caches. Blocks in shuffled
rounds avoid both: within a block caches and clocks are those of steady use, and whatever changes slowly meets
every network alike (the randomised block design; Box, Hunter and Hunter 2005, chapter 4).
"""

from __future__ import annotations

import gc
import math
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from .. import stats
from ..errors import BadOption
from ..timing import SAMPLES_FOR_INTERVAL, Block, Latency, ratio_of
from . import quiet
from .steps import forward_step

__all__ = ["Cell", "Interrupted", "Progress", "forward_step", "measure"]

#: A block lasts at least so long, or one pass: many times what a last-level cache takes to fill (32 MiB at
#: 10 GB/s: 3 ms) and what a clock takes to step.
BLOCK_S = 0.05

#: Untimed passes at the head of each block, up to so long or one pass, bring the network's own data back into
#: the caches. A pass longer than a block does that within itself.
LEAD_IN_S = 0.01

#: Warm-up ends when so many passes in a row were not faster than the fastest before by more than FALLING.
STEADY_PASSES = 3
FALLING = 0.02

#: Share of the time budget that warming up one cell may take; a compiler's first pass is outside it.
MOST_WARM_UP = 0.05

#: A cell that reaches the precision with fewer blocks than this goes on: an interval from the fewest blocks
#: that have one is itself uncertain, and stopping at the first lucky one would make it too narrow.
LEAST_BLOCKS = 10

#: Intervals wider than this (half width) are marked unreliable: neighbouring networks of a family differ by
#: less, so that a figure this vague says nothing about the choice.
WIDEST = 0.05

Cellkey = tuple[str, int]
Step = Callable[[], object]


@dataclass(frozen=True)
class Cell:
    """One network at one batch size. `prepare` makes the step that is timed; it may raise, and the others go on."""

    name: str
    batch_size: int
    prepare: Callable[[], Step]

    @property
    def key(self) -> Cellkey:
        return self.name, self.batch_size


@dataclass(frozen=True)
class Progress:
    """What a progress display needs: what runs now, and how much of the time is used."""

    doing: str
    elapsed_s: float
    budget_s: float
    rounds: int = 0

    @property
    def left_s(self) -> float:
        """Seconds of the time budget that are left; measuring may end before."""
        return max(self.budget_s - self.elapsed_s, 0.0)


class Interrupted(KeyboardInterrupt):
    """Ctrl-C while measuring; `latencies` holds what was measured until then, marked as cut short."""

    def __init__(self, latencies: dict[Cellkey, Latency]) -> None:
        super().__init__("interrupted")
        self.latencies = latencies


@dataclass
class _Running:
    """A cell being measured."""

    cell: Cell
    step: Step
    pass_s: float
    peak: int | None = None
    blocks: list[Block] = field(default_factory=list)
    note: str | None = None

    @property
    def passes(self) -> int:
        return max(math.ceil(BLOCK_S / self.pass_s), 1)

    @property
    def lead_in(self) -> int:
        return 0 if self.pass_s >= BLOCK_S else max(math.ceil(LEAD_IN_S / self.pass_s), 1)

    @property
    def block_s(self) -> float:
        """What a block is expected to take."""
        return (self.passes + self.lead_in) * self.pass_s


def measure(
    cells: Iterable[Cell],
    *,
    clock: Callable[[], float] = time.perf_counter,
    sync: Callable[[], None] = lambda: None,
    time_budget: float = 20.0,
    precision: float = 0.02,
    reference: str | None = None,
    progress: Callable[[Progress], None] | None = None,
    witness: quiet.Witness | None = None,
    shuffle: random.Random | None = None,
) -> dict[Cellkey, Latency]:
    """Time every cell until its interval (and its ratio's to `reference`) is within `precision`, or time is up.

    `time_budget` is in seconds and covers warm-up and blocks. Every cell gets a Latency: with blocks, or with
    an `error`. Raises BadOption for a precision or budget that is not positive, Interrupted on Ctrl-C.
    """
    if not time_budget > 0:
        raise BadOption(f"time budget is {time_budget:g} s;", "wanted: more than 0 seconds.")
    if not 0 < precision < 1:
        raise BadOption(f"precision is {precision:g};", "wanted: a fraction between 0 and 1, such as 0.02.")
    run = _Run(clock, sync, time_budget, precision, reference, progress, witness, shuffle or random.Random(0))
    return run.all(list(cells))


class _Run:
    """The state of one measurement: what is warm, what went wrong, how many rounds there were."""

    def __init__(self, clock, sync, time_budget, precision, reference, progress, witness, shuffle) -> None:
        self.clock, self.sync, self.witness, self.shuffle = clock, sync, witness, shuffle
        self.time_budget, self.precision, self.reference = time_budget, precision, reference
        self.progress = progress
        self.start = clock()
        self.round = self.order = 0
        self.errors: dict[Cellkey, str] = {}
        self.done: list[_Running] = []

    def all(self, cells: Sequence[Cell]) -> dict[Cellkey, Latency]:
        waiting = sorted(cells, key=lambda cell: cell.batch_size)
        try:
            while waiting:
                group, waiting = self.prepare(waiting)
                self.done += group
                self.sample(group)
                for running in group:
                    running.step = _gone  # frees the network before the next group is made
                group.clear()
                _free()
        except KeyboardInterrupt:
            raise Interrupted(self.result(cells, "interrupted")) from None
        return self.result(cells, "")

    def prepare(self, cells: Sequence[Cell]) -> tuple[list[_Running], list[Cell]]:
        """Warm up as many cells as fit into memory together; returns them, and those to be tried after."""
        ready: list[_Running] = []
        later: list[Cell] = []
        for cell in cells:
            if self.left <= 0:
                self.errors[cell.key] = f"not measured: the time budget of {self.time_budget:g} s ended before its turn"
                continue
            if smaller := self.out_of_memory_below(cell):
                self.errors[cell.key] = f"not tried: out of memory already at batch {smaller}"
                continue
            self.tell(f"warming up {cell.name}, batch {cell.batch_size}")
            try:
                ready.append(self.warm(cell))
            except Exception as reason:
                if out_of_memory(reason) and ready:
                    later.append(cell)  # alone it may fit
                else:
                    self.errors[cell.key] = ("out of memory: " if out_of_memory(reason) else "") + _one_line(reason)
            if cell.key in self.errors or later[-1:] == [cell]:
                _free()  # outside the handler, whose traceback holds the failed network's tensors
        return ready, later

    def warm(self, cell: Cell) -> _Running:
        """Make the step and run it until its time stops falling."""
        step = cell.prepare()
        best = self.timed(step, 1)  # the first pass initialises lazily, or compiles
        until = self.clock() + self.time_budget * MOST_WARM_UP
        steady = 0
        while steady < STEADY_PASSES:
            seconds = self.timed(step, 1)
            steady = 0 if seconds < best * (1 - FALLING) else steady + 1
            best = min(best, seconds)
            if self.clock() >= until:
                break
        peak = getattr(step, "peak_bytes", None)
        return _Running(cell, step, max(best, 1e-9), peak() if peak else None)

    def sample(self, group: list[_Running]) -> None:
        """Rounds over the unfinished cells until all are precise enough or no block fits into what is left."""
        first = self.round
        while unfinished := self.unfinished(group):
            fitting = [running for running in unfinished
                       if self.round == first or running.block_s <= self.left]
            if not fitting or (self.round > first and self.left <= 0):
                break
            self.round += 1
            self.tell(f"round {self.round - first}, {len(fitting)} cells")
            self.shuffle.shuffle(fitting)
            for running in fitting:
                if self.left <= 0 and running.blocks:
                    continue
                running.blocks.append(self.block(running))
        for running in self.unfinished(group):
            running.note = "stopped at the time budget"

    def block(self, running: _Running) -> Block:
        """One block: untimed lead-in, then the timed passes, with evidence from both ends."""
        collecting = gc.isenabled()
        gc.disable()
        try:
            for _ in range(running.lead_in):
                running.step()
            self.sync()
            before = self.witness.look() if self.witness else None
            seconds = self.timed(running.step, running.passes)
            after = self.witness.look() if self.witness else None
        finally:
            if collecting:
                gc.enable()
        self.order += 1
        disturbed, found = self.witness.verdict(before, after) if self.witness else (None, None)
        return Block(seconds, running.passes, self.round, self.order, disturbed, found)

    def timed(self, step: Step, passes: int) -> float:
        """Seconds of one pass, from `passes` in a row."""
        self.sync()
        start = self.clock()
        for _ in range(passes):
            step()
        self.sync()
        return (self.clock() - start) / passes

    def unfinished(self, group: list[_Running]) -> list[_Running]:
        """Cells that are not precise enough, and whatever else a ratio at their batch size needs."""
        latency = {running.cell.key: Latency(running.cell.batch_size, tuple(running.blocks)) for running in group}
        open_keys = {key for key, seen in latency.items() if not self.precise(seen, latency.get((self.reference, key[1])))}
        open_keys |= {(self.reference, batch_size) for _, batch_size in open_keys if self.reference}
        return [running for running in group if running.cell.key in open_keys]

    def precise(self, seen: Latency, reference: Latency | None) -> bool:
        """Whether the interval of the median, and of the ratio to the reference, are within the precision."""
        if len(seen.clean) < LEAST_BLOCKS or stats.half_width(seen.ci95_s, seen.p50_s) > self.precision:
            return False
        if reference is None or reference is seen or not reference.clean:
            return True
        ratio, interval = ratio_of(seen, reference)
        return stats.half_width(interval, ratio) <= self.precision

    def result(self, cells: Sequence[Cell], cut: str) -> dict[Cellkey, Latency]:
        """Every cell's Latency, in the order in which the cells were given."""
        measured = {running.cell.key: running for running in self.done if running.blocks}
        out: dict[Cellkey, Latency] = {}
        for cell in cells:
            if running := measured.get(cell.key):
                out[cell.key] = judged(Latency(cell.batch_size, tuple(running.blocks), running.peak),
                                       self.precision, cut or running.note)
            else:
                out[cell.key] = Latency(cell.batch_size, error=self.errors.get(cell.key, f"not measured: {cut or 'no time'}"))
        return out

    def out_of_memory_below(self, cell: Cell) -> int | None:
        """A smaller batch size at which this network was out of memory."""
        return next((size for (name, size), text in self.errors.items()
                     if name == cell.name and size < cell.batch_size and text.startswith("out of memory")), None)

    @property
    def left(self) -> float:
        return self.time_budget - (self.clock() - self.start)

    def tell(self, doing: str) -> None:
        if self.progress:
            self.progress(Progress(doing, self.clock() - self.start, self.time_budget, self.round))


def judged(seen: Latency, precision: float, cut: str | None = None) -> Latency:
    """The same measurement with its verdict: why it cannot be relied on, or a note where it was cut short.

    The rules: at least SAMPLES_FOR_INTERVAL undisturbed blocks, and an interval within WIDEST (or within the
    precision asked for, if that is wider).
    """
    clean, every = len(seen.clean), len(seen.blocks)
    wide = stats.half_width(seen.ci95_s, seen.p50_s)
    why = note = None
    if clean < SAMPLES_FOR_INTERVAL:
        if clean < every:
            why = f"only {clean} of {every} blocks were undisturbed; most often it {_commonest(seen)}"
        else:
            why = f"only {every} blocks fitted into the time; an interval needs {SAMPLES_FOR_INTERVAL}"
    elif wide > max(WIDEST, precision):
        why = f"the 95 % interval is +-{wide:.1%} wide, more than {max(WIDEST, precision):.0%}"
    elif wide > precision or cut:
        note = f"the interval is +-{wide:.1%}, wanted {precision:.1%}" if wide > precision else None
    if cut and (why or note or cut == "interrupted"):
        note = f"{cut}: {note}" if note else cut
    return Latency(seen.batch_size, seen.blocks, seen.measured_peak_bytes, why, seen.error, note)


def _commonest(seen: Latency) -> str:
    """The commonest cause of disturbance, as its last block said it."""
    causes = [block.disturbed for block in seen.blocks if block.disturbed]
    kinds = [cause.split(" ")[0] for cause in causes]
    often = max(kinds, key=kinds.count)
    return next(cause for cause in reversed(causes) if cause.startswith(often))


def out_of_memory(reason: BaseException) -> bool:
    """Whether an exception says that memory ran out, on a GPU, in torch's CPU allocator or in Python."""
    text = str(reason).lower()
    return isinstance(reason, MemoryError) or type(reason).__name__ == "OutOfMemoryError" or (
        isinstance(reason, RuntimeError) and ("not enough memory" in text or "can't allocate memory" in text
                                              or "out of memory" in text))


def _gone() -> object:
    raise AssertionError("a finished cell was run")


def _free() -> None:
    """Give memory back: Python's garbage, then what the GPU allocator keeps."""
    import torch

    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def _one_line(reason: BaseException) -> str:
    lines = str(reason).strip().splitlines()
    return (f"{lines[0]}" if lines else type(reason).__name__)[:300]
