"""One network along its depth."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from ...base.errors import BadOption
from ...results.profile import LayerCost
from . import axes
from .breakdown import type_colours
from .page import Page
from .registry import draws


@draws(
    "layers",
    "Mult-adds and output elements of each layer that multiplies, in the order in which they run: where "
    "a network spends, and where it holds most. Layers without mult-adds (activation, pooling, "
    "normalisation) are left out.",
)
def layers(page: Page) -> None:
    if len(page.rows) != 1:
        raise BadOption(
            f"'layers' shows one network, and there are {len(page.rows)}:",
            f"choose with --only: {', '.join(row.name for row in page.rows)}.",
        )
    row = page.rows[0]
    profile = row.result.profile
    if profile is None or not profile.layers:
        reason = f" ({row.result.error})" if row.result.error else ""
        raise BadOption(
            f"{row.name} has no layer-by-layer count{reason};",
            "give a name, or a file saved by 'archprof compare --json'.",
        )
    shown = [layer for layer in profile.layers if layer.macs]
    if not shown:
        raise BadOption(f"{row.name} has no layer with mult-adds.")
    types = sorted(
        {layer.type for layer in shown},
        key=lambda name: (-sum(layer.macs or 0 for layer in shown if layer.type == name), name),
    )
    colours = type_colours(types)
    shape = "x".join(map(str, profile.input_shape))
    page.title(f"{row.label}: cost along its depth", f"{len(shown)} layers with mult-adds, one image of {shape}")
    page.legend(
        [Patch(facecolor=colours[name], edgecolor="none") for name in types],
        types,
        handlelength=0.9,
        handleheight=0.9,
    )
    above, below = (line[0] for line in page.plots(2, 1))
    batch = profile.batch_size
    for plot, values, label in (
        (above, [(layer.macs or 0) / batch / 1e6 for layer in shown], "Mult-Adds (M)"),
        (below, [layer.activations / batch / 1e6 for layer in shown], "Activations (M)"),
    ):
        plot.bar(
            range(1, len(shown) + 1),
            values,
            width=0.84,
            color=[colours[layer.type] for layer in shown],
            linewidth=0,
            gid="bars",
        )
        axes.linear(plot.yaxis, 0, max([*values, 1e-9]) * (1.16 if plot is above else 1.05))
        plot.set_xlim(0.3, len(shown) + 0.7)
        plot.set_ylabel(label)
        plot.grid(visible=False, axis="x")
        plot.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    above.tick_params(axis="x", labelbottom=False)
    below.set_xlabel("Layer, in order of execution")
    if profile.uncounted:
        page.note(f"Not counted: {', '.join(f'{item.op} ({item.calls})' for item in profile.uncounted)}.")
    page.finish(page.options.width * (1.0 if page.narrow else 0.6), lambda: _stages(page, above, below, shown))


def _stages(page: Page, above: Axes, below: Axes, shown: Sequence[LayerCost]) -> None:
    """Thin lines where the outermost module changes, and its name where there is room."""
    runs: list[tuple[str, int, int]] = []  # name, first, last
    for place, layer in enumerate(shown, start=1):
        name = layer.module.split(".")[0]
        if runs and runs[-1][0] == name:
            runs[-1] = (name, runs[-1][1], place)
        else:
            runs.append((name, place, place))
    if not 1 < len(runs) <= 24:
        return
    inches = above.get_position().width * page.options.width / (len(shown) + 0.4)
    for name, first, last in runs:
        if first > 1:
            for plot in (above, below):
                plot.axvline(first - 0.5, color=page.theme.muted, linewidth=0.5, linestyle=(0, (1, 2)), zorder=1)
        if page.text_width(name, page.tiny) < (last - first + 1) * inches:
            above.text(
                (first + last) / 2,
                0.995,
                name,
                transform=above.get_xaxis_transform(),
                size=page.tiny,
                color=page.theme.muted,
                ha="center",
                va="top",
                gid="label",
            )
