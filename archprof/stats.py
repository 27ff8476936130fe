"""Statistics of repeated timings. Standard library only; every function is a pure function of numbers."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from statistics import NormalDist, median

__all__ = ["bootstrap_ratio_interval", "median", "median_interval", "quantile"]

#: Resamples of a bootstrap interval: Efron and Tibshirani 1993, section 14.2, ask for at least 1,000.
RESAMPLES = 1000


def quantile(values: Sequence[float], q: float) -> float:
    """The q-quantile by linear interpolation between order statistics (Hyndman and Fan 1996, type 7)."""
    if not values:
        raise ValueError("a quantile needs at least one value")
    ordered = sorted(values)
    place = (len(ordered) - 1) * q
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def median_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Distribution-free confidence interval of the median, from order statistics.

    The number of values below the true median is binomial(n, 1/2); the interval runs between the
    order statistics that leave at most (1 - confidence)/2 on each side (Conover 1999, section 3.2;
    recommended for performance data by Le Boudec 2010, section 2.2). With fewer than 6 values no such
    pair exists at 95 %, and the whole range is returned.
    """
    ordered = sorted(values)
    n = len(ordered)
    if n < 6:
        return ordered[0], ordered[-1]
    if n > 500:  # the normal approximation is exact to one rank from here on
        reach = NormalDist().inv_cdf((1 + confidence) / 2) * math.sqrt(n) / 2
        below = max(math.floor(n / 2 - reach), 1)
        return ordered[below - 1], ordered[n - below]
    tail, below = 0.0, 0
    while True:
        tail += math.comb(n, below) / 2**n
        if tail > (1 - confidence) / 2:
            break
        below += 1
    return ordered[below - 1], ordered[n - below]


def bootstrap_ratio_interval(
    above: Sequence[float], below: Sequence[float], confidence: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of median(above) / median(below), unpaired (Efron and Tibshirani 1993, ch. 13).

    The seed is fixed, so that the same samples always give the same interval.
    """
    draw = random.Random(seed)
    above, below = list(above), list(below)
    ratios = [
        median(draw.choices(above, k=len(above))) / median(draw.choices(below, k=len(below)))
        for _ in range(RESAMPLES)
    ]
    return quantile(ratios, (1 - confidence) / 2), quantile(ratios, (1 + confidence) / 2)
