"""Members of a family that fit a budget, as a table."""

from __future__ import annotations

from ...budgets.fit import RULE, Fitting, Member, Missed
from ...budgets.limits import MEASURES
from .table import Cell, Column, Table

COLUMNS = (
    Column("changed", "Changed"),
    Column("parameters", "Params", "exact", "less"),
    Column("macs", "Mult-Adds", "count", "less"),
    Column("activations", "Activations", "count", "less"),
    Column("peak_activation_bytes", "Peak", "bytes", "less"),
)


def tried(found: Fitting) -> str:
    """'10 members tried, 2 of them failed'."""
    return f"{found.tried:,} members tried" + (f", {found.failed:,} of them failed" if found.failed else "")


def table(found: Fitting, top: int, comparing: str) -> Table:
    """The best `top` members; below them the rule, and the command that compares the first with the original."""
    return Table(
        f"Members of {found.base}",
        COLUMNS,
        tuple(_row(member) for member in found.members[:top]),
        (f"{len(found.members):,} fit of {tried(found)}; {RULE}.", f"compare: {comparing}"),
    )


def missing(missed: Missed) -> str:
    """What was asked for, and the member that comes closest; and where that is a number without a unit, what one is."""
    bound, limited = missed.bound, MEASURES[missed.measure]
    side = {(True, False): "At most", (True, True): "Less than", (False, False): "At least", (False, True): "More than"}
    amount = f"{bound.text} ({float(missed.amount):,.0f})" if bound.reference else bound.text
    in_bytes = limited.noun.startswith("bytes ")
    value = f"takes {missed.value:,}" if in_bytes else f"has {missed.value:,}"
    said = (
        f"{side[bound.upper, bound.strict]} {amount} {limited.noun.removeprefix('bytes ')} were asked for; "
        f"the {'smallest' if bound.upper else 'largest'} member, {missed.member}, {value} {limited.noun}."
    )
    if bound.upper and bound.text.isdigit() and not in_bytes:
        said += f"\nAn amount takes a unit: '{bound.text} M' is {bound.text} million."
    return said


def _row(member: Member) -> tuple[Cell, ...]:
    changed = " ".join(f"{key}={str(value).replace(' ', '')}" for key, value in member.changed.items())
    return (
        Cell(changed or "nothing"),
        *(Cell(getattr(member.profile, column.key)) for column in COLUMNS[1:]),
    )
