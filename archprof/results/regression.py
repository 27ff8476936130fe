"""Time and operations: the least-squares line of time on mult-adds, per family and batch size.

Standard library only. Within a family time is close to linear in operations (Canziani, Paszke and Culurciello
2016, arXiv 1605.07678, figure 7), so that a limit on time can be read as a limit on operations while a
network is designed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, fsum, log10
from statistics import median

from ..base import units
from .comparison import ArchitectureResult, Comparison
from .families import family_of


@dataclass(frozen=True)
class Line:
    """y = intercept + slope x, fitted by least squares; `r2` is the share of y's variance that it explains.

    `r2` is None where y does not vary, and with two points, where it is 1 whatever the points are.
    """

    intercept: float
    slope: float
    r2: float | None


@dataclass(frozen=True)
class LinearFit:
    """Seconds of one pass at `batch_size` against mult-adds of the whole batch, over one family."""

    family: str
    batch_size: int
    names: tuple[str, ...]
    intercept_s: float
    seconds_per_mac: float
    r2: float | None

    @property
    def gflops(self) -> float:
        """Achieved 10^9 FLOP/s at the margin: two operations for each mult-add that the slope pays for."""
        return 2e-9 / self.seconds_per_mac

    def macs_within(self, seconds: float) -> float | None:
        """Mult-adds of one sample for which a pass takes `seconds`; None: the fixed part alone takes more."""
        left = seconds - self.intercept_s
        return left / self.seconds_per_mac / self.batch_size if left > 0 else None

    def sentence(self, seconds: float) -> str:
        """'At 20 ms and batch 1 a network of the resnet family may use 1.30 G mult-adds here (R^2 0.998)'."""
        macs = self.macs_within(seconds)
        what = f"a network of the {self.family} family" if self.family else "such a network"
        at = f"At {units.milliseconds(seconds)} ms and batch {self.batch_size}"
        known = "" if self.r2 is None else f" (R^2 {self.r2:.3f})"
        if macs is None:
            fixed = units.milliseconds(self.intercept_s)
            return f"{at} {what} does not fit here: {fixed} ms are fixed cost{known}"
        return f"{at} {what} may use {units.count(macs)} mult-adds here{known}"


def line(x: Sequence[float], y: Sequence[float]) -> Line | None:
    """The least-squares line (Draper and Smith 1998, chapter 1); None without two different x."""
    if len(set(x)) < 2:
        return None
    mean_x, mean_y = fsum(x) / len(x), fsum(y) / len(y)
    xx = fsum((a - mean_x) ** 2 for a in x)
    xy = fsum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    yy = fsum((b - mean_y) ** 2 for b in y)
    slope = xy / xx
    return Line(mean_y - slope * mean_x, slope, xy * xy / (xx * yy) if yy > 0 and len(x) > 2 else None)


def round_limit(seconds: Sequence[float]) -> float:
    """A round limit (1, 2 or 5 times a power of ten) amid times, to read a line at: inside what was measured.

    The middle one of those between the least and the greatest; where there is none, two digits of the median.
    """
    least, most = min(seconds), max(seconds)
    powers = range(floor(log10(least)), floor(log10(most)) + 1)
    between = [limit for n in powers for limit in (1 * 10**n, 2 * 10**n, 5 * 10**n) if least <= limit <= most]
    return between[len(between) // 2] if between else float(f"{median(seconds):.1e}")


def fits(comparison: Comparison) -> tuple[LinearFit, ...]:
    """One fit per family and batch size where at least two networks of different cost were measured reliably.

    Lines that fall (more operations, less time) are left out: they say that something else decides.
    """
    found = []
    for batch_size in comparison.batch_sizes:
        families: dict[str, list[ArchitectureResult]] = {}
        for row in comparison.architectures:
            if _usable(row, batch_size):
                families.setdefault(family_of(row.name, row.family), []).append(row)
        for family, rows in families.items():
            fitted = line([macs_of(row, batch_size) for row in rows], [_seconds(row, batch_size) for row in rows])
            if fitted and fitted.slope > 0:
                found.append(LinearFit(family, batch_size, tuple(row.name for row in rows), *vars(fitted).values()))
    return tuple(found)


def achieved_gflops(row: ArchitectureResult, batch_size: int) -> float | None:
    """10^9 FLOP/s that the network achieves at the median pass: 2 mult-adds of the batch over seconds."""
    if not _usable(row, batch_size):
        return None
    return 2e-9 * macs_of(row, batch_size) / _seconds(row, batch_size)


def macs_of(row: ArchitectureResult, batch_size: int) -> int:
    """Mult-adds of a batch: they are linear in its size."""
    assert row.profile is not None
    return row.profile.macs * batch_size // row.profile.batch_size


def _usable(row: ArchitectureResult, batch_size: int) -> bool:
    seen = row.latency_at(batch_size)
    return row.profile is not None and row.profile.macs > 0 and seen is not None and seen.reliable


def _seconds(row: ArchitectureResult, batch_size: int) -> float:
    seen = row.latency_at(batch_size)
    assert seen is not None
    return seen.p50_s
