"""From an Audit to tables: totals side by side, the terms of each difference, the memory conventions."""

from __future__ import annotations

from ...audit.conventions import WHY, MemoryEstimate
from ...audit.opinions import Audit, Opinion
from ...base import units
from .table import Cell, Column, Table

REMAINDER = "unexplained"


def tables(audit: Audit) -> tuple[Table, ...]:
    """Counts, then what explains each difference, then memory."""
    return _totals(audit), _terms(audit), _memory(audit)


def _totals(audit: Audit) -> Table:
    profile = audit.profile
    shape = "x".join(map(str, (profile.batch_size, *profile.input_shape)))
    rows = [
        (
            Cell("archprof"),
            Cell("mult-adds"),
            Cell(profile.macs, "*" if profile.uncounted else ""),
            Cell(0),
            Cell(0),
            Cell(profile.parameters),
        )
    ]
    notes = [
        f"* {item.op} ({item.calls} {'call' if item.calls == 1 else 'calls'}) has no formula; "
        "its mult-adds are left out."
        for item in profile.uncounted
    ]
    for opinion in audit.opinions:
        rows.append(
            (
                Cell(_named(opinion)),
                Cell(opinion.unit),
                Cell(opinion.total),
                Cell(opinion.difference),
                Cell(opinion.remainder),
                Cell(opinion.parameters),
            )
        )
        if opinion.error:
            notes.append(f"{opinion.tool}: {opinion.error}.")
        elif opinion.remainder:
            notes.append(f"{opinion.tool}: {opinion.remainder:+,} are not explained by its rules as we know them.")
        if opinion.parameters not in (None, profile.parameters):
            notes.append(f"{opinion.tool} counts {opinion.parameters - profile.parameters:+,} parameters.")
    return Table(
        f"{profile.name} as others count it, input {shape}",
        (
            Column("tool", "Tool"),
            Column("unit", "Counts"),
            Column("total", "Total", "exact"),
            Column("difference", "Less ours", "signed"),
            Column("remainder", "Unexplained", "signed"),
            Column("parameters", "Params", "exact"),
        ),
        tuple(rows),
        tuple(notes),
    )


def _terms(audit: Audit) -> Table:
    rows = []
    for opinion in audit.opinions:
        for term in opinion.terms:
            rows.append(
                (
                    Cell(_named(opinion)),
                    Cell(term.name),
                    Cell(term.amount),
                    Cell(term.amount / opinion.ours if opinion.ours else None),
                )
            )
        if opinion.remainder:
            rows.append(
                (
                    Cell(_named(opinion)),
                    Cell(REMAINDER),
                    Cell(opinion.remainder),
                    Cell(opinion.remainder / opinion.ours if opinion.ours else None),
                )
            )
    return Table(
        "Why they differ",
        (
            Column("tool", "Tool"),
            Column("term", "Term"),
            Column("amount", "Amount", "signed"),
            Column("share", "Of ours", "share"),
        ),
        tuple(rows),
    )


def _memory(audit: Audit) -> Table:
    profile = audit.profile
    peak = (
        f"archprof: peak of one forward pass at batch {profile.batch_size}: "
        f"{units.size(profile.peak_activation_bytes)} of activations."
    )
    return Table(
        "Memory by other conventions",
        (
            Column("tool", "Convention"),
            Column("batch_size", "Batch", "number"),
            Column("unit", "Unit"),
            Column("input", "Input", "number"),
            Column("forward_backward", "Forward/backward", "number"),
            Column("parameters", "Params", "number"),
            Column("total", "Total", "number"),
        ),
        tuple(
            (
                Cell(estimate.tool),
                Cell(estimate.batch_size),
                Cell(_unit(estimate)),
                *(Cell(figure) for figure in estimate.printed),
            )
            for estimate in audit.memory
        ),
        (peak, WHY),
    )


def _unit(estimate: MemoryEstimate) -> str:
    return "MiB" if estimate.unit_bytes == 2**20 else "MB"


def _named(opinion: Opinion) -> str:
    return f"{opinion.tool} {opinion.version}".rstrip() if opinion.tool != "FlopCounterMode" else opinion.tool
