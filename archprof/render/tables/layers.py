"""From one StaticProfile to its layer table: by layer in the module tree, by type, by operator or by module.

Nothing here imports torch. Every cut but 'module' divides the network: its columns add up to the total row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...base import units
from ...base.errors import BadOption, did_you_mean
from ...base.version import __version__
from ...results import per_layer
from ...results.ceilings import Ceilings
from ...results.profile import StaticProfile
from ...results.roofline import Roofline
from ...results.saved import SCHEMA_VERSION
from .cuts import LayerRow, cut, depth_of, total, total_s
from .table import Cell, Column, Table

CUTS = ("layer", "type", "op", "module")

_COLUMNS = {
    "path": Column("path", "Layer"),
    "op": Column("op", "Operator"),
    "type": Column("type", "Type"),
    "calls": Column("calls", "Calls", "number"),
    "input_shape": Column("input_shape", "Input", "shape"),
    "output_shape": Column("output_shape", "Output", "shape"),
    "kernel": Column("kernel", "Kernel", "shape"),
    "stride": Column("stride", "Stride", "shape"),
    "receptive_field": Column("receptive_field", "Sees", "shape"),
    "parameters": Column("parameters", "Params", "exact", "less"),
    "parameter_share": Column("parameter_share", "% params", "share"),
    "weights": Column("weights", "Weights", "exact", "less"),
    "weight_share": Column("weight_share", "% weights", "share"),
    "macs": Column("macs", "Mult-Adds", "exact", "less"),
    "mac_share": Column("mac_share", "% mult-adds", "share"),
    "activations": Column("activations", "Activations", "exact", "less"),
}

_MEASURED = {
    "bytes_moved": Column("bytes_moved", "Moved", "bytes", "less"),
    "arithmetic_intensity": Column("arithmetic_intensity", "FLOP/B", "rate"),
    "seconds": Column("seconds", "ms", "seconds", "less"),
    "time_share": Column("time_share", "% time", "share"),
    "gflops": Column("gflops", "GFLOP/s", "rate", "more"),
}

#: Beside them where the ceilings of the machine are known.
_AGAINST = {
    "bound_by": Column("bound_by", "Bound by"),
    "best_seconds": Column("best_seconds", "Best ms", "seconds"),
    "ceiling_share": Column("ceiling_share", "% of ceiling", "share", "more"),
}

_ALL = _COLUMNS | _MEASURED | _AGAINST

#: What goes first where a measured network has no room for all columns.
_DETAIL = {
    "best_seconds": 6,
    "mac_share": 5,
    "arithmetic_intensity": 4,
    "bytes_moved": 3,
    "gflops": 2,
    "parameters": 1,
}

_COSTS = ("parameters", "macs", "mac_share", *_MEASURED)

#: The columns of each cut, where the network was measured.
_SHOWN_MEASURED = {
    "layer": ("path", "type", "output_shape", *_COSTS),
    "type": ("type", "calls", *_COSTS),
    "op": ("op", "calls", "macs", "mac_share", *_MEASURED),
    "module": ("path", "type", "output_shape", *_COSTS),
}

_SHOWN = {
    "layer": (
        "path",
        "type",
        "input_shape",
        "output_shape",
        "kernel",
        "stride",
        "receptive_field",
        "parameters",
        "parameter_share",
        "macs",
        "mac_share",
        "activations",
    ),
    "type": (
        "type",
        "calls",
        "parameters",
        "parameter_share",
        "weights",
        "weight_share",
        "macs",
        "mac_share",
        "activations",
    ),
    "op": ("op", "calls", "macs", "mac_share", "activations"),
    "module": (
        "path",
        "type",
        "input_shape",
        "output_shape",
        "parameters",
        "parameter_share",
        "macs",
        "mac_share",
        "activations",
    ),
}


def layer_table(
    profile: StaticProfile,
    by: str = "layer",
    depth: int | None = None,
    sort: str | None = None,
    indent: bool = True,
    ceilings: Ceilings | None = None,
) -> Table:
    """The table of one network. `depth` folds what lies deeper in the module tree; None chooses a readable
    one.

    `sort` is a column's key: largest first for numbers, which takes the tree apart. `indent` shows a layer's
    own name under its parent's; without it each row has its whole path, and headings go. Timed calls are set against
    the `ceilings` of the machine, where they are given. Raises BadOption for an unknown cut or column.
    """
    measured = _measured(profile)
    check_cut(by, sort, measured, ceilings is not None)
    roofline = Roofline(profile, ceilings) if ceilings and measured else None
    keys = [
        key
        for key in _shown(measured, roofline is not None)[by]
        if key != "receptive_field" or any(row.receptive_field for row in profile.layers)
    ]
    rows, notes = cut(profile, by, depth)
    if sort is not None or not indent:
        rows = [row for row in rows if not row.heading or row.parameters]
    if sort is not None:
        rows = sorted(rows, key=_order(sort, profile, roofline))
    whole = total(profile, rows, by)
    tree = indent and sort is None and by in ("layer", "module")
    drawn = [_cells(row, keys, profile, roofline, tree) for row in rows]
    drawn.append(_cells(whole, keys, profile, roofline, False))
    notes += [
        f"* {item.op} ({item.calls} {'call' if item.calls == 1 else 'calls'}) has no formula; "
        "its mult-adds are left out."
        for item in profile.uncounted
    ]
    said = [*(roofline.sentences if roofline else ()), *profile.notes]
    notes += [f"{note[0].upper()}{note[1:]}." for note in said]
    shape = "x".join(map(str, (profile.batch_size, *profile.input_shape)))
    return Table(
        f"{profile.name} by {by}, input {shape}",
        tuple(replace(_ALL[key], detail=_DETAIL.get(key, 0) if measured else 0) for key in keys),
        tuple(drawn),
        tuple(notes),
    )


def check_cut(by: str, sort: str | None = None, measured: bool = False, ceilings: bool = False) -> None:
    """Raise BadOption for an unknown cut, or a column that it lacks."""
    if by not in CUTS:
        raise BadOption(
            f"'{by}' is not a way to cut a network.{did_you_mean(by, CUTS)}", f"Expected one of: {', '.join(CUTS)}."
        )
    shown = _shown(measured, ceilings)[by]
    if sort in _AGAINST and measured and not ceilings:
        raise BadOption(
            f"'{sort}' needs the ceilings of this machine, and none are kept.", "Measure them: archprof env --roofline"
        )
    if sort is not None and sort not in shown:
        raise BadOption(
            f"the table by {by} has no column '{sort}'.{did_you_mean(sort, shown)}",
            f"It has {', '.join(shown)}.",
        )


def _shown(measured: bool, ceilings: bool) -> Mapping[str, tuple[str, ...]]:
    """The columns of each cut."""
    if not measured:
        return _SHOWN
    return {by: (*keys, *_AGAINST) for by, keys in _SHOWN_MEASURED.items()} if ceilings else _SHOWN_MEASURED


def _measured(profile: StaticProfile) -> bool:
    """Whether its calls have been timed."""
    return any(layer.seconds is not None for layer in profile.layers)


def as_json(
    profile: StaticProfile,
    by: str,
    depth: int | None = None,
    sort: str | None = None,
    ceilings: Ceilings | None = None,
) -> dict[str, Any]:
    """The same rows in base units under the columns' keys; `total` is the last row. Headings are left out."""
    rows = flat_rows(profile, by, depth, sort, ceilings)
    return {
        "schema_version": SCHEMA_VERSION,
        "archprof": __version__,
        "name": profile.name,
        "source": profile.source,
        "batch_size": profile.batch_size,
        "input_shape": list(profile.input_shape),
        "by": by,
        "rows": rows[:-1],
        "total": rows[-1],
        "uncounted": [{"op": item.op, "calls": item.calls} for item in profile.uncounted],
    }


def flat_rows(
    profile: StaticProfile,
    by: str,
    depth: int | None = None,
    sort: str | None = None,
    ceilings: Ceilings | None = None,
) -> list[dict[str, Any]]:
    """One dict per row, numbers in base units, the total last: what CSV and JSON hold."""
    table = layer_table(profile, by, depth, sort, indent=False, ceilings=ceilings)
    return [
        {
            column.key: list(cell.value) if isinstance(cell.value, tuple) else cell.value
            for column, cell in zip(table.columns, row, strict=True)
        }
        for row in table.rows
    ]


def _order(sort: str, profile: StaticProfile, roofline: Roofline | None) -> Callable[[LayerRow], Any]:
    def key(row: LayerRow) -> Any:
        value = _value(row, sort, profile, roofline)
        return (0, -value) if isinstance(value, int | float) else (1, value or "")

    return key


def _value(row: LayerRow, key: str, profile: StaticProfile, roofline: Roofline | None) -> Any:
    if key == "op":
        return row.path
    if key == "parameter_share":
        return row.parameters / profile.parameters if profile.parameters else None
    if key == "mac_share":
        return row.macs / profile.macs if profile.macs else None
    if key == "weight_share":
        whole = sum(item.weights for item in profile.by_type)
        return row.weights / whole if whole else None
    if key in _AGAINST and roofline:
        standing = roofline.standing(row.members)
        return {"bound_by": standing.by, "best_seconds": standing.best_s, "ceiling_share": standing.share}[key]
    if key in _MEASURED:
        return per_layer.value(row, key, total_s(profile))
    return getattr(row, key) or (None if key in _SHAPES else getattr(row, key))


_SHAPES = frozenset({"input_shape", "output_shape", "kernel", "stride", "receptive_field"})
_OWN = frozenset({"path", "type", "parameters", "parameter_share"})  # what a heading has of itself


def _cells(
    row: LayerRow, keys: Sequence[str], profile: StaticProfile, roofline: Roofline | None, indent: bool
) -> tuple[Cell, ...]:
    cells = []
    single = len(row.types) == 1 and row.calls == 1
    for key in keys:
        value = _value(row, key, profile, roofline)
        if (
            (row.heading and (key not in _OWN or (key.startswith("param") and not row.parameters)))
            or (key in ("kernel", "stride") and not single)
            or (key in _SHAPES and value is None)
        ):
            cells.append(Cell(None, text=" "))
        elif key == "path":
            cells.append(Cell(value, text=_name(row) if indent else value or profile.name))
        elif key == "macs" and row.uncounted:
            cells.append(Cell(value, "*"))
        elif key == "ceiling_share" and value is not None:
            cells.append(Cell(value, text=units.percent(value, 0)))
        else:
            cells.append(Cell(value))
    return tuple(cells)


def _name(row: LayerRow) -> str:
    """A layer's own name, indented under its parent's; what a parent runs itself has none."""
    own = row.depth != depth_of(row.path)
    return "  " * (row.depth - 1) + ("·" if own else row.path.rpartition(".")[2])
