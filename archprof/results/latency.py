"""Records of measured time: raw observations kept, statistics derived. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import statistics

#: Below this many samples a 99th percentile is the maximum under another name.
SAMPLES_FOR_P99 = 100

#: Fewest undisturbed blocks that say anything: with two, Student's interval is 9 standard deviations to each
#: side, with three 2.5.
FEWEST_BLOCKS = 3

#: Intervals wider than this (half width) are marked unreliable: neighbouring networks of a family differ by less, so
#: that a figure with a wider interval says nothing about the choice.
WIDEST = 0.05


@dataclass(frozen=True)
class Block:
    """A run of consecutive passes, timed as one.

    `seconds` is wall-clock time of one pass (block time over `passes`), `round` and `order` say when
    the block ran, `disturbed` names what disturbed it (None: nothing was seen), `evidence` holds the
    readings that this was judged by. `joules` is what the device's energy meter counted in the whole block; None
    where there is no meter, or the block was too short for it. `process` tells the blocks of several processes apart.
    """

    seconds: float
    passes: int
    round: int
    order: int
    disturbed: str | None = None
    evidence: Mapping[str, float] | None = None
    joules: float | None = None
    process: int = 0


@dataclass(frozen=True)
class Latency:
    """Wall-clock time of one forward pass (or training step) at one batch size.

    Blocks are kept whole and in the order in which they ran; disturbed ones are left out of every
    statistic. `why` says why the figures cannot be relied on, `note` what else a reader should know (the
    time budget ended first), `error` why there is no measurement; then there are no blocks.
    `measured_peak_bytes` is what the network held at most on the device: weights, inputs, optimizer state and
    what a pass allocates; `optimizer_state_bytes` is None outside training.
    """

    batch_size: int
    blocks: tuple[Block, ...] = ()
    measured_peak_bytes: int | None = None
    why: str | None = None
    error: str | None = None
    note: str | None = None
    optimizer_state_bytes: int | None = None

    @property
    def clean(self) -> tuple[Block, ...]:
        """The undisturbed blocks."""
        return tuple(block for block in self.blocks if block.disturbed is None)

    @property
    def seconds(self) -> tuple[float, ...]:
        """Time per pass of each undisturbed block (of every block, when all were disturbed)."""
        return tuple(block.seconds for block in self.clean or self.blocks)

    @property
    def measured(self) -> bool:
        """Whether there is any observation."""
        return bool(self.blocks)

    @property
    def reliable(self) -> bool:
        """Whether the figures can be relied on; `why` says why not."""
        return self.measured and self.why is None and self.error is None

    @property
    def p50_s(self) -> float:
        """Median seconds of one pass."""
        return statistics.median(self.seconds)

    @property
    def p90_s(self) -> float:
        """90th percentile of seconds of one pass."""
        return statistics.quantile(self.seconds, 0.9)

    @property
    def p99_s(self) -> float | None:
        """99th percentile of seconds of one pass; None below 100 samples."""
        return statistics.quantile(self.seconds, 0.99) if len(self.seconds) >= SAMPLES_FOR_P99 else None

    @property
    def ci95_s(self) -> tuple[float, float]:
        """95 % interval of the median."""
        return statistics.median_interval(self.seconds)

    @property
    def throughput(self) -> float:
        """Samples per second at the median."""
        return self.batch_size / self.p50_s

    @property
    def metered(self) -> tuple[Block, ...]:
        """The undisturbed blocks whose energy was counted."""
        return tuple(block for block in self.clean if block.joules is not None)

    @property
    def power_w(self) -> float | None:
        """Mean watts over the metered blocks: their joules together over their time together; None without any.

        A mean of the blocks' quotients would let the shortest block, which a meter tells worst, weigh as much as any.
        """
        blocks = self.metered
        return self._joules / sum(block.seconds * block.passes for block in blocks) if blocks else None

    @property
    def joules_per_sample(self) -> float | None:
        """Mean joules for each sample of the metered blocks; None without any."""
        passes = sum(block.passes for block in self.metered)
        return self._joules / (self.batch_size * passes) if passes else None

    @property
    def _joules(self) -> float:
        return sum(block.joules or 0.0 for block in self.metered)

    def to_json(self) -> dict[str, Any]:
        """The documented keys, then the raw blocks."""
        out: dict[str, Any] = {"batch_size": self.batch_size}
        if self.measured:
            out |= {
                "p50_s": self.p50_s,
                "p90_s": self.p90_s,
                "p99_s": self.p99_s,
                "ci95_s": list(self.ci95_s),
                "samples": len(self.seconds),
                "throughput": self.throughput,
                "power_w": self.power_w,
                "joules_per_sample": self.joules_per_sample,
            }
        out |= {
            "measured_peak_bytes": self.measured_peak_bytes,
            "optimizer_state_bytes": self.optimizer_state_bytes,
            "reliable": self.reliable,
            "why": self.why,
            "error": self.error,
            "note": self.note,
            "blocks": [
                {
                    "seconds": b.seconds,
                    "passes": b.passes,
                    "round": b.round,
                    "order": b.order,
                    "disturbed": b.disturbed,
                    "evidence": dict(b.evidence) if b.evidence else None,
                    "joules": b.joules,
                    "process": b.process,
                }
                for b in self.blocks
            ],
        }
        return out
