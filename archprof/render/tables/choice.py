"""The networks that were chosen among, as a table: best first, the Pareto front marked."""

from __future__ import annotations

from ...results.choice import Choice, Option
from ..words import COST_WORDS, listed
from .table import UNCOUNTED, UNRELIABLE, Cell, Column, Table

#: Costs that have a column of their own where a limit names them; parameters and mult-adds always have.
_MORE = {
    "activations": Column("activations", "Activations", "count", "less"),
    "trainable_parameters": Column("trainable_parameters", "Trainable", "count", "less"),
    "parameter_bytes": Column("parameter_bytes", "Param memory", "bytes", "less"),
    "peak_activation_bytes": Column("peak_activation_bytes", "Peak activations", "bytes", "less"),
    "file_size": Column("file_size", "File", "bytes", "less"),
    "flops": Column("flops", "FLOPs", "count", "less"),
    "latency": Column("latency", "ms", "seconds", "less"),
    "memory": Column("memory", "Memory", "bytes", "less"),
}


def table(found: Choice, top: int, all_of_them: str = "--top {count} shows all of them") -> Table:
    """The best `top` networks, their costs at the resolution of their accuracy, and whose weights reach it.

    `all_of_them` says how to see the others, where there are any.
    """
    named = dict.fromkeys((*found.costs, *(limit.column.name for limit in found.limits), found.sort.name))
    more = [_MORE[name] for name in named if name in _MORE]
    columns = (
        Column("name", "Network"),
        Column("top1", "Top-1 %", "accuracy", "more"),
        Column("parameters", "Params", "count", "less"),
        Column("macs", "Mult-Adds", "count", "less"),
        *more,
        Column("front", "Front"),
        Column("resolution", "Input", "number", detail=True),
        Column("weights", "Weights", detail=True),
        Column("pretraining", "Pre-trained on", detail=True),
    )
    shown = found.options[:top]
    rows = tuple(tuple(_cell(found, option, column) for column in columns) for option in shown)
    return Table(_title(found), columns, rows, tuple(_notes(found, shown, all_of_them)))


def _cell(found: Choice, option: Option, column: Column) -> Cell:
    if column.key == "front":
        return Cell("yes" if option.name in found.front else "", tone="good")
    value = option.facts.get(column.key)
    if column.key in ("weights", "pretraining"):
        return Cell(value or "", text=value or " ")
    marks = {"macs": UNCOUNTED if option.uncounted else "", "latency": _doubt(found, option)}
    return Cell(value, marks.get(column.key, ""))


def _doubt(found: Choice, option: Option) -> str:
    cell = option.measured
    return UNRELIABLE if option.name in found.unsure or (cell is not None and not cell.reliable) else ""


def _title(found: Choice) -> str:
    limits = f" within {', '.join(limit.shown for limit in found.limits)}" if found.limits else ""
    if any(limit.column.measured for limit in found.limits):
        return f"Networks measured{limits}"
    return f"{len(found.options):,} of {found.considered:,} networks{limits}"


def _notes(found: Choice, shown: tuple[Option, ...], all_of_them: str) -> list[str]:
    notes = []
    if len(shown) < len(found.options):
        more = len(found.options) - len(shown)
        notes.append(f"{more:,} more: {all_of_them.format(count=len(found.options))}.")
    costs = listed([COST_WORDS.get(cost, cost.replace("_", " ")) for cost in found.costs])
    notes.append(f"Front: none here is as accurate with no more {costs}, and better in one of them.")
    if any(option.uncounted for option in shown):
        notes.append(f"{UNCOUNTED} has operators without a formula; their mult-adds are left out.")
    if any(_doubt(found, option) for option in shown):
        notes.append(f"{UNRELIABLE} this time cannot be relied on, or its interval holds the limit itself.")
    return notes
