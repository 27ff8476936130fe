"""MobileNetV1 and V2: the paper's grid, its share of 1x1 convolutions, torchvision's weights."""

from __future__ import annotations

import pytest
import torch
from helpers.meta_zoo import build, parameters, run
from torch import nn

# width, resolution, mult-adds (M), parameters, and the paper's rounded figures for the cells that it prints:
# Howard et al. 2017, tables 6 and 7, 0.5-160 from table 9. The 0.75-192 cell is table 10's 239 M.
GRID = [
    (1.00, 224, 568.74, 4_231_976, "569"),
    (1.00, 192, 418.12, 4_231_976, "418"),
    (1.00, 160, 290.68, 4_231_976, "290"),
    (1.00, 128, 186.40, 4_231_976, "186"),
    (0.75, 224, 325.40, 2_585_560, "325"),
    (0.75, 192, 239.27, 2_585_560, "239"),
    (0.75, 160, 166.40, 2_585_560, ""),
    (0.75, 128, 106.77, 2_585_560, ""),
    (0.50, 224, 149.50, 1_331_592, "149"),
    (0.50, 192, 109.97, 1_331_592, ""),
    (0.50, 160, 76.52, 1_331_592, "76"),
    (0.50, 128, 49.16, 1_331_592, ""),
    (0.25, 224, 41.03, 470_072, "41"),
    (0.25, 192, 30.21, 470_072, ""),
    (0.25, 160, 21.06, 470_072, ""),
    (0.25, 128, 13.57, 470_072, ""),
]


@pytest.mark.parametrize("width, resolution, millions, params, printed", GRID)
def test_the_papers_grid(width, resolution, millions, params, printed):
    network = build("mobilenetv1", width=width)
    _, counted = run(network, 1, 3, resolution, resolution)
    assert (parameters(network), round(counted / 1e6, 2)) == (params, millions)
    if printed:  # the paper cuts some figures and rounds others
        assert abs(counted / 1e6 - float(printed)) < 1


def test_shares_of_table_2():
    """Mult-adds and weights by layer type, in percent; biases and batch norm left out.

    The table prints 1.19 for the first convolution, and its column adds up to 99.29: the digits are swapped.
    """
    network = build("mobilenetv1")
    positions, weights = {}, {}

    def note(layer, _, output):
        kind = (
            type(layer).__name__
            if isinstance(layer, nn.Linear)
            else f"{layer.kernel_size[0]}x{layer.kernel_size[0]}{' dw' * (layer.groups > 1)}"
        )
        positions[kind] = positions.get(kind, 0) + layer.weight.numel() * output[0, 0].numel()
        weights[kind] = weights.get(kind, 0) + layer.weight.numel()

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(note)
    run(network, 1, 3, 224, 224)

    assert sum(positions.values()) == 568_740_352
    assert {kind: round(100 * part / sum(positions.values()), 2) for kind, part in positions.items()} == {
        "1x1": 94.86,
        "3x3 dw": 3.06,
        "3x3": 1.91,
        "Linear": 0.18,
    }
    assert {kind: round(100 * part / sum(weights.values()), 2) for kind, part in weights.items()} == {
        "1x1": 74.59,
        "3x3 dw": 1.06,
        "3x3": 0.02,
        "Linear": 24.33,
    }


def test_outputs_of_all_leaves_together():
    """115.43 MiB at 224: outputs of the modules without children, 4 bytes, forward and backward."""
    network, elements = build("mobilenetv1"), []
    for module in network.modules():
        if not list(module.children()):
            module.register_forward_hook(lambda m, i, output: elements.append(output.numel()))
    run(network, 1, 3, 224, 224)
    assert round(sum(elements) * 4 * 2 / 2**20, 2) == 115.43


def test_separable_and_standard_differ_in_the_blocks_alone():
    separable, standard = build("mobilenetv1"), build("mobilenetv1_conv")
    image = torch.empty(1, 3, 224, 224, device="meta")
    assert len(separable.features) == len(standard.features) == 14
    for ours, theirs in zip(separable.features, standard.features, strict=True):
        image_after = ours(image)
        assert image_after.shape == theirs(image).shape
        image = image_after
    assert image.shape == (1, 1024, 7, 7)


def test_64x64_leaves_1024x2x2_before_the_pool():
    assert run(build("mobilenetv1").features, 1, 3, 64, 64)[0] == (1, 1024, 2, 2)


def test_width_options_and_names_agree():
    for name, width in [("mobilenetv1_075", 0.75), ("mobilenetv1_050", 0.5), ("mobilenetv1_025", 0.25)]:
        by_name, by_option = build(name).state_dict(), build("mobilenetv1", width=width).state_dict()
        assert {k: v.shape for k, v in by_name.items()} == {k: v.shape for k, v in by_option.items()}


@pytest.mark.parametrize("name", ["mobilenetv1", "mobilenetv2"])
@pytest.mark.parametrize("width", [0, -1.0, float("nan")])
def test_width_must_be_positive(name, width):
    with pytest.raises(ValueError, match="width must be above 0"):
        build(name, width=width)


def test_in_place_is_a_choice():
    """A comparison of activations needs them to differ by the function alone."""
    for inplace in (True, False):
        layers = [m for m in build("mobilenetv1", inplace=inplace).modules() if isinstance(m, nn.ReLU)]
        assert len(layers) == 27
        assert {layer.inplace for layer in layers} == {inplace}


@pytest.mark.parametrize("width", [1.0, 0.35, 0.75, 1.4])
def test_mobilenetv2_is_torchvisions(torchvision, width):
    torch.manual_seed(0)
    theirs = torchvision.models.mobilenet_v2(width_mult=width).eval()
    ours = build("mobilenetv2", width=width)
    ours.load_state_dict(theirs.state_dict(), strict=True, assign=True)
    image = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(ours(image), theirs(image))


def test_mobilenetv2_28_stages():
    """28 -> 14 -> 14 -> 7 -> 7 pixels, 32 -> 64 -> 96 -> 160 -> 320 channels."""
    for name, channels in [("mobilenetv2_28", 3), ("mobilenetv2_28_t4", 1)]:
        features = build(name).features
        ends = [run(features[:end], 1, channels, 28, 28)[0][1:] for end in (1, 5, 8, 11, 12)]
        assert ends == [(32, 28, 28), (64, 14, 14), (96, 14, 14), (160, 7, 7), (320, 7, 7)]


def test_linear_bottlenecks_end_without_activation():
    blocks = [m for m in build("mobilenetv2").features if hasattr(m, "adds_input")]
    assert len(blocks) == 17
    assert all(isinstance(block.conv[-1], nn.BatchNorm2d) for block in blocks)
    assert sum(block.adds_input for block in blocks) == 10  # every repeat of a stage but its first
