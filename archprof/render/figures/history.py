"""The figure of a history: what budgets' models cost, commit by commit."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ...base import units
from ...base.errors import BadOption
from ...results.comparison import ArchitectureResult, Comparison
from ...results.history import Costs, Held, Recorded
from .options import FigureOptions

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    from .page import Page

#: Every kind, by name, with one line for a list.
KINDS = {"history": "parameters, mult-adds, memory and relative latency of budgets by commit (--from history.jsonl)"}

#: Lines in a plot at most.
MOST = 20

#: Commits that are named below a plot.
TICKS, TICKS_NARROW = 4, 3


class _Plot(NamedTuple):
    """One plot: a measure, what its axis is called, and how an amount is written."""

    measure: str
    heading: str
    shown: Callable[[float], str]


_PLOTS = (
    _Plot("parameters", "Parameters", units.count),
    _Plot("macs", "Mult-Adds", units.count),
    _Plot("peak_activation_bytes", "Peak activations", units.size),
    _Plot("latency", "Latency / reference", lambda value: f"{value:g}"),
)


def draw(history: Sequence[Recorded], options: FigureOptions | None = None) -> Figure:
    """A plot for each measure that is there, a line for each budget. Raises BadOption where nothing was counted."""
    from .page import Page
    from .style import pinned_settings

    names = _names(history)
    plots = [
        plot
        for plot in _PLOTS
        if any(_value(one, plot.measure) is not None for line in history for one in line.budgets)
    ]
    if not plots:
        raise BadOption("the history has no count of any budget;", "archprof check --record FILE adds to it.")
    newest = history[-1]
    comparison = Comparison(
        environment={},
        architectures=tuple(ArchitectureResult(name, "budget") for name in names.values()),
        archprof=newest.archprof,
    )
    with pinned_settings():
        page = Page(comparison, options or FigureOptions())
        page.refuse_more_than(MOST, page.rows)
        _drawn(page, history, names, plots)
        return page.figure


def _names(history: Sequence[Recorded]) -> dict[tuple[str, str], str]:
    """What each budget is called: by its file too where there are several."""
    keys = dict.fromkeys(one.key for line in history for one in line.budgets)
    several = len({file for file, _ in keys}) > 1
    return {(file, budget): f"{file}: {budget}" if several else budget for file, budget in keys}


def _value(one: Costs, measure: str) -> float | None:
    if measure != "latency":
        return one.counts.get(measure)
    held = _limit(one, measure)
    return held.value if held else None


def _limit(one: Costs, measure: str) -> Held | None:
    """The first limit of a measure that is an amount."""
    return next((held for held in one.limits if held.measure == measure and held.growth is None), None)


def _drawn(page: Page, history: Sequence[Recorded], names: dict[tuple[str, str], str], plots: Sequence[_Plot]) -> None:
    from matplotlib.lines import Line2D

    dates = list(dict.fromkeys((history[0].committed[:10], history[-1].committed[:10])))
    page.title(f"Budgets over {len(history)} commit{'s' * (len(history) > 1)}", " to ".join(dates))
    columns = 1 if page.narrow else 2 if len(plots) == 4 else len(plots)
    rows = -(-len(plots) // columns)
    grid = [plot for row in page.plots(rows, columns) for plot in row]
    broken = [_measure(page, axes, history, names, plot) for axes, plot in zip(grid, plots, strict=True)]
    looks = [page.look(row) for row in page.rows]
    handles = [Line2D([], [], color=look.colour, marker=look.marker, markersize=4, linewidth=1.2) for look in looks]
    labels = [row.label for row in page.rows]
    if any(limited for limited, _ in broken):
        handles.append(Line2D([], [], color=page.theme.muted, linewidth=1.0, linestyle=(0, (3, 2))))
        labels.append("limit")
    if any(over for _, over in broken):
        handles.append(_ring(page))
        labels.append("beyond its limit")
    page.legend(handles, labels)
    _notes(page, history, names)
    page.finish(page.options.width * (0.6 * rows if page.narrow else 0.34 * rows))


def _measure(
    page: Page, plot: Axes, history: Sequence[Recorded], names: dict[tuple[str, str], str], what: _Plot
) -> tuple[bool, bool]:
    """Draw one measure; whether it has a limit somewhere, and a value beyond one."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

    from . import axes

    shown_rows = {row.name: row for row in page.rows}
    everything: list[float] = []
    limited = over = False
    for key, name in names.items():
        if (row := shown_rows.get(name)) is None:
            continue
        costs = [next((one for one in line.budgets if one.key == key), None) for line in history]
        values = [_value(one, what.measure) if one else None for one in costs]
        limits = [_limit(one, what.measure) if one else None for one in costs]
        look = page.look(row)
        places = range(len(history))
        plot.plot(
            places,
            [math.nan if value is None else value for value in values],
            color=look.colour,
            linewidth=1.2,
            marker=look.marker,
            markersize=3 if len(history) < 60 else 0,
            zorder=4,
            gid=f"{what.measure} {name}",
        )
        bounds = [held.bound if held and held.bound is not None else math.nan for held in limits]
        if not all(map(math.isnan, bounds)):
            limited = True
            line: dict[str, Any] = {"color": look.colour, "linewidth": 1.0, "linestyle": (0, (3, 2)), "alpha": 0.8}
            if len(history) == 1:
                plot.axhline(bounds[0], **line, zorder=2)
            plot.plot(places, bounds, **line, zorder=2, gid=f"limit {what.measure} {name}")
        for place, (value, held) in enumerate(zip(values, limits, strict=True)):
            if value is None:
                continue
            if held and held.interval:
                plot.vlines(place, *held.interval, color=look.colour, linewidth=0.9, zorder=3)
                everything += held.interval
            if held and held.status in ("over", "under"):
                over = True
                plot.plot([place], [value], marker="o", markersize=8, fillstyle="none", color=page.theme.ink, zorder=5)
        everything += [value for value in (*values, *bounds) if value is not None and not math.isnan(value)]
    if everything and axes.far_apart(everything, 20):
        axes.logarithmic(plot.yaxis, everything)
    else:
        plot.margins(y=0.12)
        plot.yaxis.set_major_locator(MaxNLocator(nbins=5))
    plot.yaxis.set_major_formatter(FuncFormatter(lambda value, _: what.shown(value)))
    ticks = _ticks(len(history), TICKS_NARROW if page.narrow or len(plot.figure.axes) == 3 else TICKS)
    plot.xaxis.set_major_locator(FixedLocator(ticks))
    plot.xaxis.set_minor_locator(NullLocator())
    plot.xaxis.set_major_formatter(FuncFormatter(lambda value, _: history[round(value)].commit[:7]))
    plot.set_xlim(-0.5, len(history) - 0.5)
    plot.set_title(what.heading, size=page.small, color=page.theme.ink, loc="left", pad=4)
    return limited, over


def _ticks(count: int, most: int) -> list[int]:
    """Places from the first to the last, evenly."""
    if count <= most:
        return list(range(count))
    return sorted({round(place * (count - 1) / (most - 1)) for place in range(most)})


def _ring(page: Page) -> Line2D:
    from matplotlib.lines import Line2D

    return Line2D([], [], marker="o", markersize=7, fillstyle="none", color=page.theme.ink, linestyle="")


def _notes(page: Page, history: Sequence[Recorded], names: dict[tuple[str, str], str]) -> None:
    shown = {row.name: row.label for row in page.rows}
    references = dict.fromkeys(
        f"{held.reference} at batch {held.batch_size}"
        for line in history
        for one in line.budgets
        if names[one.key] in shown and (held := _limit(one, "latency")) and held.value is not None
    )
    if references:
        page.note(f"Latency is relative to {', '.join(references)}; bars are 95 % intervals.")
    if changed := sum(line.changed_files > 0 for line in history):
        page.note(f"{changed} of {len(history)} commits had files changed since.")
    failed: dict[str, list[str]] = {}
    for line in history:
        for one in line.budgets:
            if one.error is not None and names[one.key] in shown:
                failed.setdefault(shown[names[one.key]], []).append(line.commit[:7])
    for label, commits in failed.items():
        page.note(f"{label} could not be counted at {', '.join(commits[:5])}{', ...' if len(commits) > 5 else ''}.")
