"""What the families share: activations by name, checks, initialisation."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from archprof.models.zoo.blocks import (
    ACTIVATIONS,
    activation_layer,
    check_counts,
    check_probabilities,
    conv_bn,
    he_init,
)


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("relu", nn.ReLU),
        ("ReLU", nn.ReLU),
        ("sigmoid", nn.Sigmoid),
        ("leaky_relu", nn.LeakyReLU),
        ("LeakyReLU", nn.LeakyReLU),
        ("leaky-relu", nn.LeakyReLU),
        ("ReLU6", nn.ReLU6),
        ("GELU", nn.GELU),
    ],
)
def test_activations_are_found_in_any_case(name, layer):
    assert type(activation_layer(name)) is layer


def test_in_place_only_where_torch_offers_it_and_it_is_wanted():
    assert activation_layer("relu").inplace
    assert not activation_layer("relu", inplace=False).inplace
    for name in ACTIVATIONS:
        x = torch.linspace(-2, 8, 11)
        before = x.clone()
        activation_layer(name, inplace=False)(x)
        assert torch.equal(x, before), name


def test_an_unknown_activation_names_the_accepted_and_the_nearest():
    with pytest.raises(ValueError) as error:
        activation_layer("rellu")
    assert str(error.value) == (
        "unknown activation 'rellu', expected one of relu, sigmoid, leaky_relu, relu6, gelu; did you mean 'relu'?"
    )
    with pytest.raises(TypeError, match="activation must be a name"):
        activation_layer(6)


@pytest.mark.parametrize(
    ("value", "error"),
    [(0, ValueError), (-1, ValueError), (2.0, TypeError), (True, TypeError), ("3", TypeError), (None, TypeError)],
)
def test_counts_are_whole_and_positive(value, error):
    with pytest.raises(error, match="num_classes must be"):
        check_counts(in_channels=3, num_classes=value)


@pytest.mark.parametrize(
    ("value", "error"),
    [(-0.1, ValueError), (1.5, ValueError), (math.nan, ValueError), ("0.5", TypeError), (True, TypeError)],
)
def test_probabilities_lie_in_zero_to_one(value, error):
    with pytest.raises(error, match="dropout must be"):
        check_probabilities(dropout=value)
    check_probabilities(dropout=0, other=1.0)


@pytest.mark.parametrize(
    ("kernel", "stride", "size"),
    [
        (1, 1, 9),
        (3, 1, 9),
        (5, 1, 9),
        ((1, 7), 1, 9),
        (3, 2, 5),  # floor((9 + 2 - 3) / 2) + 1
    ],
)
def test_conv_bn_keeps_the_map_at_stride_one(kernel, stride, size):
    with torch.device("meta"):
        block = conv_bn(4, 6, kernel, stride=stride, groups=2)
        assert block(torch.empty(2, 4, 9, 9)).shape == (2, 6, size, size)
    assert [type(layer) for layer in block] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU]
    assert block[0].bias is None
    assert len(conv_bn(4, 6, 1, activation=None)) == 2


def test_he_initialisation_scales_with_the_fan_out():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(32, 64, 3), nn.BatchNorm2d(64), nn.Linear(400, 100))
    network[1].weight.data.fill_(7)
    linear = network[2].weight.clone()
    he_init(network)
    assert network[0].weight.std().item() == pytest.approx(math.sqrt(2 / (64 * 9)), rel=0.05)
    assert network[0].bias.abs().max() == 0
    assert torch.equal(network[1].weight, torch.ones(64))
    assert torch.equal(network[2].weight, linear)
    he_init(network, linear_std=0.01)
    assert network[2].weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert network[2].bias.abs().max() == 0
