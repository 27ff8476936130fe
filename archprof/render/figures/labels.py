"""Labels beside points and at line ends that neither collide nor leave the plot."""

from __future__ import annotations

import contextlib
import io
import math
import warnings
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any

from matplotlib.axes import Axes
from matplotlib.text import Text

from .page import Page
from .refine import Box, Mark, Place, Segment, refine

#: Points (1/72 inch) of a hairline beyond which, in a crowd, it confuses more than the name tells.
FARTHEST = 45.0


def beside_points(
    page: Page,
    plot: Axes,
    points: Sequence[tuple[float, float]],
    named: Mapping[int, str],
    radii: Sequence[float],
    lines: Sequence[tuple[Sequence[float], Sequence[float]]] = (),
    bold: Collection[int] = (),
) -> list[Text]:
    """Write each text of `named` (place in `points` -> text) next to its point, clear of all points (radii in points,
    1/72 inch), lines and each other.

    To be called when the layout is final. textalloc finds places without collisions, the most crowded first;
    `refine` moves those that could be taken for another point's. A hairline ties a label that stands apart. Where
    some points have no name, one that would lie on another or far from its point is left out, but for `bold` ones.
    """
    import textalloc

    if not named:
        return []
    scale = 72 / page.figure.dpi
    at = [*named, *(i for i in range(len(points)) if i not in named)]
    places = [(float(x) * scale, float(y) * scale) for x, y in plot.transData.transform([points[i] for i in at])]
    count = len(named)
    texts = list(named.values())
    order = sorted(
        range(count), key=lambda i: (-sum(math.dist(places[i], other) < 60 for other in places), places[i], texts[i])
    )
    pixels = [radii[i] / scale for i in at]
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        written = textalloc.allocate(
            plot,
            [points[at[i]][0] for i in order],
            [points[at[i]][1] for i in order],
            [texts[i] for i in order],
            x_scatter=[points[i][0] for i in [*(at[i] for i in order), *at[count:]]],
            y_scatter=[points[i][1] for i in [*(at[i] for i in order), *at[count:]]],
            scatter_sizes=[*(pixels[i] for i in order), *pixels[count:]],
            text_scatter_sizes=[pixels[i] for i in order],
            textsize=page.small,
            textcolor=page.theme.ink,
            draw_lines=False,
            margin=0.003,
            min_distance=0.005,
            max_distance=0.25,
            nbr_candidates=80,
            zorder=6,
            x_lines=[list(x) for x, _ in lines] or None,
            y_lines=[list(y) for _, y in lines] or None,
        )[2]
    labels = [written[order.index(i)] for i in range(count)]
    for i, label in enumerate(labels):
        if at[i] in bold:
            label.set_fontweight("bold")
    marks = [Mark(place, radii[i]) for i, place in zip(at, places, strict=True)]
    starts = [_box(text.get_window_extent(page.renderer), scale) for text in labels]
    found = refine(marks, starts, _box(plot.get_window_extent(page.renderer), scale), _segments(plot, lines, scale))
    kept = [i for i in range(count) if at[i] in bold]
    for i in range(count):
        if i in kept:
            continue
        if count == len(points) or not (_is_far(found[i], found, kept) or _collides(found[i].box, found, marks, kept)):
            kept.append(i)
    back = plot.transData.inverted()
    for i, (text, place) in enumerate(zip(labels, found, strict=True)):
        if i not in kept:
            text.remove()
            continue
        centre = ((place.box.x0 + place.box.x1) / 2 / scale, (place.box.y0 + place.box.y1) / 2 / scale)
        text.set(ha="center", va="center", position=back.transform(centre), gid="label")
        if place.tie is not None:
            (x0, y0), (x1, y1) = back.transform([(x / scale, y / scale) for x, y in place.tie])
            plot.plot(
                [x0, x1],
                [y0, y1],
                color=page.theme.muted,
                linewidth=0.5,
                zorder=3.5,
                gid="tie",
                scalex=False,
                scaley=False,
            )
    return [label for i, label in enumerate(labels) if i in kept]


def _is_far(place: Place, found: Sequence[Place], kept: Sequence[int]) -> bool:
    """Whether its hairline is long, or runs across a label that is kept."""
    if place.tie is None:
        return False
    (x0, y0), (x1, y1) = place.tie
    steps = [(x0 + (x1 - x0) * part / 16, y0 + (y1 - y0) * part / 16) for part in range(17)]
    return math.dist(*place.tie) > FARTHEST or any(
        found[i].box.x0 < x < found[i].box.x1 and found[i].box.y0 < y < found[i].box.y1 for i in kept for x, y in steps
    )


def _collides(box: Box, found: Sequence[Place], marks: Sequence[Mark], kept: Sequence[int]) -> bool:
    """Whether the box lies on a label that is kept, or on a mark."""
    if any(_overlap(box, found[i].box) for i in kept):
        return True
    return any(
        math.dist(mark.centre, (min(max(mark.centre[0], box.x0), box.x1), min(max(mark.centre[1], box.y0), box.y1)))
        < mark.radius - 0.5
        for mark in marks
    )


def _overlap(one: Box, other: Box) -> bool:
    return one.x0 < other.x1 and other.x0 < one.x1 and one.y0 < other.y1 and other.y0 < one.y1


def _box(extent: Any, scale: float) -> Box:
    return Box(extent.x0 * scale, extent.y0 * scale, extent.x1 * scale, extent.y1 * scale)


def _segments(plot: Axes, lines: Sequence[tuple[Sequence[float], Sequence[float]]], scale: float) -> list[Segment]:
    out = []
    for xs, ys in lines:
        ends = [
            (float(x) * scale, float(y) * scale) for x, y in plot.transData.transform(list(zip(xs, ys, strict=True)))
        ]
        out += list(pairwise(ends))
    return out


def spread(wanted: Sequence[float], size: float, low: float, high: float) -> list[float]:
    """Centres for intervals of length `size`, as near to `wanted` as they can be without overlap in [low, high].

    Least squares under order constraints: subtracting each one's rank times `size` turns "at least `size` apart" into
    "not decreasing", which pooling adjacent violators solves (Barlow et al. 1972). Where there is no room for all,
    they are spaced evenly.
    """
    order = sorted(range(len(wanted)), key=lambda i: (wanted[i], i))
    if size * len(order) > high - low:
        size = (high - low) / len(order)
    pools: list[list[float]] = []  # [mean, count]
    for rank, i in enumerate(order):
        pools.append([wanted[i] - rank * size, 1])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            mean, count = pools.pop()
            pools[-1] = [
                (pools[-1][0] * pools[-1][1] + mean * count) / (pools[-1][1] + count),
                pools[-1][1] + count,
            ]
    flat = [mean for mean, count in pools for _ in range(int(count))]
    first, last = low + size / 2, high - size / 2 - (len(order) - 1) * size
    out = [0.0] * len(order)
    for rank, i in enumerate(order):
        out[i] = min(max(flat[rank], first), last) + rank * size
    return out


def at_line_ends(page: Page, plot: Axes, ends: Sequence[tuple[float, float]], texts: Sequence[str]) -> list[Text]:
    """Write each text right of the plot at its line's end, spread so that none overlap, tied by a
    hairline.
    """
    if not ends:
        return []
    scale = 72 / page.figure.dpi  # positions in points stay right when a file is written at another dpi
    box = plot.get_window_extent()
    places = plot.transData.transform(ends) * scale
    height = page.small * 1.25
    centres = spread([float(y) for _, y in places], height, box.y0 * scale - 2 * height, box.y1 * scale + height / 2)
    out: list[Text] = []
    for (x, y), centre, text in zip(places, centres, texts, strict=True):
        out.append(
            plot.annotate(
                text,
                xy=(x + 3, y),
                xytext=(box.x1 * scale + 14, centre),
                xycoords="figure points",
                textcoords="figure points",
                va="center",
                ha="left",
                size=page.small,
                color=page.theme.ink,
                annotation_clip=False,
                gid="label",
                arrowprops={
                    "arrowstyle": "-",
                    "color": page.theme.muted,
                    "linewidth": 0.6,
                    "linestyle": (0, (1, 1.2)),
                    "shrinkA": 1.5,
                    "shrinkB": 0,
                    "relpos": (0, 0.5),
                },
            )
        )
    return out


def line_end_margin(page: Page, texts: Sequence[str]) -> float:
    """Inches that `at_line_ends` needs right of the plot."""
    return max((page.text_width(text, page.small) for text in texts), default=0.0) + 18 / 72
