"""When two modules are alike: the same code, the same settings, tensors of the same shapes, all the way down.

Alike modules that are given alike inputs do the same, so that the second need not be run (`repeats`). Where that
cannot be known from outside (a hook, a setting that can change behind its name, a part or a tensor that two modules
share) a module is like no other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
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

_BASES = frozenset(nn.Module.__mro__)

Settings = tuple[Any, ...]


class _Unknown(Exception):
    """Whether this module is like another cannot be told."""


def likeness(parts: Parts, owned: Owned, known: dict[Any, int]) -> list[int]:
    """A number for each of the parts, the same for those that are alike; 0 for what is like no other.

    `known` are the numbers given so far, in other networks too.
    """
    shared = _shared(parts, owned)
    numbers = [0] * len(parts)
    of_part: dict[int, int] = {}
    of_kind: dict[type, int] = {}
    settings_of = _SETTINGS.get
    for place in range(len(parts) - 1, -1, -1):  # what is inside comes before what holds it
        part = parts[place][1]
        attributes, kind = part.__dict__, type(part)
        code = of_kind.get(kind)
        if code is None:
            code = of_kind[kind] = known.setdefault((kind, code_of(kind)), len(known) + 1)
        try:
            if (attributes["_forward_pre_hooks"] or attributes["_forward_hooks"] or attributes["_backward_hooks"]
                    or attributes["_backward_pre_hooks"] or (shared and _touches(part, shared))):
                continue
            inside = attributes["_modules"]
            key: Settings = settings_of(kind, _settings)(attributes)
            key = code, key, *inside, *[of_part[id(child)] for child in inside.values()]
            numbers[place] = of_part[id(part)] = known.setdefault(key, len(known) + 1)
        except (_Unknown, KeyError, AttributeError, TypeError, RuntimeError):  # scripted parts, unusual tensors
            continue
    return numbers


def code_of(kind: type) -> tuple[Any, ...]:
    """The functions and plain values of a class and those that it inherits from, nn.Module's left out."""
    return tuple([value for base in kind.__mro__ if base not in _BASES for value in vars(base).values()
                  if type(value) in _CODE])


def _shared(parts: Parts, owned: Owned) -> set[int]:
    """Identities of modules and tensors that several modules hold: which of them a number meant would be unclear."""
    shared = set(owned.shared)
    children = [id(child) for _, part in parts for child in part._modules.values() if child is not None]
    if len(children) != len(parts) - 1:
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
            found += (name, _fixed(value))
    if attributes["_non_persistent_buffers_set"]:
        found.append(frozenset(attributes["_non_persistent_buffers_set"]))
    for table in (attributes["_parameters"], attributes["_buffers"]):
        for name, tensor in table.items():
            found += (name, None if tensor is None else _layout(tensor))
    return tuple(found)


def _fixed(value: Any) -> Any:
    """The value with its type (1, 1.0 and True are equal, but not to a network)."""
    kind = type(value)
    if kind in _FIXED or (kind in _BY_NAME and (value.__module__ or "").partition(".")[0] == "torch"):
        return kind, value
    if kind is tuple or kind is list:
        return kind, tuple([_fixed(item) for item in value])
    raise _Unknown


def _layout(tensor: Tensor) -> tuple[Any, ...]:
    if type(tensor) is not Parameter and type(tensor) is not Tensor:
        raise _Unknown
    return tensor.shape, tensor.stride(), tensor.dtype, tensor.requires_grad


def _row_major(tensor: Tensor | None) -> tuple[Any, ...] | None:
    """As _layout, for the commonest case."""
    if tensor is None:
        return None
    if not tensor.is_contiguous():
        return _layout(tensor)
    if type(tensor) is not Parameter and type(tensor) is not Tensor:
        raise _Unknown
    return tensor.shape, tensor.dtype, tensor.requires_grad


def _convolution(attributes: dict[str, Any]) -> Settings:
    if attributes["padding_mode"] != "zeros":
        return _settings(attributes)
    owned = attributes["_parameters"]
    return (_row_major(owned["weight"]), _row_major(owned["bias"]), attributes["stride"], attributes["padding"],
            attributes["dilation"], attributes["groups"])


def _batch_norm(attributes: dict[str, Any]) -> Settings:
    owned, kept = attributes["_parameters"], attributes["_buffers"]
    if attributes["_non_persistent_buffers_set"]:
        return _settings(attributes)
    return (_row_major(owned["weight"]), _row_major(owned["bias"]), _row_major(kept["running_mean"]),
            _row_major(kept["running_var"]), attributes["eps"], attributes["momentum"])


def _in_place(attributes: dict[str, Any]) -> Settings:
    return attributes["inplace"],


# The commonest layers of torch: what their forward looks at, in evaluation.
_SETTINGS: dict[type, Callable[[dict[str, Any]], Settings]] = {
    nn.Conv2d: _convolution, nn.BatchNorm2d: _batch_norm, nn.ReLU: _in_place, nn.ReLU6: _in_place}
