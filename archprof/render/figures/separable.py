"""The ratio 1/N + 1/Dk^2 against N with a network's layers on it, beside the ratio that the clock gives."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from ...results.comparison import ArchitectureResult, Comparison
from ...separable.formula import by
from ...separable.records import LayerComparison, NetworkComparison
from . import axes, style
from .labels import at_line_ends, line_end_margin
from .options import FigureOptions
from .page import Page
from .save import save
from .style import pinned_settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw", "save"]

#: Kernels whose curves are always shown.
KERNELS = ((3, 3), (5, 5), (7, 7))

_COLOURS = (style.BLUE, style.ORANGE, style.GREEN, style.VERMILLION, style.PURPLE, style.SKY, style.GREY)
_MARKERS = ("o", "s", "D", "^", "v", "P", "X")


def draw(record: LayerComparison | NetworkComparison, options: FigureOptions | None = None) -> Figure:
    """Ratio of mult-adds by the formula, layers as counted on it; beside it the measured ratios, if any.

    Curves are those of 3x3, 5x5, 7x7 and of whatever kernels the layers have, each with its asymptote 1/Dk^2.
    """
    options = options or FigureOptions()
    layers = record.layers if isinstance(record, NetworkComparison) else (record,)
    with pinned_settings():
        page = Page(_context(record), options)
        _fill(page, layers)
        return page.figure


def _fill(page: Page, layers: Sequence[LayerComparison]) -> None:
    areas = sorted({prod(kernel) for kernel in KERNELS} | {prod(layer.convolution.kernel) for layer in layers})
    looks = {
        area: (_COLOURS[place % len(_COLOURS)], _MARKERS[place % len(_MARKERS)]) for place, area in enumerate(areas)
    }
    timed = [layer for layer in layers if layer.timing is not None and layer.timing.ratio is not None]
    measured = [layer.timing.ratio_ci95 for layer in timed if layer.timing is not None]
    outputs = [layer.convolution.out_channels for layer in layers]
    ends = max(1024, 2 * max(outputs))
    ratios = [float(layer.ratio) for layer in layers] + [end for pair in measured if pair for end in pair]
    page.title(
        "What a depthwise separable convolution leaves of the mult-adds" + (" and the time" if timed else ""),
        "Separable over standard; curves 1/N + 1/Dk², dashed their asymptotes 1/Dk²; both axes logarithmic",
    )
    page.legend(
        [Line2D([], [], color=colour, marker=marker, markersize=4) for colour, marker in looks.values()],
        [_named(area, layers) for area in looks],
        title="Kernel",
        handlelength=1.8,
    )
    names = [f"1/{area}" for area in areas]
    plots = _plots(page, 2 if timed else 1)
    for plot in plots:
        _curves(plot, looks, ends)
        axes.logarithmic(plot.xaxis, [2, ends], 1.0, 1.0)
        axes.logarithmic(plot.yaxis, [*ratios, 1 / max(areas), 0.6])
        plot.set_xlabel("Output channels N")
    plots[0].set_ylabel("Ratio of mult-adds")
    _points(page, plots[0], layers, looks)
    if timed:
        plots[1].set_ylabel("Ratio of measured time")
        _clock(page, plots[1], timed, looks)
        page.note(
            "Measured: the two bare convolutions after one another, over the standard one; bars are "
            "95 % intervals, hollow marks are not reliable."
        )
    else:
        page.note("Time was not measured (it is, with --measure).")
        page.right_margin = line_end_margin(page, names)

    def name_asymptotes() -> None:
        if not timed:
            at_line_ends(page, plots[0], [(ends, 1 / area) for area in areas], names)

    tall = 0.9 * len(plots) if page.narrow else 0.55
    page.finish(page.options.width * tall, name_asymptotes)


def _plots(page: Page, count: int) -> list[Axes]:
    grid = page.plots(count, 1) if page.narrow else page.plots(1, count)
    return [plot for row in grid for plot in row]


def _curves(plot: Axes, looks: dict[int, tuple[str, str]], ends: int) -> None:
    channels = [2 * (ends / 2) ** (step / 60) for step in range(61)]
    for area, (colour, _) in looks.items():
        plot.plot(
            channels, [1 / n + 1 / area for n in channels], color=colour, linewidth=1.2, zorder=3, gid=f"curve {area}"
        )
        plot.axhline(
            1 / area, color=colour, linewidth=0.9, linestyle=(0, (4, 3)), alpha=0.8, zorder=2, gid=f"asymptote {area}"
        )


def _points(page: Page, plot: Axes, layers: Sequence[LayerComparison], looks: dict[int, tuple[str, str]]) -> None:
    """One mark for each different place, however many layers share it."""
    places = {(layer.convolution.out_channels, float(layer.ratio), prod(layer.convolution.kernel)) for layer in layers}
    for n, ratio, area in sorted(places):
        colour, marker = looks[area]
        plot.plot(
            [n],
            [ratio],
            linestyle="",
            marker=marker,
            markersize=5,
            color=colour,
            zorder=5,
            gid="layer",
            markeredgecolor=page.edge(colour),
            markeredgewidth=0.6,
        )
    page.note(
        f"{len(layers)} layer{'s' if len(layers) != 1 else ''} at {len(places)} different "
        f"place{'s' if len(places) != 1 else ''}, counted by running them."
    )


def _clock(page: Page, plot: Axes, layers: Sequence[LayerComparison], looks: dict[int, tuple[str, str]]) -> None:
    seen = {layer.convolution: layer for layer in layers}
    for layer in seen.values():
        timing, (colour, marker) = layer.timing, looks[prod(layer.convolution.kernel)]
        assert timing is not None and timing.ratio is not None and timing.ratio_ci95 is not None
        low, high = timing.ratio_ci95
        sure = timing.standard.reliable and timing.separable.reliable
        plot.errorbar(
            [layer.convolution.out_channels],
            [timing.ratio],
            yerr=[[max(timing.ratio - low, 0.0)], [max(high - timing.ratio, 0.0)]],
            fmt=marker,
            markersize=5,
            color=colour,
            markerfacecolor=colour if sure else page.theme.paper,
            elinewidth=0.9,
            markeredgecolor=page.edge(colour),
            markeredgewidth=0.6,
            zorder=5,
            gid="measured",
        )


def _named(area: int, layers: Sequence[LayerComparison]) -> str:
    """'3x3', or the several kernels of that many positions: '1x7, 7x1'."""
    kernels = sorted({layer.convolution.kernel for layer in layers} | set(KERNELS))
    return ", ".join(by(kernel) for kernel in kernels if prod(kernel) == area)


def _context(record: LayerComparison | NetworkComparison) -> Comparison:
    """What a page says of its subject: the network's name, and under which conditions times were taken."""
    environment = record.machine.environment if record.machine is not None else {}
    result = (
        ArchitectureResult(record.name, record.before.source, profile=record.before)
        if isinstance(record, NetworkComparison)
        else ArchitectureResult("layer", "")
    )
    return Comparison(environment, (result,))
