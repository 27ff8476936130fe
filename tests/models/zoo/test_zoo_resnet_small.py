"""Small residual networks, each with its plain twin."""

from __future__ import annotations

import pytest
import torch
from helpers.golden_zoo_a import GOLDEN
from helpers.meta_zoo import build, parameters, run, shapes_by_module

from archprof.models.zoo import find
from archprof.models.zoo.blocks import ACTIVATIONS
from archprof.models.zoo.residual import ZeroPadding


@pytest.mark.parametrize(
    ("name", "millions"),
    [("resnet20_cifar", 0.27), ("resnet32_cifar", 0.46), ("resnet56_cifar", 0.85), ("resnet110_cifar", 1.7)],
)
def test_sizes_are_those_of_the_paper(name, millions):
    assert GOLDEN[name][0] / 1e6 == pytest.approx(millions, rel=0.02)


@pytest.mark.parametrize("depth", [20, 32, 56])
def test_cifar_twins_differ_by_the_skips_alone(depth):
    residual, plain = build(f"resnet{depth}_cifar"), build(f"plain{depth}_cifar")
    assert [(key, value.shape) for key, value in residual.state_dict().items()] == [
        (key, value.shape) for key, value in plain.state_dict().items()
    ]
    assert run(residual, 1, 3, 32, 32) == run(plain, 1, 3, 32, 32)
    paths = {path: type(module) for path, module in residual.named_modules()}
    without = {path: type(module) for path, module in plain.named_modules()}
    assert paths == without | dict.fromkeys(paths.keys() - without.keys(), ZeroPadding)
    assert len(paths.keys() - without.keys()) == 2


def test_resnet10_cifar_map_sizes():
    sizes = {
        "conv1": (64, 32, 32),
        "stages.0": (64, 32, 32),
        "stages.1": (128, 16, 16),
        "stages.2": (256, 8, 8),
        "stages.3": (512, 4, 4),
        "avgpool": (512, 1, 1),
    }
    shapes = shapes_by_module(build("resnet10_cifar"), 1, 3, 32, 32)
    assert {path: shapes[path][1:] for path in sizes} == sizes


def test_resnet10_cifar_by_hand():
    """Stem; four blocks of two 3x3; three projections; every convolution with its norm; the classifier."""
    convolutions = [(3, 64, 3), (64, 64, 3), (64, 64, 3)]
    for narrow, wide in [(64, 128), (128, 256), (256, 512)]:
        convolutions += [(narrow, wide, 3), (wide, wide, 3), (narrow, wide, 1)]
    counted = sum(cin * cout * kernel**2 + 2 * cout for cin, cout, kernel in convolutions) + 512 * 10 + 10
    assert parameters(build("resnet10_cifar")) == counted == 4_903_242


def test_every_intermediate_shape_of_resnet_tiny():
    shapes = shapes_by_module(build("resnet_tiny"), 1, 3, 64, 64)
    assert {
        path.replace("blocks.", "block "): shape[1:]
        for path, shape in shapes.items()
        if path.endswith((".conv1", ".conv2", ".shortcut"))
    } == {
        "block 0.conv1": (6, 32, 32),
        "block 0.conv2": (9, 32, 32),
        "block 0.shortcut": (9, 32, 32),
        "block 1.conv1": (18, 16, 16),
        "block 1.conv2": (36, 16, 16),
        "block 1.shortcut": (36, 16, 16),
    }
    assert shapes["fc"] == (1, 10)
    assert build("resnet_tiny").fc.in_features == 36 * 16 * 16


def test_plain_tiny_by_hand():
    norms = 2 * (6 + 9 + 18 + 36)
    assert GOLDEN["plain_tiny"] == (
        3 * 6 * 9 + 6 * 9 + 9 * 18 * 9 + 18 * 36 + norms + 36 * 16 * 16 * 10 + 10,
        32 * 32 * (3 * 6 * 9 + 6 * 9) + 16 * 16 * (9 * 18 * 9 + 18 * 36) + 36 * 16 * 16 * 10,
    )


def test_tiny_twins_differ_by_the_shortcuts_alone():
    residual, plain = find("resnet_tiny").build(), find("plain_tiny").build()
    extra = residual.state_dict().keys() - plain.state_dict().keys()
    assert plain.state_dict().keys() < residual.state_dict().keys()
    assert {key.split(".")[2] for key in extra} == {"shortcut"}
    assert GOLDEN["resnet_tiny"][0] - GOLDEN["plain_tiny"][0] == 3 * 9 + 2 * 9 + 9 * 36 + 2 * 36
    assert GOLDEN["resnet_tiny"][1] - GOLDEN["plain_tiny"][1] == 32 * 32 * 3 * 9 + 16 * 16 * 9 * 36
    plain.load_state_dict({key: value for key, value in residual.state_dict().items() if key not in extra})
    for path, norm in residual.named_modules():
        if path.endswith("shortcut.1"):
            norm.weight.data.zero_()  # a shortcut that carries nothing
    image = torch.randn(2, 3, 64, 64)
    assert torch.equal(residual.eval()(image), plain.eval()(image))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", ["resnet_tiny", "plain_tiny", "resnet20_cifar", "plain20_cifar"])
def test_they_train_with_every_activation(name, activation):
    torch.manual_seed(0)
    network = find(name).build(activation=activation)
    logits = network(torch.randn(4, *find(name).input_shape))
    loss = torch.nn.functional.cross_entropy(logits, torch.arange(4))
    loss.backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in network.parameters())


def test_tiny_activations_are_never_in_place():
    assert not any(getattr(module, "inplace", False) for module in build("resnet_tiny").modules())
