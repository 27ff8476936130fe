"""Axes with plain numbers and round ticks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from ...base import units


def logarithmic(axis: Axis, values: Iterable[float], low_room: float = 1.25, high_room: float = 1.25) -> None:
    """A logarithmic axis around `values` with ticks at 1, 2 and 5 (fewer over many decades), written in
    full.
    """
    known = [value for value in values if value > 0]
    low, high = min(known) / low_room, max(known) * high_room
    _scale(axis, "log", low, high)
    steps = (1, 2, 5) if high / low < 300 else (1,)
    ticks = [
        digit * 10.0**power
        for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        for digit in steps
        if low <= digit * 10.0**power <= high
    ]
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: plain(value)))


def linear(axis: Axis, low: float, high: float) -> None:
    """A linear axis with plain numbers."""
    _scale(axis, "linear", low, high)
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def batch_sizes(plot: Axes, sizes: Sequence[int]) -> None:
    """A logarithmic axis whose ticks are the batch sizes themselves."""
    _scale(plot.xaxis, "log", min(sizes) / 1.12, max(sizes) * 1.12)
    plot.xaxis.set_major_locator(FixedLocator(list(sizes)))
    plot.xaxis.set_minor_locator(NullLocator())
    plot.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))
    plot.set_xlabel("Batch size (images)")


def far_apart(values: Sequence[float], factor: float) -> bool:
    """Whether a linear axis would crowd most of the values into a corner: the largest is that many times the least."""
    return min(values) > 0 and max(values) > factor * min(values)


def plain(value: float) -> str:
    """A tick's number: 0.05, 2, 500, 10,000."""
    return f"{value:,.0f}" if value >= 1 else units.significant(value, 1)


def _scale(axis: Axis, scale: str, low: float, high: float) -> None:
    plot = axis.axes
    if axis is plot.xaxis:
        plot.set_xscale(scale)
        plot.set_xlim(low, high)
    else:
        plot.set_yscale(scale)
        plot.set_ylim(low, high)
