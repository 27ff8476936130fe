"""Edits of a network: mult-adds, predicted time and, where there is one, measured time, each over the network's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.lines import Line2D

from ...base.errors import BadOption, printable
from ...results.comparison import ArchitectureResult, Comparison
from ...results.whatif import Variant, WhatIf
from . import axes, style
from .options import FigureOptions
from .page import Page
from .save import save
from .style import pinned_settings

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw", "save"]

#: Characters of an edit beside its row.
LONGEST = 34

#: How far the marks of one row lie apart from its middle.
APART = 0.22

_COUNTED, _PREDICTED, _MEASURED = style.GREY, style.ORANGE, style.BLUE


def draw(found: WhatIf, options: FigureOptions | None = None) -> Figure:
    """A row for each variant. Predicted times are hollow diamonds with their intervals, measured ones full discs.

    Raises BadOption where no variant has a time.
    """
    rows = [one for one in found.edited if one.predicted_seconds is not None]
    if not rows or found.base.measured_seconds is None:
        raise BadOption("no variant has a predicted time;", "there is nothing to draw.")
    context = Comparison(found.environment, (ArchitectureResult(found.name, found.source),), archprof=found.archprof)
    with pinned_settings():
        page = Page(context, options or FigureOptions())
        _fill(page, found, rows)
        return page.figure


def _fill(page: Page, found: WhatIf, rows: list[Variant]) -> None:
    base = found.base.measured_seconds
    assert base is not None
    verified = any(one.measured_seconds is not None for one in rows)
    page.title(f"What edits of {found.name} cost", f"Mult-adds and time of a pass at batch size {found.batch_size}")
    page.measured = True
    plot = page.plot()
    ends = [1.0]
    for place, one in enumerate(rows):
        ends += _row(page, plot, place, one, found, base)
    looks = [(_COUNTED, "s", _COUNTED, "Mult-adds"), (_PREDICTED, "D", page.theme.paper, "Time, predicted")]
    looks += [(_MEASURED, "o", _MEASURED, "Time, measured")] if verified else []
    page.legend(
        [
            Line2D([], [], color=colour, marker=marker, markersize=5, markerfacecolor=face, linestyle="")
            for colour, marker, face, _ in looks
        ],
        [label for *_, label in looks],
    )
    plot.axvline(1.0, color=page.theme.muted, linewidth=0.9, zorder=2)
    axes.linear(plot.xaxis, 0.0, 1.05 * max(ends))
    plot.set_yticks(range(len(rows)), [_named(one) for one in rows])
    plot.set_ylim(len(rows) - 0.4, -0.6)
    plot.set_xlabel("Ratio to the network as it is")
    page.note(
        f"Bars hold the true time of {100 * found.level:.0f} edits in 100."
        + ("" if found.alone else " Edits with + follow on those above.")
    )
    doubted = [one for one in rows if one.latency is not None and not one.latency.reliable]
    if doubted:
        page.note("Hollow discs are not reliable.")
    if found.base.latency is not None and not found.base.latency.reliable:
        page.note("The time of the network as it is is not reliable.")
    failed = [(_named(one), "failed") for one in found.edited if one.error is not None]
    page.left_out(failed)
    page.finish(1.3 + 0.42 * len(rows))


def _row(page: Page, plot: Axes, place: int, one: Variant, found: WhatIf, base: float) -> list[float]:
    """Draw a variant's marks; the ratios that must be seen."""
    seen = []
    if found.base.macs:
        seen.append(one.macs / found.base.macs)
        plot.plot([seen[0]], [place - APART], "s", color=_COUNTED, markersize=5, zorder=4, gid="macs")
    assert one.predicted_seconds is not None and one.predicted_interval is not None
    ratio, low, high = (seconds / base for seconds in (one.predicted_seconds, *one.predicted_interval))
    plot.errorbar(
        [ratio],
        [place],
        xerr=[[ratio - low], [high - ratio]],
        fmt="D",
        color=_PREDICTED,
        markerfacecolor=page.theme.paper,
        markersize=5,
        elinewidth=1.2,
        zorder=4,
    )[0].set_gid("predicted")
    if one.measured_seconds is not None and one.latency is not None:
        measured = one.measured_seconds / base
        face = _MEASURED if one.latency.reliable else page.theme.paper
        plot.plot(
            [measured],
            [place + APART],
            "o",
            color=_MEASURED,
            markerfacecolor=face,
            markersize=5,
            zorder=4,
            gid="measured",
        )
        seen.append(measured)
    return [*seen, high]


def _named(one: Variant) -> str:
    return printable(f"{'+ ' if len(one.edits) > 1 else ''}{one.edit}", LONGEST)
