"""What is measured: a network at one batch size, and what is known of it while that goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil

from ..results.latency import FEWEST_BLOCKS, Block, Latency

#: A block lasts at least so long, or one pass: many times what a last-level cache takes to fill (32 MiB at
#: 10 GB/s: 3 ms) and what a clock takes to step.
BLOCK_S = 0.05

#: Untimed passes at the head of each block, for so long or one pass, bring the network's own data back into
#: the caches, and touch the memory that its tensors came to lie in. A pass as long as five blocks does that within
#: itself.
LEAD_IN_S = 0.01
LONG_S = 5 * BLOCK_S

Key = tuple[str, int]  # name, batch size
Step = Callable[[], object]


@dataclass(frozen=True)
class Workload:
    """One network at one batch size.

    `prepare` makes the step that is timed. It may raise, and the others go on; it is called a second time
    where memory did not suffice beside the other networks. A `control` is a second copy of the reference: it runs
    while others do, for a part of the time, and nothing waits for it.
    """

    name: str
    batch_size: int
    prepare: Callable[[], Step]
    control: bool = False

    @property
    def shown(self) -> str:
        """What people are told that runs."""
        return "a second copy of the reference" if self.control else self.name

    @property
    def key(self) -> Key:
        """What its result is filed under."""
        return self.name, self.batch_size


@dataclass(frozen=True)
class Progress:
    """What a progress display needs: what runs now, and how much of the time is used."""

    doing: str
    elapsed_s: float
    budget_s: float

    @property
    def left_s(self) -> float:
        """Seconds of the time budget that are left; measuring may end before."""
        return max(self.budget_s - self.elapsed_s, 0.0)


@dataclass(eq=False)
class Running:
    """A workload being measured. `pass_s` is the shortest time seen for one pass, `since` when its warm-up was over.

    `length_s` and `lead_in_s` are what its next block and the passes at its head are to last; `for_meter` says that
    it had its turn for a block long enough for the energy meter.
    """

    workload: Workload
    step: Step
    pass_s: float
    since: float
    peak: int | None = None
    state: int | None = None
    blocks: list[Block] = field(default_factory=list)
    length_s: float = BLOCK_S
    lead_in_s: float = LEAD_IN_S
    for_meter: bool = False

    @property
    def passes(self) -> int:
        return max(ceil(self.length_s / self.pass_s), 1)

    @property
    def lead_in(self) -> int:
        return 0 if self.pass_s >= max(self.length_s, LONG_S) else ceil(self.lead_in_s / self.pass_s)

    @property
    def block_s(self) -> float:
        """What a block is expected to take."""
        return (self.passes + self.lead_in) * self.pass_s

    @property
    def useful(self) -> int:
        """Blocks so far, without as many of the disturbed ones as are made up for."""
        disturbed = sum(block.disturbed is not None for block in self.blocks)
        return len(self.blocks) - min(disturbed, FEWEST_BLOCKS)

    @property
    def latency(self) -> Latency:
        return Latency(self.workload.batch_size, tuple(self.blocks), self.peak, optimizer_state_bytes=self.state)
