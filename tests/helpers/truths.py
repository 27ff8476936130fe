"""A small language for tests that compare a count with arithmetic done by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from archprof.counting.counts import profile
from archprof.counting.shapes import ShapeMemory
from archprof.results.profile import StaticProfile

T = torch.zeros  # the values of an input never matter


class Does(nn.Module):
    """A network whose forward is the given function; modules that it uses are handed over to be owned."""

    def __init__(self, function: Callable[..., Any], *owned: nn.Module) -> None:
        super().__init__()
        self.function = function
        self.owned = nn.ModuleList(owned)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*self.owned, *args, **kwargs)


Network = nn.Module | Callable[..., Any]


def count(network: Network, *inputs: Any, mode: str = "eval", **kwargs: Any) -> StaticProfile:
    """The profile of a network or a function, with a memory of its own. Nothing may go uncounted."""
    network = network if isinstance(network, nn.Module) else Does(network)
    found = profile(network, inputs, kwargs, mode=mode, shape_memory=ShapeMemory())
    assert not found.uncounted, found.uncounted
    return found


def macs(network: Network, *inputs: Any, **kwargs: Any) -> int:
    return count(network, *inputs, **kwargs).macs
