"""A check beside its base commit: a table of before and after, and in words which layers made the difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ...base import units
from ...budgets.limits import MEASURES
from ...budgets.verdict import Checked
from .table import Cell, Column, Table
from .verdicts import changed

if TYPE_CHECKING:
    from ...budgets.base_commit import BaseCommit, Difference, Restated

#: Measures that are shown although no limit names them.
_ALWAYS = ("parameters", "macs", "peak_activation_bytes")

#: Layers that are named for a measure; JSON has all of them.
NAMED_LAYERS = 3

#: Budgets that one sentence names.
_NAMED = 6

_COLUMNS = (
    Column("budget", "Budget"),
    Column("measure", "Measure"),
    Column("before", "Before", "number"),
    Column("after", "After", "number"),
    Column("difference", "Change", "number"),
    Column("change", "Change in %", "number"),
)


def table(base: BaseCommit, checked: Sequence[Checked], layers: bool = False) -> Table:
    """What differs: a row for each measure of each budget that has changed, with a column of `layers` where asked for.

    The notes say which budgets are as they were, what could not be compared, and what the files state otherwise.
    """
    found = base.differences(checked)
    several = len({one.budget.file for one in checked}) > 1
    columns = (*((Column("file", "File"),) if several else ()), *_COLUMNS)
    columns += (Column("layers", "Layers"),) if layers else ()
    rows = tuple(_row(one, several, layers) for one in _shown(found))
    said = "" if rows else ": no count differs" if found else ": nothing could be compared"
    return Table(f"Compared with {named(base)}{said}", columns if rows else (), rows, _notes(base, checked, found))


def named(base: BaseCommit) -> str:
    """'main (1a2b3c4)': what was asked for, and the commit that it was."""
    short = base.commit[:9]
    return short if base.commit.startswith(base.ref) else f"{base.ref} ({short})"


def layers_below(base: BaseCommit, checked: Sequence[Checked]) -> list[str]:
    """A line for each row of the table: the layers that made the difference."""
    several = len({one.budget.file for one in checked}) > 1
    return [
        f"{f'{one.file}: ' if several else ''}{one.budget}, {one.measure}: {_layers(one)}."
        for one in _shown(base.differences(checked))
        if one.layers
    ]


def to_json(base: BaseCommit, checked: Sequence[Checked]) -> dict[str, Any]:
    """Everything that is known of the base, with exact numbers in base units."""
    found = base.differences(checked)
    return {
        "ref": base.ref,
        "commit": base.commit,
        "budgets": [
            {"file": one.budget.file, "budget": one.budget.name, "source": before.source, "why": before.why}
            for one, before in zip(checked, base.befores, strict=True)
        ],
        "differences": [asdict(one) | {"change": one.change} for one in found],
        "restated": [asdict(one) for one in base.restated],
        "notes": list(base.notes),
    }


def _shown(found: Sequence[Difference]) -> list[Difference]:
    """Of the budgets that changed: what people read first, what is limited, and whatever else is the only change."""
    by_budget: dict[tuple[str, str], list[Difference]] = {}
    for one in found:
        by_budget.setdefault((one.file, one.budget), []).append(one)
    rows: list[Difference] = []
    for ones in by_budget.values():
        if all(one.before == one.after for one in ones):
            continue
        usual = [one for one in ones if one.measure in _ALWAYS or one.limited]
        rows += usual if any(one.before != one.after for one in usual) else ones
    return rows


def _row(one: Difference, several: bool, layers: bool) -> tuple[Cell, ...]:
    shown = MEASURES[one.measure].shown
    before, after = shown(one.before), shown(one.after)
    if before == after and one.before != one.after:  # rounded, they would read alike
        before, after = f"{one.before:,}", f"{one.after:,}"
    difference = one.after - one.before
    signed = f"{'+' if difference > 0 else '-'}{shown(abs(difference))}" if difference else "0"
    return (
        *((Cell(one.file),) if several else ()),
        Cell(one.budget),
        Cell(one.measure),
        Cell(one.before, text=before),
        Cell(one.after, text=after),
        Cell(difference, text=signed),
        Cell(one.change, text=units.signed_percent(one.change)),
        *((Cell(_layers(one)),) if layers else ()),
    )


def _layers(one: Difference) -> str:
    said = [changed(layer).rstrip(".") for layer in one.layers[:NAMED_LAYERS]]
    if rest := len(one.layers) - len(said):
        said.append(f"and {rest} more")
    return "; ".join(said)


def _notes(base: BaseCommit, checked: Sequence[Checked], found: Sequence[Difference]) -> tuple[str, ...]:
    notes = []
    differ = {(one.file, one.budget) for one in found if one.before != one.after}
    known = dict.fromkeys((one.file, one.budget) for one in found)
    if same := [budget for file, budget in known if (file, budget) not in differ]:
        notes.append(f"As at {base.ref}: {_listed(same)}.")
    reasons: dict[str, list[str]] = {}
    for one, before in zip(checked, base.befores, strict=True):
        if before.why:
            reasons.setdefault(before.why, []).append(one.budget.name)
    notes += [f"{_listed(names)}: {why}" for why, names in reasons.items()]
    notes += [*base.notes, *(_restated(one, base.ref) for one in base.restated)]
    return tuple(notes)


def _restated(one: Restated, ref: str) -> str:
    if not one.key:
        return f"{one.budget}: {ref} holds it to a budget, which {one.file} no longer states."
    sides = [f"'{side}'" if side is not None else "nothing" for side in (one.before, one.after)]
    return f"{one.budget}: {one.key} is {sides[1]} in {one.file}, and {sides[0]} at {ref}."


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
