"""The figure of a history: what budgets' models cost, commit by commit."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

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
    from .style import FamilyStyle

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

    from . import style

    dates = list(dict.fromkeys((history[0].committed[:10], history[-1].committed[:10])))
    page.title(f"Budgets over {len(history)} commit{'s' * (len(history) > 1)}", " to ".join(dates))
    columns = 1 if page.narrow else 2 if len(plots) == 4 else len(plots)
    rows = -(-len(plots) // columns)
    grid = [plot for row in page.plots(rows, columns) for plot in row]
    looks = style.styles_apart(list(names.values()))  # judged over all, so that --only recolours nothing
    broken = [_measure(page, axes, history, names, looks, plot) for axes, plot in zip(grid, plots, strict=True)]
    handles = [
        Line2D([], [], color=look.colour, marker=look.marker, markersize=4, linewidth=1.2)
        for look in (looks[row.name] for row in page.rows)
    ]
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
    page: Page,
    plot: Axes,
    history: Sequence[Recorded],
    names: dict[tuple[str, str], str],
    looks: dict[str, FamilyStyle],
    what: _Plot,
) -> tuple[bool, bool]:
    """Draw one measure; whether it has a limit somewhere, and a value beyond one."""
    shown = {row.name for row in page.rows}
    drawn = []
    for key, name in names.items():
        if name in shown:
            costs = [next((one for one in line.budgets if one.key == key), None) for line in history]
            drawn.append(_budget(page, plot, costs, name, looks[name], what))
    _dress(plot, what, [value for one in drawn for value in one.values])
    _commits(plot, history, TICKS_NARROW if page.narrow or len(plot.figure.axes) == 3 else TICKS)
    plot.set_title(what.heading, size=page.small, color=page.theme.ink, loc="left", pad=4)
    return any(one.limited for one in drawn), any(one.beyond for one in drawn)


class _Drawn(NamedTuple):
    """What was drawn of one budget: every value, whether it has a limit, and whether it was beyond it."""

    values: list[float]
    limited: bool
    beyond: bool


def _budget(page: Page, plot: Axes, costs: Sequence[Costs | None], name: str, look: FamilyStyle, what: _Plot) -> _Drawn:
    """One budget's line, with gaps where it was not counted, its limits, and rings around what was beyond them."""
    places = range(len(costs))
    limits = [_limit(one, what.measure) if one else None for one in costs]
    values = [_known(_value(one, what.measure) if one else None) for one in costs]
    bounds = [_known(held.bound if held else None) for held in limits]
    plot.plot(
        places,
        values,
        color=look.colour,
        linewidth=1.2,
        marker=look.marker,
        markersize=3 if len(costs) < 60 else 0,
        zorder=4,
        gid=f"{what.measure} {name}",
    )
    dashes = (0, (3, 2))
    limited = not all(map(math.isnan, bounds))
    if limited:
        gid = f"limit {what.measure} {name}"
        plot.plot(places, bounds, color=look.colour, linewidth=1.0, linestyle=dashes, alpha=0.8, zorder=2, gid=gid)
        if len(costs) == 1:  # a line of one point is none
            plot.axhline(bounds[0], color=look.colour, linewidth=1.0, linestyle=dashes, alpha=0.8, zorder=2)
    spans = [(place, *held.interval) for place, held in enumerate(limits) if held and held.interval]
    if spans:
        plot.vlines(*zip(*spans, strict=True), color=look.colour, linewidth=0.9, zorder=3)
    beyond = [place for place, held in enumerate(limits) if held and held.status in ("over", "under")]
    if beyond:
        size = 8 if len(costs) < 30 else 6
        ring = plot.plot(beyond, [values[place] for place in beyond], color=page.theme.ink, linestyle="", zorder=5)[0]
        ring.set(marker="o", markersize=size, fillstyle="none", clip_on=False)
    drawn = [*values, *bounds, *(end for _, *ends in spans for end in ends)]
    return _Drawn([value for value in drawn if not math.isnan(value)], limited, bool(beyond))


def _known(value: float | None) -> float:
    return math.nan if value is None else value


def _dress(plot: Axes, what: _Plot, values: Sequence[float]) -> None:
    """The axis of amounts: logarithmic where they are far apart, else with round ticks, of a binary unit for memory."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

    from . import axes

    if values and axes.far_apart(values, 20):
        axes.logarithmic(plot.yaxis, values)
    else:
        plot.margins(y=0.12)
        low, high = plot.get_ylim()
        unit = 1024 ** int(math.log(max(*values, 1), 1024)) if what.shown is units.size and values else 1
        ticks = MaxNLocator(5).tick_values(low / unit, high / unit)
        plot.yaxis.set_major_locator(FixedLocator([unit * tick for tick in ticks]))
        plot.set_ylim(low, high)
    plot.yaxis.set_major_formatter(FuncFormatter(lambda value, _: what.shown(value)))


def _commits(plot: Axes, history: Sequence[Recorded], most: int) -> None:
    """The axis of commits: a few are named."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    plot.xaxis.set_major_locator(FixedLocator(_ticks(len(history), most)))
    plot.xaxis.set_minor_locator(NullLocator())
    plot.xaxis.set_major_formatter(FuncFormatter(lambda value, _: history[round(value)].commit[:7]))
    plot.set_xlim(-0.5, len(history) - 0.5)


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
