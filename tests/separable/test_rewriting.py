"""Rewriting networks: what is found, what is left alone, what stays as it was, and the way back."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrize
from torch.utils._pytree import tree_leaves

from archprof import separable
from archprof.base.errors import BadOption


def conv(*args, **options) -> nn.Conv2d:
    return nn.Conv2d(*args, **({"padding": 1} | options))


def shapes(output) -> list[torch.Size]:
    return [leaf.shape for leaf in tree_leaves(output)]


class Block(nn.Module):
    """A user's module: layers as attributes, in a list, in a dict, nested, and one called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 8, 3)
        self.several = nn.ModuleList([conv(8, 8, 3), conv(8, 8, (1, 5), padding=(0, 2))])
        self.named = nn.ModuleDict({"wide": conv(8, 12, 3, stride=2), "one": nn.Conv2d(12, 12, 1)})
        self.inner = nn.Sequential(nn.Sequential(conv(12, 12, 3, groups=12), conv(12, 12, 3, groups=4)))
        self.twice = conv(12, 12, 3, padding=2, dilation=2)
        self.linear = nn.Linear(12, 5)

    def forward(self, x):
        x = F.relu(self.stem(x))
        for layer in self.several:
            x = x + layer(x)
        x = self.named["one"](self.named["wide"](x))
        x = self.twice(self.twice(self.inner(x)))
        return self.linear(x.mean((2, 3)))


@pytest.mark.parametrize("style", separable.STYLES)
def test_layers_of_a_user_defined_module(style):
    module, x = Block(), torch.randn(2, 3, 10, 10)
    found = separable.separate(module, style=style)
    assert [change.standard for change in found.changes] == ["stem", "several.0", "several.1", "named.wide", "twice"]
    assert {item.module: item.reason for item in found.left_alone} == {
        "named.one": "nothing to separate",
        "inner.0.0": "already depthwise",
        "inner.0.1": "grouped (4 groups)",
    }
    assert shapes(found.module(x)) == shapes(module(x))
    found.module(x).sum().backward()
    assert all(parameter.grad is not None for parameter in found.module.parameters())


def test_the_argument_is_left_alone():
    module = Block()
    before = copy.deepcopy(module.state_dict())
    names = [(path, type(part)) for path, part in module.named_modules()]
    new = separable.rewrite(module)
    with torch.no_grad():
        for parameter in new.parameters():
            parameter.fill_(7)
    assert [(path, type(part)) for path, part in module.named_modules()] == names
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert new is not module


def test_geometry_bias_and_state_are_kept():
    old = nn.Conv2d(
        6,
        10,
        (3, 5),
        stride=(2, 1),
        padding=(1, 2),
        dilation=(1, 2),
        bias=True,
        padding_mode="reflect",
        dtype=torch.float64,
    ).eval()
    old.requires_grad_(False)
    new = separable.rewrite(old, style="mobilenet")
    depthwise, pointwise = new.depthwise, new.pointwise
    for name in ("kernel_size", "stride", "padding", "dilation", "padding_mode"):
        assert getattr(depthwise, name) == getattr(old, name) == getattr(new, name), name
    assert depthwise.groups == depthwise.out_channels == 6 and depthwise.bias is None
    assert pointwise.kernel_size == pointwise.stride == (1, 1) and pointwise.bias is not None
    assert [type(part) for part in new] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.Conv2d]
    assert all(parameter.dtype == torch.float64 and not parameter.requires_grad for parameter in new.parameters())
    assert not any(part.training for part in new.modules())
    x = torch.randn(1, 6, 11, 12, dtype=torch.float64)
    assert new(x).shape == old(x).shape
    assert (new.in_channels, new.out_channels) == (6, 10)


@pytest.mark.parametrize("kind", [1, 2, 3])
def test_every_dimension_and_padding_same(kind):
    make = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[kind - 1]
    module = nn.Sequential(make(2, 4, 4, padding="same"), make(4, 4, 3))
    x = torch.randn(2, 2, *[6] * kind)
    assert separable.rewrite(module)(x).shape == module(x).shape


def test_plain_is_what_the_formula_counts():
    module = nn.Sequential(conv(3, 16, 3, bias=False))
    new = separable.rewrite(module, style="plain")
    assert sum(parameter.numel() for parameter in new.parameters()) == 75
    halves = [type(part) for part in new[0]]
    assert halves == [nn.Conv2d, nn.Conv2d]


def test_a_shared_layer_stays_shared():
    shared = conv(4, 4, 3)
    module = nn.ModuleDict({"left": nn.Sequential(shared), "right": nn.Sequential(nn.ReLU(), shared)})
    new = separable.rewrite(module)
    assert new["left"][0] is new["right"][1]
    assert isinstance(new["left"][0], nn.Sequential)


def test_a_list_beside_the_registered_layers_follows_them():
    class Listed(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = conv(2, 4, 3), conv(4, 4, 3)
            self.order = [self.a, (self.b, {"again": self.b})]

        def forward(self, x):
            return self.order[1][1]["again"](self.order[1][0](self.order[0](x)))

    new = separable.rewrite(Listed())
    assert new.order[0] is new.a and new.order[1][0] is new.b and new.order[1][1]["again"] is new.b
    new(torch.randn(2, 2, 5, 5))


class Unusual(nn.Conv2d):
    def forward(self, x):
        return super().forward(x) * 2


def _left(module: nn.Module) -> dict[str, str]:
    return {
        item.module: item.reason
        for item in separable.separate(nn.ModuleDict({"it": module, "usual": conv(2, 4, 3)})).left_alone
    }


class Negated(nn.Module):
    def forward(self, x):
        return -x


def _parametrised():
    layer = conv(2, 4, 3)
    parametrize.register_parametrization(layer, "weight", Negated())
    return layer


def _hooked():
    layer = conv(2, 4, 3)
    layer.register_forward_hook(lambda *_: None)
    return layer


def _exchanged():
    layer = conv(2, 4, 3)
    layer.forward = layer._conv_forward
    return layer


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Unusual(2, 4, 3), "Unusual is a subclass"),
        (_parametrised, "parametrised"),
        (_hooked, "hooks"),
        (_exchanged, "its forward was exchanged"),
        (lambda: nn.ConvTranspose2d(2, 4, 3), "transposed"),
        (lambda: nn.LazyConv2d(4, 3), "subclass"),
        (lambda: conv(4, 1, 3), "too few output channels"),
        (lambda: torch.jit.script(conv(2, 4, 3)), "TorchScript"),
    ],
)
def test_left_alone_with_the_reason(make, said):
    assert said in _left(make())["it"]


def test_tied_weights_are_left_alone():
    a, b = conv(4, 4, 3), conv(4, 4, 3)
    b.weight = a.weight
    left = {
        item.module: item.reason
        for item in separable.separate(nn.ModuleDict({"a": a, "b": b, "c": conv(4, 4, 3)})).left_alone
    }
    assert set(left) == {"a", "b"} and "shared" in left["a"]


def test_layers_outside_the_module_tree_are_named():
    module = nn.Sequential(conv(2, 4, 3))
    module.hidden = [nn.Sequential(conv(4, 4, 3))]
    (left,) = separable.separate(module).left_alone
    assert left.module == "hidden" and "outside the module tree" in left.reason


def test_a_weight_read_as_an_attribute_says_what_happened():
    new = separable.rewrite(nn.Sequential(conv(2, 4, 3)))
    with pytest.raises(AttributeError, match="rewritten as depthwise"):
        _ = new[0].weight
    assert not hasattr(new[0], "nonsense")


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (nn.Linear(2, 2), "Linear has no convolutions"),
        (nn.Sequential(nn.Conv2d(2, 2, 1)), "left alone: nothing to separate (1)"),
    ],
)
def test_nothing_to_rewrite(module, said):
    with pytest.raises(BadOption, match="no") as raised:
        separable.rewrite(module)
    assert said in str(raised.value)


def test_unknown_style():
    with pytest.raises(BadOption, match="Did you mean 'xception'"):
        separable.rewrite(nn.Conv2d(2, 4, 3), style="exception")


# --- the way back -------------------------------------------------------------------------------------------


class Functional(nn.Module):
    """Depthwise and pointwise with functions between, called in another order than they are declared."""

    def __init__(self) -> None:
        super().__init__()
        self.pointwise = nn.Conv2d(4, 6, 1, bias=True)
        self.norm = nn.BatchNorm2d(4)
        self.depthwise = conv(4, 4, 5, padding=2, stride=2, groups=4, bias=False)

    def forward(self, x):
        return self.pointwise(F.relu6(self.norm(self.depthwise(x))))


def test_pairs_are_found_by_what_reads_what():
    found = separable.standardise(Functional(), (torch.randn(1, 4, 9, 9),))
    (change,) = found.changes
    assert (change.depthwise, change.pointwise, change.between) == ("depthwise", "pointwise", ("norm",))
    merged = found.module.pointwise
    assert (
        merged.in_channels,
        merged.out_channels,
        merged.kernel_size,
        merged.stride,
        merged.padding,
        merged.groups,
    ) == (4, 6, (5, 5), (2, 2), (2, 2), 1)
    assert merged.bias is not None
    assert isinstance(found.module.norm, nn.Identity) and isinstance(found.module.depthwise, nn.Identity)
    x = torch.randn(2, 4, 9, 9)
    assert found.module(x).shape == Functional()(x).shape


@pytest.mark.parametrize("style", separable.STYLES)
def test_there_and_back_again(style):
    module = nn.Sequential(conv(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(), conv(8, 12, 5, bias=False))
    back = separable.merge(separable.rewrite(module, style=style), (torch.randn(1, 3, 12, 12),))

    def dense(net):
        return [
            (c.in_channels, c.out_channels, c.kernel_size, c.stride, c.padding, c.groups, c.bias is None)
            for c in net.modules()
            if isinstance(c, nn.Conv2d)
        ]

    assert dense(back) == dense(module)
    assert sum(p.numel() for p in back.parameters()) == sum(p.numel() for p in module.parameters())


class Gated(nn.Module):
    """Squeeze and excitation between the halves."""

    def __init__(self) -> None:
        super().__init__()
        self.depthwise, self.gate, self.pointwise = conv(4, 4, 3, groups=4), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 8, 1)

    def forward(self, x):
        x = self.depthwise(x)
        return self.pointwise(x * self.gate(x.mean((2, 3), keepdim=True)))


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.depthwise, self.pointwise = conv(4, 4, 3, groups=4), nn.Conv2d(4, 4, 1)

    def forward(self, x):
        x = self.depthwise(x)
        return x + self.pointwise(x)


def depthwise(**options):
    return conv(4, 4, 3, groups=4, **options)


_SHARED = nn.Conv2d(4, 4, 1)


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (Gated(), "more than one place"),
        (Residual(), "more than one place"),
        (nn.Sequential(depthwise()), "the network's"),
        (nn.Sequential(depthwise(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 1)), "neither normalisation nor activation"),
        (nn.Sequential(depthwise(), nn.Conv2d(4, 4, 1, stride=2)), "stride or padding"),
        (nn.Sequential(depthwise(), conv(4, 4, 3)), "not a dense 1x1"),
        (nn.Sequential(depthwise(), nn.Conv2d(4, 4, 1, groups=2)), "not a dense 1x1"),
        (nn.Sequential(depthwise(), _SHARED, nn.ReLU(), _SHARED), "used with other layers"),
        (nn.Sequential(conv(4, 4, 3)), "no depthwise convolution followed by a pointwise one."),
    ],
)
def test_pairs_that_are_none(module, said):
    with pytest.raises(BadOption) as raised:
        separable.merge(module, (torch.randn(1, 4, 8, 8),))
    assert said in str(raised.value)


def test_an_activation_shared_with_other_places_stays():
    relu = nn.ReLU()
    module = nn.Sequential(conv(4, 4, 3), relu, depthwise(), relu, nn.Conv2d(4, 8, 1))
    new = separable.merge(module, (torch.randn(1, 4, 8, 8),))
    assert [type(part) for part in new] == [nn.Conv2d, nn.ReLU, nn.Identity, nn.ReLU, nn.Conv2d]


# --- whole networks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "size", "convolutions"),
    [("vgg16", 32, 13), ("resnet50", 32, 17), ("googlenet", 32, 20), ("densenet121", 32, 59)],
)
def test_networks_run_forward_and_backward_with_every_shape_kept(torchvision, name, size, convolutions):
    options = {"init_weights": False} if name in ("vgg16", "googlenet") else {}
    options |= {"aux_logits": False} if name == "googlenet" else {}
    with torch.device("meta"):
        module = getattr(torchvision.models, name)(weights=None, num_classes=10, **options)
        x = torch.empty(2, 3, size, size)
    new = separable.rewrite(module)
    seen: list[dict[str, list[torch.Size]]] = []
    for net in (module, new):
        found: dict[str, list[torch.Size]] = {}
        kept = dict(module.named_modules())
        for path, part in net.named_modules():
            if path in kept:
                part.register_forward_hook(
                    lambda _, __, out, path=path, found=found: found.setdefault(path, []).append(shapes(out))
                )
        out = net(x)
        out.sum().backward()
        seen.append(found)
    assert seen[0] == seen[1] and len(seen[0]) > 20
    assert all(parameter.grad is not None for parameter in new.parameters())
    assert sum(isinstance(part, nn.Sequential) and hasattr(part, "depthwise") for part in new.modules()) == convolutions


@pytest.mark.parametrize("name", ["mobilenet_v2", "mnasnet1_0", "shufflenet_v2_x1_0"])
def test_every_depthwise_layer_of_other_authors_finds_its_pointwise(torchvision, name):
    with torch.device("meta"):
        module = getattr(torchvision.models, name)(weights=None)
        x = torch.empty(1, 3, 64, 64)
    found = separable.standardise(module, (x,))
    depthwise = [path for path, part in module.named_modules() if getattr(part, "groups", 1) > 1]
    assert [change.depthwise for change in found.changes] == depthwise and not found.left_alone
    assert not any(getattr(part, "groups", 1) > 1 for part in found.module.modules())
    assert found.module(x).shape == module(x).shape


def test_a_small_network_really_computes():
    torch.manual_seed(0)
    module = nn.Sequential(
        conv(3, 8, 3),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        conv(8, 8, 3),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 3),
    )
    new = separable.rewrite(module)
    x = torch.randn(4, 3, 8, 8)
    assert torch.isfinite(new(x)).all() and not torch.equal(new(x), module(x))
