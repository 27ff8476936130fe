"""Statistics of repeated timings. Standard library only; every function is a pure function of numbers."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from collections.abc import Sequence
from statistics import NormalDist, median

__all__ = [
    "bootstrap_ratio_interval",
    "half_width",
    "median",
    "median_interval",
    "quantile",
    "rank_sum_p",
    "student_interval",
]

#: Resamples of a bootstrap interval: Efron and Tibshirani 1993, section 14.2, ask for at least 1,000.
RESAMPLES = 1000

#: Of more values the bootstrap takes seconds, and tells nothing that their own intervals do not.
BOOTSTRAPPED = 2000

#: Up to so many values together the rank-sum test is exact: counting takes milliseconds.
EXACT_RANK_SUM = 30

#: 97.5 % quantile of Student's t by degrees of freedom (0, which has none, then 1 to 4).
STUDENT_T = (math.inf, 12.706, 4.303, 3.182, 2.776)


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

    The number of values below the true median is binomial(n, 1/2), which gives the confidence of each pair of order
    statistics (Conover 1999, section 3.2; recommended for performance data by Le Boudec 2010, section 2.2). No pair has
    just the one asked for: of eight values the outermost have 99.2 %, the next 93.0 %. The interval ends between the
    two pairs nearest to it, where Hettmansperger and Sheather 1986 interpolate; their formula hardly depends on the
    distribution. With 2 to 5 values the outermost have less than 95 %, and `student_interval` answers; one value is its
    own interval.
    """
    ordered = sorted(values)
    n = len(ordered)
    if n == 1:
        return ordered[0], ordered[0]
    if n <= len(STUDENT_T):
        return student_interval(ordered)
    if n > 500:  # the normal approximation is as good from here on
        reach = NormalDist().inv_cdf((1 + confidence) / 2) / math.sqrt(n) / 2
        return quantile(ordered, 0.5 - reach), quantile(ordered, 0.5 + reach)
    outside, inner = 0.0, 0  # the share beyond the pair of ranks `inner` and n + 1 - `inner`
    while (beyond := outside + 2 * math.comb(n, inner) / 2**n) <= 1 - confidence:
        outside, inner = beyond, inner + 1
    excess = (1 - outside - confidence) / (beyond - outside)
    inwards = (n - inner) * excess / (inner + (n - 2 * inner) * excess)
    low, high = (
        ordered[place] + inwards * (ordered[further] - ordered[place])
        for place, further in ((inner - 1, inner), (n - inner, n - inner - 1))
    )
    return low, high


def student_interval(values: Sequence[float]) -> tuple[float, float]:
    """95 % interval of the middle of 2 to 5 positive values, if their logarithms are normal (Student 1908).

    Times and ratios are positive and spread to the right, so it is their logarithms that are symmetric. The
    median of the values always lies inside.
    """
    logs = [math.log(value) for value in values]
    n, mean = len(logs), math.fsum(logs) / len(logs)
    spread = math.sqrt(math.fsum((log - mean) ** 2 for log in logs) / (n - 1))
    reach = STUDENT_T[n - 1] * spread / math.sqrt(n)
    return math.exp(mean - reach), math.exp(mean + reach)


def bootstrap_ratio_interval(
    above: Sequence[float], below: Sequence[float], confidence: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of median(above) / median(below), unpaired.

    Efron and Tibshirani 1993, chapter 13. The seed is fixed: the same samples always give the same interval. Of more
    than BOOTSTRAPPED values both medians are as good as normal, and their own intervals are joined.
    """
    if max(len(above), len(below)) > BOOTSTRAPPED:
        ratio = median(above) / median(below)
        reaches = [
            [abs(math.log(end / median(values))) for end in median_interval(values, confidence)]
            for values in (above, below)
        ]
        (down, up), (below_down, below_up) = reaches
        low, high = math.hypot(down, below_up), math.hypot(up, below_down)
        return ratio * math.exp(-low), ratio * math.exp(high)
    draw = random.Random(seed)
    above, below = list(above), list(below)
    ratios = [
        median(draw.choices(above, k=len(above))) / median(draw.choices(below, k=len(below))) for _ in range(RESAMPLES)
    ]
    return quantile(ratios, (1 - confidence) / 2), quantile(ratios, (1 + confidence) / 2)


def half_width(interval: tuple[float, float], centre: float) -> float:
    """The larger distance from `centre` to an end of the interval, as a fraction of `centre`."""
    return max(interval[1] - centre, centre - interval[0]) / centre


def rank_sum_p(one: Sequence[float], other: Sequence[float]) -> float:
    """Two-sided p-value of the rank-sum test (Wilcoxon, Mann, Whitney) that two samples are of one kind.

    Equal values share the mean of their ranks. Up to EXACT_RANK_SUM values together every way of dealing out
    the ranks is counted; beyond, the normal approximation with corrections for ties and continuity is used
    (Conover 1999, section 5.1).
    """
    n, m = len(one), len(other)
    if not n or not m:
        raise ValueError("a rank-sum test needs values on both sides")
    doubled, ties = _doubled_ranks([*one, *other])
    away = abs(sum(doubled[:n]) - n * (n + m + 1))  # of the doubled rank sum from its mean
    return _exact_tail(doubled, n, away) if n + m <= EXACT_RANK_SUM else _normal_tail(n, m, ties, away)


def _exact_tail(doubled: Sequence[int], n: int, away: int) -> float:
    """The share of all choices of n ranks whose sum is at least so far from the mean."""
    ways = [[1], *([0] for _ in range(n))]  # ways[k][s]: choices of k ranks that add up to s
    for rank in doubled:
        for k in range(n, 0, -1):
            ways[k] = [a + b for a, b in itertools.zip_longest(ways[k], [0] * rank + ways[k - 1], fillvalue=0)]
    mean = n * (len(doubled) + 1)
    return sum(count for s, count in enumerate(ways[n]) if abs(s - mean) >= away) / math.comb(len(doubled), n)


def _normal_tail(n: int, m: int, ties: Sequence[int], away: int) -> float:
    total = n + m
    variance = n * m / 12 * (total + 1 - sum(t**3 - t for t in ties) / (total * (total - 1)))
    if variance <= 0:
        return 1.0
    return 2 * (1 - NormalDist().cdf(max(away / 2 - 0.5, 0.0) / math.sqrt(variance)))


def _doubled_ranks(values: Sequence[float]) -> tuple[list[int], list[int]]:
    """Twice the rank of each value, from 1 on: whole also where ties share a rank; and the ties' sizes."""
    ordered = sorted(values)
    sizes = Counter(ordered)
    first = {value: place for place, value in reversed(list(enumerate(ordered, 1)))}
    doubled = [2 * first[value] + sizes[value] - 1 for value in values]
    return doubled, [size for size in sizes.values() if size > 1]
