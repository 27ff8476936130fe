"""Intervals of an accuracy: over the images of a test set, and over the seeds of a training. Standard library only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

from .statistics import STUDENT_T

#: 97.5 % quantile of the normal distribution.
_Z = NormalDist().inv_cdf(0.975)

_TABLE = (*STUDENT_T, 2.571, 2.447, 2.365, 2.306, 2.262)


def wilson(fraction: float, images: int) -> tuple[float, float]:
    """95 % interval of a share that was seen among so many independent images (Wilson 1927).

    Unlike the textbook's p +- 1.96 s it keeps within 0 and 1 and has a width at both ends (recommended by Brown, Cai
    and DasGupta 2001). `fraction` may be a mean over seeds: the images are the same ones, and no more of them.
    """
    if images < 1:
        raise ValueError("an interval over images needs at least one")
    z2 = _Z**2
    centre = (fraction + z2 / (2 * images)) / (1 + z2 / images)
    spread = math.sqrt(fraction * (1 - fraction) / images + z2 / (4 * images**2))
    reach = _Z * spread / (1 + z2 / images)
    # at the ends the bound is 0 or 1 itself, which rounding misses
    return (0.0 if fraction <= 0 else max(centre - reach, 0.0)), (1.0 if fraction >= 1 else min(centre + reach, 1.0))


def student(values: Sequence[float]) -> tuple[float, float] | None:
    """95 % interval of the mean of independent, roughly normal values (Student 1908); None for fewer than two."""
    n = len(values)
    if n < 2:
        return None
    mean = math.fsum(values) / n
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    reach = student_quantile(n - 1) * spread / math.sqrt(n)
    return mean - reach, mean + reach


def student_quantile(degrees: int) -> float:
    """97.5 % quantile of Student's t, right to three decimals.

    Up to 9 degrees of freedom from a table; beyond, the expansion in 1/degrees (Abramowitz and Stegun 26.7.5).
    """
    if degrees < len(_TABLE):
        return _TABLE[degrees]
    z = _Z
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + math.fsum(term / degrees**power for power, term in enumerate(terms, 1))
