"""Blocks that will be copied stay shut until somebody looks inside; looking changes nothing that is recorded."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from test_repeats import Block, X, copied
from torch import Tensor, nn

from archprof.counting.counts import profile
from archprof.counting.modules import Owned, walk
from archprof.counting.repeats import Repeats
from archprof.counting.shapes import ShapeMemory
from archprof.errors import ForwardFailed


def shut(network: nn.Module) -> list[range]:
    parts = walk(network)
    return Repeats(parts, Owned(parts), ShapeMemory()).shut


class Stages(nn.Module):
    """Two alike stages of two blocks; what is done with the second is up to the test."""

    look: Callable[[nn.Module, Tensor], Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(Block(), Block())
        self.second = nn.Sequential(Block(), Block())


def calls(network: nn.Module, x: Tensor) -> Tensor:
    return network.second(network.first(x))


def iterates(network: nn.Module, x: Tensor) -> Tensor:
    for block in network.second:
        x = block(x)
    return x


def reaches_in(network: nn.Module, x: Tensor) -> Tensor:
    return network.second[-1].inside[2](network.first(x))


def runs_parts(network: nn.Module, x: Tensor) -> Tensor:
    return x + network.second[1].inside(network.first[1].inside(x))


def asks(network: nn.Module, x: Tensor) -> Tensor:
    second, dtype = network.second, next(network.second.parameters()).dtype
    table = second._modules
    said = (len(second), "0" in table, hasattr(second, "1"), hasattr(second, "2"), [*table], [*reversed(table)],
            table == dict(second.named_children()))
    if said != (2, True, True, False, ["0", "1"], ["1", "0"], True):
        raise ValueError("a table that does not answer as it should")
    return second(x.to(dtype))


def takes_away(network: nn.Module, x: Tensor) -> Tensor:
    network.second._modules.pop("0")
    del network.second[0].inside._modules["2"]
    network.second[0].inside._modules["1"] = nn.Identity()
    return network.second(x)


WAYS = [calls, iterates, reaches_in, runs_parts, asks, takes_away]


def looking(way: Callable[[nn.Module, Tensor], Tensor]) -> nn.Module:
    """Stages with that way as its own forward."""
    return type("Looking", (Stages,), {"forward": way})()


def test_the_outermost_of_blocks_met_before_are_shut() -> None:
    assert shut(nn.Sequential(*[Block() for _ in range(3)])) == [range(7, 13), range(13, 19)]
    assert shut(looking(calls)) == [range(8, 14), range(14, 27)]


def test_nothing_is_shut_where_an_attribute_may_hide_a_module() -> None:
    network = looking(calls)
    network.also = [network.second[1].inside]
    assert shut(network) == []
    assert copied(network) == 2


@pytest.mark.parametrize("way", WAYS)
def test_looking_inside_changes_nothing_that_is_recorded(way: Callable[[nn.Module, Tensor], Tensor]) -> None:
    network = looking(way)
    assert shut(network)
    copied(network)
    assert profile(network, (X,), shape_memory=ShapeMemory()) == profile(
        network, (X,), shape_memory=ShapeMemory(remember=False))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("fails", [False, True])
def test_a_network_that_was_looked_into_comes_back(way: Callable[[nn.Module, Tensor], Tensor], device: str,
                                                   fails: bool) -> None:
    def forward(network: nn.Module, x: Tensor) -> Tensor:
        x = way(network, x)
        return x.reshape(-1, 7) if fails else x

    network = looking(way if not fails else forward).to(device)
    network.second[1].train(False)
    before = [(path, part, {name: value.copy() if isinstance(value, dict) else value
                            for name, value in part.__dict__.items()}) for path, part in network.named_modules()]
    tables = [id(part._modules) for part in network.modules()]
    if fails:
        with pytest.raises(ForwardFailed):
            profile(network, (X,), shape_memory=ShapeMemory())
    else:
        profile(network, (X,), shape_memory=ShapeMemory())
    assert [(path, part, part.__dict__) for path, part in network.named_modules()] == before
    assert [id(part._modules) for part in network.modules()] == tables
    assert all(type(part._modules) is dict for part in network.modules())
    assert torch.is_grad_enabled()
