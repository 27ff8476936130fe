"""Handling a module with care: walking it once, putting stand-ins in, giving it back as it was."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from .meta import stand_in

Parts = list[tuple[str, nn.Module]]

LAZY = frozenset({UninitializedParameter, UninitializedBuffer})

_is_meta = attrgetter("is_meta")

#: The number of a pass's first buffer; the numbers of parameters are nearer to zero.
FIRST_BUFFER = -(10**9)

_TABLES = ("_parameters", "_buffers", "_modules")

_CONTAINERS = frozenset({dict, list, set})


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
        children = part._modules
        if children:
            prefix = f"{path}." if path else ""
            stack += [(prefix + name, child) for name, child in reversed(children.items()) if child is not None]
    return parts


class StillLazy(RuntimeError):
    """Parts of the module wait for their first input to know their own shapes."""


class Owned:
    """A module's parameters and buffers, each once, in the order of its parts.

    `numbers` are theirs by identity: those of parameters from -1 downwards, those of buffers from FIRST_BUFFER.
    `shared` are the identities of those that are held more than once. `starts` says for each part, and for the end, how
    many parameters and buffers come before its own. Raises StillLazy where one has no shape yet.
    """

    def __init__(self, parts: Parts) -> None:
        self.parameters: list[Any] = []
        self.buffers: list[Any] = []
        self.numbers: dict[int, int] = {}
        self.shared: set[int] = set()
        self.starts: list[tuple[int, int]] = []
        parameters, buffers, starts, numbers = self.parameters, self.buffers, self.starts, self.numbers
        for _, part in parts:
            starts.append((len(parameters), len(buffers)))
            for table, found, zero in ((part._parameters, parameters, -1), (part._buffers, buffers, FIRST_BUFFER)):
                for tensor in table.values():
                    if tensor is not None:
                        if id(tensor) in numbers:
                            self.shared.add(id(tensor))
                        else:
                            numbers[id(tensor)] = zero - len(found)
                            found.append(tensor)
        starts.append((len(parameters), len(buffers)))
        self.tensors = parameters + buffers
        if not LAZY.isdisjoint(map(type, self.tensors)):
            path, name = next(
                (path, name)
                for path, part in parts
                for table in (part._parameters, part._buffers)
                for name, tensor in table.items()
                if type(tensor) in LAZY
            )
            raise StillLazy(f"{path}.{name} has no shape yet".lstrip("."))

    @property
    def any_real(self) -> bool:
        """Whether a parameter or buffer has values."""
        return not all(map(_is_meta, self.tensors))


@contextmanager
def untouched(parts: Parts | None = None) -> Iterator[Callable[[Parts], None]]:
    """Whatever happens inside, the modules' attributes and tables and torch's random state come back.

    So do the contents of lists, dicts and sets that are attributes of modules which are not torch's own. What is handed
    over keeps those of more modules, as they are when it is called.
    """
    kept: list[tuple[Any, Any]] = []
    attributes_of: list[tuple[nn.Module, dict[str, Any]]] = []
    torchs: dict[type, bool] = {}

    def keep(parts: Parts) -> None:
        for _, part in parts:
            attributes, kind = part.__dict__, type(part)
            is_torchs = torchs.get(kind)
            if is_torchs is None:
                is_torchs = torchs[kind] = kind.__module__.startswith("torch.")
            if is_torchs and issubclass(kind, torch.jit.ScriptModule):
                pass  # its tables belong to what was compiled
            elif is_torchs:
                for name in _TABLES:
                    table = attributes.get(name)
                    if table:  # torch's own layers put nothing into an empty one
                        kept.append((table, table.copy()))
            else:
                kept.extend([(value, value.copy()) for value in attributes.values() if type(value) in _CONTAINERS])
            attributes_of.append((part, attributes.copy()))

    keep(parts or [])
    with _same_random_numbers():
        try:
            yield keep
        finally:  # backwards: what was kept twice comes back as it was at first
            for part, attributes in reversed(attributes_of):  # as copied: refilled they would take four times the room
                object.__setattr__(part, "__dict__", attributes)
            for container, before in reversed(kept):
                if type(container) is list:
                    container[:] = before
                else:
                    container.clear()
                    container.update(before)


@contextmanager
def _same_random_numbers() -> Iterator[None]:
    """The next random numbers after this are those that would have come: torch's, Python's and numpy's."""
    states: list[tuple[Callable[[Any], Any], Any]] = [
        (torch.set_rng_state, torch.get_rng_state()),
        (random.setstate, random.getstate()),
    ]
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
    before = [(parameter, parameter.grad) for parameter in owned.parameters]
    for parameter, _ in before:
        parameter.grad = None
    try:
        yield
    finally:
        for parameter, gradient in before:
            parameter.grad = gradient


@contextmanager
def in_mode(parts: Parts, training: bool) -> Iterator[None]:
    """Inside, each module's mode is set by itself: what `train()` was overridden to do besides must not happen."""
    # a scripted module's mode is no attribute, goes to what is inside of it, and may be changed by whoever runs
    scripted = [(part, part.training) for _, part in parts if isinstance(part, torch.jit.ScriptModule)]
    others = [
        (part, part.training)
        for _, part in parts
        if part.training is not training
        and "training" in part.__dict__
        and not isinstance(part, torch.jit.ScriptModule)
    ]
    for script, before in scripted:
        if before is not training:
            script.train(training)
    for module, _ in others:
        module.__dict__["training"] = training
    try:
        yield
    finally:
        for script, before in scripted:
            script.train(before)
        for module, before in others:
            module.__dict__["training"] = before


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
