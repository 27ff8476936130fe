"""Handling a module with care: walking it once, putting stand-ins in, giving it back as it was."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from .meta import stand_in

Parts = list[tuple[str, nn.Module]]

LAZY = (UninitializedParameter, UninitializedBuffer)

_TABLES = ("_parameters", "_buffers", "_modules")


def walk(module: nn.Module) -> Parts:
    """Every module once, with the first path that leads to it, parents before children.

    The order and paths of `named_modules()`, which is too slow to be called for every question.
    """
    parts: Parts = []
    seen: set[int] = set()
    stack: list[tuple[str, nn.Module]] = [("", module)]
    while stack:
        path, part = stack.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        parts.append((path, part))
        prefix = f"{path}." if path else ""
        stack += [(prefix + name, child) for name, child in reversed(part._modules.items()) if child is not None]
    return parts


class StillLazy(RuntimeError):
    """Parts of the module wait for their first input to know their own shapes."""


class Owned:
    """A module's parameters and buffers by qualified name, each once, under the first name that leads to it.

    Raises StillLazy where one has no shape yet.
    """

    def __init__(self, parts: Parts) -> None:
        self.parameters: dict[str, Any] = {}
        self.buffers: dict[str, Any] = {}
        self.unsaved: set[str] = set()  # buffers that a state_dict leaves out
        seen: set[int] = set()
        for path, part in parts:
            prefix = f"{path}." if path else ""
            for table, found in ((part._parameters, self.parameters), (part._buffers, self.buffers)):
                for name, tensor in table.items():
                    if tensor is not None and id(tensor) not in seen:
                        seen.add(id(tensor))
                        found[prefix + name] = tensor
                        if type(tensor) in LAZY:
                            raise StillLazy(f"{prefix}{name} has no shape yet")
            if part._non_persistent_buffers_set:
                self.unsaved.update([prefix + name for name in part._non_persistent_buffers_set])


@contextmanager
def untouched(parts: Parts) -> Iterator[None]:
    """Whatever happens inside, the modules' modes, attributes and tables and torch's random state come back."""
    kept: list[tuple[dict[str, Any], dict[str, Any]]] = []
    scripted: list[tuple[nn.Module, bool]] = []
    for _, part in parts:
        if isinstance(part, torch.jit.ScriptModule):
            scripted.append((part, part.training))
            continue
        attributes = part.__dict__
        kept.append((attributes, attributes.copy()))
        kept += [(table, table.copy()) for name in _TABLES if (table := attributes.get(name))]
    with _same_random_numbers():
        try:
            yield
        finally:
            _give_back(kept, scripted)


def _give_back(kept: list[tuple[dict[str, Any], dict[str, Any]]], scripted: list[tuple[nn.Module, bool]]) -> None:
    for table, before in kept:
        table.clear()
        table.update(before)
    for part, training in scripted:
        part.train(training)


@contextmanager
def _same_random_numbers() -> Iterator[None]:
    """The next random numbers after this are those that would have come: torch's, Python's and numpy's."""
    states: list[tuple[Callable[[Any], Any], Any]] = [
        (torch.set_rng_state, torch.get_rng_state()), (random.setstate, random.getstate())]
    if torch.cuda.is_initialized():
        states.append((torch.cuda.set_rng_state_all, torch.cuda.get_rng_state_all()))
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        states.append((numpy.random.set_state, numpy.random.get_state()))
    try:
        yield
    finally:
        for put_back, state in states:
            put_back(state)


@contextmanager
def no_gradients_yet(owned: Owned) -> Iterator[None]:
    """Inside, parameters start without gradients; those that they had come back."""
    before = [(parameter, parameter.grad) for parameter in owned.parameters.values()]
    for parameter, _ in before:
        parameter.grad = None
    try:
        yield
    finally:
        for parameter, gradient in before:
            parameter.grad = gradient


def set_training(parts: Parts, training: bool) -> None:
    """Set each module's mode by itself: what `train()` was overridden to do besides must not happen."""
    for _, part in parts:
        if part.training is not training:
            if isinstance(part, torch.jit.ScriptModule):
                part.train(training)
            else:
                part.__dict__["training"] = training


def duplicate(tensor: Tensor) -> Tensor:
    """The same values in memory of their own, without gradients."""
    twin = tensor.detach().clone()
    return nn.Parameter(twin, requires_grad=tensor.requires_grad) if isinstance(tensor, nn.Parameter) else twin


def replace_tensors(parts: Parts, other: Callable[[Tensor], Tensor] = stand_in, on_meta: bool = False) -> None:
    """Replace every parameter and buffer that has values (`on_meta`: that has none) by `other` of it, wherever a
    module holds it."""
    made: dict[int, Tensor] = {}
    for _, part in parts:
        for table in (part._parameters, part._buffers):
            for name, tensor in table.items():
                if tensor is not None and tensor.is_meta is on_meta:
                    if id(tensor) not in made:
                        made[id(tensor)] = other(tensor)
                    table[name] = made[id(tensor)]
    if not made:
        return
    for _, part in parts:  # a recurrent layer keeps a list of its own weights
        for name, value in part.__dict__.items():
            if isinstance(value, list) and any(id(item) in made for item in value):
                part.__dict__[name] = [made.get(id(item), item) for item in value]


def any_real(owned: Owned) -> bool:
    """Whether a parameter or buffer has values."""
    return any([not tensor.is_meta for tensor in [*owned.parameters.values(), *owned.buffers.values()]])
