"""From the times of operators to that of a network: what a variant takes, if its base takes what was measured."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import NormalDist

from ..counting.aggregate import facts_of
from ..measure.operators import Call
from ..results.latency import Latency
from ..results.whatif import KindTime

#: The share of variants whose true time lies within their interval.
LEVEL = 0.9

#: An interval of 90 % over one of 95 %, of a normal distribution.
NARROWER = NormalDist().inv_cdf(0.95) / NormalDist().inv_cdf(0.975)

#: An interval's width, as the logarithm of a factor: FLOOR and SLOPE times the share of the time that changed.
#: Conformal over 119 random edits of benchmarks/whatif.py (seeds 1 to 3) on a busy machine: docs/whatif.md.
FLOOR, SLOPE = 0.10, 0.10


def total(calls: Iterable[Call], seconds: Mapping[str, float | None]) -> float:
    """Seconds of the calls one after the other; those of which no time is known take none."""
    return math.fsum(seen for call in calls if (seen := seconds.get(call.key)))


def changed_share(base: Sequence[Call], variant: Sequence[Call], seconds: Mapping[str, float | None]) -> float:
    """What part of both passes together is calls that only one of them has: 0 where none is, 1 where all are."""
    gone, come = differing(base, variant)
    both = total(base, seconds) + total(variant, seconds)
    return (total(gone, seconds) + total(come, seconds)) / both if both > 0 else 1.0


def differing(base: Sequence[Call], variant: Sequence[Call]) -> tuple[list[Call], list[Call]]:
    """The calls of the base that the variant has not, and those of the variant that the base has not."""
    return _without(base, variant), _without(variant, base)


def _without(calls: Sequence[Call], others: Sequence[Call]) -> list[Call]:
    left = Counter(call.key for call in others)
    found = []
    for call in calls:
        if left[call.key]:
            left[call.key] -= 1
        else:
            found.append(call)
    return found


def interval(predicted: float, changed: float, base: Latency) -> tuple[float, float]:
    """Seconds, from and to: what predictions miss, and what is not known of the base's own time."""
    low, high = base.ci95_s
    own = NARROWER * math.log(high / low) / 2
    width = math.exp(math.hypot(FLOOR + SLOPE * changed, own))
    return predicted / width, predicted * width


def kinds(calls: Iterable[Call], seconds: Mapping[str, float | None], scale: float) -> tuple[KindTime, ...]:
    """The calls by kind, those that take longest first; times multiplied by `scale`."""
    rows: dict[str, list[float]] = {}
    for call in calls:
        facts = facts_of(call.op)
        row = rows.setdefault(facts.type, [0, 0, 0.0])
        row[0] += 1
        row[1] += facts.macs or 0
        row[2] += (seconds.get(call.key) or 0.0) * scale
    found = [KindTime(kind, int(row[0]), int(row[1]), row[2]) for kind, row in rows.items()]
    return tuple(sorted(found, key=lambda kind: (-kind.predicted_seconds, kind.type)))
