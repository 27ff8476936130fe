"""What a measurement runs: a network with memory and weights, and its inputs, on the device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ..counting.inputs import real_inputs
from ..models import Arguments, Found
from ..results.conditions import Conditions
from .device import inputs as one_image
from .device import moved
from .weights import materialise, realistic


def module(model: Any, found: Found | None, conditions: Conditions) -> nn.Module:
    """The network of a name, built with realistic weights; a module that exists already is copied.

    `model` is the module itself where there is nothing `found`.
    """
    if found is None:
        return materialise(model, conditions, keep=True)
    if found.instance is not None:
        return materialise(found.instance, conditions, keep=True)
    return materialise(realistic(found.build), conditions)


def inputs(
    given: Callable[[int], Arguments] | None,
    input_shape: tuple[int, ...],
    batch_size: int,
    conditions: Conditions,
) -> Arguments:
    """forward's arguments: random where values do not matter, as `given` describes where they do."""
    if given is None:
        return one_image(input_shape, batch_size, conditions), {}
    found: Arguments = moved(real_inputs(given(batch_size), torch.device("cpu")), conditions)
    return found
