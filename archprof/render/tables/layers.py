"""From one StaticProfile to its layer table: by layer in the module tree, by type, by operator or by module.

Nothing here imports torch. Every cut but 'module' divides the network: its columns add up to the total row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...base.errors import BadOption, did_you_mean
from ...base.version import __version__
from ...costs.kinds import UNUSED
from ...results import per_layer
from ...results.profile import LayerCost, Shape, StaticProfile
from ...results.saved import SCHEMA_VERSION
from .table import Cell, Column, Table

CUTS = ("layer", "type", "op", "module")

#: More rows than this are folded into their parents when no depth is asked for.
READABLE = 40


@dataclass
class _Row:
    """One line of the table, before it is cells. `heading`: a module whose children have lines of their
    own.
    """

    path: str
    depth: int = 0
    type: str = ""
    heading: bool = False
    parameters: int = 0
    weights: int = 0
    macs: int = 0
    activations: int = 0
    calls: int = 0
    uncounted: bool = False
    input_shape: Shape = ()
    output_shape: Shape = ()
    kernel: Shape = ()
    stride: Shape = ()
    receptive_field: Shape = ()
    bytes_moved: int = 0
    seconds: float = 0.0
    types: set[str] = field(default_factory=set)

    def add(self, layer: LayerCost, parameters: int = 0) -> None:
        """Count an operator call in; its input stays that of the first, its output that of the last."""
        if not self.calls:
            self.input_shape, self.kernel, self.stride = layer.input_shape, layer.kernel, layer.stride
        self.calls += layer.type != per_layer.BETWEEN
        self.bytes_moved += layer.bytes_moved
        self.seconds += layer.seconds or 0.0
        self.macs += layer.macs or 0
        self.uncounted |= layer.macs is None
        self.activations += layer.activations if layer.macs else 0
        self.weights += layer.weights
        self.parameters += parameters
        self.output_shape = layer.output_shape
        self.receptive_field = layer.receptive_field
        self.types.add(layer.type)


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
) -> Table:
    """The table of one network. `depth` folds what lies deeper in the module tree; None chooses a readable
    one.

    `sort` is a column's key: largest first for numbers, which takes the tree apart. `indent` shows a layer's
    own name under its parent's; without it each row has its whole path, and headings go. Raises BadOption for
    an unknown cut or column.
    """
    measured = _measured(profile)
    check_cut(by, sort, measured)
    keys = [
        key
        for key in (_SHOWN_MEASURED if measured else _SHOWN)[by]
        if key != "receptive_field" or any(row.receptive_field for row in profile.layers)
    ]
    rows, notes = _cut(profile, by, depth)
    if sort is not None or not indent:
        rows = [row for row in rows if not row.heading or row.parameters]
    if sort is not None:
        rows = sorted(rows, key=_order(sort, profile))
    total = _total(profile, rows, by)
    drawn = [_cells(row, keys, profile, indent and sort is None and by in ("layer", "module")) for row in rows]
    drawn.append(_cells(total, keys, profile, False))
    notes += [
        f"* {item.op} ({item.calls} {'call' if item.calls == 1 else 'calls'}) has no formula; "
        "its mult-adds are left out."
        for item in profile.uncounted
    ]
    notes += [f"{note[0].upper()}{note[1:]}." for note in profile.notes]
    shape = "x".join(map(str, (profile.batch_size, *profile.input_shape)))
    return Table(
        f"{profile.name} by {by}, input {shape}",
        tuple((_COLUMNS | _MEASURED)[key] for key in keys),
        tuple(drawn),
        tuple(notes),
    )


def check_cut(by: str, sort: str | None = None, measured: bool = False) -> None:
    """Raise BadOption for an unknown cut, or a column that it lacks."""
    if by not in CUTS:
        raise BadOption(
            f"'{by}' is not a way to cut a network.{did_you_mean(by, CUTS)}", f"Expected one of: {', '.join(CUTS)}."
        )
    shown = (_SHOWN_MEASURED if measured else _SHOWN)[by]
    if sort is not None and sort not in shown:
        raise BadOption(
            f"the table by {by} has no column '{sort}'.{did_you_mean(sort, shown)}",
            f"It has {', '.join(shown)}.",
        )


def _measured(profile: StaticProfile) -> bool:
    """Whether its calls have been timed."""
    return any(layer.seconds is not None for layer in profile.layers)


def as_json(profile: StaticProfile, by: str, depth: int | None = None, sort: str | None = None) -> dict[str, Any]:
    """The same rows in base units under the columns' keys; `total` is the last row. Headings are left out."""
    rows = flat_rows(profile, by, depth, sort)
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
    profile: StaticProfile, by: str, depth: int | None = None, sort: str | None = None
) -> list[dict[str, Any]]:
    """One dict per row, numbers in base units, the total last: what CSV and JSON hold."""
    table = layer_table(profile, by, depth, sort, indent=False)
    return [
        {
            column.key: list(cell.value) if isinstance(cell.value, tuple) else cell.value
            for column, cell in zip(table.columns, row, strict=True)
        }
        for row in table.rows
    ]


def _cut(profile: StaticProfile, by: str, depth: int | None) -> tuple[list[_Row], list[str]]:
    if by == "type":
        return [
            _Row(
                "",
                type=row.type,
                parameters=row.parameters,
                weights=row.weights,
                macs=row.macs,
                activations=row.activations,
                calls=row.calls,
                bytes_moved=sum(layer.bytes_moved for layer in profile.layers if layer.type == row.type),
                seconds=sum(layer.seconds or 0.0 for layer in profile.layers if layer.type == row.type),
            )
            for row in profile.by_type
        ], []
    if by == "op":
        return _operators(profile.layers), []
    tree = _tree if by == "layer" else _modules
    if depth is not None:
        chosen = depth
    else:
        deepest = max((_depth(module.path) for module in profile.modules), default=0)
        chosen = next((d for d in range(deepest, 1, -1) if len(tree(profile, d)) <= READABLE), 1)
    rows = tree(profile, chosen)
    everything = tree(profile, 10**6)
    if len(rows) == len(everything):
        return rows, []
    return rows, [
        f"{len(everything)} rows folded into {len(rows)} at depth {chosen}; --depth {chosen + 1} shows one level more."
    ]


def _operators(layers: Iterable[LayerCost]) -> list[_Row]:
    rows: dict[str, _Row] = {}
    for layer in layers:
        rows.setdefault(layer.op, _Row(layer.op)).add(layer)
    return sorted(rows.values(), key=lambda row: (-row.macs, -row.calls, row.path))


def _depth(path: str) -> int:
    return path.count(".") + 1 if path else 0


def _at(path: str, depth: int) -> str:
    """The ancestor of a module at that depth, or itself."""
    return ".".join(path.split(".")[:depth]) if path and depth else ""


def _tree(profile: StaticProfile, depth: int) -> list[_Row]:
    """Modules in the order of the tree down to `depth`, what lies deeper folded in; what a module runs beside
    its children stands in rows of its own below it, one for each type.
    """
    parents = {_at(module.path, _depth(module.path) - 1) for module in profile.modules if module.path}
    rows: dict[tuple[str, str], _Row] = {}
    for module in profile.modules:  # every parent, then what is folded into a row
        if _depth(module.path) <= depth:
            opened = module.path in parents and _depth(module.path) < depth
            row = rows[module.path, ""] = _Row(module.path, _depth(module.path), module.kind, heading=opened)
        else:
            row = rows[_at(module.path, depth), ""]
        row.parameters += module.parameters
    for layer in profile.layers:
        row = rows[_at(layer.module, depth), ""]
        if row.heading:
            row = rows.setdefault((layer.module, layer.type), _Row(layer.module, _depth(layer.module) + 1, layer.type))
        row.add(layer)
    # rows that were found late stand directly behind their module's own
    late: dict[str, list[_Row]] = {}
    for (path, kind), row in rows.items():
        if kind:
            late.setdefault(path, []).append(row)
    ordered: list[_Row] = []
    for (path, kind), row in rows.items():
        if kind:
            continue
        if not row.heading and len(row.types) == 1 and path not in parents:
            row.type = next(iter(row.types))
        elif not row.heading and not row.calls:
            if not row.parameters:
                continue  # a dropout or identity: nothing ran, nothing is owned
            row.type = f"{row.type}, {UNUSED}"
        ordered.append(row)
        ordered += late.get(path, [])
    return [row for row in ordered if row.path or row.parameters or not row.heading]


def _modules(profile: StaticProfile, depth: int) -> list[_Row]:
    """Each module down to `depth` with all that it contains."""
    rows = {
        module.path: _Row(module.path, _depth(module.path), module.kind)
        for module in profile.modules
        if _depth(module.path) <= depth
    }
    for module in profile.modules:
        for level in range(min(_depth(module.path), depth) + 1):
            rows[_at(module.path, level)].parameters += module.parameters
    for layer in profile.layers:
        for level in range(min(_depth(layer.module), depth) + 1):
            rows[_at(layer.module, level)].add(layer)
    return [row for row in rows.values() if row.path]


def _order(sort: str, profile: StaticProfile) -> Callable[[_Row], Any]:
    def key(row: _Row) -> Any:
        value = _value(row, sort, profile)
        return (0, -value) if isinstance(value, int | float) else (1, value or "")

    return key


def _total(profile: StaticProfile, rows: Sequence[_Row], by: str) -> _Row:
    """The sums of the columns; they are the profile's own (tests add the rows up)."""
    counted = sum(row.calls for row in rows) if by != "module" else 0
    total = _Row(
        "total",
        type="total" if by == "type" else "",
        parameters=profile.parameters,
        weights=sum(row.weights for row in profile.by_type),
        macs=profile.macs,
        activations=profile.activations,
        calls=counted,
        bytes_moved=sum(layer.bytes_moved for layer in profile.layers),
        seconds=_total_s(profile),
    )
    total.uncounted = bool(profile.uncounted)
    return total


def _total_s(profile: StaticProfile) -> float:
    return sum(layer.seconds or 0.0 for layer in profile.layers)


def _value(row: _Row, key: str, profile: StaticProfile) -> Any:
    if key == "op":
        return row.path
    if key == "parameter_share":
        return row.parameters / profile.parameters if profile.parameters else None
    if key == "mac_share":
        return row.macs / profile.macs if profile.macs else None
    if key == "weight_share":
        whole = sum(item.weights for item in profile.by_type)
        return row.weights / whole if whole else None
    if key in _MEASURED:
        return per_layer.value(row, key, _total_s(profile))
    return getattr(row, key) or (None if key in _SHAPES else getattr(row, key))


_SHAPES = frozenset({"input_shape", "output_shape", "kernel", "stride", "receptive_field"})
_OWN = frozenset({"path", "type", "parameters", "parameter_share"})  # what a heading has of itself


def _cells(row: _Row, keys: Sequence[str], profile: StaticProfile, indent: bool) -> tuple[Cell, ...]:
    cells = []
    single = len(row.types) == 1 and row.calls == 1
    for key in keys:
        value = _value(row, key, profile)
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
        else:
            cells.append(Cell(value))
    return tuple(cells)


def _name(row: _Row) -> str:
    """A layer's own name, indented under its parent's; what a parent runs itself has none."""
    own = row.depth != _depth(row.path)
    return "  " * (row.depth - 1) + ("·" if own else row.path.rpartition(".")[2])
