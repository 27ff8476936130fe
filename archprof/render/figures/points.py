"""Networks as small marks of one size, and the names of those that are named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.collections import PathCollection

from ...results.findings import front_of
from .labels import beside_points
from .page import Page
from .rows import Row
from .style import FamilyStyle

#: More networks than that are not all named: the front is, and whatever --highlight and --label name.
MANY = 40

#: How much of its colour a mark keeps beside highlighted ones.
PALE = 0.35


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
        **{"edgecolor": page.edge(look.colour), "linewidth": 0.6, "zorder": 4, "gid": gid, **more},
    )


def mark_all(
    page: Page,
    plot: Axes,
    rows: Sequence[Row],
    xs: Sequence[float],
    ys: Sequence[float],
    trusted: Sequence[bool] | None = None,
    pale: Sequence[bool] | None = None,
) -> PathCollection:
    """A mark for each row, hollow where its value is not trusted, highlighted ones ringed and the others pale.

    Returns the mark that stands for them in a key: a full one, if there is any.
    """
    sure = trusted or [True] * len(rows)
    faint = pale or [bool(page.options.highlight)] * len(rows)
    groups: dict[tuple[bool, bool, bool, str], list[int]] = {}
    for i, row in enumerate(rows):
        groups.setdefault((row.marked, sure[i], faint[i] and not row.marked, row.family), []).append(i)
    drawn = {}
    for (marked, filled, paler, family), places in groups.items():
        ringed: dict[str, Any] = {"edgecolor": page.theme.ink, "linewidth": 1.6, "zorder": 5} if marked else {}
        at = [xs[i] for i in places], [ys[i] for i in places]
        alpha = PALE if paler else 1
        drawn[marked, not filled] = mark(page, plot, *at, page.styles[family], filled=filled, alpha=alpha, **ringed)
    return drawn[min(drawn)]


def naming(
    page: Page,
    plot: Axes,
    rows: Sequence[Row],
    xs: Sequence[float],
    ys: Sequence[float],
    lines: Sequence[tuple[list[float], list[float]]] = (),
    better: tuple[str, str] = ("low", "high"),
    radii: Sequence[float] | None = None,
    trusted: Sequence[bool] | None = None,
) -> Callable[[], object]:
    """What writes the names beside the marks when the layout is final; the small print says which, where not all.

    `better` says of each axis whether 'low' or 'high' is. Names keep clear of all marks (radii in points, 1/72 inch),
    of each other and of `lines`.
    """
    sizes = radii or [_diameter(page) / 2] * len(rows)
    shown = _named(page, rows, xs, ys, better, trusted)
    bold = {i for i, row in enumerate(rows) if row.marked}
    texts = {i: rows[i].label for i in shown}
    return lambda: beside_points(page, plot, list(zip(xs, ys, strict=True)), texts, sizes, lines, bold)


def _named(
    page: Page,
    rows: Sequence[Row],
    xs: Sequence[float],
    ys: Sequence[float],
    better: tuple[str, str],
    trusted: Sequence[bool] | None,
) -> list[int]:
    """The places of the rows whose names are written: all, or where there are many the front and the named ones."""
    if len(rows) <= MANY:
        return list(range(len(rows)))
    sure = [i for i in range(len(rows)) if trusted is None or trusted[i]]
    front = [sure[i] for i in front_of([xs[i] for i in sure], [ys[i] for i in sure], *better)]
    asked = " and those asked for" if any(row.named for row in rows) else ""
    page.note(f"Named, where there is room: of {len(rows):,} the {len(front)} that no other beats on both axes{asked}.")
    return sorted({*front, *(i for i, row in enumerate(rows) if row.named)})


def _diameter(page: Page) -> float:
    """In points (1/72 inch)."""
    return 5.0 if page.narrow else 6.5
