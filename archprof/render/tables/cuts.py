"""One network cut into rows: by layer in the module tree, by type, by operator or by module. Never imports torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ...costs.kinds import UNUSED
from ...results import per_layer
from ...results.profile import LayerCost, Shape, StaticProfile, TypeCost

#: More rows than this are folded into their parents when no depth is asked for.
READABLE = 40


@dataclass
class LayerRow:
    """One line of the table, before it is cells. `heading`: a module whose children have lines of their own."""

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
    members: list[LayerCost] = field(default_factory=list)

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
        self.members.append(layer)


def cut(profile: StaticProfile, by: str, depth: int | None) -> tuple[list[LayerRow], list[str]]:
    """The rows of a network cut by 'layer', 'type', 'op' or 'module', and a note of what was folded."""
    if by == "type":
        return [
            _type(row, [layer for layer in profile.layers if layer.type == row.type]) for row in profile.by_type
        ], []
    if by == "op":
        return _operators(profile.layers), []
    tree = _tree if by == "layer" else _modules
    if depth is not None:
        chosen = depth
    else:
        deepest = max((depth_of(module.path) for module in profile.modules), default=0)
        chosen = next((d for d in range(deepest, 1, -1) if len(tree(profile, d)) <= READABLE), 1)
    rows = tree(profile, chosen)
    everything = tree(profile, 10**6)
    if len(rows) == len(everything):
        return rows, []
    return rows, [
        f"{len(everything)} rows folded into {len(rows)} at depth {chosen}; --depth {chosen + 1} shows one level more."
    ]


def _type(row: TypeCost, layers: list[LayerCost]) -> LayerRow:
    return LayerRow(
        "",
        type=row.type,
        parameters=row.parameters,
        weights=row.weights,
        macs=row.macs,
        activations=row.activations,
        calls=row.calls,
        bytes_moved=sum(layer.bytes_moved for layer in layers),
        seconds=sum(layer.seconds or 0.0 for layer in layers),
        members=layers,
    )


def _operators(layers: Iterable[LayerCost]) -> list[LayerRow]:
    rows: dict[str, LayerRow] = {}
    for layer in layers:
        rows.setdefault(layer.op, LayerRow(layer.op)).add(layer)
    return sorted(rows.values(), key=lambda row: (-row.macs, -row.calls, row.path))


def depth_of(path: str) -> int:
    """How deep a module lies: 0 for the network, 2 for 'layer1.0'."""
    return path.count(".") + 1 if path else 0


def _at(path: str, depth: int) -> str:
    """The ancestor of a module at that depth, or itself."""
    return ".".join(path.split(".")[:depth]) if path and depth else ""


def _tree(profile: StaticProfile, depth: int) -> list[LayerRow]:
    """Modules in the order in which they ran, down to `depth`, what lies deeper folded in; what a module runs beside
    its children stands in rows of its own among them, one for each type.
    """
    parents = {_at(module.path, depth_of(module.path) - 1) for module in profile.modules if module.path}
    rows: dict[tuple[str, str], LayerRow] = {}
    for module in profile.modules:  # every parent, then what is folded into a row
        if depth_of(module.path) <= depth:
            opened = module.path in parents and depth_of(module.path) < depth
            row = rows[module.path, ""] = LayerRow(module.path, depth_of(module.path), module.kind, heading=opened)
        else:
            row = rows[_at(module.path, depth), ""]
        row.parameters += module.parameters
    for layer in profile.layers:
        row = rows[_at(layer.module, depth), ""]
        if row.heading:
            row = rows.setdefault(
                (layer.module, layer.type), LayerRow(layer.module, depth_of(layer.module) + 1, layer.type)
            )
        row.add(layer)
    ordered: list[LayerRow] = []
    for (path, kind), row in _as_run(profile, depth, rows):
        if not kind and not row.heading and len(row.types) == 1 and path not in parents:
            row.type = next(iter(row.types))
        elif not kind and not row.heading and not row.calls:
            if not row.parameters:
                continue  # a dropout or identity: nothing ran, nothing is owned
            row.type = f"{row.type}, {UNUSED}"
        ordered.append(row)
    return [row for row in ordered if row.path or row.parameters or not row.heading]


Place = tuple[float, int]


def _as_run(
    profile: StaticProfile, depth: int, rows: Mapping[tuple[str, str], LayerRow]
) -> list[tuple[tuple[str, str], LayerRow]]:
    """The rows of a tree in the order in which their first calls ran, what contains them in front.

    A module that never ran stands behind the one that was defined before it.
    """
    first = _first_runs(profile)
    own: dict[tuple[str, str], float] = {}
    for at, layer in enumerate(profile.layers):
        own.setdefault((_at(layer.module, depth), layer.type), at)
    placed: dict[str, tuple[Place, ...]] = {"": ()}
    for number, module in enumerate(profile.modules):
        if module.path and depth_of(module.path) <= depth:
            above = placed[_at(module.path, depth_of(module.path) - 1)]
            placed[module.path] = (*above, (first.get(module.path, -1.0), number))

    def place(key: tuple[str, str]) -> tuple[Place, ...]:
        path, kind = key
        return (*placed[path], (own[key], 0)) if kind else placed[path]

    return sorted(rows.items(), key=lambda item: place(item[0]))


def _first_runs(profile: StaticProfile) -> dict[str, float]:
    """When each module, or what it contains, first ran: the place of the call; of those that never did, the place of
    the sibling that was defined before."""
    first: dict[str, float] = {}
    for at, layer in enumerate(profile.layers):
        for level in range(depth_of(layer.module) + 1):
            first.setdefault(_at(layer.module, level), at)
    before: dict[str, float] = {}
    for module in profile.modules:
        parent = _at(module.path, depth_of(module.path) - 1)
        before[parent] = first.setdefault(module.path, before.get(parent, -1.0))
    return first


def _modules(profile: StaticProfile, depth: int) -> list[LayerRow]:
    """Each module down to `depth` with all that it contains."""
    rows = {
        module.path: LayerRow(module.path, depth_of(module.path), module.kind)
        for module in profile.modules
        if depth_of(module.path) <= depth
    }
    for module in profile.modules:
        for level in range(min(depth_of(module.path), depth) + 1):
            rows[_at(module.path, level)].parameters += module.parameters
    for layer in profile.layers:
        for level in range(min(depth_of(layer.module), depth) + 1):
            rows[_at(layer.module, level)].add(layer)
    return [row for _, row in _as_run(profile, depth, {(path, ""): row for path, row in rows.items()}) if row.path]


def total(profile: StaticProfile, rows: Sequence[LayerRow], by: str) -> LayerRow:
    """The sums of the columns; they are the profile's own (tests add the rows up)."""
    counted = sum(row.calls for row in rows) if by != "module" else 0
    whole = LayerRow(
        "total",
        type="total" if by == "type" else "",
        parameters=profile.parameters,
        weights=sum(row.weights for row in profile.by_type),
        macs=profile.macs,
        activations=profile.activations,
        calls=counted,
        bytes_moved=sum(layer.bytes_moved for layer in profile.layers),
        seconds=total_s(profile),
        members=list(profile.layers),
    )
    whole.uncounted = bool(profile.uncounted)
    return whole


def total_s(profile: StaticProfile) -> float:
    """Seconds of all calls together; 0 where none was timed."""
    return sum(layer.seconds or 0.0 for layer in profile.layers)
