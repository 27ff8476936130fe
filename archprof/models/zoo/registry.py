"""The one decorator that makes a function an architecture of the zoo."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Architecture:
    """A network of the zoo: how to build it, and the facts that a table shows beside it.

    `input_shape` is (C, H, W) without the batch; `family` is the file that holds it.
    """

    name: str
    build: Callable[..., nn.Module]
    family: str
    year: int
    paper: str
    input_shape: tuple[int, int, int]
    aliases: tuple[str, ...]

    @property
    def summary(self) -> str:
        """First line of the docstring."""
        return (inspect.getdoc(self.build) or self.name).splitlines()[0]

    @property
    def options(self) -> dict[str, inspect.Parameter]:
        """Keyword arguments that `build` takes, by name."""
        return dict(inspect.signature(self.build).parameters)


_registry: dict[str, Architecture] = {}
_spellings: dict[str, str] = {}  # plain spelling -> name


def plain(name: str) -> str:
    """Spelling without case and separators: 'MobileNet-V1' and 'mobilenet_v1' are one name."""
    return re.sub(r"[\s_.\-]", "", name).lower()


def architecture(
    *,
    paper: str,
    year: int,
    input_shape: tuple[int, int, int] = (3, 224, 224),
    aliases: tuple[str, ...] = (),
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the decorated function under its own name.

    `paper` is a URL, `year` its first publication, `aliases` are spellings that differ in more than
    case and separators. Two architectures may not share a spelling.
    """

    def register(build: Callable[..., Any]) -> Callable[..., Any]:
        name, family = build.__name__, build.__module__.rpartition(".")[2]
        _registry[name] = Architecture(name, build, family, year, paper, input_shape, aliases)
        for spelling in (name, *aliases):
            owner = _spellings.setdefault(plain(spelling), name)
            if owner != name:
                raise ValueError(f"'{spelling}' is already a spelling of '{owner}'")
        return build

    return register


def load_families() -> None:
    """Import every family file, so that the registry is whole."""
    package = __package__ or "archprof.models.zoo"
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        importlib.import_module(f"{package}.{module.name}")


def architectures() -> dict[str, Architecture]:
    """Every architecture by name, in natural order: resnet18, resnet34, resnet152."""
    load_families()
    order = sorted(
        _registry,
        key=lambda name: [
            (part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.findall(r"\d+|\D+", name)
        ],
    )
    return {name: _registry[name] for name in order}


def find(name: str) -> Architecture | None:
    """The architecture of that name or alias, whatever its case and separators."""
    load_families()
    found = _spellings.get(plain(name))
    return _registry[found] if found else None
