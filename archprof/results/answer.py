"""The answer that a comparison gives: who is best by each measure, who is on the front, and what cannot be relied on.

Names and numbers taken from the record; `render` turns them into a table and sentences. Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from .comparison import Accuracy, ArchitectureResult, Comparison
from .findings import Extremes, findings, front_of, macs_of
from .latency import FEWEST_BLOCKS, Latency
from .quotients import ratio_of
from .ratios import Control, beyond
from .shares import shares

#: A network keeps at least this part of its mult-adds: rewriting it as separable is not worth a sentence.
HARDLY_LESS = 0.9

#: A network at a batch size.
At = tuple[str, int]


@dataclass(frozen=True)
class Best:
    """Who has the best value of one measure, of `among` networks that have one.

    Several `names` where they are equal or cannot be told apart; none where that is not known.
    """

    measure: str
    names: tuple[str, ...]
    among: int
    batch_size: int | None = None

    @property
    def chosen(self) -> tuple[str, ...]:
        """The names where they stand out: not where there is one network, or nothing between all of them."""
        return self.names if len(self.names) < self.among else ()


@dataclass(frozen=True)
class Accurate:
    """The highest top-1 claim and its network, and the front of accuracy against mult-adds, by rising cost.

    `next_best` is the network before `name` on the front; it is `points` less accurate and `name` has `factor` times
    its mult-adds. `behind` are the networks with a claim that are not on the front. `sources` counts the protocols
    that the claims were made under.
    """

    name: str
    claim: Accuracy
    front: tuple[str, ...]
    behind: tuple[str, ...]
    sources: int
    next_best: str | None = None
    points: float = 0.0
    factor: float | None = None


@dataclass(frozen=True)
class Doubts:
    """What is missing from a comparison and what cannot be relied on.

    `uncounted` holds (network, operators without a formula), `noted` (network, notes of its profile), `failed`
    (network, reason), `unmeasured` and `unreliable` the places with their reasons. `within` is how many of `times` are
    within the precision that was asked for; None where nothing was measured to an end. `without_scratch`: the memory
    shown leaves out what operators take for themselves, because that is not known.
    """

    uncounted: tuple[tuple[str, tuple[str, ...]], ...]
    noted: tuple[tuple[str, tuple[str, ...]], ...]
    failed: tuple[tuple[str, str], ...]
    unpublished: tuple[str, ...]
    unmeasured: Mapping[At, str]
    unreliable: Mapping[At, str]
    times: int
    within: int | None
    without_scratch: bool


@dataclass(frozen=True)
class Answer:
    """What a comparison answers. `savings` are (network, part of its mult-adds that separable convolutions leave)."""

    extremes: tuple[Extremes, ...]
    best: tuple[Best, ...]
    accurate: Accurate | None
    savings: tuple[tuple[str, float], ...]
    least_energy: tuple[str, int, float] | None
    doubts: Doubts

    def best_by(self, measure: str, batch_size: int | None = None) -> Best:
        """Who is best by 'parameters', 'macs', 'memory', 'top1', or 'seconds' at a batch size."""
        found = (best for best in self.best if (best.measure, best.batch_size) == (measure, batch_size))
        return next(found, Best(measure, (), 0, batch_size))


def answer(comparison: Comparison) -> Answer:
    """Everything that the first screen of a comparison says."""
    rows = comparison.architectures
    size = memory_batch_size(comparison)
    best = [
        _best("parameters", {row.name: row.profile.parameters for row in rows if row.profile}),
        _best(
            "macs",
            {row.name: macs_of(row) for row in rows if row.profile},
            unsure=[row.name for row in rows if row.profile and row.profile.uncounted],
        ),
        _best("memory", {row.name: used for row in rows if (used := pass_bytes(comparison, row, size)) is not None}),
        _best("top1", {row.name: -top.percent for row in rows if (top := row.top("top1", comparison.dataset))}),
        *(
            Best("seconds", fastest(cells, comparison.controls.get(batch_size)), len(cells), batch_size)
            for batch_size in comparison.batch_sizes
            if (cells := _measured(comparison, batch_size))
        ),
    ]
    return Answer(
        findings(comparison).extremes,
        tuple(best),
        _accurate(comparison),
        _savings(rows),
        _least_energy(comparison),
        _doubts(comparison),
    )


def memory_batch_size(comparison: Comparison) -> int | None:
    """The batch size at which memory is shown: the smallest that it was predicted for."""
    return min((entry.batch_size for row in comparison.architectures for entry in row.memory), default=None)


def pass_bytes(comparison: Comparison, row: ArchitectureResult, batch_size: int | None) -> int | None:
    """Everything that a forward pass (in training mode a step) is predicted to hold at its peak; None: not known."""
    entry = None if batch_size is None else row.memory_at(batch_size)
    if entry is None:
        return None
    if comparison.environment.get("mode") == "train":
        return row.training_bytes(entry, comparison.optimizer)
    return row.inference_bytes(entry)


def fastest(cells: Mapping[str, Latency], control: Control | None = None) -> tuple[str, ...]:
    """Who takes the least time, with those whose ratio to it cannot be told from 1, nor from what the `control` shows.

    Empty where too few undisturbed blocks of the least time are left. Times of one round are held against each other,
    so that a time may be vague (`Latency.reliable`) and the choice sure.
    """
    least = min(cells, key=lambda name: cells[name].p50_s)
    if not _has_interval(cells[least]):
        return ()
    return tuple(
        name
        for name, cell in cells.items()
        if name == least or (_has_interval(cell) and beyond(ratio_of(cell, cells[least])[1], control)[0] <= 1)
    )


def _has_interval(cell: Latency) -> bool:
    return len(cell.clean) >= FEWEST_BLOCKS and cell.error is None and cell.p50_s > 0


def _measured(comparison: Comparison, batch_size: int) -> dict[str, Latency]:
    return {
        row.name: cell
        for row in comparison.architectures
        if (cell := row.latency_at(batch_size)) is not None and cell.measured
    }


def _best(measure: str, values: Mapping[str, float], unsure: Sequence[str] = ()) -> Best:
    """Who has the least; nobody where the least is not sure."""
    least = min(values.values(), default=None)
    names = tuple(name for name, value in values.items() if value == least)
    return Best(measure, () if {*names} & {*unsure} else names, len(values))


def _accurate(comparison: Comparison) -> Accurate | None:
    claims = {
        row.name: claim
        for row in comparison.architectures
        if (claim := row.top("top1", comparison.dataset)) is not None
    }
    if not claims:
        return None
    name = max(claims, key=lambda known: claims[known].percent)
    # mult-adds that were not counted whole put nobody on the front
    costs = {
        row.name: macs_of(row)
        for row in comparison.architectures
        if row.name in claims and row.profile and row.profile.macs and not row.profile.uncounted
    }
    places = front_of(list(costs.values()), [claims[known].percent for known in costs], "low", "high")
    front = tuple(list(costs)[place] for place in places)
    found = Accurate(
        name,
        claims[name],
        front,
        tuple(known for known in costs if known not in front),
        len({(claim.source, claim.protocol) for claim in claims.values()}),
    )
    if name not in front[1:]:
        return found
    before = front[front.index(name) - 1]
    points, factor = claims[name].percent - claims[before].percent, costs[name] / costs[before]
    return replace(found, next_best=before, points=points, factor=factor)


def _savings(rows: Iterable[ArchitectureResult]) -> tuple[tuple[str, float], ...]:
    """By rising part left. The layers are needed, which a sweep leaves out."""
    found = [
        (row.name, ratio)
        for row in rows
        if row.profile and row.profile.layers and (ratio := shares(row.profile).ratio) and ratio < HARDLY_LESS
    ]
    return tuple(sorted(found, key=lambda pair: pair[1]))


def _least_energy(comparison: Comparison) -> tuple[str, int, float] | None:
    """The network and batch size of the least energy for one sample, in joules."""
    found = [
        (joules, row.name, cell.batch_size)
        for row in comparison.architectures
        for cell in row.latency
        if (joules := cell.joules_per_sample) is not None and cell.reliable
    ]
    if not found:
        return None
    joules, name, batch_size = min(found)
    return name, batch_size, joules


def _doubts(comparison: Comparison) -> Doubts:
    rows = comparison.architectures
    counted = [row for row in rows if row.profile]
    cells = {(row.name, size): row.latency_at(size) for size in comparison.batch_sizes for row in rows if row.profile}
    tops = [row.top("top1", comparison.dataset) for row in counted]
    measured = [cell for cell in cells.values() if cell is not None]
    return Doubts(
        uncounted=tuple(
            (row.name, tuple(item.op for item in row.profile.uncounted))
            for row in counted
            if row.profile and row.profile.uncounted
        ),
        noted=tuple((row.name, row.profile.notes) for row in counted if row.profile and row.profile.notes),
        failed=tuple((row.name, row.error or "") for row in rows if row.error or not row.profile),
        unpublished=tuple(row.name for row, top in zip(counted, tops, strict=True) if top is None),
        unmeasured={
            at: (cell.error if cell else None) or "not reached"
            for at, cell in cells.items()
            if cell is None or not cell.measured
        },
        unreliable={
            at: cell.why or cell.error or ""
            for at, cell in cells.items()
            if cell is not None and cell.measured and not cell.reliable
        },
        times=len(cells),
        within=comparison.stopping.met(measured) if comparison.stopping else None,
        without_scratch=any(_lacks_scratch(comparison, row) for row in counted),
    )


def _lacks_scratch(comparison: Comparison, row: ArchitectureResult) -> bool:
    size = memory_batch_size(comparison)
    entry = None if size is None else row.memory_at(size)
    if entry is None:
        return False
    training = comparison.environment.get("mode") == "train"
    return (entry.training_scratch_bytes if training else entry.scratch_bytes) is None
