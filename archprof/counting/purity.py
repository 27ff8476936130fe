"""What a class's forward may look at besides its module and its inputs: read off its code, conservatively.

STEADY code meets torch and Python alone, and values that do not change while a network runs: what it did for one block
it does for the next. PURE code meets nothing of its own module's globals either, which somebody may set between two
passes: what it did in one network it does in another. ANY code may do otherwise the next time.
"""

from __future__ import annotations

import builtins
import dis
import inspect
from collections.abc import Iterable, Iterator
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import torch
from torch import nn

ANY, STEADY, PURE = range(3)

#: Libraries whose functions follow from their arguments, and from switches that whoever compares passes knows.
_TRUSTED = frozenset({"torch", "math", "operator", "itertools", "collections", "typing", builtins.__name__})

#: Types of values that cannot be changed in place.
_PLAIN = (int, float, bool, str, type(None), torch.dtype, torch.device, torch.memory_format)

_SETTERS = frozenset({dis.opmap["STORE_GLOBAL"], dis.opmap["DELETE_GLOBAL"]})

_WRITERS = frozenset({dis.opmap["STORE_ATTR"], dis.opmap["DELETE_ATTR"]})

#: What changes a module by a call.
_CHANGING = frozenset(
    {
        "setattr",
        "delattr",
        "__setattr__",
        "__dict__",
        "vars",
        "register_buffer",
        "register_parameter",
        "register_module",
        "add_module",
        "train",
        "eval",
        "apply",
        "requires_grad_",
    }
)

_BASES = frozenset(nn.Module.__mro__)


def purity(kind: type) -> int:
    """ANY, STEADY or PURE: of forward and of whatever it may call. torch's own layers are PURE."""
    if _trusted(kind.__module__):
        return PURE
    if any(["__getattr__" in vars(base) for base in kind.__mro__ if base not in _BASES]):
        return ANY
    least = PURE
    for codes, met in _reached(kind):
        if not all([_SETTERS.isdisjoint(code.co_code[::2]) for code in codes]):
            return ANY
        least = min([least, *map(_steadiness, met)])
    return least


def changes_modules(kind: type) -> bool:
    """Whether forward, or what it calls, sets attributes: of its module, or of any other."""
    return not _trusted(kind.__module__) and any(
        [
            not _WRITERS.isdisjoint(code.co_code[::2]) or not _CHANGING.isdisjoint(code.co_names)
            for codes, _ in _reached(kind)
            for code in codes
        ]
    )


def _reached(kind: type) -> Iterator[tuple[list[CodeType], list[Any]]]:
    """For each function that forward may lead to, trusted ones left out: its code, and the globals and values in
    closures that the code mentions."""
    names, waiting = {"forward"}, _functions(kind, ["forward"])
    seen = set(waiting)
    while waiting:
        function = waiting.pop()
        if _trusted(function.__module__):
            continue
        codes = list(_codes(function.__code__))
        mentioned = {name for code in codes for name in code.co_names}
        met = [function.__globals__[name] for name in mentioned if name in function.__globals__]
        met += list(inspect.getclosurevars(function).nonlocals.values()) if function.__closure__ else []
        yield codes, met
        more = [value for value in met if isinstance(value, FunctionType)]
        more += _functions(kind, mentioned - names)
        names |= mentioned
        waiting += [other for other in more if other not in seen]
        seen.update(more)


def _functions(kind: type, names: Iterable[str]) -> list[FunctionType]:
    """The functions that a class has by these names, those of properties included."""
    found = []
    for name in names:
        value = getattr(kind, name, None)
        values = (value.fget, value.fset) if isinstance(value, property) else (getattr(value, "__func__", value),)
        found += [value for value in values if isinstance(value, FunctionType)]
    return found


def _steadiness(value: Any) -> int:
    """How far a global, or what a closure holds, can be relied on."""
    if isinstance(value, ModuleType):
        return PURE if _trusted(value.__name__) else ANY
    if isinstance(value, type):
        return PURE if _trusted(value.__module__) or issubclass(value, nn.Module) else ANY
    if isinstance(value, BuiltinFunctionType):
        return PURE if _trusted(value.__module__) else ANY
    if isinstance(value, FunctionType):
        return PURE if _trusted(value.__module__) else STEADY
    return STEADY if isinstance(value, _PLAIN) else ANY


def _codes(code: CodeType) -> Iterator[CodeType]:
    """A code object and those nested in it: lambdas, comprehensions."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _trusted(module: str | None) -> bool:
    return (module or "").partition(".")[0] in _TRUSTED
