"""A comparison on one screen: one row for each network, the best of every column marked; what was asked for besides."""

from __future__ import annotations

from ...results.answer import Answer, answer, memory_batch_size, pass_bytes
from ...results.comparison import ArchitectureResult, Comparison
from . import fits
from .costs import inputs_of, other_dtype, other_inputs
from .table import BEST, UNCOUNTED, UNRELIABLE, Cell, Column, Table
from .times import conditions, what_is_timed

#: How soon a column is left out where there is no room: batch sizes between the smallest and the largest first.
_LARGEST, _MEMORY, _STATE, _BETWEEN = 1, 2, 3, 4

_LEGEND = {
    BEST: "best of its column",
    UNRELIABLE: "not reliable",
    UNCOUNTED: "some operators not counted",
}


def tables(comparison: Comparison, with_ratios: bool = False) -> tuple[Table, ...]:
    """The table of the first screen, then those of options: --memory or --fits, and --reference `with_ratios`."""
    found = [overview(comparison, answer(comparison))]
    found += fits.tables(comparison)
    if with_ratios and comparison.ratios:
        found.append(ratios(comparison))
    return tuple(found)


def overview(comparison: Comparison, found: Answer) -> Table:
    """Parameters, mult-adds, memory of a pass, time at each batch size, top-1."""
    rows, sizes, size = comparison.architectures, comparison.batch_sizes, memory_batch_size(comparison)
    training = comparison.environment.get("mode") == "train"
    columns = [
        Column("name", "Architecture", folds=True),
        Column("parameters", "Params", "count", "less"),
        Column("macs", "Mult-Adds", "count", "less"),
    ]
    if size is not None:
        columns.append(Column("memory", f"Memory at {size}", "bytes", "less", detail=_MEMORY))
        if training:
            columns.append(Column("state", "Optimizer state", "bytes", "less", detail=_STATE))
    ranks = _ranks(len(sizes))
    columns += [
        Column(f"seconds {batch_size}", f"ms at {batch_size}", "seconds", "less", detail=ranks[place])
        for place, batch_size in enumerate(sizes)
    ]
    if found.accurate:
        columns.append(Column("top1", "Top-1 %", "percent", "more"))
    cells = {row.name: _cells(comparison, found, row) for row in rows}
    shown = tuple(tuple(cells[row.name].get(column.key, Cell()) for column in columns) for row in rows)
    return Table(_title(comparison), tuple(columns), shown, (*_legend(shown), *other_inputs(comparison)))


def _title(comparison: Comparison) -> str:
    """'Forward pass of 3x224x224, cpu (AMD EPYC), 2 threads, float32, torch 2.13.0'."""
    inputs = inputs_of(comparison)
    if not inputs:
        return "Nothing was counted"
    what = what_is_timed(comparison)
    how = [conditions(comparison)] if comparison.batch_sizes else ["counted, not measured", *other_dtype(comparison)]
    return ", ".join([f"{what[:1].upper()}{what[1:]} of {inputs}", *how])


def _legend(rows: tuple[tuple[Cell, ...], ...]) -> list[str]:
    marks = "".join(cell.mark for row in rows for cell in row)
    known = [f"{mark} {meaning}" for mark, meaning in _LEGEND.items() if mark in marks]
    return ["; ".join(known)] if known else []


def _ranks(count: int) -> list[int]:
    """How soon each of so many batch sizes is left out: the smallest never, and those that stay are spread evenly."""
    order = [0, count - 1]
    while len(order) < count:
        left = (place for place in range(count) if place not in order)
        order.append(max(left, key=lambda place: min(abs(place - kept) for kept in order)))
    ranks = [0, _LARGEST, *range(_BETWEEN, _BETWEEN + count)]
    return [ranks[order.index(place)] for place in range(count)]


def _cells(comparison: Comparison, found: Answer, row: ArchitectureResult) -> dict[str, Cell]:
    """By column key."""
    cells = {"name": Cell(row.name)}
    if row.profile is not None:
        used = pass_bytes(comparison, row, memory_batch_size(comparison))
        optimizer = comparison.optimizer
        state = next((item.state_bytes for item in row.optimizers if item.optimizer == optimizer), None)
        cells |= {
            "parameters": _marked(Cell(row.profile.parameters), row.name in found.best_by("parameters").chosen),
            "macs": _marked(
                Cell(row.profile.macs, UNCOUNTED if row.profile.uncounted else ""),
                row.name in found.best_by("macs").chosen,
            ),
            "memory": _marked(Cell(used), row.name in found.best_by("memory").chosen),
            "state": Cell(state),
        }
    if claim := row.top("top1", comparison.dataset):
        cells["top1"] = _marked(Cell(claim.percent), row.name in found.best_by("top1").chosen)
    for cell in row.latency:
        if cell.measured:
            seen = Cell(cell.p50_s, "" if cell.reliable else UNRELIABLE)
            chosen = row.name in found.best_by("seconds", cell.batch_size).chosen
            cells[f"seconds {cell.batch_size}"] = _marked(seen, chosen)
    return cells


def _marked(cell: Cell, chosen: bool) -> Cell:
    return cell._replace(mark=cell.mark + BEST, tone="best") if chosen else cell


def ratios(comparison: Comparison) -> Table:
    """How many times as long each network takes as the reference, with the 95 % interval."""
    known = {(ratio.architecture, ratio.batch_size): ratio for ratio in comparison.ratios}
    sizes = sorted({size for _, size in known})
    ranks = _ranks(len(sizes))
    columns = (
        Column("name", "Architecture", folds=True),
        *(Column(f"ratio {size}", f"batch {size}", "ratio", "less", ranks[n]) for n, size in enumerate(sizes)),
    )
    rows = []
    for row in comparison.architectures:
        cells = [Cell(row.name)]
        for size in sizes:
            ratio = known.get((row.name, size))
            cells.append(Cell(ratio.ratio, "" if ratio.reliable else UNRELIABLE, ratio.shown) if ratio else Cell())
        if row.name != comparison.reference:
            rows.append(tuple(cells))
    return Table(f"Times as long as {comparison.reference} takes (95 % interval)", columns, tuple(rows))
