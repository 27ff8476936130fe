"""What depthwise separable convolutions would leave of each network: now and then, tied by a line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from ...base import units
from ...base.errors import BadOption
from ...results.shares import Shares, shares
from . import axes
from .page import Page
from .registry import draws
from .rows import Row


@draws(
    "separable",
    "Each network as it is (full mark) and with every dense KxK convolution rewritten as depthwise + pointwise "
    "(hollow mark), by the formula of Howard et al. (arXiv 1704.04861, section 3.1); beside it what is left. "
    "1x1, depthwise, grouped and fully connected layers stay as they are. Accuracy and time after rewriting are "
    "another matter: the new weights are untrained, and depthwise convolutions are often bound by memory.",
)
def separable(page: Page) -> None:
    found: list[tuple[Row, Shares]] = []
    dropped: list[tuple[str, str]] = []
    for row in page.rows:
        profile = row.result.profile
        if profile is None or not profile.layers:
            dropped.append((row.label, f"failed: {row.result.error}" if row.result.error else "no count by layer"))
        else:
            found.append((row, shares(profile)))
    if not found:
        raise BadOption(
            "no network was counted layer by layer:",
            "; ".join(f"{label}: {why}" for label, why in dropped) + ".",
        )
    rows = [row for row, _ in found]
    page.refuse_more_than(150, rows)
    page.title("What depthwise separable convolutions would leave", "Both axes logarithmic; % is what is left")
    page.legend(
        [
            Line2D([], [], linestyle="", marker="o", markersize=5, color=page.theme.ink),
            Line2D([], [], linestyle="", marker="o", markersize=5, color=page.theme.ink, markerfacecolor="none"),
        ],
        ["as it is", "rewritten, by the formula"],
    )
    panels: Sequence[tuple[str, Callable[[Shares], tuple[int, int]], float]] = (
        ("Mult-Adds (G)", lambda s: (s.macs, s.separable_macs), 1e9),
        ("Params (M)", lambda s: (s.parameters, s.separable_parameters), 1e6),
    )
    plots = [plot for line in (page.plots(2, 1) if page.narrow else page.plots(1, 2)) for plot in line]
    for place, (plot, (label, read, unit)) in enumerate(zip(plots, panels, strict=True)):
        _pairs(page, plot, rows, [read(record) for _, record in found], unit)
        plot.set_xlabel(label)
        named = page.narrow or place == 0
        plot.set_yticks(range(len(rows)), [row.label if named else "" for row in rows])
    page.left_out(dropped)
    page.finish((0.5 + 0.22 * max(len(rows), 2)) * (2 if page.narrow else 1))


def _pairs(page: Page, plot: Axes, rows: Sequence[Row], pairs: Sequence[tuple[int, int]], unit: float) -> None:
    for place, (row, (now, then)) in enumerate(zip(rows, pairs, strict=True)):
        colour = page.colour(row)
        marks: dict[str, Any] = {"marker": "o", "markersize": 5, "markeredgewidth": 0.9, "linestyle": "", "zorder": 4}
        plot.plot([then / unit, now / unit], [place, place], color=colour, linewidth=1.2, zorder=3, gid="saved")
        plot.plot([now / unit], [place], color=colour, markeredgecolor=page.edge(colour), gid="now", **marks)
        if then < now:
            plot.plot([then / unit], [place], color=page.theme.paper, markeredgecolor=colour, gid="then", **marks)
        plot.annotate(
            units.percent(then / now if now else None, 0),
            (then / unit, place),
            xytext=(-6, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            size=page.tiny,
            color=page.theme.ink,
            gid="label",
        )
    known = [value / unit for pair in pairs for value in pair if value > 0] or [1.0]
    axes.logarithmic(plot.xaxis, known, 2.4 if max(known) / min(known) > 10 else 1.5, 1.3)
    plot.set_ylim(len(rows) - 0.4, -0.6)
    plot.tick_params(axis="y", length=0)
