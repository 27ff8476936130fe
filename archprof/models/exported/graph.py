"""An exported graph as a network: its operators called one after another, each looked up in a written list.

The graph's JSON is data here. No part of it is evaluated, imported, unpickled or turned into source code.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ...base.errors import BadFile, printable

#: torch's numbers for types, as its schema of exported graphs has them.
DTYPES = {
    1: "uint8",
    2: "int8",
    3: "int16",
    4: "int32",
    5: "int64",
    6: "float16",
    7: "float32",
    8: "float64",
    9: "complex32",
    10: "complex64",
    11: "complex128",
    12: "bool",
    13: "bfloat16",
    28: "uint16",
    29: "float8_e4m3fn",
    30: "float8_e5m2",
    31: "float8_e4m3fnuz",
    32: "float8_e5m2fnuz",
    33: "float8_e8m0fnu",
    34: "uint32",
    35: "uint64",
}
LAYOUTS = dict(enumerate("sparse_coo sparse_csr sparse_csc sparse_bsr sparse_bsc _mkldnn strided".split(), start=1))
MEMORY_FORMATS = {1: "contiguous_format", 2: "channels_last", 3: "channels_last_3d", 4: "preserve_format"}

OTHERWISE = "Name the code that builds the network instead: file.py:callable."

#: Arithmetic with sizes.
_ARITHMETIC: dict[str, Callable[..., Any]] = {
    **{
        f"_operator.{name}": getattr(operator, name)
        for name in "add sub mul floordiv truediv mod neg pos abs eq ne lt le gt ge and_ or_ not_ getitem".split()
    },
    **{f"math.{name}": getattr(math, name) for name in "ceil floor trunc sqrt".split()},
    **{  # older torch lacks some
        f"torch.sym_{name}": getattr(torch, f"sym_{name}")
        for name in "float int max min not ite sum".split()
        if hasattr(torch, f"sym_{name}")
    },
    "torch._sym_sqrt": math.sqrt,
    "_operator.pow": lambda base, power: _power(base, power),
}

#: Operators that reach for files or the terminal.
_OUTSIDE = {"from_file", "_print", "save", "warn"}

_OPERATOR = re.compile(r"torch\.ops\.(aten|prims|torchvision)\.(\w+)\.(\w+)")


def _power(base: Any, power: Any) -> Any:
    if abs(power) > 64:
        raise ValueError(f"a power of {power} in the formula of a size")
    return base**power


class Name(str):
    """Stands in an operator's arguments for the value of that name."""


class _Several(tuple[Any, ...]):
    """A list in an operator's arguments, of which some are names."""


@dataclass(frozen=True)
class _Device:
    """A device in an operator's arguments: where the graph was exported, which may not be where it runs."""

    kind: str

    def at(self, inputs: torch.device) -> torch.device:
        return inputs if self.kind != "cpu" or inputs.type == "cuda" else torch.device("cpu")


@dataclass(frozen=True)
class _Step:
    """One call: its results by name (None: the value itself is dropped), and the names that nobody asks for after."""

    call: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    results: tuple[str, ...] | tuple[tuple[str, ...]] | str | None
    last: tuple[str, ...] = ()


class Graph:
    """A graph, or one inside it: called with the list of its inputs' values, it returns that of its outputs."""

    def __init__(self, inputs: list[str], steps: list[_Step], outputs: list[Any]) -> None:
        self.inputs, self.outputs = inputs, outputs
        self.steps = _with_last_uses(steps, outputs)

    def __call__(self, values: list[Any]) -> list[Any]:
        """`values` are taken over: the list is empty afterwards, so that nothing keeps them longer than needed."""
        known = dict(zip(self.inputs, values, strict=True))
        place = next((value.device for value in reversed(values) if isinstance(value, torch.Tensor)), _CPU)
        values.clear()
        for step in self.steps:
            args = [_resolved(arg, known, place) for arg in step.args]
            kwargs = {key: _resolved(arg, known, place) for key, arg in step.kwargs.items()}
            value = step.call(*args, **kwargs)
            del args, kwargs
            _keep(known, step.results, value)
            del value
            for name in step.last:
                known.pop(name, None)
        return [_resolved(output, known, place) for output in self.outputs]


_CPU = torch.device("cpu")


def _resolved(arg: Any, known: dict[str, Any], place: torch.device) -> Any:
    kind = type(arg)
    if kind is Name:
        return known[arg]
    if kind is _Several:
        return [_resolved(item, known, place) for item in arg]
    return arg.at(place) if kind is _Device else arg


def _keep(known: dict[str, Any], results: Any, value: Any) -> None:
    if isinstance(results, str):
        known[results] = value
    elif results is not None:
        for name, part in zip(results, value, strict=True):
            _keep(known, name, part)


def _names(arg: Any) -> Iterator[str]:
    if isinstance(arg, Name):
        yield arg
    elif isinstance(arg, _Several):
        for item in arg:
            yield from _names(item)


def _given(results: Any) -> Iterator[str]:
    if isinstance(results, str):
        yield results
    elif results is not None:
        for item in results:
            yield from _given(item)


def _with_last_uses(steps: list[_Step], outputs: list[Any]) -> list[_Step]:
    """The steps, each knowing which values it is the last to use: memory is given back as plain code would."""
    needed = {name for output in outputs for name in _names(output)}
    done = []
    for step in reversed(steps):
        uses = {name for arg in (*step.args, *step.kwargs.values()) for name in _names(arg)} | set(_given(step.results))
        done.append(_Step(step.call, step.args, step.kwargs, step.results, tuple(sorted(uses - needed))))
        needed |= uses
    return done[::-1]


# --- operators ------------------------------------------------------------------------------------------------------


def _operator(target: str) -> Any:
    if target in _ARITHMETIC:
        return _ARITHMETIC[target]
    if match := _OPERATOR.fullmatch(target):
        space, name, overload = match.groups()
        if space == "torchvision":
            from ..libraries import imported

            imported("torchvision")
        packet = getattr(getattr(torch.ops, space), name, None)
        if isinstance(packet, torch._ops.OpOverloadPacket) and overload in packet.overloads() and name not in _OUTSIDE:
            found = getattr(packet, overload)
            # without a kernel it is TorchScript's own: strings, files
            if torch._C._dispatch_has_kernel(found._name):
                return found
    raise BadFile(
        f"the graph calls '{printable(target, 120)}', which is not one of torch's operators on tensors and sizes.",
        OTHERWISE,
    )


def _without_gradients(enabled: bool, graph: Graph, *values: Any) -> list[Any]:
    with torch.set_grad_enabled(enabled):
        return graph(list(values))


def _with_autocast(kind: str, dtype: Any, enabled: bool, cache: bool | None, graph: Graph, *values: Any) -> list[Any]:
    with torch.autocast(kind, dtype, enabled, cache):
        return graph(list(values))


def _condition(holds: Any, if_true: Graph, if_false: Graph, values: Iterable[Any] = ()) -> list[Any]:
    return (if_true if holds else if_false)(list(values))


#: Operators that take a graph.
_HIGHER: dict[str, Callable[..., Any]] = {
    "torch.ops.higher_order.wrap_with_set_grad_enabled": _without_gradients,
    "torch.ops.higher_order.wrap_with_autocast": _with_autocast,
    "torch.ops.higher_order.cond": _condition,
}


# --- from JSON ------------------------------------------------------------------------------------------------------


def only(union: Mapping[str, Any]) -> tuple[str, Any]:
    ((kind, value),) = union.items()
    return kind, value


def argument(union: Mapping[str, Any]) -> Any:
    kind, value = only(union)
    match kind:
        case "as_none":
            return None
        case "as_int" | "as_bool" | "as_string":
            return plain(value)
        case "as_float":
            return float(value)
        case "as_ints" | "as_bools" | "as_strings":
            return [plain(item) for item in value]
        case "as_floats":
            return [float(item) for item in value]
        case "as_tensor" | "as_sym_int" | "as_sym_float" | "as_sym_bool" | "as_optional_tensor":
            return _named(value)
        case "as_tensors" | "as_sym_ints" | "as_sym_floats" | "as_sym_bools" | "as_optional_tensors":
            return _Several(_named(item) for item in value)
        case "as_nested_tensors":
            return _Several(_Several(_named(item) for item in items) for items in value)
        case "as_scalar_type":
            return getattr(torch, DTYPES[value])
        case "as_memory_format":
            return getattr(torch, MEMORY_FORMATS[value])
        case "as_layout":
            return getattr(torch, LAYOUTS[value])
        case "as_device":
            return _Device(str(value["type"]))
        case "as_complex":
            return complex(float(value["real"]), float(value["imag"]))
        case "as_graph":
            return graph_of(value["graph"])
    raise BadFile(f"the graph has an argument '{printable(str(kind), 60)}', which is not read here.", OTHERWISE)


def plain(value: Any) -> Any:
    if type(value) not in (int, bool, str):
        raise ValueError(f"{type(value).__name__} where a number or a word belongs")
    return value


def _named(value: Any) -> Any:
    """{'name': 'x'}, {'as_name': 'x'}, {'as_tensor': {'name': 'x'}}, {'as_int': 3}: a name or a plain number."""
    kind, inner = only(value)
    if kind in ("name", "as_name"):
        return Name(inner)
    return _named(inner) if kind == "as_tensor" else argument(value)


def _result(union: Mapping[str, Any]) -> Any:
    found = argument(union)
    return tuple(_result_of(item) for item in found) if isinstance(found, _Several) else _result_of(found)


def _result_of(found: Any) -> str | None:
    if found is not None and not isinstance(found, Name):
        raise ValueError("a result without a name")
    return None if found is None else str(found)


def _step(node: Mapping[str, Any]) -> _Step:
    target = str(node["target"])
    call = _HIGHER.get(target) or _operator(target)
    args, kwargs = [], {}
    for entry in node["inputs"]:
        value = argument(entry["arg"])
        # without a kind (older archives) arguments stand in the order of the operator's schema
        if entry.get("kind") == 2 and entry["name"]:
            kwargs[str(entry["name"])] = value
        else:
            args.append(value)
    results = [_result(union) for union in node["outputs"]]
    if len(results) == 1 and not (target in _HIGHER and node.get("is_hop_single_tensor_return") is False):
        return _Step(call, tuple(args), kwargs, results[0])
    return _Step(call, tuple(args), kwargs, tuple(results) if results else None)


def graph_of(graph: Mapping[str, Any]) -> Graph:
    """The graph that JSON describes. Raises BadFile for an operator not listed, else ValueError and its like."""
    inputs = [argument(union) for union in graph["inputs"]]
    names = [str(entry) if isinstance(entry, Name) else f"constant {place}" for place, entry in enumerate(inputs)]
    return Graph(names, [_step(node) for node in graph["nodes"]], [argument(union) for union in graph["outputs"]])
