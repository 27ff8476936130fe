"""What `results.findings` found, in a few sentences."""

from __future__ import annotations

from ..base import units
from ..results.comparison import Comparison
from ..results.findings import AccuracyFinding, Extremes, SpeedFinding, findings
from ..results.latency import Latency
from .words import COST_WORDS, capital, listed, with_interval


def summary(comparison: Comparison) -> list[str]:
    """The few sentences that a hurried reader needs."""
    found = findings(comparison)
    out = [_extremes(extremes) for extremes in found.extremes]
    out += _accuracy(found.accuracy)
    out += _speed(found.speed)
    out += [f"{name} failed: {(reason or 'no reason was recorded').rstrip('.')}." for name, reason in found.failed]
    if found.uncounted:
        out.append(
            f"Some operators of {listed(found.uncounted)} have no formula; their mult-adds are left out and named "
            "below the table."
        )
    return out


def _extremes(found: Extremes) -> str:
    words, (least, low), (most, high) = COST_WORDS[found.cost], found.least, found.most
    if low == high:
        return f"All have the same {words}: {units.count(low)}."
    factor = f", a factor of {units.significant(high / low)}" if low else ""
    return f"{capital(words)} run from {units.count(low)} ({least}) to {units.count(high)} ({most}){factor}."


def _accuracy(found: AccuracyFinding | None) -> list[str]:
    if found is None:
        return ["No accuracy is published here for any of these networks."]
    claim = found.claim
    what = "measured" if claim.measured else "published"
    out = [
        f"The highest {what} top-1 accuracy on {claim.dataset} is {claim.percent:.2f} % ({found.best}, {claim.source})."
    ]
    if found.front:
        out.append(
            f"From cheap to accurate, the best choices by mult-adds are {listed(found.front)}: "
            "no other network here is both at least as accurate and as cheap as one of these."
        )
    if found.unpublished:
        out.append(f"No top-1 accuracy is published here for {listed(found.unpublished)}.")
    return out


def _speed(found: SpeedFinding | None) -> list[str]:
    if found is None:
        return ["Latency was not measured."]
    out, size = [], found.batch_size
    if found.fastest and found.slowest:
        told = f"At batch size {size} the fastest is {found.fastest[0]} with {interval(found.fastest[1])}"
        if found.ratio is not None and found.ratio_ci95 is not None:
            ratio = with_interval(found.ratio, found.ratio_ci95)
            told += f", the slowest {found.slowest[0]} with {interval(found.slowest[1])}: {ratio} times as long"
        out.append(f"{told}.")
    if found.ratios:
        told = listed([f"{ratio.architecture} {with_interval(ratio.ratio, ratio.ci95)}" for ratio in found.ratios])
        out.append(f"Times over that of {found.ratios[0].reference} at batch size {size}: {told}.")
    if found.doubtful:
        out.append(f"Not reliable at batch size {size} (disturbed, or of a wide interval): {listed(found.doubtful)}.")
    if found.unmeasured:
        out.append(f"Not measured at batch size {size}: {listed(found.unmeasured)}.")
    return out


def interval(cell: Latency) -> str:
    """'12.3 ms (95 % interval 12.1 to 12.6)' for a pass of the whole batch."""
    low, high = cell.ci95_s
    return (
        f"{units.milliseconds(cell.p50_s)} ms (95 % interval {units.milliseconds(low)} to {units.milliseconds(high)})"
    )
