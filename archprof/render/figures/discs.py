"""Accuracy against a cost, each network a disc whose area says a third thing; and the front of any two
measures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from matplotlib.axes import Axes

from ...base.errors import BadOption
from ...results.findings import front_of, usual_batch_size
from . import axes, points
from .conditions import sources
from .measures import MEASURES, Measure, accuracy_title, claims, complete, measure, reliable
from .options import FigureOptions
from .page import Page
from .registry import draws
from .rows import Row


@draws(
    "ball",
    "The ball chart of Canziani, Paszke and Culurciello (arXiv 1605.07678, figure 2). Up is more "
    "accurate, left is cheaper; the area of a disc, not its radius, is proportional to the number of "
    "parameters. Operations and parameters are counted for one image; accuracies are those of "
    "the sources named below, at their protocols.",
)
def ball(page: Page) -> None:
    options = page.options
    cost, percent, weight = MEASURES[options.ops], MEASURES["top1"], MEASURES["parameters"]
    rows, dropped = complete(page.rows, [cost, percent, weight], options, page.comparison)
    xs, ys, sizes = (_values(page, rows, m) for m in (cost, percent, weight))
    wide = options.log or axes.far_apart(xs, 100)
    page.title(
        f"{accuracy_title(options)} against operations",
        f"Disc area is proportional to the number of parameters{'; operations on a logarithmic axis' if wide else ''}",
    )
    plot = page.plot()
    scale = _area_scale(page, sizes)
    _discs(page, plot, rows, xs, ys, [size * scale for size in sizes])
    _size_key(page, sizes, scale, "Params", "M")
    if wide:
        axes.logarithmic(plot.xaxis, xs, 1.6, 1.8)
    else:
        axes.linear(plot.xaxis, *_padded(xs, 0.11, floor=-0.04 * max(xs)))
    axes.linear(plot.yaxis, *_padded(ys, 0.13))
    plot.set_xlabel(cost.label(options))
    plot.set_ylabel(percent_label(page))
    page.note(
        "Mult-Adds count one for each multiply-accumulate."
        if options.ops == "macs"
        else "FLOPs count two for each multiply-accumulate."
    )
    page.note(sources(claims(rows, options), "Accuracy"))
    page.left_out(dropped)
    page.key(rows)
    radii = [math.sqrt(size * scale) / 2 for size in sizes]
    page.finish(_height(page), points.naming(page, plot, rows, xs, ys, radii=radii))


@draws(
    "throughput",
    "Accuracy against measured images per second (Canziani, Paszke and Culurciello, arXiv 1605.07678, "
    "figure 9), disc area proportional to mult-adds. The line is the upper envelope of the times that are reliable: "
    "none of these is both faster and more accurate than one on it. Speeds hold for the machine named; accuracies are "
    "those of the sources named.",
)
def throughput(page: Page) -> None:
    page.options = _at_one_batch_size(page)
    page.measured = True
    options = page.options
    rate, percent, work = MEASURES["throughput"], MEASURES["top1"], MEASURES[options.ops]
    rows, dropped = complete(page.rows, [rate, percent, work], options, page.comparison)
    page.title(
        f"{accuracy_title(options)} against speed",
        f"At batch size {options.batch_size}; disc area is proportional to {work.title}; "
        "the line is the upper envelope",
    )
    plot = page.plot()
    xs, ys, sizes = (_values(page, rows, m) for m in (rate, percent, work))
    scale = _area_scale(page, sizes)
    trusted = [reliable(row, options.batch_size) for row in rows]
    steps = _envelope(page, plot, xs, ys, "high", "high", trusted)
    _discs(page, plot, rows, xs, ys, [size * scale for size in sizes], trusted)
    _size_key(page, sizes, scale, work.title, "G")
    axes.logarithmic(plot.xaxis, xs, 1.5, 1.7)
    axes.linear(plot.yaxis, *_padded(ys, 0.13))
    plot.set_xlabel(rate.label(options))
    plot.set_ylabel(percent_label(page))
    page.doubt(rows, trusted, " and not on the line")
    page.note(sources(claims(rows, options), "Accuracy"))
    page.left_out(dropped)
    page.key(rows)
    radii = [math.sqrt(size * scale) / 2 for size in sizes]
    naming = points.naming(page, plot, rows, xs, ys, steps, ("high", "high"), radii, trusted)
    page.finish(_height(page), naming)


@draws(
    "pareto",
    "The networks that no other one beats on both measures at once, joined by a line; the others are drawn pale.",
)
def pareto(page: Page) -> None:
    x, y = measure(page.options.x, "--x"), measure(page.options.y, "--y")
    if x is y:
        raise BadOption(f"--x and --y are both '{x.name}';", f"give two of: {', '.join(MEASURES)}.")
    page.measured = x.timed or y.timed
    if page.measured:
        page.options = _at_one_batch_size(page)
    rows, dropped = complete(page.rows, [x, y], page.options, page.comparison)
    plot = page.plot()
    xs, ys = (_values(page, rows, m) for m in (x, y))
    trusted = [not page.measured or reliable(row, page.options.batch_size) for row in rows]
    front = _front(xs, ys, x.better, y.better, trusted)
    page.title(
        f"{y.title} against {x.title.lower() if x.unit != 'M' else x.title}",
        f"Joined: the {len(front)} of {len(rows)} that no other beats on both",
    )
    steps = _envelope(page, plot, xs, ys, x.better, y.better, trusted)
    points.mark_all(page, plot, rows, xs, ys, trusted, [i not in front for i in range(len(rows))])
    page.key(rows, markers=True)
    for m, axis, values in ((x, plot.xaxis, xs), (y, plot.yaxis, ys)):
        if m.linear:
            axes.linear(axis, *_padded(values, 0.12))
        else:
            axes.logarithmic(axis, values, 1.5, 1.7)
    plot.set_xlabel(percent_label(page) if x.linear else x.label(page.options))
    plot.set_ylabel(percent_label(page) if y.linear else y.label(page.options))
    if x.linear or y.linear:
        page.note(sources(claims(rows, page.options), "Accuracy"))
    page.doubt(rows, trusted, " and not on the line")
    page.left_out(dropped)
    better = (x.better, y.better)
    page.finish(_height(page), points.naming(page, plot, rows, xs, ys, steps, better, trusted=trusted))


def percent_label(page: Page) -> str:
    return f"{accuracy_title(page.options)} (%)"


def _at_one_batch_size(page: Page) -> FigureOptions:
    return replace(page.options, batch_size=usual_batch_size(page.comparison, page.options.batch_size))


def _values(page: Page, rows: Sequence[Row], wanted: Measure) -> list[float]:
    return [wanted.read(row.result, page.options) or 0.0 for row in rows]


def _area_scale(page: Page, sizes: Sequence[float]) -> float:
    """Square points (the square around the disc) for each unit: the largest disc takes an eighth of the width, or a
    twentieth where there are many.
    """
    diameter = min(page.options.width / (8 if len(sizes) <= points.MANY else 20), 0.8) * 72
    return diameter**2 / max(sizes) if max(sizes) > 0 else 1.0


def _discs(
    page: Page,
    plot: Axes,
    rows: Sequence[Row],
    xs: Sequence[float],
    ys: Sequence[float],
    areas: Sequence[float],
    trusted: Sequence[bool] | None = None,
) -> None:
    """Large discs first, so that small ones lie on top; hollow where the value is not reliable."""
    order = sorted(range(len(rows)), key=lambda i: (rows[i].marked, -areas[i], rows[i].label))
    colours = [page.colour(rows[i]) for i in order]
    full = trusted or [True] * len(rows)
    tints = ["40" if page.options.highlight and not rows[i].marked else "bf" for i in order]
    areas_in_order = [areas[i] for i in order]
    # paper below, so that lines end at a disc's edge although discs let each other shine through
    plot.scatter(
        [xs[i] for i in order],
        [ys[i] for i in order],
        s=areas_in_order,
        marker="o",
        linewidth=0,
        zorder=3,
        facecolor=page.theme.paper,
    )
    plot.scatter(
        [xs[i] for i in order],
        [ys[i] for i in order],
        s=areas_in_order,
        marker="o",
        gid="discs",
        facecolor=[f"{c}{t}" if full[i] else "none" for i, c, t in zip(order, colours, tints, strict=True)],
        edgecolor=[
            page.theme.ink if rows[i].marked else f"{page.edge(c)}{t}" if t != "bf" else page.edge(c)
            for i, c, t in zip(order, colours, tints, strict=True)
        ],
        linewidth=[1.8 if rows[i].marked else 0.8 if len(rows) <= points.MANY else 0.4 for i in order],
        zorder=4,
    )


def _size_key(page: Page, sizes: Sequence[float], scale: float, title: str, unit: str) -> None:
    """Three round sizes in a row, drawn to the scale of the plot."""
    largest = max(sizes)
    if largest <= 0:
        return
    shown = sorted({_round_below(largest * share) for share in (1 / 30, 1 / 5, 1)})
    names = [f"{size:g} {unit}" for size in shown]
    inches = [math.sqrt(size * scale) / 72 for size in shown]
    tall = max(*inches, page.small * 1.3 / 72) + 0.03
    at = page.text_width(title, page.small) + 0.1
    centres = []
    for name, across in zip(names, inches, strict=True):
        centres.append(at + across / 2)
        at += across + 0.04 + page.text_width(name, page.small) + 0.14
    strip = page.strip(at - 0.14, tall)
    strip.text(0, tall / 2, title, size=page.small, color=page.theme.muted, ha="left", va="center")
    strip.scatter(
        centres,
        [tall / 2] * len(shown),
        s=[size * scale for size in shown],
        facecolor=f"{page.theme.muted}40",
        edgecolor=page.theme.muted,
        linewidth=0.8,
        gid="size key",
    )
    for name, centre, across in zip(names, centres, inches, strict=True):
        strip.text(
            centre + across / 2 + 0.04,
            tall / 2,
            name,
            size=page.small,
            color=page.theme.ink,
            ha="left",
            va="center",
        )


def _round_below(value: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is not above `value`."""
    power = 10.0 ** math.floor(math.log10(value))
    return max(digit for digit in (1, 2, 5) if digit * power <= value * (1 + 1e-9)) * power


def _envelope(
    page: Page,
    plot: Axes,
    xs: Sequence[float],
    ys: Sequence[float],
    x_better: str,
    y_better: str,
    trusted: Sequence[bool],
) -> list[tuple[list[float], list[float]]]:
    """Steps along the front of what is trusted: right-angled, since nothing was measured between two networks.

    Returns the steps.
    """
    front = _front(xs, ys, x_better, y_better, trusted)
    corners: list[tuple[float, float]] = []
    for here in front:
        if corners:
            # between two networks a corner is what the better-placed one already reaches
            corners.append((xs[here], corners[-1][1]) if x_better == "low" else (corners[-1][0], ys[here]))
        corners.append((xs[here], ys[here]))
    steps = ([x for x, _ in corners], [y for _, y in corners])
    plot.plot(*steps, color=page.theme.muted, linewidth=1.1, linestyle=(0, (4, 2)), zorder=2, gid="envelope")
    return [steps] if front else []


def _front(
    xs: Sequence[float], ys: Sequence[float], x_better: str, y_better: str, trusted: Sequence[bool]
) -> list[int]:
    """The places of the Pareto front, among the points that are trusted."""
    sure = [i for i, known in enumerate(trusted) if known]
    return [sure[i] for i in front_of([xs[i] for i in sure], [ys[i] for i in sure], x_better, y_better)]


def _padded(values: Sequence[float], share: float, floor: float | None = None) -> tuple[float, float]:
    """Limits with room for discs and labels on both sides."""
    low, high = min(values), max(values)
    room = (high - low or abs(high) or 1.0) * share
    return (low - room if floor is None else floor), high + room


def _height(page: Page) -> float:
    return page.options.width * (0.86 if page.narrow else 0.62)
