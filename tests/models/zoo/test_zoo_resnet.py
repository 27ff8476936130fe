"""Residual families: stride placement, shortcuts, squeeze and excitation, pre-activation, gradients."""

from __future__ import annotations

import pytest
import torch
from helpers.golden_zoo_a import GOLDEN
from helpers.meta_zoo import build, parameters, run, shapes_by_module
from torch import nn

from archprof.models.zoo import find
from archprof.models.zoo.blocks import ACTIVATIONS
from archprof.models.zoo.preact_resnet import PreActUnit
from archprof.models.zoo.residual import BasicBlock, SqueezeExcitation, ZeroPadding, projection
from archprof.models.zoo.resnet import Bottleneck


def bottleneck(
    in_channels=64,
    channels=16,
    stride=1,
    activation="relu",
    se_reduction=0,
    cardinality=1,
    group_width=64,
    stride_on_1x1=False,
):
    return Bottleneck(in_channels, channels, stride, activation, se_reduction, cardinality, group_width, stride_on_1x1)


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("resnet18", 1.8),
        ("resnet50_v1", 3.8),
        ("resnet101_v1", 7.6),
        ("resnet152_v1", 11.3),
    ],
)
def test_mult_adds_are_those_that_he_et_al_print(name, printed):
    assert GOLDEN[name][1] / 1e9 == pytest.approx(printed, abs=0.06)


def test_the_34_layers_fit_the_printed_number_without_projections():
    """64 to 128 channels at 28x28 costs what the two later projections do: 3.64 G is left, printed 3.6."""
    assert (GOLDEN["resnet34"][1] - 3 * 28 * 28 * 64 * 128) / 1e9 == pytest.approx(3.6, abs=0.05)


@pytest.mark.parametrize("name", ["resnet50", "resnet50_v1"])
def test_where_the_stride_stands(name):
    block = build(name).layer2[0]
    strides = [block.conv1.stride, block.conv2.stride, block.conv3.stride]
    assert strides == ([(1, 1), (2, 2), (1, 1)] if name == "resnet50" else [(2, 2), (1, 1), (1, 1)])
    assert build(name).layer1[0].conv2.stride == (1, 1)


def test_the_layer_table_of_resnet50():
    counts = {path: parameters(module) for path, module in build("resnet50").named_modules()}
    assert {
        path: counts[path]
        for path in (
            "conv1",
            "bn1",
            "layer1.0.conv1",
            "layer1.0.conv2",
            "layer1.0.conv3",
            "layer1.0.downsample",
            "layer2.0.conv2",
            "layer2.0.downsample",
            "layer1.0.bn3",
            "activation",
            "fc",
        )
    } == {
        "conv1": 9_408,
        "bn1": 128,
        "layer1.0.conv1": 4_096,
        "layer1.0.conv2": 36_864,
        "layer1.0.conv3": 16_384,
        "layer1.0.downsample": 16_896,
        "layer2.0.conv2": 147_456,
        "layer2.0.downsample": 132_096,
        "layer1.0.bn3": 512,
        "activation": 0,
        "fc": 2_049_000,
    }


def test_resnet50_map_sizes():
    sizes = {
        "conv1": (64, 112, 112),
        "maxpool": (64, 56, 56),
        "layer1": (256, 56, 56),
        "layer2": (512, 28, 28),
        "layer3": (1024, 14, 14),
        "layer4": (2048, 7, 7),
    }
    shapes = shapes_by_module(build("resnet50"), 1, 3, 224, 224)
    assert {path: shapes[path][1:] for path in sizes} == sizes


def test_squeeze_and_excitation_of_every_block_adds_what_hu_et_al_count():
    """Two layers of C * C/16 weights and their biases after each of 3, 4, 6 and 3 blocks."""
    gates = sum(
        blocks * (2 * width * width // 16 + width // 16 + width)
        for blocks, width in [(3, 256), (4, 512), (6, 1024), (3, 2048)]
    )
    assert GOLDEN["se_resnet50"][0] == GOLDEN["resnet50"][0] + gates
    v1 = build("resnet50_v1", se_reduction=16)
    assert parameters(v1) == GOLDEN["se_resnet50"][0]
    macs = run(v1, 1, 3, 224, 224)[1]
    assert macs - GOLDEN["resnet50_v1"][1] == sum(
        blocks * 2 * width * width // 16 for blocks, width in [(3, 256), (4, 512), (6, 1024), (3, 2048)]
    )
    assert macs / 1e9 == pytest.approx(3.87, abs=0.01)  # table 2, which also counts pools and products


@pytest.mark.parametrize(("reduction", "millions"), [(2, 45.7), (4, 35.7), (8, 30.7), (16, 28.1), (32, 26.9)])
def test_other_reductions_give_the_sizes_of_table_10(reduction, millions):
    """Within 0.1 M: the table's own rounding fits no single way to count (30.60 M is printed as 30.7)."""
    assert parameters(build("resnet50", se_reduction=reduction)) / 1e6 == pytest.approx(millions, abs=0.1)


def test_squeeze_and_excitation_is_an_option_of_every_residual_network():
    assert parameters(build("resnet18", se_reduction=16)) - GOLDEN["resnet18"][0] == sum(
        2 * (2 * width * width // 16 + width // 16 + width) for width in (64, 128, 256, 512)
    )
    with pytest.raises(ValueError, match="se_reduction must be at least 1"):
        build("resnet34", se_reduction=-1)
    with pytest.raises(ValueError, match="se_reduction must be at least 1"):
        build("se_resnet50", se_reduction=0)


def test_the_gate_is_a_factor_a_channel():
    gate = SqueezeExcitation(8, 4)
    nn.init.zeros_(gate.fc2.weight)
    nn.init.constant_(gate.fc2.bias, 0.0)
    x = torch.randn(2, 8, 3, 3)
    torch.testing.assert_close(gate(x), x / 2)  # sigmoid(0)
    assert SqueezeExcitation(8, 100).fc1.out_channels == 1


def test_resnext_is_resnet50_with_groups():
    """1x1s twice as wide, the 3x3 in 32 groups: Xie et al. 2016 count about 70 k weights in this block."""
    block = bottleneck(256, 64, cardinality=32, group_width=4)
    assert sum(conv.weight.numel() for conv in (block.conv1, block.conv2, block.conv3)) == (
        256 * 128 + 4 * 128 * 9 + 128 * 256
    )
    assert parameters(build("resnet50", cardinality=32, group_width=4)) == GOLDEN["resnext50_32x4d"][0]
    with pytest.raises(ValueError, match="cardinality must be at least 1"):
        build("resnet50", cardinality=0)


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("ResNet50V2", "preact_resnet50"),
        ("resnet-152-v2", "preact_resnet152"),
        ("seresnet50", "se_resnet50"),
        ("ResNet-50-v1", "resnet50_v1"),
        ("resnet50_v1.5", "resnet50"),
        ("resnet56", "resnet56_cifar"),
        ("ResNeXt50_32x4d", "resnext50_32x4d"),
        ("VGG16-BN", "vgg16_bn"),
    ],
)
def test_other_spellings(alias, name):
    assert find(alias).name == name


def test_the_skip_path_of_resnet_v2_has_no_nonlinearity():
    network = build("preact_resnet50")
    units = [module for module in network.modules() if isinstance(module, PreActUnit)]
    assert len(units) == 16
    projections = [unit for unit in units if not isinstance(unit.skip, nn.Identity)]
    assert len(projections) == 4
    assert all([type(layer) for layer in unit.skip] == [nn.Conv2d, nn.BatchNorm2d] for unit in projections)
    first, *others = units
    assert isinstance(first.residual[0], nn.Conv2d)
    assert all([type(layer) for layer in unit.residual[:3]] == [nn.BatchNorm2d, nn.ReLU, nn.Conv2d] for unit in others)
    assert [type(layer) for layer in network.head[:2]] == [nn.BatchNorm2d, nn.ReLU]


def test_a_pre_activation_unit_adds_to_an_untouched_input():
    unit = PreActUnit(16, 4, 1, "relu", activated=False).eval()
    nn.init.zeros_(unit.residual[-1].weight)
    x = torch.randn(2, 16, 5, 5)
    assert torch.equal(unit(x), x)


def test_option_a_takes_every_second_pixel_and_adds_zero_channels():
    x = torch.arange(2 * 4 * 4.0).reshape(1, 2, 4, 4)
    y = ZeroPadding(2, 5, 2)(x)
    assert y.shape == (1, 5, 2, 2)
    assert y[0, 0].tolist() == [[0, 2], [8, 10]]
    assert y[0, 2:].abs().max() == 0


def plus_skip(block: BasicBlock, plain: BasicBlock, x: torch.Tensor, skip: torch.Tensor) -> None:
    """leaky_relu can be undone, which shows the sums of both blocks; they must differ by `skip`."""
    plain.load_state_dict(block.state_dict(), strict=False)
    with torch.no_grad():
        residual, alone = (torch.where(y < 0, y / 0.01, y) for y in (block.eval()(x), plain.eval()(x)))
    torch.testing.assert_close(residual - alone, skip, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_plain_block_is_the_residual_one_without_its_skip(stride):
    torch.manual_seed(0)
    x = torch.randn(2, 8, 6, 6)
    out = 8 * stride
    block = BasicBlock(8, out, stride, "leaky_relu", ZeroPadding)
    skip = x if stride == 1 else ZeroPadding(8, out, stride)(x)
    plus_skip(block, BasicBlock(8, out, stride, "leaky_relu", None), x, skip)


def test_projection_is_made_only_where_the_shape_changes():
    assert BasicBlock(8, 8, 1, "relu").downsample is None
    assert parameters(BasicBlock(8, 16, 2, "relu").downsample) == 8 * 16 + 2 * 16
    assert parameters(projection(8, 8, 2)) == 8 * 8 + 2 * 8


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(
    "make",
    [
        lambda activation: BasicBlock(8, 8, 1, activation, se_reduction=2),
        lambda activation: BasicBlock(8, 8, 1, activation, None),
        lambda activation: bottleneck(8, 2, activation=activation, group_width=64),
        lambda activation: bottleneck(8, 4, 2, activation, 4, 4, 16, True),
        lambda activation: nn.Sequential(
            PreActUnit(8, 4, 1, activation, False), PreActUnit(16, 4, 1, activation, False)
        ),
    ],
    ids=["basic with SE", "plain", "bottleneck", "grouped with SE", "pre-activation"],
)
def test_gradients_flow_through_whatever_is_in_place(make, activation):
    torch.manual_seed(0)
    block = nn.Sequential(nn.Conv2d(3, 8, 1), make(activation))
    block(torch.randn(2, 3, 6, 6)).square().mean().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in block.parameters())
