"""Time and memory against batch size; memory against parameter memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from ...base.errors import BadOption
from ...results.findings import predicted_peak_bytes, usual_batch_size
from ...results.latency import Latency
from . import axes, points
from .labels import at_line_ends, line_end_margin
from .measures import MEASURES, MIB, complete
from .page import DOUBTED, HOLLOW, Page
from .registry import draws
from .rows import Row

#: Batch sizes of a predicted curve where nothing was measured: those of Canziani et al., arXiv 1605.07678.
STUDY_SIZES = (1, 2, 4, 8, 16, 32, 64)


@draws(
    "latency",
    "Median time of a forward pass (in training mode of the whole step) divided by its batch size; the band is the "
    "95 % interval of the median. Falling lines gain from batching. A line ends or breaks where memory ran out or the "
    "time is not reliable (hollow marks). Loading and pre-processing images is not included.",
)
def latency(page: Page) -> None:
    sizes = _sizes(page)
    page.measured = True
    page.title(
        f"{'Training' if _mode(page) == 'train' else 'Inference'} time per image against batch size",
        "Median; band: its 95 % interval; both axes logarithmic",
    )
    plot = page.plot()
    drawn, dropped, values = [], [], []
    for row in page.rows:
        cells = [row.result.latency_at(size) for size in sizes]
        if not any(cell is not None and cell.measured for cell in cells):
            dropped.append((row.label, why_nothing(row, cells)))
            continue
        drawn.append(row)
        values += draw_curve(
            page,
            plot,
            row,
            sizes,
            cells,
            lambda c: 1e3 * c.p50_s / c.batch_size,
            lambda c: (1e3 * c.ci95_s[0] / c.batch_size, 1e3 * c.ci95_s[1] / c.batch_size),
        )
    if not drawn:
        raise BadOption(
            "latency was not measured for any of these networks:",
            "; ".join(f"{label}: {why}" for label, why in dropped) + ".",
        )
    axes.batch_sizes(plot, sizes)
    axes.logarithmic(plot.yaxis, values)
    plot.set_ylabel("Time per image (ms)")
    page.left_out(dropped)
    finish_curves(page, plot, drawn)


@draws(
    "memory",
    "Peak memory of a forward pass, or of a training step: parameters, buffers, input, and what it allocates at most "
    "at one moment. Full lines are measured by the allocator's own account; dashed lines are predicted by "
    "counting parameters and buffers once and the largest sum of activations alive together, which grows "
    "with the batch. Workspaces of a library's kernels are measured but not predicted; the memory of the "
    "program itself is in neither.",
)
def memory(page: Page) -> None:
    sizes = page.comparison.batch_sizes or STUDY_SIZES
    plot = page.plot()
    drawn, dropped, values, measured = [], [], [], False
    for row in page.rows:
        cells = [row.result.latency_at(size) for size in sizes]
        if row.result.profile is None:
            dropped.append((row.label, why_nothing(row, cells)))
            continue
        drawn.append(row)
        predicted = [predicted_peak_bytes(row.result, size, page.comparison.environment) / MIB for size in sizes]
        plot.plot(
            sizes,
            predicted,
            color=page.look(row).colour,
            linewidth=1.0,
            linestyle=(0, (3, 2)),
            alpha=0.85,
            zorder=3,
            gid=f"predicted {row.name}",
        )
        values += predicted
        if any(cell is not None and cell.measured_peak_bytes for cell in cells):
            measured = True
            values += draw_curve(page, plot, row, sizes, cells, _peak, always=True)
    if not drawn:
        raise BadOption("no network could be counted:", "; ".join(f"{label}: {why}" for label, why in dropped) + ".")
    page.measured = measured
    page.title(
        f"Peak memory of {what_runs(page)} against batch size",
        "Both axes logarithmic" if measured else "Predicted by counting; both axes logarithmic",
    )
    if measured:
        page.legend(
            [
                Line2D([], [], color=page.theme.ink, linewidth=1.3, marker="o", markersize=3),
                Line2D([], [], color=page.theme.ink, linewidth=1.0, linestyle=(0, (3, 2))),
            ],
            ["measured", "predicted by counting"],
            handlelength=2.2,
        )
    else:
        page.note("Peak memory was not measured (it is, without --no-latency, where the device can tell).")
    axes.batch_sizes(plot, sizes)
    axes.logarithmic(plot.yaxis, values)
    plot.set_ylabel("Peak memory (MiB)")
    page.left_out(dropped)
    finish_curves(page, plot, drawn)


@draws(
    "memory-params",
    "Peak memory against the memory of the parameters alone (Canziani, Paszke and "
    "Culurciello, arXiv 1605.07678, figure 6). On the line, parameters are all there is; the distance "
    "above it is activations, buffers and what the library keeps for itself.",
)
def memory_params(page: Page) -> None:
    size = usual_batch_size(page.comparison, page.options.batch_size) or 1
    page.options = replace(page.options, batch_size=size)
    own, peak = MEASURES["parameter_bytes"], MEASURES["measured_peak_bytes"]
    measured = any(peak.read(row.result, page.options) is not None for row in page.rows)
    rows, dropped = complete(page.rows, [own, peak] if measured else [own], page.options, page.comparison)
    page.measured = measured
    xs = [own.read(row.result, page.options) or 0.0 for row in rows]
    ys = [
        (peak.read(row.result, page.options) or 0.0)
        if measured
        else predicted_peak_bytes(row.result, size, page.comparison.environment) / MIB
        for row in rows
    ]
    page.title(
        "Peak memory against parameter memory",
        f"At batch size {size}, {'measured' if measured else 'predicted by counting'}; both axes logarithmic",
    )
    plot = page.plot()
    points.mark_all(page, plot, rows, xs, ys)
    page.key(rows, markers=True)
    axes.logarithmic(plot.xaxis, xs, 1.5, 1.7)
    axes.logarithmic(plot.yaxis, [*ys, min(ys) / 1.3], 1.25, 1.6)
    low, high = plot.get_xlim()
    plot.plot(
        [low, high],
        [low, high],
        color=page.theme.muted,
        linewidth=1.0,
        linestyle=(0, (4, 2)),
        zorder=2,
        gid="parameters alone",
        scalex=False,
        scaley=False,
    )
    plot.set_xlabel("Parameter memory (MiB)")
    plot.set_ylabel(f"Peak memory (MiB, batch {size})")
    page.note("Dashed: parameters alone.")
    page.left_out(dropped)
    line = _along_diagonal(plot.get_xlim(), plot.get_ylim())
    page.finish(
        page.options.width * (0.86 if page.narrow else 0.62),
        points.naming(page, plot, rows, xs, ys, line, better=("low", "low")),
    )


def _mode(page: Page) -> str:
    return str(page.comparison.environment.get("mode", "eval"))


def what_runs(page: Page) -> str:
    """'inference', or 'a training step'."""
    return "a training step" if _mode(page) == "train" else "inference"


def _along_diagonal(x: tuple[float, float], y: tuple[float, float]) -> list[tuple[list[float], list[float]]]:
    low, high = max(x[0], y[0]), min(x[1], y[1])
    return [([low, high], [low, high])] if low < high else []


def _peak(cell: Latency) -> float:
    """MiB at the peak; 0 where it was not measured."""
    return cell.measured_peak_bytes / MIB if cell.measured_peak_bytes else 0.0


def _sizes(page: Page) -> tuple[int, ...]:
    if not page.comparison.batch_sizes:
        raise BadOption("latency was not measured;", "run without --no-latency.")
    return page.comparison.batch_sizes


def why_nothing(row: Row, cells: Sequence[Latency | None]) -> str:
    if row.result.error:
        return f"failed: {row.result.error}"
    error = next((cell.error for cell in cells if cell is not None and cell.error), None)
    return f"failed: {error}" if error else "not measured"


def draw_curve(
    page: Page,
    plot: Axes,
    row: Row,
    sizes: Sequence[int],
    cells: Sequence[Latency | None],
    value: Callable[[Latency], float],
    interval: Callable[[Latency], tuple[float, float]] | None = None,
    always: bool = False,
    lacking: str = "not measured",
) -> list[float]:
    """One network's line; a value that is not reliable breaks it and is drawn hollow. Returns all drawn
    values.

    `value` is 0 where a measurement lacks it, and `lacking` says so. What disturbs a time does not disturb memory:
    with `always` every value is taken.
    """
    look = page.look(row)
    edge = page.edge(look.colour)
    pale = points.PALE if page.options.highlight and not row.marked else None
    sure, doubtful, low, high = [], [], [], []
    for size, cell in zip(sizes, cells, strict=True):
        here = value(cell) if cell is not None and cell.measured else 0.0
        trusted = cell is not None and here > 0 and (cell.reliable or always)
        sure.append(here if trusted else math.nan)
        doubtful.append(here if here > 0 and not trusted else math.nan)
        ends = interval(cell) if trusted and interval is not None and cell is not None else (math.nan, math.nan)
        low.append(ends[0])
        high.append(ends[1])
        if here and not trusted and cell is not None:
            page.missing(HOLLOW, DOUBTED, row.label, size)
        elif not here:
            error = f"failed: {cell.error}" if cell is not None and cell.error else None
            page.missing(
                "No value at a batch size",
                error or (lacking if cell is not None else "not measured"),
                row.label,
                size,
            )
    if interval is not None:
        plot.fill_between(sizes, low, high, color=look.colour, alpha=0.25, linewidth=0, zorder=2)
    marks: dict[str, Any] = {
        "marker": look.marker,
        "markersize": 3.2 if page.narrow else 4.4,
        "markeredgewidth": 0.6,
    }
    plot.plot(
        sizes,
        sure,
        color=look.colour,
        linewidth=(1.1 if page.narrow else 1.5) * (2 if row.marked else 1),
        markeredgecolor=edge,
        zorder=5 if row.marked else 4,
        gid=f"curve {row.name}",
        alpha=pale,
        **marks,
    )
    if any(not math.isnan(y) for y in doubtful):
        plot.plot(
            sizes,
            doubtful,
            linestyle="none",
            markerfacecolor=page.theme.paper,
            markeredgecolor=edge,
            zorder=4,
            gid=f"doubtful {row.name}",
            **marks,
        )
    return [y for y in (*sure, *doubtful, *low, *high) if not math.isnan(y)]


def finish_curves(page: Page, plot: Axes, rows: Sequence[Row]) -> None:
    """Labels at the ends of the lines, each row's last drawn point."""
    page.right_margin = line_end_margin(page, [row.label for row in rows])

    def place() -> None:
        at_line_ends(page, plot, [_end(plot, row) for row in rows], [row.label for row in rows])

    tallest = 0.45 + len(rows) * page.small * 1.25 / 72
    page.finish(max(page.options.width * (0.86 if page.narrow else 0.6), tallest), place)


def _end(plot: Axes, row: Row) -> tuple[float, float]:
    """The last point of the row; at the same batch size a measured one before a predicted one."""
    places = []
    for rank, prefix in enumerate(("curve", "doubtful", "predicted")):
        for line in plot.lines:
            if line.get_gid() == f"{prefix} {row.name}":
                places += [(x, -rank, y) for x, y in np.asarray(line.get_xydata()).tolist() if not math.isnan(y)]
    x, _, y = max(places)
    return x, y
