"""Forward and backward from one trace: two gradients for each product, as far as anybody asks for them."""

from __future__ import annotations

import pytest
from helpers.truths import Does, T, count, macs
from torch import nn
from torch.utils.checkpoint import checkpoint

X = T(2, 8, 6, 6)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(8, 12, 3),
        nn.Conv2d(8, 12, 3, groups=4),
        nn.Conv2d(8, 8, 3, groups=8),
        nn.Conv2d(8, 16, 3, groups=8),
        nn.Conv2d(8, 12, 3, stride=2, padding=1, dilation=2),
        nn.ConvTranspose2d(8, 4, 3),
        nn.ConvTranspose2d(8, 4, 3, groups=2),
        nn.Sequential(nn.Flatten(), nn.Linear(288, 5)),
    ],
    ids=str,
)
def test_a_gradient_for_the_input_and_one_for_the_weight(layer: nn.Module) -> None:
    """Each costs what the forward pass does, grouped or not; the input's only where it is asked for."""
    forward = macs(layer, X)
    assert forward > 0
    assert macs(layer, X, mode="train") == 2 * forward
    assert macs(layer, X.clone().requires_grad_(), mode="train") == 3 * forward


def test_a_depthwise_separable_block() -> None:
    block = nn.Sequential(
        nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 16, 1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
    )
    depthwise, pointwise = 2 * 36 * 8 * 9, 2 * 36 * 16 * 8
    found = count(block, X, mode="train")
    assert found.macs == 2 * depthwise + 3 * pointwise
    assert found.activations == 2 * 36 * (8 + 16)  # a gradient is no activation


def test_frozen_layers_have_no_gradient_of_their_own() -> None:
    first, second, third = nn.Linear(5, 5), nn.Linear(5, 5), nn.Linear(5, 5)
    network = nn.Sequential(first, second, third)
    one = 3 * 25
    assert macs(network, T(3, 5), mode="train") == (2 + 3 + 3) * one
    second.requires_grad_(False)
    assert macs(network, T(3, 5), mode="train") == (2 + 2 + 3) * one  # passes the gradient on
    first.requires_grad_(False)
    assert macs(network, T(3, 5), mode="train") == (1 + 1 + 2) * one  # nobody below asks


def test_backward_calls_belong_to_the_module_whose_forward_made_them() -> None:
    network = nn.Sequential(nn.Conv2d(8, 4, 3), nn.ReLU(), nn.Sequential(nn.Flatten(), nn.Linear(64, 5)))
    found = count(network, X, mode="train")
    conv, linear = 2 * 16 * 4 * 8 * 9, 2 * 64 * 5
    macs_of = {path: sum(row.macs or 0 for row in found.layers if row.module == path) for path in ("0", "1", "2.1")}
    assert macs_of == {"0": 2 * conv, "1": 0, "2.1": 3 * linear}
    assert [row.module for row in found.layers if "threshold_backward" in row.op] == ["1"]
    assert [row.module for row in found.layers if "convolution_backward" in row.op] == ["0"]


@pytest.mark.parametrize("reentrant", [True, False])
def test_recomputation_belongs_to_the_checkpointed_layers(reentrant: bool) -> None:
    inner = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 2), nn.ReLU())
    network = Does(lambda layer, x: checkpoint(layer, x, use_reentrant=reentrant), inner)
    found = count(network, T(3, 5).requires_grad_(), mode="train")
    by_module = {
        path: sum(row.macs or 0 for row in found.layers if row.module == path) for path in ("owned.0.0", "owned.0.2")
    }
    assert by_module == {"owned.0.0": 4 * 3 * 35, "owned.0.2": 4 * 3 * 14}
    assert sum(by_module.values()) == found.macs


def test_checkpointing_keeps_less_for_backward() -> None:
    layers = [nn.Sequential(nn.Linear(50, 50), nn.Tanh(), nn.Linear(50, 50), nn.Tanh()) for _ in range(3)]
    x = T(20, 50).requires_grad_()
    kept = count(nn.Sequential(*layers), x, mode="train").training_activation_bytes
    again = count(
        nn.Sequential(*[Does(lambda layer, x: checkpoint(layer, x, use_reentrant=False), layer) for layer in layers]),
        x,
        mode="train",
    ).training_activation_bytes
    assert again is not None and kept is not None
    assert again == 4 * 20 * 50 * 4  # the input and three outputs
    assert kept > 3 * again // 2
