"""Every network of golden_zoo_a: counts, options, and torchvision's names and outputs."""

from __future__ import annotations

import inspect

import pytest
import torch
from helpers.golden_zoo_a import GOLDEN
from helpers.meta_zoo import build, parameters, run, shapes_by_module, weight_layers
from torch import nn

from archprof.models.zoo import find
from archprof.models.zoo.blocks import ACTIVATIONS

TORCHVISION = [
    name
    for name in GOLDEN
    if name.startswith(("alexnet", "vgg", "resnet", "resnext")) and not name.endswith(("_v1", "_cifar", "_tiny"))
]
WITH_ACTIVATION = [name for name in GOLDEN if name != "enet"]


@pytest.mark.parametrize("name", GOLDEN)
def test_parameters_mult_adds_and_output(name):
    network = build(name)
    classes = 10 if name.endswith(("_cifar", "_tiny")) else 1000
    assert (parameters(network), *run(network, 1, *find(name).input_shape)) == (
        GOLDEN[name][0],
        (1, classes),
        GOLDEN[name][1],
    )


@pytest.mark.parametrize(
    "name",
    [
        "alexnet",
        "bn_alexnet",
        "nin",
        "bn_nin",
        "enet",
        "vgg11",
        "vgg11_bn",
        "resnet18",
        "resnet50_v1",
        "se_resnet50",
        "resnext50_32x4d",
        "preact_resnet50",
        "resnet20_cifar",
        "plain20_cifar",
        "resnet10_cifar",
        "resnet_tiny",
        "plain_tiny",
    ],
)
def test_other_classes_and_channels(name):
    network = build(name, num_classes=7, in_channels=1)
    _, height, width = find(name).input_shape
    assert run(network, 2, 1, height, width)[0] == (2, 7)


@pytest.mark.parametrize("name", GOLDEN)
def test_bad_options_are_refused_by_name(name):
    with pytest.raises(ValueError, match="num_classes must be at least 1, not 0"):
        build(name, num_classes=0)
    with pytest.raises(TypeError, match="in_channels must be a whole number"):
        build(name, in_channels="three")
    if "activation" in find(name).options:
        with pytest.raises(ValueError, match="unknown activation 'tanhh'"):
            build(name, activation="tanhh")
    if "dropout" in find(name).options:
        with pytest.raises(ValueError, match="dropout must be a probability"):
            build(name, dropout=1.5)


@pytest.mark.parametrize("name", GOLDEN)
def test_every_option_is_annotated_and_has_a_default(name):
    options = find(name).options
    assert list(options)[:2] == ["num_classes", "in_channels"]
    for option in options.values():
        assert option.annotation in ("int", "float", "str", "bool", "tuple[int, ...]"), option
        assert option.default is not inspect.Parameter.empty
        assert type(option.default).__name__ == option.annotation.partition("[")[0]


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(
    "name",
    ["alexnet", "bn_nin", "vgg11_bn", "resnet18", "resnext50_32x4d", "preact_resnet50", "resnet20_cifar", "plain_tiny"],
)
def test_the_activation_is_swapped_everywhere_and_changes_no_count(name, activation):
    network = build(name, activation=activation)
    seen = {type(module) for module in network.modules()}
    assert seen & {layer for layer, _ in ACTIVATIONS.values()} == {ACTIVATIONS[activation][0]}
    assert parameters(network) == GOLDEN[name][0]


def test_every_architecture_but_enet_has_the_activation_option():
    assert all("activation" in find(name).options for name in WITH_ACTIVATION)


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("alexnet", 8),
        ("vgg11", 11),
        ("vgg13_bn", 13),
        ("vgg16", 16),
        ("vgg19", 19),
        ("resnet18", 18),
        ("resnet34", 34),
        ("resnet50", 50),
        ("resnet101_v1", 101),
        ("resnet152", 152),
        ("resnext101_32x8d", 101),
        ("resnet20_cifar", 20),
        ("resnet32_cifar", 32),
        ("plain56_cifar", 56),
        ("resnet110_cifar", 110),
        ("resnet10_cifar", 10),
    ],
)
def test_the_number_in_the_name_counts_the_weight_layers(name, layers):
    assert weight_layers(build(name)) == layers


def test_the_pre_activation_networks_too():
    assert weight_layers(build("preact_resnet50"), leaving_out="skip") == 50


def test_batch_norm_adds_two_parameters_a_channel_and_no_mult_add():
    for plain, normed, channels in [
        ("vgg16", "vgg16_bn", 2 * 64 + 2 * 128 + 3 * 256 + 6 * 512),
        ("alexnet", "bn_alexnet", 64 + 192 + 384 + 256 + 256 + 2 * 4096),
    ]:
        assert GOLDEN[normed][0] - GOLDEN[plain][0] == 2 * channels
        assert GOLDEN[normed][1] == GOLDEN[plain][1]


@pytest.mark.parametrize(("name", "sizes"), [("nin", [54, 27, 13, 6]), ("bn_nin", [56, 28, 14, 7])])
def test_nin_map_sizes(name, sizes):
    network = build(name)
    shapes = shapes_by_module(network, 1, 3, 224, 224)
    assert [
        shapes[f"features.{path}"][-1]
        for path, module in network.features.named_children()
        if isinstance(module, nn.Sequential)
    ] == sizes


def test_enet_halves_the_map_five_times():
    shapes = shapes_by_module(build("enet"), 1, 3, 224, 224)
    rows = [shapes[f"bottlenecks.{index}"][1:] for index in range(24)]
    assert shapes["bn"][1:] == (16, 112, 112)
    assert rows[0] == rows[4] == (64, 56, 56)
    assert rows[5] == rows[13] == (128, 28, 28)
    assert rows[14] == rows[22] == (128, 14, 14)
    assert rows[23] == (128, 7, 7)


@pytest.mark.parametrize(
    ("form", "count", "channels"), [("v2", 527_764, 128), ("v3", 2_099_508, 512), ("v7", 1_441_508, 512)]
)
def test_enet_forms(form, count, channels):
    network = build("enet", form=form)
    assert (parameters(network), network.fc.in_features) == (count, channels)
    assert shapes_by_module(network, 1, 3, 224, 224)["bottlenecks"] == (1, channels, 7, 7)


def test_enet_refuses_what_it_cannot_build():
    with pytest.raises(ValueError, match="unknown form 'v9' of enet, expected one of v2, v3, v7"):
        build("enet", form="v9")
    with pytest.raises(ValueError, match="in_channels must be at most 51"):
        build("enet", in_channels=52)


def test_an_enet_bottleneck_by_hand():
    from archprof.models.zoo.enet import ASYMMETRIC, DOWN, Bottleneck

    # 2x2 projection 16*16*4, 3x3 with bias, expansion 16*64; two affines of each norm; PReLU slopes
    assert parameters(Bottleneck(16, 64, DOWN, 0.0)) == (
        16 * 16 * 4 + (16 * 16 * 9 + 16) + 16 * 64 + 2 * (16 + 16 + 64) + (16 + 16 + 64)
    )
    assert parameters(Bottleneck(128, 128, ASYMMETRIC, 0.0)) == (
        128 * 32 + 32 * 32 * 5 + (32 * 32 * 5 + 32) + 32 * 128 + 2 * (32 + 32 + 128) + (32 + 32 + 128)
    )


def test_alexnet_and_vgg_take_other_resolutions():
    assert run(build("alexnet"), 1, 3, 63, 63)[0] == (1, 1000)
    assert run(build("vgg11"), 1, 3, 32, 32)[0] == (1, 1000)


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvision_names_shapes_and_counts(name, torchvision):
    ours = build(name)
    with torch.device("meta"):
        theirs = torchvision.models.get_model(name).eval()
    assert {key: (value.shape, value.dtype) for key, value in ours.state_dict().items()} == {
        key: (value.shape, value.dtype) for key, value in theirs.state_dict().items()
    }
    assert {key for key, _ in ours.named_buffers()} == {key for key, _ in theirs.named_buffers()}
    assert run(ours, 1, 3, 224, 224) == run(theirs, 1, 3, 224, 224)
    published = torchvision.models.get_model_weights(name).DEFAULT.meta
    params, macs = GOLDEN[name]
    assert params == published["num_params"]
    assert macs / 1e9 == pytest.approx(published["_ops"], abs=0.0005)


@pytest.mark.parametrize("name", ["alexnet", "vgg11_bn", "resnet18", "resnet50", "resnext50_32x4d"])
def test_torchvision_weights_load_and_give_equal_outputs(name, torchvision):
    """Both networks are given the same storage, so even the largest is held once."""
    ours = build(name)
    with torch.device("meta"):
        theirs = torchvision.models.get_model(name).eval()
    noise = torch.Generator().manual_seed(0)
    weights = {
        key: torch.empty(value.shape).uniform_(0.5, 1.5, generator=noise)
        if value.dim() == 1
        else torch.zeros(value.shape, dtype=value.dtype)
        if value.dim() == 0
        else torch.empty(value.shape).normal_(0, (2 / value[0].numel()) ** 0.5, generator=noise)
        for key, value in theirs.state_dict().items()
    }
    for network in (ours, theirs):
        network.load_state_dict(weights, strict=True, assign=True)
    image = torch.randn(2, 3, 64, 64, generator=noise)
    with torch.no_grad():
        expected = theirs(image)
        assert torch.equal(ours(image), expected)
    assert expected.isfinite().all()
    assert expected[0].ne(expected[1]).any()
