"""Power against batch size and against operations: kinds that need readings of an energy meter."""

from __future__ import annotations

from dataclasses import replace

from ...base.errors import BadOption
from ...results.comparison import Comparison
from ...results.findings import usual_batch_size
from . import axes, points
from .curves import draw_curve, finish_curves, what_runs
from .measures import MEASURES, complete, reliable
from .page import Page
from .registry import draws

_WHOSE = (
    "Mean power of the undisturbed blocks, as the device's own energy counter tells it: of the whole package of a CPU "
    "(RAPL) or the whole board of a GPU (NVML), with what they draw when idle. Neither knows what the rest of the "
    "machine takes."
)

#: Room above the highest power, as a part of it.
_ABOVE = 0.08


@draws("power", f"{_WHOSE} Hollow marks are not reliable.")
def power(page: Page) -> None:
    _check_metered(page.comparison)
    page.measured = True
    sizes = page.comparison.batch_sizes
    page.title(
        f"Power during {what_runs(page)} against batch size",
        "Mean over the undisturbed blocks; the axis of power begins at 0",
    )
    plot = page.plot()
    drawn, dropped, values = [], [], []
    for row in page.rows:
        cells = [row.result.latency_at(size) for size in sizes]
        if any(cell is not None and cell.metered for cell in cells):
            drawn.append(row)
            values += draw_curve(
                page, plot, row, sizes, cells, lambda cell: cell.power_w or 0.0, lacking="no energy reading"
            )
        else:
            error = row.result.error or next((cell.error for cell in cells if cell and cell.error), None)
            dropped.append((row.label, f"failed: {error}" if error else "no energy reading"))
    if not drawn:
        raise BadOption("none of these networks has an energy reading;", "--only chooses others.")
    axes.batch_sizes(plot, sizes)
    axes.linear(plot.yaxis, 0, max(values) * (1 + _ABOVE))
    plot.set_ylabel("Power (W)")
    page.note(_meter(page.comparison))
    page.left_out(dropped)
    finish_curves(page, plot, drawn)


@draws(
    "power-ops",
    f"{_WHOSE} Networks of a family share colour and marker; hollow marks are not reliable. What a network needs "
    "for an image is its power times its time.",
)
def power_ops(page: Page) -> None:
    _check_metered(page.comparison)
    page.measured = True
    size = usual_batch_size(page.comparison, page.options.batch_size, lambda cell: bool(cell.metered))
    page.options = replace(page.options, batch_size=size)
    work, watts = MEASURES[page.options.ops], MEASURES["power"]
    rows, dropped = complete(page.rows, [work, watts], page.options, page.comparison)
    xs = [work.read(row.result, page.options) or 0.0 for row in rows]
    ys = [watts.read(row.result, page.options) or 0.0 for row in rows]
    wide = page.options.log or axes.far_apart(xs, 30)
    page.title(
        f"Power during {what_runs(page)} against operations",
        f"At batch size {size}; the axis of power begins at 0{'; operations on a logarithmic axis' if wide else ''}",
    )
    plot = page.plot()
    trusted = [reliable(row, size) for row in rows]
    points.mark_all(page, plot, rows, xs, ys, trusted)
    page.key(rows, markers=True)
    if wide:
        axes.logarithmic(plot.xaxis, xs, 1.5, 1.7)
    else:
        axes.linear(plot.xaxis, -0.03 * max(xs), max(xs) * 1.13)
    axes.linear(plot.yaxis, 0, max(ys) * (1 + _ABOVE))
    plot.set_xlabel(work.label(page.options))
    plot.set_ylabel(watts.label(page.options))
    page.doubt(rows, trusted)
    page.note(_meter(page.comparison))
    page.left_out(dropped)
    page.finish(
        page.options.width * (0.9 if page.narrow else 0.6),
        points.naming(page, plot, rows, xs, ys, better=("low", "low")),
    )


def _meter(comparison: Comparison) -> str:
    return f"Meter: {comparison.environment.get('energy_meter') or 'not stated'}."


def _check_metered(comparison: Comparison) -> None:
    """Raise BadOption where no measurement has an energy reading: what the record says of a meter, and what is one."""
    if comparison.metered:
        return
    if not comparison.batch_sizes:
        raise BadOption("power was not measured;", "run without --no-latency.")
    known = comparison.environment
    if known.get("energy_meter"):
        found = f"the meter ({known['energy_meter']}) counted no undisturbed block that was long enough"
        more = "--time-budget gives it more time."
    else:
        found = known.get("no_energy_meter") or "its file names no meter"
        more = "Meters are RAPL on a CPU, where /sys/class/powercap can be read, and NVML on an NVIDIA GPU."
    raise BadOption(f"this comparison holds no energy readings: {found}.", more)
