"""Records of measured time: raw observations kept, statistics derived. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import stats


@dataclass(frozen=True)
class Block:
    """A run of consecutive passes, timed as one.

    `seconds` is wall-clock time of one pass (block time over `passes`), `round` and `order` say when
    the block ran, `disturbed` names what disturbed it (None: nothing was seen), `evidence` holds the
    readings that this was judged by.
    """

    seconds: float
    passes: int
    round: int
    order: int
    disturbed: str | None = None
    evidence: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Latency:
    """Wall-clock time of one forward pass (or training step) at one batch size.

    Blocks are kept whole and in the order in which they ran; disturbed ones are left out of every
    statistic. `error` says why there is no measurement; then there are no blocks.
    """

    batch_size: int
    blocks: tuple[Block, ...] = ()
    measured_peak_bytes: int | None = None
    why: str | None = None  # why the figures cannot be relied on
    error: str | None = None

    @property
    def seconds(self) -> tuple[float, ...]:
        """Time per pass of each undisturbed block (of every block, when all were disturbed)."""
        clean = tuple(block.seconds for block in self.blocks if block.disturbed is None)
        return clean or tuple(block.seconds for block in self.blocks)

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
        return stats.median(self.seconds)

    @property
    def p90_s(self) -> float:
        """90th percentile of seconds of one pass."""
        return stats.quantile(self.seconds, 0.9)

    @property
    def ci95_s(self) -> tuple[float, float]:
        """95 % interval of the median."""
        return stats.median_interval(self.seconds)

    @property
    def throughput(self) -> float:
        """Samples per second at the median."""
        return self.batch_size / self.p50_s

    def to_json(self) -> dict[str, Any]:
        """The documented keys, then the raw blocks."""
        out: dict[str, Any] = {"batch_size": self.batch_size}
        if self.measured:
            out |= {
                "p50_s": self.p50_s, "p90_s": self.p90_s, "ci95_s": list(self.ci95_s),
                "samples": len(self.seconds), "throughput": self.throughput,
            }
        out |= {
            "measured_peak_bytes": self.measured_peak_bytes,
            "reliable": self.reliable, "why": self.why, "error": self.error,
            "blocks": [
                {"seconds": b.seconds, "passes": b.passes, "round": b.round, "order": b.order,
                 "disturbed": b.disturbed, "evidence": dict(b.evidence) if b.evidence else None}
                for b in self.blocks
            ],
        }
        return out

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Latency:
        """Read back what `to_json` wrote; derived keys are derived again."""
        fields = Block.__dataclass_fields__
        return cls(
            batch_size=saved["batch_size"],
            blocks=tuple(Block(**{k: v for k, v in b.items() if k in fields}) for b in saved.get("blocks", ())),
            measured_peak_bytes=saved.get("measured_peak_bytes"),
            why=saved.get("why"),
            error=saved.get("error"),
        )


@dataclass(frozen=True)
class Ratio:
    """How many times as long `architecture` takes as `reference`, with its 95 % interval."""

    batch_size: int
    architecture: str
    reference: str
    ratio: float
    ci95: tuple[float, float]


def ratios_to(reference: str | None, cells: Mapping[str, Sequence[Latency]]) -> tuple[Ratio, ...]:
    """Ratios of every other architecture's medians to the reference's, batch size by batch size."""
    if reference is None:
        return ()
    base = {cell.batch_size: cell for cell in cells[reference] if cell.measured}
    return tuple(
        Ratio(cell.batch_size, name, reference, cell.p50_s / base[cell.batch_size].p50_s,
              stats.bootstrap_ratio_interval(cell.seconds, base[cell.batch_size].seconds))
        for name, row in cells.items() if name != reference
        for cell in row if cell.measured and cell.batch_size in base
    )
