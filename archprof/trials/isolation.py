"""What keeps one network's training from another's, and one epoch's from the next: everything outside of the weights
that a network may change is put back, and every random number follows from a seed."""

from __future__ import annotations

import contextlib
import hashlib
import linecache
import os
import random
import re
import threading
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy
import torch
from torch import nn
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks

from ..counting.recording import walk
from ..counting.surroundings import surroundings
from ..models.found import Found
from ..results.recipe import OPTIMIZER_CLASSES
from ..runs import process_state

#: Settings that a training depends on beside those of any pass: how to ask, how to set.
_SETTINGS: tuple[tuple[Callable[[], Any], Callable[[Any], Any]], ...] = (
    (torch.is_grad_enabled, torch.set_grad_enabled),
    (
        lambda: (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
        lambda was: torch.autograd.set_detect_anomaly(*was),
    ),
)

#: Where a training's own functions are, which a network may replace.
_OF_TRAINING: tuple[Any, ...] = (
    *(torch.optim, torch.optim.lr_scheduler, torch.autograd, torch.Generator),
    *{base for name in OPTIMIZER_CLASSES.values() for base in getattr(torch.optim, name).__mro__[:-1]},
)

#: torch's tables of hooks that run at every optimizer's step.
_HOOKS: tuple[dict[int, Any], ...] = (
    _global_optimizer_pre_hooks,
    _global_optimizer_post_hooks,
)

#: Random numbers and settings are of the whole process: trials in several threads take turns, epoch by epoch.
_ONE_AT_A_TIME = threading.RLock()

#: Smaller than any number that is kept where denormal numbers count as zero.
_DENORMAL = 1e-40


@contextmanager
def isolated(module: nn.Module | None = None) -> Iterator[None]:
    """Whatever a network does inside, those after it find torch and the process as they were.

    Put back are torch's settings, whether gradients are enabled, random numbers, global hooks, functions of torch that
    were replaced, the working directory, and, of `module`, what its classes hold. What a network changes elsewhere,
    such as a global of its file, cannot be known.
    """
    with _ONE_AT_A_TIME, _isolated(module):
        yield


@contextmanager
def _isolated(module: nn.Module | None) -> Iterator[None]:
    denormals, folder = _flushes(), _folder()
    settings = [(write, read()) for read, write in _SETTINGS]
    functions = {place: dict(process_state.callables(place)) for place in (*process_state.places(), *_OF_TRAINING)}
    hooks = [(table, table.copy()) for table in _HOOKS]
    try:
        with surroundings(walk(module) if module is not None else []):
            yield
    finally:
        for write, was in settings:
            write(was)
        if _flushes() != denormals:
            torch.set_flush_denormal(denormals)
        for table, entries in hooks:
            table.clear()
            table.update(entries)
        for place, before in functions.items():
            _put_back(place, before)
        if folder is not None and _folder() != folder:
            with contextlib.suppress(OSError):  # it was removed meanwhile
                os.chdir(folder)


def _flushes() -> bool:
    """Whether numbers close to zero become zero; torch sets that, and has no word for asking."""
    return not bool(torch.tensor(_DENORMAL, dtype=torch.float32, device="cpu") * 1)


def _folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:
        return None


def _put_back(place: Any, before: dict[str, Any]) -> None:
    now = vars(place)
    for name, function in before.items():
        if now.get(name) is not function:
            setattr(place, name, function)
    if isinstance(place, type):  # a method that was inherited before
        for name in [name for name in process_state.FORWARD if name in now and name not in before]:
            delattr(place, name)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Inside, the random numbers of torch, numpy and Python follow from the seed; behind it they go on as before."""
    with _ONE_AT_A_TIME, surroundings([]):
        torch.manual_seed(seed)
        numpy.random.seed(seed % 2**32)
        random.seed(seed)
        yield


def mixed(*parts: object) -> int:
    """A seed that follows from all of them, and is like no other's."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:7], "big")


# --- what a network is made of ----------------------------------------------------------------------------------------


def code_of(found: Found, module: nn.Module) -> str:
    """A fingerprint of the code that a network runs, as far as it can be seen: its layers with their settings, and the
    files of its classes and of what builds it. A function elsewhere that these call is not part of it."""
    made = getattr(found.make, "func", found.make)
    linecache.checkcache()  # it keeps files as they were
    parts = [re.sub(r"0x[0-9a-f]+", "", _layers(module))]
    kinds = {base for part in module.modules() for base in type(part).__mro__ if not _torch_s(base)}
    builders = [each for each in (made, *_inside(made)) if getattr(each, "__module__", "") != "archprof.models.code"]
    things = [*sorted(kinds, key=lambda kind: (kind.__module__, kind.__qualname__)), *builders]
    parts += dict.fromkeys(text for thing in things if (text := _source(thing)))
    return hashlib.sha256("\0".join(parts).encode("utf-8", "backslashreplace")).hexdigest()[:12]


def _layers(module: nn.Module) -> str:
    try:
        return repr(module)
    except Exception:  # a layer's own description of itself may raise
        return ""


def _torch_s(kind: type) -> bool:
    return kind.__module__.partition(".")[0] in ("torch", "builtins", "typing")


def _inside(call: Any) -> list[Any]:
    """Functions and classes that a function of `models.code` closes over: what it calls."""
    held = [cell.cell_contents for cell in getattr(call, "__closure__", None) or () if _filled(cell)]
    return [each for each in held if isinstance(each, type | types.FunctionType)]


def _filled(cell: types.CellType) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


def _source(thing: Any) -> str:
    """What a class or a function does as it is in memory, and the text of the file in which it is written.

    Both, for a file may have been edited since, and its functions may call others in it.
    """
    held = vars(thing).values() if isinstance(thing, type) else [thing]
    codes = [each.__code__ for each in held if isinstance(each, types.FunctionType)]
    texts = dict.fromkeys("".join(linecache.getlines(code.co_filename)) for code in codes)
    return "\n".join([*texts, *map(_instructions, codes)])


def _instructions(code: types.CodeType) -> str:
    """What a function does, without the lines on which it stands."""
    return "\n".join([code.co_code.hex(), *code.co_names, *map(_constant, code.co_consts)])


def _constant(value: Any) -> str:
    if isinstance(value, types.CodeType):
        return _instructions(value)
    # the order of a set is another in every process
    return repr(sorted(map(repr, value))) if isinstance(value, frozenset) else repr(value)
