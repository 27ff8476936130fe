"""Every network of golden_zoo_b.py: exact counts, output shape, options; a training step for each family."""

from __future__ import annotations

import pytest
import torch
from helpers.golden_zoo_b import GOLDEN
from helpers.meta_zoo import build, parameters, run
from torch import nn

from archprof.models.zoo import architectures, find
from archprof.models.zoo.blocks import ACTIVATIONS

# one network of each kind, and an input that is small but not too small for it
KINDS = {
    "densenet121": (3, 32, 32),
    "googlenet": (3, 64, 64),
    "inception_v2": (3, 64, 64),
    "inception_v3": (3, 75, 75),
    "inception_resnet_v2": (3, 75, 75),
    "mobilenetv1_025": (3, 32, 32),
    "mobilenetv2_28_t4": (1, 28, 28),
    "squeezenet1_0_complex_bypass": (3, 64, 64),
}
LAYERS = tuple({layer for layer, _ in ACTIVATIONS.values()})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", GOLDEN)
def test_counts_and_shape(name):
    network, shape = build(name), architectures()[name].input_shape
    classes = 10 if "_28" in name else 1000
    assert (parameters(network), *run(network, 1, *shape)) == (GOLDEN[name][0], (1, classes), GOLDEN[name][1])


@pytest.mark.parametrize("name", GOLDEN)
def test_classes_channels_and_activation_are_free(name):
    network = build(name, num_classes=7, in_channels=5, activation="GELU")
    _, height, width = architectures()[name].input_shape
    assert network(torch.empty(2, 5, height, width, device="meta")).shape == (2, 7)
    assert {type(module) for module in network.modules() if isinstance(module, LAYERS)} == {nn.GELU}


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", KINDS)
def test_the_activation_is_swapped_everywhere_and_changes_no_count(name, activation):
    network = build(name, activation=activation)
    assert {type(m) for m in network.modules() if isinstance(m, LAYERS)} == {ACTIVATIONS[activation][0]}
    assert parameters(network) == GOLDEN[name][0]


@pytest.mark.parametrize("name", GOLDEN)
def test_every_option_is_annotated_and_has_a_default(name):
    for option in architectures()[name].options.values():
        assert option.annotation in ("int", "float", "str", "bool"), option
        assert type(option.default).__name__ == option.annotation, option


@pytest.mark.parametrize("name", KINDS)
def test_bad_options_are_refused(name):
    with pytest.raises(ValueError, match="num_classes must be at least 1, not 0"):
        build(name, num_classes=0)
    with pytest.raises(TypeError, match="in_channels must be a whole number"):
        build(name, in_channels=1.5)
    with pytest.raises(ValueError, match="unknown activation 'swich'"):
        build(name, activation="swich")
    if "dropout" in architectures()[name].options:
        with pytest.raises(ValueError, match="dropout must be a probability"):
            build(name, dropout=1.5)


@pytest.mark.parametrize("name", KINDS)
def test_every_parameter_learns(name):
    """A training step reaches every parameter: none is unused, none is cut off by an in-place activation."""
    torch.manual_seed(0)
    network = architectures()[name].build(num_classes=3).train()
    network(torch.randn(2, *KINDS[name])).square().sum().backward()
    stuck = [path for path, p in network.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert stuck == []


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("MobileNet-V1", "mobilenetv1"),
        ("mobilenet", "mobilenetv1"),
        ("MobileNetV1 0.75", "mobilenetv1_075"),
        ("MobileNet_V2", "mobilenetv2"),
        ("SqueezeNet", "squeezenet1_0"),
        ("squeezenet_1_1", "squeezenet1_1"),
        ("DenseNet-121", "densenet121"),
        ("Inception_v1", "googlenet"),
        ("BN-Inception", "inception_v2"),
        ("InceptionV3", "inception_v3"),
        ("Inception-ResNet-v2", "inception_resnet_v2"),
    ],
)
def test_spellings(spelling, name):
    assert find(spelling).name == name
