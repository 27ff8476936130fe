"""Members of a family that fit a budget, as a table."""

from __future__ import annotations

from ...budgets.fit import RULE, Fit, Member
from .table import Cell, Column, Table

COLUMNS = (
    Column("changed", "Changed"),
    Column("parameters", "Params", "exact", "less"),
    Column("macs", "Mult-Adds", "count", "less"),
    Column("activations", "Activations", "count", "less"),
    Column("peak_activation_bytes", "Peak", "bytes", "less"),
)


def tried(found: Fit) -> str:
    """'10 members tried, 2 of them failed'."""
    return f"{found.tried:,} members tried" + (f", {found.failed:,} of them failed" if found.failed else "")


def table(found: Fit, top: int, comparing: str) -> Table:
    """The best `top` members; below them the rule, and the command that compares the first with the original."""
    return Table(
        f"Members of {found.base}",
        COLUMNS,
        tuple(_row(member) for member in found.members[:top]),
        (f"{len(found.members):,} fit of {tried(found)}; {RULE}.", f"compare: {comparing}"),
    )


def _row(member: Member) -> tuple[Cell, ...]:
    changed = " ".join(f"{key}={str(value).replace(' ', '')}" for key, value in member.changed.items())
    return (
        Cell(changed or "nothing"),
        *(Cell(getattr(member.profile, column.key)) for column in COLUMNS[1:]),
    )
