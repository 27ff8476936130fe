"""From a model name to a network: every source behind one grammar.

A package of its own adds a source through the entry point group `archprof.sources`: the entry's name is what stands
before the colon, its object has `find(spec) -> Found` and, where its networks can be listed, `names() -> list[str]`.
"""

from __future__ import annotations

import fnmatch
import importlib.metadata
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol

from ..base.errors import BadSpec, MissingPackage, UnknownModel, one_line
from . import built_in, code, exported, given, libraries
from .found import Arguments, Found
from .spec import ModelSpec, parse

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Arguments", "Found", "Source", "expand", "find", "load"]

GROUP = "archprof.sources"


class Source(Protocol):
    """Where networks come from. `names()` is optional: without it, wildcards cannot be used."""

    def find(self, spec: ModelSpec) -> Found: ...


#: What stands before the colon -> source.
_SOURCES: dict[str, Source] = {
    "zoo": built_in,
    "torchvision": libraries.Torchvision(),
    "timm": libraries.Timm(),
    "exported": exported,
}


def find(model: str | ModelSpec | Callable[..., Any]) -> Found:
    """The network that a name means, or that a class or function builds; not built yet.

    Raises BadSpec (grammar), UnknownModel (no such source or name), BadOption (its keyword arguments), MissingPackage
    (its library is not installed, or broken) or BuildFailed (your own code raised while it was imported).
    """
    if not isinstance(model, str | ModelSpec):
        if not callable(model):
            raise given.unknown(model)
        return given.found_callable(model)
    spec = parse(model) if isinstance(model, str) else model
    source = _source(spec.source)
    if source is not None:
        return source.find(spec)
    if spec.source == "file":
        return code.find_in_file(spec)
    return code.find_in_module(spec, [*_SOURCES, *_entry_points()])


def load(model: str | ModelSpec | Callable[..., Any]) -> nn.Module:
    """Build the network that a name means, or a class, with initialised weights, on the CPU."""
    return find(model).build()


def expand(patterns: Iterable[str]) -> list[str]:
    """The names that are meant, wildcards (`*`, `?`) resolved, each once.

    `timm:convnext_*(num_classes=10)@192` keeps options and resolution for every name. Raises UnknownModel for a
    pattern that nothing matches.
    """
    names: dict[str, None] = {}
    for pattern in patterns:
        names |= dict.fromkeys(_matches(parse(pattern)))
    return list(names)


def _matches(spec: ModelSpec) -> list[str]:
    if not re.search(r"[*?]", spec.target):
        return [spec.text]
    source = _source(spec.source)
    if not hasattr(source, "names"):
        raise BadSpec(f"'{spec.text}': the networks of '{spec.source}' cannot be listed;", "name each one.")
    known = source.names()  # type: ignore[union-attr]
    found = fnmatch.filter(known, spec.target)
    if not found:
        raise UnknownModel(
            f"none of the {len(known)} networks of {spec.source} matches '{spec.target}'.",
            f"'archprof list' shows the zoo; {spec.source}:* would be all of them.",
        )
    return [spec.text.replace(spec.target, name, 1) for name in found]


def _source(name: str) -> Source | None:
    if name in _SOURCES:
        return _SOURCES[name]
    entry = _entry_points().get(name)
    if entry is None:
        return None
    try:
        code.ran = True
        _SOURCES[name] = entry.load()
    except Exception as error:
        raise MissingPackage(
            f"source '{name}' ({entry.value}) is installed, but loading it fails: {one_line(error)}.",
            "Update or remove the package that offers it.",
        ) from error
    return _SOURCES[name]


def _entry_points() -> dict[str, importlib.metadata.EntryPoint]:
    return {entry.name: entry for entry in importlib.metadata.entry_points(group=GROUP)}
