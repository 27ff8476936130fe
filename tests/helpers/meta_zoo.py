"""Networks of the zoo on the meta device: shapes without storage, so the largest costs milliseconds."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from archprof.models.zoo import find


def build(name: str, **options: object) -> nn.Module:
    """The architecture called `name`, in eval mode on the meta device."""
    found = find(name)
    assert found is not None, name
    with torch.device("meta"):
        return found.build(**options).eval()


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def run(network: nn.Module, *shape: int) -> tuple[tuple[int, ...], int]:
    """Shape of the output for one zero-storage input of `shape`, and mult-adds (half torch's flops)."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        output = network(torch.empty(shape, device="meta"))
    return tuple(output.shape), counter.get_total_flops() // 2


def shapes_by_module(network: nn.Module, *shape: int) -> dict[str, tuple[int, ...]]:
    """Output shape of every submodule, by its path."""
    seen: dict[str, tuple[int, ...]] = {}

    def note(path: str):
        return lambda _module, _inputs, output: seen.update({path: tuple(output.shape)})

    for path, module in network.named_modules():
        module.register_forward_hook(note(path))
    run(network, *shape)
    return seen


def weight_layers(network: nn.Module, leaving_out: str = "downsample") -> int:
    """Convolutions and linear layers, those of projection shortcuts left out: the number in a name."""
    return sum(
        isinstance(module, nn.Conv2d | nn.Linear) and leaving_out not in path
        for path, module in network.named_modules()
    )
