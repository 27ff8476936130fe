"""DenseNet: torchvision's weights, dense connectivity, growth rate."""

from __future__ import annotations

import pytest
import torch
from helpers.meta_zoo import build

from archprof.models.zoo.densenet import DenseBlock


@pytest.mark.parametrize("name", ["densenet121", "densenet161", "densenet169", "densenet201"])
def test_is_torchvisions(torchvision, name):
    with torch.device("meta"):
        theirs = getattr(torchvision.models, name)().eval()
    ours = build(name)
    assert {key: value.shape for key, value in ours.state_dict().items()} == {
        key: value.shape for key, value in theirs.state_dict().items()
    }


def test_densenet121_computes_what_torchvisions_does(torchvision):
    torch.manual_seed(0)
    theirs, ours = torchvision.models.densenet121().eval(), build("densenet121")
    ours.load_state_dict(theirs.state_dict(), strict=True, assign=True)
    image = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(ours(image), theirs(image))


def test_sizes_of_table_1():
    """Blocks end at 256, 512, 1024 and 1024 channels (121 layers), each transition halving both."""
    features = build("densenet121").features
    shapes, x = {}, torch.empty(1, 3, 224, 224, device="meta")
    for name, layer in features.named_children():
        x = layer(x)
        shapes[name] = tuple(x.shape[1:])
    assert [shapes[f"denseblock{i}"] for i in (1, 2, 3, 4)] == [
        (256, 56, 56),
        (512, 28, 28),
        (1024, 14, 14),
        (1024, 7, 7),
    ]
    assert [shapes[f"transition{i}"] for i in (1, 2, 3)] == [(128, 28, 28), (256, 14, 14), (512, 7, 7)]


def test_the_input_and_every_output_are_kept():
    """A block's output begins with its input; a layer adds k channels and leaves the earlier ones alone."""
    torch.manual_seed(0)
    x = torch.randn(2, 6, 4, 4)
    long = DenseBlock(3, 6, growth_rate=5, activation="relu").eval()
    short = DenseBlock(2, 6, growth_rate=5, activation="relu").eval()
    short.load_state_dict({key: value for key, value in long.state_dict().items() if "layer3" not in key})
    with torch.no_grad():
        assert long(x).shape == (2, 6 + 3 * 5, 4, 4)
        assert torch.equal(long(x)[:, :6], x)
        assert torch.equal(long(x)[:, :16], short(x))


def test_growth_rate_sets_the_stem_and_the_layers():
    features = build("densenet121", growth_rate=12).features
    assert features.conv0.out_channels == 24
    assert {layer.conv2.out_channels for layer in features.denseblock1.values()} == {12}
    with pytest.raises(ValueError, match="growth_rate"):
        build("densenet121", growth_rate=0)
