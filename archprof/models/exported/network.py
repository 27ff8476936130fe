"""An exported program as a network: its weights under their names, its graph, and what it is called with."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from ...base.errors import BadFile, BadOption, printable
from .graph import DTYPES, OTHERWISE, Graph, Name, argument, graph_of, only, plain


def shape_of(meta: Mapping[str, Any], size: Callable[[Mapping[str, Any]], int]) -> tuple[int, ...]:
    """The sizes of a tensor; `size` makes a number of one that is a formula."""
    return tuple(plain(entry["as_int"]) if "as_int" in entry else size(entry["as_expr"]) for entry in meta["sizes"])


def dtype_of(meta: Mapping[str, Any]) -> torch.dtype:
    return getattr(torch, DTYPES[meta["dtype"]])


def _fixed(_: Mapping[str, Any]) -> int:
    raise ValueError("a weight whose size is a formula")


def tensors(settings: Mapping[str, Any], data: Mapping[str, bytearray]) -> dict[str, torch.Tensor]:
    """Weights or constants by name; those of one storage stay so, and a name for the same tensor is the same one."""
    found: dict[str, torch.Tensor] = {}
    same: dict[str, torch.Tensor] = {}
    for name, entry in settings.items():
        meta = entry["tensor_meta"]
        if entry.get("use_pickle") or meta is None:
            raise BadFile(f"'{printable(name, 80)}' is stored as a pickle, which is not opened here.", OTHERWISE)
        key = repr((entry["path_name"], meta, entry["is_param"]))
        if key not in same:
            tensor = _tensor(meta, data[entry["path_name"]])
            same[key] = nn.Parameter(tensor, bool(meta["requires_grad"])) if entry["is_param"] else tensor
        found[name] = same[key]
    return found


def _tensor(meta: Mapping[str, Any], data: bytearray) -> torch.Tensor:
    shape, dtype = shape_of(meta, _fixed), dtype_of(meta)
    if not data:  # a network that was exported without values
        return torch.empty(shape, dtype=dtype, device="meta")
    strides = [plain(entry["as_int"]) for entry in meta["strides"]]
    flat = torch.frombuffer(data, dtype=dtype)
    return flat.as_strided(shape, strides, plain(meta["storage_offset"]["as_int"]))


# --- the network ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Input:
    """One tensor or number that the network is given: its name and, for a tensor, its description in JSON."""

    name: str
    meta: Mapping[str, Any] | None
    value: Any = None


@dataclass(frozen=True)
class Program:
    """A graph and its signature.

    `sources` has for each of the graph's inputs the name of the weight, buffer or constant, None where it is one of
    `inputs`, which the caller gives. `written` has for each of its outputs the tensor or input that takes the value,
    None where it is returned.
    """

    graph: Graph
    inputs: tuple[Input, ...]
    sources: tuple[str | None, ...]
    written: tuple[str | None, ...]
    persistent: frozenset[str]
    constants: frozenset[str]
    tree: _Tree | None
    argument_names: tuple[str, ...]


def program_of(exported: Mapping[str, Any]) -> Program:
    """The program that an archive's JSON describes. Raises BadFile for what is not read here, ValueError and its like
    where it is not laid out as torch writes it."""
    module = exported["graph_module"]
    signature, values = module["signature"], module["graph"]["tensor_values"]
    inputs: list[Input] = []
    sources: list[str | None] = []
    persistent, constants = set(), set()
    for entry in signature["input_specs"]:
        kind, spec = only(entry)
        sources.append(None)
        if kind == "user_input":
            name = argument(spec["arg"])
            known = isinstance(name, Name)
            inputs.append(Input(str(name), values.get(name)) if known else Input("", None, name))
        elif kind == "constant_input":
            inputs.append(Input(str(spec["name"]), None, argument(spec["value"])))
        elif kind in ("parameter", "buffer", "tensor_constant"):
            sources[-1] = name = str(spec[f"{kind}_name"])
            if spec.get("persistent"):
                persistent.add(name)
            if kind == "tensor_constant":
                constants.add(name)
        else:
            raise BadFile(f"the graph takes '{printable(kind, 60)}', which is not read here.", OTHERWISE)
    written = tuple(_written(*only(entry)) for entry in signature["output_specs"])
    graph = graph_of(module["graph"])
    if len(graph.inputs) != len(sources) or len(graph.outputs) != len(written):
        raise ValueError("the graph's inputs and outputs are not those of its signature")
    return Program(
        graph, tuple(inputs), tuple(sources), written, frozenset(persistent), frozenset(constants), *_calling(module)
    )


def _written(kind: str, spec: Mapping[str, Any]) -> str | None:
    if kind in ("user_output", "loss_output"):
        return None
    for field in ("buffer_name", "parameter_name", "user_input_name"):
        if kind.endswith("_mutation") and field in spec:
            return str(spec[field])
    raise BadFile(f"the graph returns '{printable(kind, 60)}', which is not read here.", OTHERWISE)


class Network(nn.Module):
    """The exported network. Forward takes its inputs one by one, or in the structure that it was exported with.

    What it knows of itself lies in one attribute, for any other may be the name of a layer.
    """

    def __init__(self, program: Program, held: Mapping[str, torch.Tensor]) -> None:
        super().__init__()
        self._program = program
        for name, tensor in held.items():
            self._hold(name, tensor)
        for source in filter(None, program.sources):
            if source not in held:
                raise ValueError(f"no tensor '{printable(source, 80)}'")
        self._read = [operator.attrgetter(name) if name else None for name in program.sources]

    def _hold(self, name: str, tensor: torch.Tensor) -> None:
        *path, last = name.split(".")
        place: nn.Module = self
        for part in path:
            if part not in place._modules:
                place.add_module(part, nn.Module())
            place = place.get_submodule(part)
        if isinstance(tensor, nn.Parameter):
            place.register_parameter(last, tensor)
        elif name in self._program.constants and not hasattr(place, last):
            setattr(place, last, tensor)  # a number that forward wrote out, which is no buffer
        else:
            place.register_buffer(last, tensor, persistent=name in self._program.persistent)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        program = self._program
        given = iter(_flat(program, args, kwargs))
        values = [next(given) if read is None else read(self) for read in self._read]
        _move_constants(program, values)
        place = {name: at for at, name in enumerate(program.graph.inputs)}
        changed = {name: values[place[name]] for name in program.written if name in place}
        outputs = program.graph(values)
        returned = []
        for name, output in zip(program.written, outputs, strict=True):
            if name is None:
                returned.append(output)
            else:
                with torch.no_grad():
                    (changed[name] if name in changed else operator.attrgetter(name)(self)).copy_(output)
        return returned[0] if len(returned) == 1 else tuple(returned)


def _move_constants(program: Program, values: list[Any]) -> None:
    """Constants to the GPU that the inputs are on: they are plain tensors, which Module.to leaves where they are."""
    place = next((value.device for value in reversed(values) if isinstance(value, torch.Tensor)), None)
    if place is not None and place.type == "cuda":
        for at, source in enumerate(program.sources):
            if source in program.constants:
                values[at] = values[at].to(place)


def _flat(program: Program, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    flat = list(args)
    if kwargs or len(args) != len(program.inputs) or any(isinstance(arg, (tuple, list, dict)) for arg in args):
        flat = _leaves_of(program.tree, program.argument_names, args, kwargs)
    if len(flat) != len(program.inputs):
        names = ", ".join(entry.name for entry in program.inputs)
        raise BadOption(f"the exported network takes {len(program.inputs)} inputs ({names}), not {len(flat)}.")
    return flat


# --- arguments in their structure -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Tree:
    """The structure of arguments: a leaf, or a container with its keys (those of a dict) and children."""

    kind: str | None = None
    keys: tuple[Any, ...] = ()
    children: tuple[_Tree, ...] = ()

    def leaves(self, value: Any) -> list[Any]:
        if self.kind is None:
            return [value]
        if self.kind in ("builtins.dict", "collections.OrderedDict") and isinstance(value, dict):
            parts = [value[key] for key in self.keys]
        elif self.kind in ("builtins.tuple", "builtins.list", "collections.namedtuple"):
            parts = list(value)
        else:
            return list(pytree.tree_leaves(value))
        return [leaf for child, part in zip(self.children, parts, strict=True) for leaf in child.leaves(part)]


def _calling(program: Mapping[str, Any]) -> tuple[_Tree | None, tuple[str, ...]]:
    """The structure of (args, kwargs) and the names of positional arguments, where the archive tells them.

    It is JSON for us and no more: torch's own reader would import the modules that it names.
    """
    for entry in program.get("module_call_graph", ()):
        if entry["fqn"] == "" and (signature := entry["signature"]):
            _, tree = json.loads(signature["in_spec"])
            found = _tree(tree)
            if len(found.children) != 2:
                raise ValueError("arguments that are not (args, kwargs)")
            return found, tuple(map(str, signature.get("forward_arg_names") or ()))
    return None, ()


def _tree(found: Mapping[str, Any]) -> _Tree:
    if found["type"] is None:
        return _Tree()
    keys: Any = ()
    if found["type"] in ("builtins.dict", "collections.OrderedDict"):
        keys = tuple(key for key in json.loads(found["context"]) if isinstance(key, (str, int, float)))
    return _Tree(str(found["type"]), keys, tuple(_tree(child) for child in found["children_spec"]))


def _leaves_of(tree: _Tree | None, names: tuple[str, ...], args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    if tree is None:
        return list(pytree.tree_leaves((args, kwargs)))
    positional, named = tree.children
    kwargs = dict(kwargs)
    args = (*args, *(kwargs.pop(name) for name in names[len(args) : len(positional.children)] if name in kwargs))
    try:
        return tree.leaves((args, kwargs))
    except (KeyError, ValueError, TypeError) as error:
        wanted = ", ".join([*names[: len(positional.children)], *map(str, named.keys)])
        raise BadOption(f"the exported network takes ({wanted}).") from error
