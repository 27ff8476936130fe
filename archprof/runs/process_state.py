"""What a network may change for all that come after it in the same process: looked at before and after each task.

Whoever finds a change lets the process go: putting everything back would need to know everything. Left out are random
numbers, which no count depends on, and modules that were imported.
"""

from __future__ import annotations

import builtins
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.nn.modules import module as nn_module

#: Settings of torch and of the process, each a function that gives the current one.
_SETTINGS: dict[str, Callable[[], Any]] = {
    "the default dtype": torch.get_default_dtype,
    "the default device": torch.get_default_device,
    "whether gradients are enabled": torch.is_grad_enabled,
    "the number of threads": torch.get_num_threads,
    "deterministic algorithms": torch.are_deterministic_algorithms_enabled,
    "the precision of float32 products": torch.get_float32_matmul_precision,
    "the working directory": os.getcwd,
    "the environment": lambda: dict(os.environ),
    "the import path": lambda: (list(sys.path), list(sys.meta_path), list(sys.path_hooks)),
    "the recursion limit": sys.getrecursionlimit,
    "the streams": lambda: (sys.stdout, sys.stderr, sys.stdin),
    "tracing": lambda: (sys.gettrace(), sys.getprofile()),
    "garbage collection": lambda: (gc.isenabled(), gc.get_threshold()),
    "the signal handlers": lambda: [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
    "the threads": lambda: set(threading.enumerate()),
}

#: Namespaces whose functions and classes a network may replace; layers are added to them.
_NAMESPACES: tuple[Any, ...] = (builtins, torch, torch.Tensor, torch.nn, torch.nn.functional, torch.nn.init)


def watched() -> Callable[[], str | None]:
    """A function that says what has changed since now; None: nothing."""
    settings = {name: _asked(setting) for name, setting in _SETTINGS.items()}
    hooks = _hooks()
    # the objects themselves, not their ids, which may be given again
    functions = {place: dict(callables(place)) for place in places()}

    def changed() -> str | None:
        for name, setting in _SETTINGS.items():
            if _asked(setting) != settings[name]:
                return name
        if _hooks() != hooks:
            return "the global hooks"
        for place, before in functions.items():
            now = vars(place)
            for name, function in before.items():
                if now.get(name) is not function:
                    return f"{getattr(place, '__name__', place)}.{name}"
            if isinstance(place, type) and any(name not in before for name in FORWARD if name in now):
                return f"{place.__name__}.forward"
        return None

    return changed


#: Methods that a layer may inherit: set on the layer itself, they are new in its namespace.
FORWARD = ("forward", "__call__", "__init__", "_call_impl")


def _asked(setting: Callable[[], Any]) -> Any:
    """The setting, or that it cannot be had (a working directory that was removed)."""
    try:
        return setting()
    except Exception as error:
        return type(error)


def places() -> Iterator[Any]:
    """Modules and classes of torch and Python in which a network may replace functions."""
    yield from _NAMESPACES
    for value in vars(torch.nn).values():
        if isinstance(value, type):
            yield value


def callables(place: Any) -> Iterator[tuple[str, Any]]:
    """What can be called there, by name."""
    for name, value in vars(place).items():
        if callable(value) or isinstance(value, property | staticmethod | classmethod):
            yield name, value


def _hooks() -> dict[str, Any]:
    """torch's tables of hooks that run for every module."""
    return {
        name: dict(value) if isinstance(value, dict) else value
        for name, value in vars(nn_module).items()
        if name.startswith("_global_")
    }
