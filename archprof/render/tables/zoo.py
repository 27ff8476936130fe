"""The zoo as a table: what each network costs, and the accuracy published for it."""

from __future__ import annotations

from collections.abc import Sequence

from ...models import published
from ...runs.catalogue import Entry
from .table import Cell, Column, Table

COLUMNS = (
    Column("name", "Name"),
    Column("family", "Family", detail=True),
    Column("year", "Year", "number", detail=True),
    Column("parameters", "Params", "count", "less"),
    Column("macs", "Mult-Adds", "count", "less"),
    Column("input_shape", "Input", "shape"),
    Column("top1", "Top-1", "accuracy", "more"),
)


def table(rows: Sequence[Entry]) -> Table:
    """One network a row; the sources that marks such as [1] point to are the notes."""
    sources = published.references([row.accuracy for row in rows if row.accuracy])
    return Table(
        "The zoo, each network at its default input",
        COLUMNS,
        tuple(_row(row, sources) for row in rows),
        tuple(f"[{mark}] {source}" for mark, source in enumerate(sources, start=1)),
    )


def _row(entry: Entry, sources: Sequence[str]) -> tuple[Cell, ...]:
    values = (entry.name, entry.family, entry.year, entry.parameters, entry.macs, entry.input_shape)
    claim = entry.accuracy
    mark = f" [{sources.index(published.reference(claim)) + 1}]" if claim else ""
    return (*map(Cell, values), Cell(claim.percent if claim else None, mark))
