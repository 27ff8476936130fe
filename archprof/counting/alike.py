"""When two modules are alike: the same code, the same settings, tensors of the same shapes, all the way down.

Alike modules that are given alike inputs do the same, so that the second need not be run (`repeats`). Where that
cannot be known from outside (a hook, a setting that can change behind its name, a part or a tensor that two modules
share) a module is like no other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from operator import attrgetter, methodcaller
from types import BuiltinFunctionType, FunctionType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import Parameter

from .modules import Owned, Parts

#: What every module has: its tables, its hooks, and its mode, which is the same for all while likeness matters.
_EVERY = frozenset(nn.Module().__dict__)

#: Types of settings that cannot change unnoticed.
_FIXED = frozenset({int, float, bool, str, type(None), torch.dtype, torch.device, torch.memory_format, torch.Size})

#: What has a name stays what it is, if it is torch's.
_BY_NAME = frozenset({type, FunctionType, BuiltinFunctionType})

#: Types of what a class holds by which its behaviour can be told.
_CODE = (_FIXED - {str}) | {FunctionType, property, staticmethod, classmethod}

#: A list that torch's convolutions keep and never change.
_OF_TORCH = frozenset({"_reversed_padding_repeated_twice"})

_BASES = frozenset(nn.Module.__mro__)

_USUAL = frozenset({Tensor, Parameter})
_seen = attrgetter("shape", "dtype", "requires_grad")
_shape = attrgetter("shape")
_shape_and_type = attrgetter("shape", "dtype")
_type_and_gradient = attrgetter("dtype", "requires_grad")
_requires_grad = attrgetter("requires_grad")
_layout = attrgetter("layout")
_is_row_major = methodcaller("is_contiguous")

Settings = tuple[Any, ...]


class _Unknown(Exception):
    """Whether this module is like another cannot be told."""


def likeness(parts: Parts, owned: Owned, known: dict[Any, int]) -> list[int]:
    """A number for each of the parts, the same for those that are alike; 0 for what is like no other.

    `known` are the numbers given so far, in other networks too.
    """
    shared = _shared(parts, owned)
    common, parameters, buffers = _layouts(owned)
    starts = owned.starts
    numbers = [0] * len(parts)
    of_part: dict[int, int] = {}
    of_kind: dict[type, int] = {}
    settings_of = _SETTINGS.get
    end_parameter, end_buffer = starts[-1]
    for place in range(len(parts) - 1, -1, -1):  # what is inside comes before what holds it
        part = parts[place][1]
        attributes, kind = part.__dict__, type(part)
        code = of_kind.get(kind)
        if code is None:
            code = of_kind[kind] = known.setdefault((kind, code_of(kind), common), len(known) + 1)
        first_parameter, first_buffer = starts[place]
        key: list[Any] = [code]
        if first_parameter < end_parameter:
            key += parameters[first_parameter:end_parameter]
        key.append(None)
        if first_buffer < end_buffer:
            key += buffers[first_buffer:end_buffer]
        end_parameter, end_buffer = first_parameter, first_buffer
        try:
            if (
                attributes["_forward_pre_hooks"]
                or attributes["_forward_hooks"]
                or attributes["_backward_hooks"]
                or attributes["_backward_pre_hooks"]
                or (shared and _touches(part, shared))
            ):
                continue
            key.append(settings_of(kind, _settings)(attributes))
            inside = attributes["_modules"]
            if inside:
                key += inside
                key += [of_part[id(child)] for child in inside.values()]
            numbers[place] = of_part[id(part)] = known.setdefault(tuple(key), len(known) + 1)
        except (_Unknown, KeyError, TypeError):  # scripted parts
            continue
    return numbers


def _layouts(owned: Owned) -> tuple[Any, list[Any], list[Any]]:
    """What others see of tensors, without values: what all parameters have in common, if that is so, and what each
    parameter and each buffer has besides; of an unusual one something that equals nothing."""
    tensors = owned.tensors
    if (
        set(map(type, tensors)) <= _USUAL
        and {torch.strided}.issuperset(map(_layout, tensors))
        and all(map(_is_row_major, tensors))
    ):
        common = set(map(_type_and_gradient, owned.parameters))
        if len(common) < 2 and not any(map(_requires_grad, owned.buffers)):
            return tuple(common), list(map(_shape, owned.parameters)), list(map(_shape_and_type, owned.buffers))
        return None, list(map(_seen, owned.parameters)), list(map(_seen, owned.buffers))
    found: list[Any] = [
        (*_seen(tensor), tensor.stride()) if type(tensor) in _USUAL and tensor.layout is torch.strided else object()
        for tensor in tensors
    ]
    return None, found[: len(owned.parameters)], found[len(owned.parameters) :]


def code_of(kind: type) -> tuple[Any, ...]:
    """The functions and plain values of a class and those that it inherits from, nn.Module's left out."""
    return tuple(
        [value for base in kind.__mro__ if base not in _BASES for value in vars(base).values() if type(value) in _CODE]
    )


def _shared(parts: Parts, owned: Owned) -> set[int]:
    """Identities of modules and tensors that several modules hold: which of them a number meant would be unclear."""
    shared = set(owned.shared)
    if sum([len(part._modules) for _, part in parts]) != len(parts) - 1:
        children = [id(child) for _, part in parts for child in part._modules.values() if child is not None]
        shared.update(identity for identity, times in Counter(children).items() if times > 1)
    return shared


def _touches(part: nn.Module, shared: set[int]) -> bool:
    held = [part, *part._parameters.values(), *part._buffers.values()]
    return any([id(value) in shared for value in held])


def _settings(attributes: dict[str, Any]) -> Settings:
    """Everything that an unknown module's forward may look at. Raises _Unknown where it is more than plain values."""
    found: list[Any] = []
    for name, value in attributes.items():
        if name not in _EVERY:
            found += (name, _fixed(tuple(value) if name in _OF_TORCH else value))
    for table in ("_parameters", "_buffers"):
        found += [(name, tensor is None) for name, tensor in attributes[table].items()]
    return *found, frozenset(attributes["_non_persistent_buffers_set"])


def _fixed(value: Any) -> Any:
    """The value with its type (1, 1.0 and True are equal, but not to a network)."""
    kind = type(value)
    if kind in _FIXED or (kind in _BY_NAME and (value.__module__ or "").partition(".")[0] == "torch"):
        return kind, value
    if kind is tuple:
        return kind, tuple([_fixed(item) for item in value])
    raise _Unknown


def _convolution(attributes: dict[str, Any]) -> Settings:
    if attributes["padding_mode"] != "zeros" or attributes["_parameters"]["weight"] is None:
        return _settings(attributes)
    return attributes["stride"], attributes["padding"], attributes["dilation"], attributes["groups"]


def _batch_norm(attributes: dict[str, Any]) -> Settings:
    owned = attributes["_parameters"]
    if attributes["_non_persistent_buffers_set"] or owned["weight"] is None or owned["bias"] is None:
        return _settings(attributes)
    return attributes["eps"], attributes["momentum"], attributes["track_running_stats"]


def _in_place(attributes: dict[str, Any]) -> Settings:
    return (attributes["inplace"],)


# The commonest layers of torch: what their forward looks at besides tensors, in evaluation.
_SETTINGS: dict[type, Callable[[dict[str, Any]], Settings]] = {
    nn.Conv2d: _convolution,
    nn.BatchNorm2d: _batch_norm,
    nn.ReLU: _in_place,
    nn.ReLU6: _in_place,
}
