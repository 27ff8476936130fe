"""How far a prediction may be off: the width of an interval, and how unlike the table a network is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from .quantities import KINDS, MULTIPLYING, kinds_of

#: The share of networks whose true time lies within their interval.
LEVEL = 0.9


@dataclass(frozen=True)
class Calibration:
    """An interval's width by a network's distance from those of the table.

    `low` and `high` are quantiles of log(predicted / true) seconds over (`floor` + `slope` * distance).
    """

    floor: float
    slope: float
    low: float
    high: float

    def interval(self, throughput: float, distance: float) -> tuple[float, float]:
        """Samples a second, from and to."""
        width = self.floor + self.slope * distance
        return throughput * math.exp(min(self.low, 0.0) * width), throughput * math.exp(max(self.high, 0.0) * width)


def place_of(found: Mapping[str, float]) -> tuple[float, ...] | None:
    """Where a network stands among others: the shares of its kinds, and its size; None where it computes nothing.

    Square roots of shares, so that distances are those of Hellinger; logarithms of mult-adds for each element, elements
    for each call, and mult-adds, so scaled that a factor of 20, 150 and 400 weighs as much as having no kind in common.
    """
    macs, moved = kinds_of(found, "macs"), kinds_of(found, "moved")
    all_macs, all_moved = sum(macs.values()), sum(moved.values())
    calls = sum(found[f"calls.{kind}"] for kind in KINDS)
    if not (all_macs > 0 and all_moved > 0 and calls > 0):
        return None
    return (
        *(math.sqrt(macs[kind] / all_macs) for kind in MULTIPLYING),
        *(math.sqrt(moved[kind] / all_moved) for kind in KINDS),
        math.log(all_macs / all_moved) / 3,
        math.log(all_moved / calls) / 5,
        math.log(all_macs) / 6,
    )
