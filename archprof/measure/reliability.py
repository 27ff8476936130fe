"""When a measurement can be relied on: named rules over its blocks. Standard library only."""

from __future__ import annotations

from dataclasses import replace

from ..results import drift, statistics
from ..results.latency import FEWEST_BLOCKS, WIDEST, Latency


def judged(seen: Latency, precision: float, cut: str = "") -> Latency:
    """The same measurement with its reliability: `why` it cannot be relied on, or a `note` that it was cut short.

    Reliable are at least FEWEST_BLOCKS undisturbed blocks with an interval within WIDEST (or within the
    precision asked for, if that is wider). `cut` is what ended the measurement, if not the time budget. Where too few
    ran while the machine was as usual, those during drift join them: a wide interval tells more than none.
    """
    clean, every = len(seen.clean), len(seen.blocks)
    limit = max(WIDEST, precision)
    why = note = None
    with_drift = replace(seen, blocks=tuple(drift.unmarked(seen.blocks)))
    if clean < FEWEST_BLOCKS <= len(with_drift.clean):
        why = (
            f"the machine drifted during {len(with_drift.clean) - clean} of {every} blocks; the interval includes them"
        )
        return replace(with_drift, why=why, note=cut or None)
    if clean < FEWEST_BLOCKS and clean < every:
        cause = commonest_cause(seen)
        why = (
            f"{every - clean} of {every} blocks were disturbed ({cause}); {clean} were not, {FEWEST_BLOCKS} are needed"
        )
    elif clean < FEWEST_BLOCKS:
        why = f"there was time for {every} block{'s' if every > 1 else ''}, {FEWEST_BLOCKS} are needed"
    elif half_width(seen) > limit:
        why = f"the 95 % interval is +-{100 * half_width(seen):.1f} %, more than {100 * limit:g} %"
    if why is None and half_width(seen) > precision:
        ended = cut or "stopped at the time budget"
        note = f"{ended}: +-{100 * half_width(seen):.1f} %, requested {100 * precision:g} %"
    return replace(seen, why=why, note=note or cut or None)


def half_width(seen: Latency) -> float:
    """Half width of the median's interval as a fraction of the median."""
    return statistics.half_width(seen.ci95_s, seen.p50_s)


def commonest_cause(seen: Latency) -> str:
    """What disturbed most blocks, in the words of the last of them."""
    causes = [block.disturbed for block in seen.blocks if block.disturbed]
    kinds = [cause.partition(" (")[0] for cause in causes]
    often = max(kinds, key=kinds.count)
    last = next(cause for cause in reversed(causes) if cause.startswith(often))
    return last.replace(" (", ", ").rstrip(")")
