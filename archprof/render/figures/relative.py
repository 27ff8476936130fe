"""Time relative to one network, with intervals."""

from __future__ import annotations

from ...base import units
from ...base.errors import BadOption
from ...results.findings import usual_batch_size
from . import axes
from .page import Page
from .registry import draws


@draws(
    "relative",
    "Time of a pass over that of the reference at the same batch size, with its 95 % interval, taken within rounds in "
    "which both ran. An interval that reaches over the line at 1 means that they cannot be told apart. Hollow marks "
    "are not reliable.",
)
def relative(page: Page) -> None:
    reference = page.comparison.reference
    if reference is None:
        raise BadOption("the comparison has no reference;", "compare at least two networks.")
    size = usual_batch_size(page.comparison, page.options.batch_size)
    if size is None:
        raise BadOption("latency was not measured;", "run without --no-latency.")
    found = {ratio.architecture: ratio for ratio in page.comparison.ratios if ratio.batch_size == size}
    rows = [row for row in page.rows if row.name in found]
    if not rows:
        raise BadOption(
            f"nothing was measured beside {reference} at batch size {size};",
            "--batch-size chooses another.",
        )
    label = next((row.label for row in page.rows if row.name == reference), reference)
    what = "training step" if page.comparison.environment.get("mode") == "train" else "pass"
    page.title(f"Time of a {what} relative to {label}", f"At batch size {size}; bars are 95 % intervals")
    page.measured = True
    plot = page.plot()
    for place, row in enumerate(rows):
        ratio, look = found[row.name], page.look(row)
        low, high = ratio.ci95
        sure = ratio.reliable
        plot.errorbar(
            [ratio.ratio],
            [place],
            xerr=[[max(ratio.ratio - low, 0.0)], [max(high - ratio.ratio, 0.0)]],
            fmt=look.marker,
            markersize=5.5,
            color=look.colour,
            markerfacecolor=look.colour if sure else page.theme.paper,
            markeredgecolor=page.edge(look.colour),
            markeredgewidth=0.7,
            elinewidth=1.3,
            zorder=4,
        )
        plot.annotate(
            units.significant(ratio.ratio),
            (1.0, place),
            xycoords=plot.get_yaxis_transform(),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            size=page.small,
            color=page.theme.ink,
            annotation_clip=False,
            gid="label",
        )
    page.doubt(rows, [found[row.name].reliable for row in rows])
    ends = [end for row in rows for end in (*found[row.name].ci95, found[row.name].ratio)] + [1.0]
    if max(ends) / min(ends) > 4:
        axes.logarithmic(plot.xaxis, ends, 1.2, 1.2)
    else:
        room = 0.06 * (max(ends) - min(ends)) or 0.05
        axes.linear(plot.xaxis, min(ends) - room, max(ends) + room)
    plot.axvline(1.0, color=page.theme.muted, linewidth=1.0, linestyle=(0, (4, 2)), zorder=2, gid="reference")
    plot.set_ylim(len(rows) - 0.4, -0.6)
    plot.set_yticks(range(len(rows)), [row.label for row in rows])
    plot.tick_params(axis="y", length=0)
    plot.set_xlabel(f"Time (times that of {label})")
    page.left_out(
        [
            (row.label, f"not measured at batch {size}")
            for row in page.rows
            if row.name not in found and row.name != reference
        ]
    )
    page.finish(0.6 + 0.24 * max(len(rows), 2))
