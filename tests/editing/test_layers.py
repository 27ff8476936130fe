"""Edits of layers: what becomes of each, by hand; what is left alone; what is refused, and how."""

from __future__ import annotations

import pytest
import torch
from hostile.watching import Photograph
from torch import nn
from torch.nn.utils import parametrize

import archprof
from archprof.base.errors import ArchprofError, BadOption
from archprof.counting import counts
from archprof.editing.edits import parse, parsed
from archprof.editing.layers import applied
from archprof.editing.variants import variant_of
from archprof.results.conditions import Conditions


class Net(nn.Module):
    """Layers of all kinds: 3x8x8 in, 8 channels within."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.body = nn.Sequential(
            nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Conv2d(8, 8, 1)
        )
        self.open = nn.Conv2d(8, 8, 3)  # without padding: 8x8 becomes 6x6
        self.even = nn.Conv2d(8, 8, 2)
        self.act = nn.GELU()
        self.head = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.even(self.open(self.act(self.body(self.stem(x)))))
        return self.head(x.mean((2, 3)))


def edited(text: str, module: nn.Module | None = None):
    return applied(module or Net(), parse(text), "net")


def macs(module: nn.Module, size: int = 8) -> int:
    return archprof.profile(module, input_shape=(3, size, size)).macs


#: Mult-adds of Net: positions * weights.
STEM, BODY, POINT, OPEN, EVEN, HEAD = 64 * 3 * 8 * 9, 64 * 8 * 8 * 9, 64 * 8 * 8, 36 * 8 * 8 * 9, 25 * 8 * 8 * 4, 8 * 4
ALL = STEM + BODY + POINT + OPEN + EVEN + HEAD


def test_the_network_by_hand():
    assert macs(Net()) == ALL


BY_HAND = [
    ("body.0: kernel=1", ALL - BODY + BODY // 9),
    ("body.0: kernel=5", ALL - BODY + BODY * 25 // 9),
    ("body.0: kernel=1x5", ALL - BODY + BODY * 5 // 9),
    ("open: kernel=5", ALL - OPEN + OPEN * 25 // 9),
    ("body.0: groups=depthwise", ALL - BODY + BODY // 8),
    ("body.0: groups=4", ALL - BODY + BODY // 4),
    ("body.0: separable", ALL - BODY + BODY // 8 + BODY // 9),
    ("body.0: separable=plain", ALL - BODY + BODY // 8 + BODY // 9),
    ("body.0: identity", ALL - BODY),
    ("body: identity", ALL - BODY - POINT),
    ("even: stride=2", ALL - EVEN + 9 * 8 * 8 * 4),
    # 2 of 4 positions each way from the stem on: 16 instead of 64, 4 instead of 36, 1 instead of 25
    ("stem: stride=2", STEM // 4 + BODY // 4 + POINT // 4 + 4 * 8 * 8 * 9 + 1 * 8 * 8 * 4 + HEAD),
    ("*: activation=relu", ALL),
    ("body: norm=none", ALL),
]


@pytest.mark.parametrize(("text", "truth"), BY_HAND, ids=[text for text, _ in BY_HAND])
def test_mult_adds_of_an_edit_by_hand(text, truth):
    assert macs(edited(text).module) == truth


def test_a_name_means_the_layers_below_it_too():
    assert edited("body: kernel=5").layers == ("body.0", "body.3")
    assert edited("bod?: kernel=5").layers == ("body.0", "body.3")
    assert edited("*: activation=silu").layers == ("body.2", "act")


def test_what_cannot_be_edited_is_left_alone_with_the_reason():
    found = edited("*: kernel=3")
    assert found.layers == ("stem", "body.0", "body.3", "open")
    assert found.left_alone == (("even", "its output would change its size: from 2 to 3 there is no even padding"),)
    assert dict(edited("*: separable").left_alone) == {"body.3": "nothing to separate"}


def test_outermost_layers_become_the_identity():
    assert edited("body*: identity").layers == ("body",)


def test_settings_of_the_layer_stay():
    module = nn.Sequential(
        nn.Conv2d(8, 8, 3, 2, 2, 2, bias=False, padding_mode="reflect").double().requires_grad_(False)
    )
    (new,) = edited("0: kernel=5", module.eval()).module
    assert (new.stride, new.padding, new.dilation, new.padding_mode) == ((2, 2), (4, 4), (2, 2), "reflect")
    assert new.bias is None and new.weight.dtype == torch.float64 and not new.weight.requires_grad and not new.training


def test_a_layer_in_two_places_stays_one():
    layer = nn.Conv2d(8, 8, 3, padding=1)
    found = edited("*: kernel=1", nn.Sequential(layer, nn.ReLU(), layer))
    assert found.module[0] is found.module[2] and found.module[0].kernel_size == (1, 1)


def tied() -> nn.Module:
    module = nn.Sequential(nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 3))
    module[1].weight = module[0].weight
    return module


def parametrised() -> nn.Module:
    module = nn.Sequential(nn.Conv2d(8, 8, 3))
    parametrize.register_parametrization(module[0], "weight", nn.Identity())
    return module


class Own(nn.Conv2d):
    pass


REFUSED = [
    (Net, "nose: kernel=1", "no layer of net is called 'nose'"),
    (Net, "bodi.*: kernel=1", "Did you mean 'body'"),
    (Net, "nose: kernel=1", "Outermost layers: stem, body, open, even, act, head."),
    (Net, "head: kernel=1", "head is of type Linear, and 'kernel' is for convolutions"),
    (Net, "stem: activation=relu", "'activation' is for activation layers, which are no layers where"),
    (Net, "head: norm=none", "head is of type Linear, and 'norm' is for norm layers"),
    (Net, "open: kernel=1", "open cannot be edited so: its output would grow: it has a padding of 0"),
    (Net, "stem: groups=4", "4 groups do not divide 3 and 8 channels"),
    (Net, "stem: groups=depthwise", "3 groups do not divide 3 and 8 channels"),
    (Net, "stem: kernel=3x3x3", "it has 2 dimensions, and 3 numbers are given"),
    (Net, "body.3: separable", "nothing to separate"),
    (Net, "bod*: kernel=2", "none of 2 convolutions can be edited so: its output would change its size"),
    (tied, "*: kernel=1", "its weight is shared with another module"),
    (parametrised, "*: kernel=1", "its weight is parametrised"),
    (lambda: nn.Sequential(Own(8, 8, 3)), "*: kernel=1", "Own is a subclass, which may compute something else"),
    (lambda: nn.Sequential(nn.ConvTranspose2d(8, 8, 3)), "0: kernel=1", "transposed convolution"),
    (lambda: nn.Sequential(nn.Conv2d(8, 8, 3, padding="same")), "0: stride=2", "is 'same', which takes no stride"),
    (lambda: torch.jit.script(nn.Sequential(nn.ReLU())), "*: identity", "is compiled by TorchScript"),
    (nn.ReLU, "*: identity", "no layer of net is called '*'"),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:.torch.jit.script")
@pytest.mark.parametrize(("make", "text", "said"), REFUSED, ids=[f"{text} {said[:30]}" for _, text, said in REFUSED])
def test_what_a_layer_cannot_take(make, text, said):
    with pytest.raises(BadOption) as raised:
        edited(text, make())
    assert said in str(raised.value) and str(raised.value).startswith(("edit '", "net is"))


# --- variants ---------------------------------------------------------------------------------------------------------


def variant(model, *texts: str, input_shape=None):
    return variant_of(model, parsed(texts), input_shape, Conditions())


def counted(model, *texts: str, input_shape=None):
    return counts.profile_of(variant(model, *texts, input_shape=input_shape).subject)


def test_arguments_and_layers_in_any_order():
    one = counted("mobilenetv1", "width=0.5", "@96", "*.pointwise*: groups=1", "*: norm=none")
    other = counted("mobilenetv1", "*: norm=none", "@96", "width=0.5")
    assert (one.macs, one.input_shape) == (other.macs, other.input_shape)
    assert one.macs == archprof.profile("mobilenetv1(width=0.5)@96").macs and one.name == "mobilenetv1(width=0.5)@96"


def test_a_later_argument_replaces_an_earlier_one_and_the_name_s_own():
    assert counted("mobilenetv1(width=0.25)@64", "width=0.5", "width=0.75").name == "mobilenetv1(width=0.75)@64"


def test_a_network_that_was_handed_over_is_never_touched():
    module = Net()
    before = Photograph(module)
    found = variant(module, "*: separable", "@16")
    counts.profile_of(found.subject)
    found.materialised(Conditions())(torch.ones(1, 3, 16, 16))
    assert before.differences(module) == []
    assert found.subject.input_shape == (3, 16, 16)


def test_classes_take_arguments():
    class Wide(Net):
        def __init__(self, width: int = 8) -> None:
            super().__init__()
            self.head = nn.Linear(8, width)

    assert (
        counted(Wide, "width=16", "stem: stride=2", input_shape=(3, 16, 16)).parameters
        > counted(Wide, "@16").parameters
    )


def test_a_failing_forward_is_that_of_the_edited_network():
    with pytest.raises(ArchprofError, match=r"layer4\.1"):
        counted("resnet18", "layer4.1.conv1: stride=2")


@pytest.mark.parametrize(
    ("model", "texts", "said"),
    [
        (Net(), ("width=2",), "a network that is built already takes no arguments such as 'width'"),
        ("resnet18", ("wdth=2",), "resnet18 has no option 'wdth'. Did you mean 'width'?"),
        ("resnet5o", ("@160",), "unknown model 'resnet5o'"),
        ("resnet18", ("width='a'",), "is not a number"),
        (7, ("@160",), "a model cannot be of type int"),
    ],
)
def test_what_a_network_cannot_take(model, texts, said):
    with pytest.raises(ArchprofError) as raised:
        counted(model, *texts)
    assert said in str(raised.value)
