"""What a machine can do at best, as tables: arithmetic by type, memory by working set, calls."""

from __future__ import annotations

from ...base import units
from ...results.ceilings import APART, ARITHMETIC, CALLS, MEMORY, Ceilings, Figure
from ...results.roofline import doubtful
from .table import UNRELIABLE, Cell, Column, Table


def tables(ceilings: Ceilings) -> tuple[Table, ...]:
    """One table each for arithmetic, memory and calls; what to think of them below the last."""
    measured = f", measured {ceilings.date}" if ceilings.date else ""
    return compute(ceilings, measured), memory(ceilings), calls(ceilings)


def compute(ceilings: Ceilings, measured: str = "") -> Table:
    """The highest rate of each type, where it was reached, and the best of either kind of work."""
    columns = (
        Column("dtype", "Type"),
        Column("gflops", "GFLOP/s", "rate", "more"),
        Column("what", "Reached in"),
        *(Column(work, f"{work}s".capitalize(), "rate", "more") for work in ARITHMETIC),
    )
    rows = []
    for dtype in ceilings.dtypes:
        figure = ceilings.compute(dtype)
        assert figure is not None
        each = [ceilings.compute(dtype, (work,)) for work in ARITHMETIC]
        reached = Cell(f"{figure.probe.work} {figure.probe.what}")
        rows.append((Cell(dtype), _cell(figure, 1e-9), reached, *(_cell(one, 1e-9) for one in each)))
    notes = [f"{lacking.dtype} is not to be had: {lacking.why.rstrip('.')}." for lacking in ceilings.lacking]
    return Table(f"Ceilings of arithmetic{measured}", columns, tuple(rows), tuple(notes))


def memory(ceilings: Ceilings) -> Table:
    """The bandwidth of each working set, that of changing it in place, and what copies and reads reached themselves."""
    columns = (
        Column("working_set_bytes", "Working set", "bytes"),
        Column("level", "Held by"),
        Column("gb_per_s", "GB/s", "rate", "more"),
        Column("in_place", "In place", "rate", "more"),
        *(Column(work, work.capitalize(), "rate", "more", detail=True) for work in APART),
    )
    own = {
        (probe.working_set_bytes, probe.work): Figure(rate, probe)
        for probe in ceilings.probes
        if probe.work in APART and probe.measured and (rate := ceilings.stream(probe)) is not None
    }
    apart, in_place = dict(ceilings.memory), dict(ceilings.in_place)
    rows = []
    for size in sorted({*apart, *in_place}):
        figures = (apart.get(size), in_place.get(size), *(own.get((size, work)) for work in APART))
        level = ceilings.level(size) if ceilings.caches else None
        rows.append((Cell(size), Cell(level), *(_cell(figure, 1e-9) for figure in figures)))
    held = ", ".join(f"{level} {units.size(size)}" for level, size in ceilings.caches)
    notes = (f"Caches of the threads together: {held}." if held else "The sizes of the caches are not known.",)
    return Table("Ceilings of memory, read and written bytes, by working set", columns, tuple(rows), notes)


def calls(ceilings: Ceilings) -> Table:
    """The least time of a call of each kind; below, from which intensity on arithmetic binds, and what to doubt."""
    columns = (Column("call", "Ceilings of calls"), Column("us", "us", "rate", "less"), Column("what", "Measured"))
    rows = [
        (Cell(kind.removeprefix("call of ")), _cell(figure, 1e6), Cell(figure.probe.what))
        for kind in CALLS
        if (figure := ceilings.call(kind))
    ]
    notes = []
    arithmetic = ceilings.compute("float32")
    if arithmetic and ceilings.levels:
        ridges = [
            f"{units.significant(arithmetic.value / figure.value, 2)} from {_named(level)}"
            for level, figure in ceilings.levels.items()
        ]
        notes.append(
            "In float32, moving the data takes longer than the arithmetic below so many FLOP per byte: "
            f"{', '.join(ridges)}."
        )
    if doubt := doubtful(ceilings):
        notes.append(f"{UNRELIABLE} {doubt}.")
    return Table("", columns, tuple(rows), tuple(notes))


def _named(level: str) -> str:
    return "main memory" if level == MEMORY else level


def _cell(figure: Figure | None, scale: float) -> Cell:
    return Cell() if figure is None else Cell(figure.value * scale, "" if figure.reliable else UNRELIABLE)
