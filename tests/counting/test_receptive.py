"""Receptive fields against arithmetic done by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from archprof.counting import counts, receptive


def fields(model: str | nn.Module, input_shape: tuple[int, ...] | None = None) -> dict[str, tuple[int, ...]]:
    """The field of each module's last operator, where it has one."""
    profile, found = counts.recorded(counts.subject_of(model, input_shape))
    return {
        layer.module: layer.receptive_field
        for layer in receptive.with_fields(profile, found).layers
        if layer.receptive_field
    }


def conv(kernel: int, **options: int) -> nn.Conv2d:
    return nn.Conv2d(3, 3, kernel, **options)


@pytest.mark.parametrize(
    ("network", "field"),
    [
        (nn.Sequential(conv(5)), 5),
        (nn.Sequential(conv(3), conv(3)), 5),  # two 3x3 see what one 5x5 sees
        (nn.Sequential(conv(3), conv(3), conv(3)), 7),
        (nn.Sequential(conv(3, dilation=2)), 5),
        (nn.Sequential(conv(3, stride=2), conv(3)), 3 + 2 * 2),
        (nn.Sequential(conv(3, stride=2), nn.MaxPool2d(2), conv(3)), 3 + 1 * 2 + 2 * 4),
        (nn.Sequential(nn.MaxPool2d(3, 2, dilation=2)), 5),
        (nn.Sequential(conv(2, stride=2), nn.ConvTranspose2d(3, 3, 2, 2), conv(3)), 2 + 0 + 2 * 1),
        (nn.Sequential(conv(2, stride=2), nn.Upsample(scale_factor=2), conv(3)), 2 + 0 + 2 * 1),
        (nn.Sequential(conv(3), nn.ReLU(inplace=True), nn.BatchNorm2d(3)), 3),
        (nn.Sequential(conv(3), nn.AdaptiveAvgPool2d(1)), 3 + 29),  # 30 positions: 29 steps further
    ],
)
def test_by_hand(network: nn.Module, field: int) -> None:
    assert list(fields(network, (3, 32, 32)).values())[-1] == (field, field)


def test_vgg16() -> None:
    # five stages of 3x3 at jump 1, 2, 4, 8, 16, each closed by a 2x2 pool:
    # 1 + 2*2 + 1 | + 2*2*2 + 2 | + 3*2*4 + 4 | + 3*2*8 + 8 | + 3*2*16 + 16 = 212
    assert fields("vgg16")["features.30"] == (212, 212)


def test_resnet50() -> None:
    # stem 7, pool 7 + 2*2 = 11 at jump 4; each 3x3 adds 2 jumps, a strided one at the jump before it:
    # layer1 3*8, layer2 8 + 3*16, layer3 16 + 5*32, layer4 32 + 2*64
    seen = fields("resnet50")
    assert seen["maxpool"] == (11, 11)
    assert seen["layer1.2.activation"] == (35, 35)
    assert seen["layer2.3.activation"] == (91, 91)
    assert seen["layer3.5.activation"] == (267, 267)
    assert seen["layer4.2.activation"] == (427, 427)


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.five, self.head = conv(1), conv(5, padding=2), nn.Conv2d(6, 2, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.cat([self.one(x), self.five(x)], 1))


def test_the_widest_branch_counts() -> None:
    seen = fields(Branches(), (3, 16, 16))
    assert seen["one"] == (1, 1)
    assert seen[""] == (5, 5)
    assert seen["head"] == (7, 7)


def test_kernels_may_differ_by_dimension() -> None:
    network = nn.Sequential(nn.Conv2d(3, 3, (1, 7), stride=(1, 2)), nn.Conv2d(3, 3, (3, 1)))
    assert fields(network, (3, 32, 32))["1"] == (3, 7)


def test_a_flattened_output_has_no_position() -> None:
    network = nn.Sequential(conv(3), nn.Flatten(), nn.Linear(3 * 14 * 14, 2))
    assert "2" not in fields(network, (3, 16, 16))


def test_one_dimension() -> None:
    assert fields(nn.Sequential(nn.Conv1d(3, 3, 9, stride=4), nn.Conv1d(3, 3, 3)), (3, 64))["1"] == (9 + 2 * 4,)
