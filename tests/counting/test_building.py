"""Networks are built without weights wherever their constructors allow it, and the way taken is said."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from archprof.counting import building, counts
from archprof.counting.building import build_on_meta
from archprof.counting.shapes import ShapeMemory


def _made(make: Callable[[], nn.Module]) -> tuple[nn.Module, str]:
    module, way = build_on_meta(make, ShapeMemory())
    assert all(tensor.is_meta for tensor in [*module.parameters(), *module.buffers()])
    return module, way


class InitialisesByNumbers(nn.Module):
    """As RegNets do: the standard deviation of each convolution follows from its fan-out."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        fan_out = self.conv.kernel_size[0] * self.conv.kernel_size[1] * self.conv.out_channels
        nn.init.normal_(self.conv.weight, mean=0.0, std=math.sqrt(2.0 / fan_out))


class Truncates(nn.Module):
    """As vision transformers do: truncated normals, by hand and by torch."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 1, 8))
        self.head = nn.Linear(8, 2)
        nn.init.trunc_normal_(self.token, std=0.02)
        with torch.no_grad():
            self.head.weight.uniform_(-1, 1).erfinv_().mul_(0.02).clamp_(-2, 2)


class ComputesPositions(nn.Module):
    """As sinusoidal embeddings do: a table of numpy's, larger than the constants that are computed for real."""

    def __init__(self) -> None:
        super().__init__()
        table = np.sin(np.arange(512 * 256).reshape(512, 256))
        self.table = nn.Parameter(torch.empty(512, 256))
        with torch.no_grad():
            self.table[:, :128] = torch.FloatTensor(table[:, :128])
            self.table[:, 128:] = torch.tensor(table[:, 128:], dtype=torch.float32)


class ReadsRates(nn.Module):
    """As timm does: drop rates through `.item()` of a small constant."""

    def __init__(self) -> None:
        super().__init__()
        self.rates = [rate.item() for rate in torch.linspace(0, 0.1, 3)]
        self.layers = nn.ModuleList(nn.Linear(4, 4) for rate in self.rates if rate >= 0)


class MakesIndices(nn.Module):
    """As window attention does: a table of relative positions kept as a buffer."""

    def __init__(self) -> None:
        super().__init__()
        positions = torch.stack(torch.meshgrid(torch.arange(3), torch.arange(3), indexing="ij")).flatten(1)
        self.register_buffer("index", (positions[:, :, None] - positions[:, None, :]).sum(0))
        self.bias = nn.Parameter(torch.zeros(int(self.index.max()) + 5, 2))


class ChecksItsWeights(nn.Module):
    """Looks at weights that it has just made."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        if self.layer.weight.abs().max() > 10:
            raise ValueError("bad initialisation")


@pytest.mark.parametrize("make", [InitialisesByNumbers, Truncates, ComputesPositions, ReadsRates, MakesIndices])
def test_patterns_that_need_no_weights(make: type[nn.Module]) -> None:
    module, way = _made(make)
    assert way == "meta"
    real = make()
    assert {name: p.shape for name, p in module.named_parameters()} == {
        name: p.shape for name, p in real.named_parameters()
    }
    assert [type(part) for part in module.modules()] == [type(part) for part in real.modules()]
    if make is ReadsRates:
        assert module.rates == real.rates


def test_a_constructor_that_looks_at_its_weights_is_run_for_real() -> None:
    _, way = _made(ChecksItsWeights)
    assert way == "real"


def test_the_way_is_kept_in_the_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert counts.profile("resnet18").notes == ()
    monkeypatch.setattr(building, "_INITIALISERS", {})

    def refuse(*args: object) -> object:
        raise RuntimeError("no values here")

    monkeypatch.setattr(building.Unmade, "__torch_dispatch__", refuse)
    notes = counts.profile("resnet18").notes
    assert len(notes) == 1
    assert "real weights" in notes[0]


def test_what_a_constructor_raises_is_raised() -> None:
    def make() -> nn.Module:
        raise ValueError("width must be positive")

    with pytest.raises(ValueError, match="width"):
        build_on_meta(make, ShapeMemory())


def test_random_numbers_do_not_advance() -> None:
    torch.manual_seed(0)
    wanted = torch.rand(1)
    torch.manual_seed(0)
    _made(Truncates)
    _made(ChecksItsWeights)
    assert torch.rand(1) == wanted


def test_a_network_handed_over_keeps_its_weights() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    counts.profile(network, (torch.rand(1, 3, 8, 8),), mode="train")
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name])
