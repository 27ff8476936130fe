"""Networks as small marks of one size, each with its name beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.collections import PathCollection

from .labels import beside_points
from .page import Page
from .rows import Row
from .style import FamilyStyle


def mark(
    page: Page,
    plot: Axes,
    xs: Sequence[float],
    ys: Sequence[float],
    look: FamilyStyle,
    gid: str = "point",
    filled: bool = True,
    **more: Any,
) -> PathCollection:
    """Marks in the style of a family at those places; hollow where not `filled`."""
    return plot.scatter(
        xs,
        ys,
        s=_diameter(page) ** 2,
        marker=look.marker,
        facecolor=look.colour if filled else page.theme.paper,
        edgecolor=page.edge(look.colour),
        linewidth=0.6,
        zorder=4,
        gid=gid,
        **more,
    )


def name(
    page: Page,
    plot: Axes,
    rows: Sequence[Row],
    xs: Sequence[float],
    ys: Sequence[float],
    lines: Sequence[tuple[Sequence[float], Sequence[float]]] = (),
) -> None:
    """Write each network's label beside its mark, clear of the others and of `lines`, when the layout is final."""
    radii = [_diameter(page) / 2] * len(rows)
    beside_points(page, plot, list(zip(xs, ys, strict=True)), [row.label for row in rows], radii, lines)


def _diameter(page: Page) -> float:
    """In points (1/72 inch)."""
    return 5.0 if page.narrow else 6.5
