"""What a caller in Python hands over: names, modules, classes, functions; one, several, or several with names."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..base.errors import BadOption, one_line, printable
from .code import found_as
from .found import Found
from .spec import SHOWN, ModelSpec

if TYPE_CHECKING:
    from torch import nn

EXPECTED = "expected a name such as 'resnet50', a torch.nn.Module, or a class or function that builds one"


def found_callable(call: Callable[..., Any], **options: Any) -> Found:
    """The network that a class or function builds, as `file.py:Net` would name it. Raises BadOption where it needs
    arguments beyond those `options`: then it is to be called."""
    name = shown(call)
    spec = ModelSpec(name, "instance", name, tuple(options.items()))
    return found_as(spec, call, name, contextlib.nullcontext)


def shown(call: Callable[..., Any]) -> str:
    """What a class or function is called in tables."""
    name = getattr(call, "__name__", None)
    return printable(name, SHOWN) if isinstance(name, str) and name else type(call).__name__


def unknown(model: Any) -> BadOption:
    """The error for what is no model at all."""
    several = isinstance(model, Mapping | list | tuple | set)
    hint = " Several networks are for archprof.compare." if several else ""
    return BadOption(f"a model cannot be of type {printable(type(model).__name__, SHOWN)};", f"{EXPECTED}.{hint}")


def named(models: Any) -> list[tuple[str | None, Any]]:
    """Each model with the name to show, None for its own: of a name, a module, several of them, or a dict of them by
    name. Raises BadOption for anything else."""
    from torch import nn

    if isinstance(models, Mapping):
        for name in models:
            if not isinstance(name, str) or not name.strip() or not name.isprintable() or len(name) > SHOWN:
                raise BadOption(
                    f"{printable(_repr(name), SHOWN)} cannot be the name of a network;",
                    f"expected at most {SHOWN} printable characters.",
                )
        return [(name, _checked(model)) for name, model in models.items()]
    if isinstance(models, str | ModelSpec | nn.Module) or callable(models):  # a module may be iterable: nn.Sequential
        return [(None, _checked(models))]
    if not isinstance(models, Iterable):
        raise unknown(models)
    return [(None, _checked(model)) for model in models]


def _checked(model: Any) -> str | ModelSpec | nn.Module | Callable[..., Any]:
    if isinstance(model, str | ModelSpec) or callable(model):  # modules and classes are callable
        return model
    raise unknown(model)


def _repr(thing: Any) -> str:
    try:
        return repr(thing)
    except Exception as error:
        return one_line(error)
