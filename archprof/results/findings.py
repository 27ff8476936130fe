"""What a comparison shows: extremes, the Pareto front, who is fastest, and what is not reliable.

Numbers and names taken from the record; `render` turns them into sentences. Standard library only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .comparison import Accuracy, ArchitectureResult, Comparison
from .latency import Latency
from .quotients import ratio_of
from .ratios import Ratio

#: Up to this many ratios to the reference are named one by one.
MOST_RATIOS = 8


@dataclass(frozen=True)
class Extremes:
    """The networks of least and of most `cost` ('parameters' or 'macs'), each with its value."""

    cost: str
    least: tuple[str, float]
    most: tuple[str, float]


@dataclass(frozen=True)
class AccuracyFinding:
    """The highest published top-1 claim and its network, and the Pareto front of accuracy against mult-adds.

    `front` names the networks on it by rising cost; empty where one network or all of them are on it. `unpublished`
    are those without a claim.
    """

    best: str
    claim: Accuracy
    front: tuple[str, ...]
    unpublished: tuple[str, ...]


@dataclass(frozen=True)
class SpeedFinding:
    """Who is fastest and slowest at one batch size, among the reliable measurements.

    `ratio` and `ratio_ci95` are the slowest's time over the fastest's, None where they are one network or none is
    reliable. `ratios` are the times over the reference's, where there are few. `doubtful` and `unmeasured` are names.
    """

    batch_size: int
    fastest: tuple[str, Latency] | None
    slowest: tuple[str, Latency] | None
    ratio: float | None
    ratio_ci95: tuple[float, float] | None
    ratios: tuple[Ratio, ...]
    doubtful: tuple[str, ...]
    unmeasured: tuple[str, ...]


@dataclass(frozen=True)
class Findings:
    """What a comparison shows; `accuracy` and `speed` are None where nothing is published, nothing was measured.

    `failed` holds (name, reason) of what could not be counted, `uncounted` who has operators without a formula.
    """

    extremes: tuple[Extremes, ...]
    accuracy: AccuracyFinding | None
    speed: SpeedFinding | None
    failed: tuple[tuple[str, str], ...]
    uncounted: tuple[str, ...]


def findings(comparison: Comparison) -> Findings:
    """Everything that a hurried reader needs to know of the comparison."""
    counted = [row for row in comparison.architectures if row.profile]
    extremes = []
    if len(counted) > 1:
        for cost, value in (("parameters", parameters_of), ("macs", macs_of)):
            least, most = min(counted, key=value), max(counted, key=value)
            if value(most) > 0:
                extremes.append(Extremes(cost, (least.name, value(least)), (most.name, value(most))))
    return Findings(
        tuple(extremes),
        _accuracy(comparison),
        _speed(comparison),
        tuple((row.name, row.error or "") for row in comparison.architectures if not row.profile),
        tuple(row.name for row in counted if row.profile and row.profile.uncounted),
    )


def _accuracy(comparison: Comparison) -> AccuracyFinding | None:
    tops = [(row, row.top("top1", comparison.dataset)) for row in comparison.architectures]
    claims = [(row, claim) for row, claim in tops if claim is not None]
    if not claims:
        return None
    best, claim = max(claims, key=lambda pair: pair[1].percent)
    counted = [(row, claim) for row, claim in claims if row.profile]
    front = front_of([macs_of(row) for row, _ in counted], [claim.percent for _, claim in counted], "low", "high")
    named = tuple(counted[i][0].name for i in front) if 1 < len(front) < len(counted) else ()
    return AccuracyFinding(best.name, claim, named, tuple(row.name for row, claim in tops if claim is None))


def _speed(comparison: Comparison) -> SpeedFinding | None:
    size = usual_batch_size(comparison)
    if size is None:
        return None
    cells = [
        (row.name, cell)
        for row in comparison.architectures
        if (cell := row.latency_at(size)) is not None and cell.measured
    ]
    sure = [(name, cell) for name, cell in cells if cell.reliable]
    fastest, slowest = (choose(sure, key=lambda pair: pair[1].p50_s) for choose in (min, max)) if sure else (None, None)
    ratio, interval = None, None
    if fastest and slowest and fastest is not slowest:
        ratio, interval = ratio_of(slowest[1], fastest[1])
    ratios = tuple(found for found in comparison.ratios if found.batch_size == size and found.reliable)
    measured = {name for name, _ in cells}
    return SpeedFinding(
        size,
        fastest,
        slowest,
        ratio,
        interval,
        ratios if 1 < len(ratios) <= MOST_RATIOS else (),
        tuple(name for name, cell in cells if not cell.reliable),
        tuple(row.name for row in comparison.architectures if row.name not in measured),
    )


def macs_of(row: ArchitectureResult) -> float:
    """Mult-adds of one sample; 0 for what could not be counted."""
    return row.profile.macs / row.profile.batch_size if row.profile else 0.0


def parameters_of(row: ArchitectureResult) -> float:
    """Parameters; 0 for what could not be counted."""
    return row.profile.parameters if row.profile else 0.0


def front_of(xs: Sequence[float], ys: Sequence[float], x_better: str, y_better: str) -> list[int]:
    """The Pareto front: indices of the points that no other one matches on both measures and beats on one.

    By rising x. `x_better` and `y_better` are 'low' or 'high'.
    """
    a = [x if x_better == "high" else -x for x in xs]
    b = [y if y_better == "high" else -y for y in ys]

    def beaten(i: int) -> bool:
        return any(a[j] >= a[i] and b[j] >= b[i] and (a[j] > a[i] or b[j] > b[i]) for j in range(len(a)))

    return sorted((i for i in range(len(a)) if not beaten(i)), key=lambda i: (xs[i], ys[i]))


def usual_batch_size(
    comparison: Comparison,
    asked: int | None = None,
    known: Callable[[Latency], bool] = lambda cell: cell.measured,
) -> int | None:
    """The batch size to show where one is shown: the one asked for, else 16, else the fullest, largest one.

    Full is a batch size at which many cells are `known`.
    16 is what Canziani, Paszke and Culurciello (arXiv 1605.07678, figure 7) fit time against operations at.
    """
    if asked:
        return asked
    measured = {
        size: sum(1 for row in comparison.architectures if (cell := row.latency_at(size)) is not None and known(cell))
        for size in comparison.batch_sizes
    }
    if not measured:
        return None
    fullest = max(measured.values())
    return 16 if measured.get(16) == fullest else max(s for s, count in measured.items() if count == fullest)


def predicted_peak_bytes(row: ArchitectureResult, batch_size: int, environment: Mapping[str, Any]) -> float:
    """Bytes held at the highest point of a forward pass (in training mode of a step), as counted.

    At a batch size that was not counted: parameters, buffers, and activations in proportion. 0 for a network that
    could not be counted.
    """
    if row.profile is None:
        return 0.0
    training, entry = environment.get("mode") == "train", row.memory_at(batch_size)
    if entry is not None:
        optimizer = str(environment.get("optimizer") or "sgd")
        whole = row.training_bytes(entry, optimizer) if training else row.inference_bytes(entry)
        if whole is not None:
            return float(whole)
    share = batch_size / row.profile.batch_size
    held, kept = row.profile.parameter_bytes + row.profile.buffer_bytes, row.profile.training_activation_bytes
    if training and kept is not None:
        return held + row.profile.parameter_bytes + kept * share
    return held + row.profile.peak_activation_bytes * share
