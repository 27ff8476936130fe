"""Time against operations, with a straight line for each family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ...base import units
from ...results import regression
from ...results.findings import usual_batch_size
from . import axes, points, style
from .measures import MEASURES, complete, reliable
from .page import Page
from .registry import draws
from .rows import Row

#: Networks that a line is fitted through at least.
FEWEST = 3


@draws(
    "ops-latency",
    "Time per image against operations at one batch size, with a least-squares line through each family "
    "of at least three networks (Canziani, Paszke and Culurciello, arXiv 1605.07678, figure 7). Slope and "
    "R^2 stand in the key; through two networks a line goes whatever they are. Hollow marks are not reliable and are "
    "in no fit.",
)
def ops_latency(page: Page) -> None:
    size = usual_batch_size(page.comparison, page.options.batch_size)
    page.options = replace(page.options, batch_size=size)
    work, time = MEASURES[page.options.ops], MEASURES["latency"]
    rows, dropped = complete(page.rows, [work, time], page.options, page.comparison)
    xs = [work.read(row.result, page.options) or 0.0 for row in rows]
    ys = [time.read(row.result, page.options) or 0.0 for row in rows]
    trusted = [reliable(row, size) for row in rows]
    page.measured = True
    wide = page.options.log or axes.far_apart(xs, 30)
    page.title(
        "Time per image against operations",
        f"At batch size {size}; lines: least squares within a family{'; both axes logarithmic' if wide else ''}",
    )
    plot = page.plot()
    handles, keys, lines = [], [], []
    others = _others(page, rows)
    apart = {row.family for row in rows}.difference(others)
    for family in sorted(apart, key=lambda name: _slowest_first(rows, ys, name)):
        members = [i for i, row in enumerate(rows) if row.family == family]
        look = page.styles[family]
        mark = points.mark_all(page, plot, *_picked(members, rows, xs, ys, trusted))
        fitted = [i for i in members if trusted[i]]
        # a line through two points fits whatever they are
        enough = len(fitted) >= FEWEST
        fit = regression.line([xs[i] for i in fitted], [ys[i] for i in fitted]) if enough else None
        if fit:
            low, high = min(xs[i] for i in fitted), max(xs[i] for i in fitted)
            # a line with an intercept bends on logarithmic axes, and stops where it would fall below 0
            places = [low * (high / low) ** (step / 40) for step in range(41)] if wide else [low, high]
            ends = [x for x in places if fit.intercept + fit.slope * x > 0]
            heights = [fit.intercept + fit.slope * x for x in ends]
            plot.plot(ends, heights, color=look.colour, linewidth=1.3, zorder=3, gid=f"fit {family}")
            lines.append((ends, heights))
        handles.append(mark)
        keys.append(f"{family}{_fit_words(fit)}")
    if others:
        members = [i for i, row in enumerate(rows) if row.family in others]
        handles.append(points.mark_all(page, plot, *_picked(members, rows, xs, ys, trusted)))
        keys.append(f"{len(others)} other {'families' if len(others) > 1 else 'family'}")
    page.legend(handles, keys)
    if wide:
        axes.logarithmic(plot.xaxis, xs, 1.5, 1.7)
        axes.logarithmic(plot.yaxis, ys, 1.5, 1.5)
    else:
        axes.linear(plot.xaxis, -0.03 * max(xs), max(xs) * 1.13)
        axes.linear(plot.yaxis, -0.03 * max(ys), max(ys) * 1.1)
    plot.set_xlabel(work.label(page.options))
    plot.set_ylabel(time.label(page.options))
    page.doubt(rows, trusted, " and in no fit")
    page.left_out(dropped)
    page.finish(
        page.options.width * (0.95 if page.narrow else 0.66),
        points.naming(page, plot, rows, xs, ys, lines, better=("low", "low")),
    )


def _fit_words(fit: regression.Line | None) -> str:
    if fit is None:
        return ""
    slope = f": {units.significant(fit.slope, 3)} ms/G"
    return slope if fit.r2 is None else f"{slope}, R² {fit.r2:.3f}"


def _others(page: Page, rows: Sequence[Row]) -> list[str]:
    """The families that share a colour, which have one key and no line: they could not be told apart."""
    return sorted({row.family for row in rows if page.styles[row.family] == style.OTHER})


def _picked(places: Sequence[int], *columns: Sequence[Any]) -> list[list[Any]]:
    return [[column[i] for i in places] for column in columns]


def _slowest_first(rows: Sequence[Row], ys: Sequence[float], family: str) -> tuple[float, str]:
    return -max(y for row, y in zip(rows, ys, strict=True) if row.family == family), family
