"""Statistics of repeated timings. Standard library only; every function is a pure function of numbers."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from statistics import NormalDist, median

__all__ = ["bootstrap_ratio_interval", "half_width", "median", "median_interval", "quantile", "rank_sum_p",
           "student_interval"]

#: Resamples of a bootstrap interval: Efron and Tibshirani 1993, section 14.2, ask for at least 1,000.
RESAMPLES = 1000

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

    The number of values below the true median is binomial(n, 1/2); the interval runs between the
    order statistics that leave at most (1 - confidence)/2 on each side (Conover 1999, section 3.2;
    recommended for performance data by Le Boudec 2010, section 2.2). With 2 to 5 values no such pair exists
    at 95 %, and `student_interval` answers; one value is its own interval.
    """
    ordered = sorted(values)
    n = len(ordered)
    if n == 1:
        return ordered[0], ordered[0]
    if n <= len(STUDENT_T):
        return student_interval(ordered)
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

    Efron and Tibshirani 1993, chapter 13. The seed is fixed: the same samples always give the same interval.
    """
    draw = random.Random(seed)
    above, below = list(above), list(below)
    ratios = [
        median(draw.choices(above, k=len(above))) / median(draw.choices(below, k=len(below)))
        for _ in range(RESAMPLES)
    ]
    return quantile(ratios, (1 - confidence) / 2), quantile(ratios, (1 + confidence) / 2)


def half_width(interval: tuple[float, float], centre: float) -> float:
    """The larger distance from `centre` to an end of the interval, as a fraction of `centre`."""
    return max(interval[1] - centre, centre - interval[0]) / centre


def rank_sum_p(one: Sequence[float], other: Sequence[float]) -> float:
    """Two-sided p-value of the rank-sum test (Wilcoxon, Mann, Whitney) that two samples are of one kind.

    Exact for samples of at most 20 without ties, otherwise by the normal approximation with correction for
    ties and continuity (Conover 1999, section 5.1).
    """
    n, m = len(one), len(other)
    if not n or not m:
        raise ValueError("a rank-sum test needs values on both sides")
    ranks, ties = _ranks([*one, *other])
    u = sum(ranks[:n]) - n * (n + 1) / 2
    if not ties and max(n, m) <= 20:
        ways = _rank_sum_ways(n, m)
        tail = sum(ways[: int(min(u, n * m - u)) + 1])
        return min(1.0, 2 * tail / math.comb(n + m, n))
    total = n + m
    variance = n * m / 12 * (total + 1 - sum(t**3 - t for t in ties) / (total * (total - 1)))
    if variance <= 0:
        return 1.0
    z = max(abs(u - n * m / 2) - 0.5, 0.0) / math.sqrt(variance)
    return 2 * (1 - NormalDist().cdf(z))


def _ranks(values: Sequence[float]) -> tuple[list[float], list[int]]:
    """The rank of each value from 1 on, equal values sharing the mean of theirs; the sizes of the ties."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks, ties = [0.0] * len(values), []
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and values[order[end]] == values[order[start]]:
            end += 1
        for place in order[start:end]:
            ranks[place] = (start + 1 + end) / 2
        if end - start > 1:
            ties.append(end - start)
        start = end
    return ranks, ties


def _rank_sum_ways(n: int, m: int) -> list[int]:
    """How many arrangements of n and m values give each U from 0 on: a Gaussian binomial's coefficients."""
    ways = [1] + [0] * (n * m)
    for k in range(1, n + 1):
        for u in range(n * m, m + k - 1, -1):  # times (1 - q^(m+k))
            ways[u] -= ways[u - m - k]
        for u in range(k, n * m + 1):  # over (1 - q^k)
            ways[u] += ways[u - k]
    return ways
