"""The zoo, or any source, as a table: what each network costs, and the accuracy published for it."""

from __future__ import annotations

from collections.abc import Sequence

from ...models import published
from ...results.choice import Option
from ...runs.catalogue import Entry
from .table import UNCOUNTED, Cell, Column, Table

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


def options(rows: Sequence[Option]) -> Table:
    """Networks of any source, one a row, each at its own input beside its best claim and the weights that reach it."""
    columns = (*COLUMNS, Column("weights", "Weights"), Column("pretraining", "Pre-trained on", detail=True))
    notes = []
    if any(one.uncounted for one in rows):
        notes.append(f"{UNCOUNTED} has operators without a formula; their mult-adds are left out.")
    if any(_elsewhere(one) for one in rows):
        notes.append("weights@288: tested at 288 x 288, where the network costs more than at the input shown.")
    return Table(f"{len(rows):,} networks, each at its default input", columns, tuple(map(_option, rows)), tuple(notes))


def _option(one: Option) -> tuple[Cell, ...]:
    facts, mark = one.facts, UNCOUNTED if one.uncounted else ""
    weights = facts["weights"] + (f"@{one.claim.resolution}" if one.claim and _elsewhere(one) else "")
    return (
        Cell(one.name),
        Cell(one.family),
        Cell(facts["year"]),
        Cell(facts["parameters"]),
        Cell(facts["macs"], mark),
        Cell(one.input_shape or None),
        Cell(facts["top1"]),
        Cell(weights, text=weights or " "),
        Cell(facts["pretraining"], text=facts["pretraining"] or " "),
    )


def _elsewhere(one: Option) -> bool:
    """Whether the claim holds at another resolution than the costs."""
    return one.claim is not None and one.claim.resolution not in (None, one.facts["resolution"])
