"""GoogLeNet and the Inceptions: the paper's table, torchvision's weights, auxiliary classifiers."""

from __future__ import annotations

import pytest
import torch
from helpers.golden_zoo_b import GOLDEN
from helpers.meta_zoo import build, parameters, run
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from archprof.models.zoo import architectures
from archprof.models.zoo.branches import Branches, Conv, Residual, ScaledResidual

# Szegedy et al. 2014, table 1: operations in M. Left out: inception 5a, whose printed 54 M (and 1072 K
# parameters) its own branch columns contradict; they make 51.08 M.
PRINTED = {
    "conv1": 34,
    "conv2+conv3": 360,
    "inception3a": 128,
    "inception3b": 304,
    "inception4a": 73,
    "inception4b": 88,
    "inception4c": 100,
    "inception4d": 119,
    "inception4e": 170,
    "inception5b": 71,
    "fc": 1,
}


def torchvisions(torchvision, name, **options):
    with torch.device("meta"):
        return getattr(torchvision.models, name)(init_weights=False, **options)


def fill(network: nn.Module) -> nn.Module:
    """The network off the meta device, with values under which signals neither fade nor explode."""
    torch.manual_seed(0)
    network.to_empty(device="cpu")
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if value.dim() > 1:
                value.normal_(0, (2 / value[0].numel()) ** 0.5)
            elif "num_batches" in name:
                value.zero_()
            else:
                value.uniform_(0.5, 1.0)
    return network


@pytest.mark.parametrize("aux", [False, True])
@pytest.mark.parametrize("name, side", [("googlenet", 64), ("inception_v3", 75)])
def test_is_torchvisions(torchvision, name, side, aux):
    theirs = fill(torchvisions(torchvision, name, aux_logits=aux)).eval()
    ours = build(name, aux_logits=aux)
    ours.load_state_dict(theirs.state_dict(), strict=True, assign=True)
    image = torch.randn(1, 3, side, side)
    with torch.no_grad():
        assert torch.equal(ours(image), theirs(image))


def test_googlenets_auxiliary_logits_are_torchvisions(torchvision):
    theirs = fill(torchvisions(torchvision, "googlenet", aux_logits=True))
    ours = build("googlenet", aux_logits=True)
    ours.load_state_dict(theirs.state_dict(), strict=True, assign=True)
    for network in (ours, theirs):
        network.train()
        for module in network.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
    image = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        for our_logits, their_logits in zip(ours(image), theirs(image), strict=True):
            torch.testing.assert_close(our_logits, their_logits)


def test_inception_v3s_auxiliary_logits_are_torchvisions(torchvision):
    theirs = fill(torchvisions(torchvision, "inception_v3", aux_logits=True)).eval()
    ours = build("inception_v3", aux_logits=True)
    ours.load_state_dict(theirs.state_dict(), strict=True, assign=True)
    grid = torch.randn(1, 768, 17, 17)
    with torch.no_grad():
        assert torch.equal(ours.AuxLogits(grid), theirs.AuxLogits(grid))


@pytest.mark.parametrize(
    "name, with_heads, heads",
    [
        ("googlenet", 13_004_888, 2),  # torchvision, all parameters
        ("inception_v3", 27_161_264, 1),  # torchvision's num_params
    ],
)
def test_auxiliary_classifiers_count_in_training_only(name, with_heads, heads):
    network, shape = build(name, aux_logits=True), architectures()[name].input_shape
    assert parameters(network) == with_heads
    assert run(network, 1, *shape) == ((1, 1000), GOLDEN[name][1])
    images = torch.empty(2, *shape, device="meta")
    assert [tuple(output.shape) for output in network.train()(images)] == [(2, 1000)] * (1 + heads)
    assert build(name).train()(images).shape == (2, 1000)


def test_googlenet_in_the_papers_form_costs_what_its_table_prints():
    network = build("googlenet", five_by_five=True, separable_stem=True)
    counter = FlopCounterMode(display=False, depth=2)
    with counter, torch.no_grad():
        network(torch.empty(1, 3, 224, 224, device="meta"))
    rows = counter.get_flop_counts()
    for row, printed in PRINTED.items():
        counted = sum(sum(rows[f"GoogLeNet.{layer}"].values()) for layer in row.split("+")) / 2
        assert abs(counted / 1e6 - printed) < 1, row
    assert sum(p.numel() for p in network.conv1.parameters() if p.dim() > 1) == 2712  # printed: 2.7 K


def test_five_by_five_changes_one_branch():
    ours, papers = build("googlenet"), build("googlenet", five_by_five=True)
    assert ours.state_dict().keys() == papers.state_dict().keys()
    changed = [name for name, p in ours.named_parameters() if p.shape != papers.get_parameter(name).shape]
    assert len(changed) == 9
    assert all(name.endswith("branch3.1.conv.weight") for name in changed)


def test_inception_v2s_separable_stem():
    """7*7*24 + 24*64 weights in the place of 7*7*3*64."""
    difference = parameters(build("inception_v2")) - parameters(build("inception_v2", separable_stem=True))
    assert difference == 7 * 7 * 3 * 64 - (7 * 7 * 24 + 24 * 64)


@pytest.mark.parametrize(
    "name, side, grids",
    [
        (
            "inception_v2",
            224,
            {
                "maxpool2": (192, 28),
                "inception_3c": (576, 14),
                "inception_4d": (608, 14),
                "inception_4e": (1056, 7),
                "inception_5b": (1024, 7),
            },
        ),
        (
            "inception_v3",
            299,
            {"maxpool2": (192, 35), "Mixed_5d": (288, 35), "Mixed_6e": (768, 17), "Mixed_7c": (2048, 8)},
        ),
        (
            "inception_v4",
            299,
            {
                "stem_73": (160, 73),
                "stem_71": (192, 71),
                "stem_35": (384, 35),
                "inception_a4": (384, 35),
                "inception_b7": (1024, 17),
                "inception_c3": (1536, 8),
            },
        ),
        (
            "inception_resnet_v2",
            299,
            {
                "mixed_5b": (320, 35),
                "residual_a10": (320, 35),
                "residual_b20": (1088, 17),
                "residual_c10": (2080, 8),
                "conv_last": (1536, 8),
            },
        ),
    ],
)
def test_grids(name, side, grids):
    """Channels and side after the named layers, as the papers' figures print them (v2: see its docstring)."""
    network, x, seen = build(name), torch.empty(1, 3, side, side, device="meta"), {}
    for layer in network.layers:
        x = network.through([layer], x)
        seen[layer] = (x.shape[1], x.shape[2])
    assert {layer: seen[layer] for layer in grids} == grids


def test_branches_are_concatenated_in_order_and_forks_read_one_input():
    torch.manual_seed(0)
    fork = (Conv(1, (1, 3)), Conv(2, (3, 1)))
    branches = Branches(3, {"a": [Conv(2)], "b": [Conv(4), fork]}, "relu").eval()
    assert [name for name, _ in branches.named_children()] == ["a", "b_1", "b_2a", "b_2b"]
    x = torch.randn(1, 3, 5, 5)
    with torch.no_grad():
        shared = branches.b_1(x)
        wanted = torch.cat([branches.a(x), branches.b_2a(shared), branches.b_2b(shared)], 1)
        assert branches.channels == 5
        assert torch.equal(branches(x), wanted)


@pytest.mark.parametrize("activated", [True, False])
def test_a_residual_is_scaled_added_and_then_activated(activated):
    torch.manual_seed(0)
    block = ScaledResidual(3, Residual(0.1, {"a": [Conv(2)]}, activated), "relu").eval()
    x = torch.randn(1, 3, 5, 5)
    with torch.no_grad():
        total = x + 0.1 * block.project(block.branches(x))
        torch.testing.assert_close(block(x), total.relu() if activated else total)
