"""What a forward may change outside of its network, and what comes back after the pass.

torch's settings, random numbers and global hooks come back as they were. So do the attributes of the network's classes,
and the contents of the containers that their code reaches: in class attributes, default arguments, closures, and the
globals that the code names. What lies further away cannot be known (`docs/counting.md`).
"""

from __future__ import annotations

import functools
import random
import sys
import types
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as nn_module

from .recording import Parts

_CONTAINERS = (list, dict, set, deque)

#: Where code comes from that keeps nothing of a network: torch's own, and Python's.
_KNOWN = frozenset({"torch", "builtins", *sys.stdlib_module_names}) - {"__main__"}


def _default_device() -> torch.device | None:
    """The default device as it was set; None where it was not: a device set is a mode that slows every call."""
    context = getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None)
    return None if context is None else context.device


_flags: list[tuple[Callable[[], Any], Callable[[Any], None]]] = [
    (torch.get_default_dtype, torch.set_default_dtype),
    (torch.get_num_threads, torch.set_num_threads),
    (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    (
        lambda: (torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()),
        lambda was: torch.use_deterministic_algorithms(was[0], warn_only=was[1]),
    ),
    (lambda: torch.is_autocast_enabled("cpu"), lambda was: torch.set_autocast_enabled("cpu", was)),
    (lambda: torch.is_autocast_enabled("cuda"), lambda was: torch.set_autocast_enabled("cuda", was)),
    (torch.backends.mha.get_fastpath_enabled, torch.backends.mha.set_fastpath_enabled),
    (_default_device, torch.set_default_device),
    *[
        (functools.partial(getattr, owner, name), functools.partial(setattr, owner, name))
        for owner, names in (
            (torch.backends.cudnn, ("enabled", "benchmark", "deterministic", "allow_tf32")),
            (torch.backends.mkldnn, ("enabled",)),
        )
        for name in names
        if hasattr(owner, name)
    ],
]


@contextmanager
def surroundings(parts: Parts) -> Iterator[None]:
    """Whatever happens inside, what a pass of these modules may change around them comes back."""
    with ExitStack() as stack:
        stack.callback(_random_numbers())
        stack.callback(_settings())
        stack.callback(_Reached(parts).put_back)
        yield


def _random_numbers() -> Callable[[], None]:
    """Puts back torch's, Python's and numpy's random states: the next numbers are those that would have come."""
    states: list[tuple[Callable[[Any], Any], Any]] = [
        (torch.set_rng_state, torch.get_rng_state()),
        (random.setstate, random.getstate()),
    ]
    if torch.cuda.is_initialized():
        states.append((torch.cuda.set_rng_state_all, torch.cuda.get_rng_state_all()))
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        states.append((numpy.random.set_state, numpy.random.get_state()))

    def put_back() -> None:
        for restore, state in states:
            restore(state)

    return put_back


def _settings() -> Callable[[], None]:
    """Puts back torch's settings and the hooks that hold for all modules."""
    before = [(read, write, read()) for read, write in _flags]
    hooks = [
        (table, table.copy())
        for name, table in vars(nn_module).items()
        if name.startswith("_global_") and isinstance(table, dict)
    ]

    def put_back() -> None:
        for read, write, was in before:
            if read() != was:
                write(was)
        for table, was in hooks:
            if table != was:
                table.clear()
                table.update(was)

    return put_back


class _Reached:
    """What the code of a network's classes reaches outside of the network, as it was."""

    def __init__(self, parts: Parts) -> None:
        self.classes: list[tuple[type, dict[str, Any]]] = []
        self.containers: dict[int, tuple[Any, Any]] = {}
        self.cells: list[tuple[types.CellType, Any]] = []
        self.caches: list[Any] = []
        self.globals: list[tuple[dict[str, Any], dict[str, Any]]] = []
        self._seen: set[Any] = set()
        for kind in {type(part) for _, part in parts}:
            for base in kind.__mro__:
                if not _known(base.__module__):
                    self._class(base)

    def put_back(self) -> None:
        for kind, before in self.classes:
            now = vars(kind)
            for name in now.keys() - before.keys():
                delattr(kind, name)
            for name, value in before.items():
                if now.get(name) is not value:
                    setattr(kind, name, value)
        for cell, value in self.cells:
            cell.cell_contents = value
        for container, before in self.containers.values():
            _refill(container, before)
        for space, before in self.globals:
            for name in before:
                value = space.get(name)
                if isinstance(value, Tensor) and value.is_meta and value is not before[name]:
                    space.pop(name) if before[name] is _NOTHING else space.update({name: before[name]})
        for cache in self.caches:
            if _holds_no_values(cache):
                cache.cache_clear()

    def _class(self, kind: type) -> None:
        if kind in self._seen:
            return
        self._seen.add(kind)
        self.classes.append((kind, dict(vars(kind))))
        for value in vars(kind).values():
            self._value(value)

    def _value(self, value: Any) -> None:
        """Follow what a class, a closure or a named global holds."""
        kind = type(value)
        if kind is types.FunctionType:
            self._function(value)
        elif isinstance(value, _CONTAINERS):
            self._container(value)
        elif kind is property:
            for function in (value.fget, value.fset):
                self._value(function)
        elif kind in (staticmethod, classmethod, types.MethodType):
            self._value(value.__func__)
        elif isinstance(value, functools._lru_cache_wrapper):
            self.caches.append(value)
            self._value(value.__wrapped__)
        elif isinstance(value, type):
            if issubclass(value, nn.Module) and not _known(value.__module__):
                self._class(value)
        elif (
            hasattr(value, "__dict__")
            and not isinstance(value, _ELSEWHERE)
            and (kind is types.SimpleNamespace or not _known(kind.__module__))
        ):
            self._container(vars(value))

    def _function(self, function: types.FunctionType) -> None:
        if function in self._seen or _known(function.__module__):
            return
        self._seen.add(function)
        for cell in function.__closure__ or ():
            try:
                contents = cell.cell_contents
            except ValueError:  # nothing in it yet
                continue
            self.cells.append((cell, contents))
            self._value(contents)
        for value in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
            self._value(value)
        space = function.__globals__
        named = {name: space.get(name, _NOTHING) for name in _names(function.__code__)}
        self.globals.append((space, named))
        for value in named.values():
            self._value(value)

    def _container(self, container: Any) -> None:
        """Its contents, and those of the containers inside of it."""
        if id(container) in self.containers or len(self.containers) > MOST_CONTAINERS:
            return
        self.containers[id(container)] = container, container.copy()
        for value in container.values() if isinstance(container, dict) else container:
            if isinstance(value, _CONTAINERS):
                self._container(value)


_NOTHING = object()

#: What has attributes of its own that are no business of a pass, or is copied with it.
_ELSEWHERE = (types.ModuleType, nn.Module, Tensor)

#: Containers whose contents are kept at most: registries of thousands are filled when they are imported.
MOST_CONTAINERS = 1000


def _names(code: types.CodeType) -> set[str]:
    """The names that a code object and those nested in it (lambdas, comprehensions) use."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _names(constant)
    return names


def _refill(container: Any, before: Any) -> None:
    if (
        len(container) == len(before)
        and all([now is was for now, was in zip(container, before, strict=True)])
        and (not isinstance(container, dict) or all([container[key] is value for key, value in before.items()]))
    ):
        return
    container.clear()
    if isinstance(container, dict | set):
        container.update(before)
    else:
        container.extend(before)


def _holds_no_values(cache: Any) -> bool:
    """Whether a function's cache remembers tensors without values."""
    import gc

    seen: set[int] = set()
    waiting = gc.get_referents(cache)
    while waiting:
        value = waiting.pop()
        if isinstance(value, Tensor) and value.is_meta:
            return True
        if isinstance(value, tuple | list | dict) and id(value) not in seen and len(seen) < MOST_CONTAINERS:
            seen.add(id(value))
            waiting += gc.get_referents(value)
    return False


@functools.cache
def _known(module: str | None) -> bool:
    return (module or "").partition(".")[0] in _KNOWN
