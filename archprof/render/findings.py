"""What a comparison says, in a few sentences. Every number in them is taken from the record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..base import units
from ..results.comparison import ArchitectureResult, Comparison
from ..results.latency import Latency
from ..results.ratios import ratio_of
from .figures import front_of, usual_batch_size


def timed(comparison: Comparison, batch_size: int) -> Iterable[tuple[ArchitectureResult, Latency]]:
    """The networks measured at that batch size."""
    for row in comparison.architectures:
        cell = row.latency_at(batch_size)
        if cell is not None and cell.measured:
            yield row, cell


def summary(comparison: Comparison) -> list[str]:
    """The few sentences that a hurried reader needs."""
    counted = [row for row in comparison.architectures if row.profile]
    failed = [row for row in comparison.architectures if not row.profile]
    out = []
    if len(counted) > 1:
        for words, value in (("parameters", parameters_of), ("mult-adds", macs_of)):
            least, most = min(counted, key=value), max(counted, key=value)
            if value(most) > value(least) > 0:
                out.append(
                    f"{capital(words)} run from {units.count(value(least))} ({least.name}) to "
                    f"{units.count(value(most))} ({most.name}), a factor of "
                    f"{units.significant(value(most) / value(least))}."
                )
            elif value(most) > 0:
                out.append(f"All have the same {words}: {units.count(value(most))}.")
    out += _accuracy_sentence(comparison)
    out += _time_sentences(comparison)
    for row in failed:
        out.append(f"{row.name} failed: {(row.error or 'no reason was recorded').rstrip('.')}.")
    uncounted = [row.name for row in counted if row.profile and row.profile.uncounted]
    if uncounted:
        out.append(
            f"Some operators of {listed(uncounted)} have no formula; their mult-adds are left out and named "
            "below the table."
        )
    return out


def _accuracy_sentence(comparison: Comparison) -> list[str]:
    tops = [(row, row.top("top1", comparison.dataset)) for row in comparison.architectures]
    claims = [(row, claim) for row, claim in tops if claim is not None]
    if not claims:
        return ["No accuracy is published here for any of these networks."]
    row, claim = max(claims, key=lambda pair: pair[1].percent)
    out = [
        f"The highest published top-1 accuracy on {claim.dataset} is {claim.percent:.2f} % ({row.name}, "
        f"{claim.source})."
    ]
    heavy = [(row, claim) for row, claim in claims if row.profile]
    front = front_of([macs_of(row) for row, _ in heavy], [claim.percent for _, claim in heavy], "low", "high")
    if 1 < len(front) < len(heavy):
        out.append(
            f"From cheap to accurate, the best choices by mult-adds are {listed([heavy[i][0].name for i in front])}: "
            "no other network here is both at least as accurate and as cheap as one of these."
        )
    without = [row.name for row, claim in tops if claim is None]
    if without:
        out.append(f"No top-1 accuracy is published here for {listed(without)}.")
    return out


def _time_sentences(comparison: Comparison) -> list[str]:
    size = usual_batch_size(comparison)
    if size is None:
        return ["Latency was not measured."]
    cells = list(timed(comparison, size))
    sure = [(row, cell) for row, cell in cells if cell.reliable]
    out = []
    if sure:
        (fast, least), (slow, most) = (choose(sure, key=lambda pair: pair[1].p50_s) for choose in (min, max))
        told = f"At batch size {size} the fastest is {fast.name} with {interval(least)}"
        if fast is not slow:
            ratio = with_interval(*ratio_of(most, least))
            told += f", the slowest {slow.name} with {interval(most)}: {ratio} times as long"
        out.append(f"{told}.")
    out += _relative_sentence(comparison, size)
    doubtful = [row.name for row, cell in cells if not cell.reliable]
    if doubtful:
        out.append(f"Not to be relied on at batch size {size} (disturbed, or known too vaguely): {listed(doubtful)}.")
    absent = [row.name for row in comparison.architectures if all(row is not other for other, _ in cells)]
    if absent:
        out.append(f"Not measured at batch size {size}: {listed(absent)}.")
    return out


def interval(cell: Latency) -> str:
    """'12.3 ms (95 % interval 12.1 to 12.6)' for a pass of the whole batch."""
    low, high = cell.ci95_s
    return (
        f"{units.milliseconds(cell.p50_s)} ms (95 % interval {units.milliseconds(low)} to {units.milliseconds(high)})"
    )


def _relative_sentence(comparison: Comparison, size: int) -> list[str]:
    """How each network's time stands to the reference's, where there are few."""
    sure = [ratio for ratio in comparison.ratios if ratio.batch_size == size and ratio.reliable]
    if not 1 < len(sure) <= 8:
        return []
    told = listed([f"{ratio.architecture} {with_interval(ratio.ratio, ratio.ci95)}" for ratio in sure])
    return [f"Times over that of {sure[0].reference} at batch size {size}: {told}."]


def macs_of(row: ArchitectureResult) -> float:
    """Mult-adds of one sample; 0 for what could not be counted."""
    return row.profile.macs / row.profile.batch_size if row.profile else 0.0


def parameters_of(row: ArchitectureResult) -> float:
    """Parameters; 0 for what could not be counted."""
    return row.profile.parameters if row.profile else 0.0


def with_interval(ratio: float, ends: tuple[float, float]) -> str:
    """'19.4 (19.1 to 19.6)'."""
    low, high = ends
    return f"{units.significant(ratio)} ({units.significant(low)} to {units.significant(high)})"


def capital(words: str) -> str:
    """The same with a capital first."""
    return words[:1].upper() + words[1:]


def listed(names: Sequence[str]) -> str:
    """'a, b and c'."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
