"""What several runs have in common: a ratio over runs, and how runs vary. Standard library only."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

from .intervals import student_quantile
from .statistics import median, median_interval

#: The standard deviation of a ratio's logarithm from one run to the next, in one state of a machine, that is expected
#: where few runs are known, and how many degrees of freedom that is worth: runs of its own soon outweigh it.
#: (docs/latency.md has the measurement that it comes from.)
SPREAD = 0.02
SPREAD_RUNS = 4

#: So many runs tell of themselves what is usual.
MANY = 6

#: How much wider than a 95 % prediction interval the range is that a run is expected in: of the normal distribution,
#: 0.1 % lie beyond 3.29 standard deviations, 5 % beyond 1.96; where little is known of the spread, about 1 % do.
UNEXPECTED = 1.7

#: 1.96: the half width of a 95 % interval in standard deviations, where the normal distribution holds.
Z = 1.959964


class Between(NamedTuple):
    """A ratio over several runs, its 95 % interval, and the standard deviation of its logarithm between runs with the
    degrees of freedom that this is known with."""

    ratio: float
    ci95: tuple[float, float]
    spread: float
    degrees: int


def between(found: Sequence[tuple[float, float]], spread: float = SPREAD, spread_runs: int = SPREAD_RUNS) -> Between:
    """The ratio that runs have in common, from each one's ratio and the standard error of its logarithm.

    Runs differ by more than their own intervals say: a random-effects model (DerSimonian and Laird 1986). Of few runs
    the variance between them is hardly known, so it is drawn towards `spread`, as if that had been seen with
    `spread_runs` degrees of freedom (the moderated variance of Smyth 2004), and the interval is Student's with those
    and the runs' own. From MANY on it is the median of the runs and its interval, which follow no single run.
    """
    logs = [math.log(ratio) for ratio, _ in found]
    errors = [max(error, 1e-6) for _, error in found]
    own = variance_between(logs, errors)
    degrees = spread_runs + len(logs) - 1
    variance = (spread_runs * spread**2 + (len(logs) - 1) * own) / degrees
    weights = [1 / (variance + error**2) for error in errors]
    mean = math.fsum(weight * log for weight, log in zip(weights, logs, strict=True)) / math.fsum(weights)
    if len(found) >= MANY:
        ratios = [ratio for ratio, _ in found]
        return Between(median(ratios), median_interval(ratios), math.sqrt(variance), degrees)
    reach = student_quantile(degrees) / math.sqrt(math.fsum(weights))
    return Between(math.exp(mean), (math.exp(mean - reach), math.exp(mean + reach)), math.sqrt(variance), degrees)


def expected(ratio: float, error: float, known: Between) -> bool:
    """Whether a run's ratio is one that the `known` runs lead to expect: UNEXPECTED times as far from theirs as a 95 %
    prediction interval reaches is too far."""
    reach = math.log(known.ci95[1] / known.ci95[0]) / 2
    alone = student_quantile(known.degrees) * math.hypot(known.spread, error)
    return abs(math.log(ratio / known.ratio)) <= UNEXPECTED * math.hypot(reach, alone)


def trend(values: Sequence[float]) -> float:
    """How many standard deviations Kendall's tau of values and their order is from 0 (Mann 1945); 0 for fewer than MANY
    of them."""
    n = len(values)
    if n < MANY:
        return 0.0
    pairs = itertools.combinations(values, 2)
    score = sum((after > before) - (after < before) for before, after in pairs)
    return score / math.sqrt(n * (n - 1) * (2 * n + 5) / 18)


def variance_between(logs: Sequence[float], errors: Sequence[float]) -> float:
    """The variance between runs beyond their own errors (DerSimonian and Laird 1986); 0 where these explain all."""
    if len(logs) < 2:
        return 0.0
    weights = [1 / error**2 for error in errors]
    total = math.fsum(weights)
    mean = math.fsum(weight * log for weight, log in zip(weights, logs, strict=True)) / total
    excess = math.fsum(weight * (log - mean) ** 2 for weight, log in zip(weights, logs, strict=True)) - (len(logs) - 1)
    scale = total - math.fsum(weight**2 for weight in weights) / total
    return max(excess / scale, 0.0) if scale > 0 else 0.0
