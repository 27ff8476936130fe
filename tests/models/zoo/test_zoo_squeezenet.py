"""SqueezeNet: torchvision's weights, and what bypass adds."""

from __future__ import annotations

import pytest
import torch
from helpers.meta_zoo import build, parameters, run
from torch import nn

from archprof.models.zoo import architectures
from archprof.models.zoo.squeezenet import Fire


@pytest.mark.parametrize("name", ["squeezenet1_0", "squeezenet1_1"])
def test_is_torchvisions(torchvision, name):
    torch.manual_seed(0)
    theirs = getattr(torchvision.models, name)().eval()
    ours = build(name)
    ours.load_state_dict(theirs.state_dict(), strict=True, assign=True)
    image = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(ours(image), theirs(image))


def test_fifty_times_fewer_than_alexnet():
    assert round(61_100_840 / parameters(build("squeezenet1_0"))) == 49  # "50x" in the paper


def test_bypass_stands_where_figure_2_has_it():
    def around(name):
        fires = [module for module in build(name).features if isinstance(module, Fire)]
        return {number: type(fire.bypass) for number, fire in enumerate(fires, start=2) if fire.bypass}

    simple = dict.fromkeys((3, 5, 7, 9), nn.Identity)
    assert around("squeezenet1_0") == {}
    assert around("squeezenet1_0_simple_bypass") == simple
    assert around("squeezenet1_0_complex_bypass") == simple | dict.fromkeys((2, 4, 6, 8), nn.Conv2d)


def test_bypass_adds_the_modules_own_input():
    torch.manual_seed(0)
    plain, bypassed = Fire(8, 2, 4, 4, "relu"), Fire(8, 2, 4, 4, "relu", nn.Identity())
    bypassed.load_state_dict(plain.state_dict())
    x = torch.randn(1, 8, 5, 5)
    with torch.no_grad():
        torch.testing.assert_close(bypassed(x), plain(x) + x)


def test_a_bypassed_network_loads_the_plain_ones_weights():
    plain, simple = build("squeezenet1_0"), build("squeezenet1_0_simple_bypass")
    assert plain.state_dict().keys() == simple.state_dict().keys()


def test_the_signal_survives_without_batch_norm():
    """Eight Fire modules of freshly initialised weights neither fade nor explode."""
    torch.manual_seed(0)
    features = architectures()["squeezenet1_1"].build().features
    with torch.no_grad():
        assert 0.1 < features(torch.randn(1, 3, 64, 64)).std() < 10


def test_sizes_of_version_1_0():
    """Unpadded 7x7/2 and three pools that round up: 224 -> 109 -> 54 -> 27 -> 13."""
    features = build("squeezenet1_0").features
    sides = [run(features[:end], 1, 3, 224, 224)[0][-1] for end in (2, 3, 7, 12)]
    assert sides == [109, 54, 27, 13]
