"""From a model name to a network: every source behind one grammar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import UnknownModel, did_you_mean
from ..spec import ModelSpec, parse
from . import zoo
from .found import Found

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Found", "find", "load"]

#: Source -> function from a spec to what was found.
_SOURCES = {"zoo": zoo.find}


def find(model: str | ModelSpec) -> Found:
    """The network that a name means, not built yet.

    Raises BadSpec (grammar), UnknownModel (no such source or name) or BadOption (its keyword arguments).
    """
    spec = parse(model) if isinstance(model, str) else model
    look_up = _SOURCES.get(spec.source)
    if look_up is None:
        raise UnknownModel(f"unknown source '{spec.source}' in '{spec.text}'.{did_you_mean(spec.source, _SOURCES)}",
                           "'archprof list' shows the zoo.")
    return look_up(spec)


def load(model: str | ModelSpec) -> nn.Module:
    """Build the network that a name means, with initialised weights, on the CPU."""
    return find(model).build()
