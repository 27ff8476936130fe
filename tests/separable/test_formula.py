"""The formula of depthwise separable convolution: by hand, against the count, and at its limit."""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archprof import separable
from archprof.base.errors import BadOption
from archprof.results.profile import LayerCost, StaticProfile, TypeCost

channels = st.integers(1, 48)


@st.composite
def convolutions(draw):
    """Random layers that some input fits."""
    kernel = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)).filter(lambda k: k != (1, 1)))
    dilation = draw(st.integers(1, 3))
    reach = [dilation * (k - 1) + 1 for k in kernel]
    size = tuple(draw(st.integers(extent, extent + 9)) for extent in reach)
    return separable.convolution(
        draw(channels),
        draw(channels),
        kernel,
        size,
        stride=draw(st.integers(1, 3)),
        padding=draw(st.tuples(st.integers(0, 2), st.integers(0, 2))),
        dilation=dilation,
        bias=draw(st.booleans()),
        multiplier=draw(st.integers(1, 3)),
        batch_size=draw(st.integers(1, 4)),
    )


def test_the_worked_example():
    conv = separable.convolution(3, 16, 3, 32)
    assert conv.output_size == (32, 32)
    assert (conv.standard.parameters, conv.separable.parameters) == (3 * 3 * 3 * 16, 3 * 3 * 3 + 3 * 16) == (432, 75)
    assert conv.standard.macs == 432 * 32 * 32 == 442_368
    assert conv.separable.macs == 75 * 32 * 32 == 76_800
    assert conv.ratio == Fraction(1, 16) + Fraction(1, 9) == Fraction(75, 432)
    assert round(float(conv.ratio), 4) == 0.1736


def test_memory_moved_and_intensity_by_hand():
    conv = separable.convolution(1, 2, 3, 4)  # 16 positions in and out, float32
    assert conv.standard.bytes_moved == 4 * (16 + 2 * 9 + 2 * 16)
    assert conv.depthwise.bytes_moved == 4 * (16 + 9 + 16)
    assert conv.pointwise.bytes_moved == 4 * (16 + 2 + 32)
    assert conv.depthwise.arithmetic_intensity == 2 * 9 * 16 / (4 * 41)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "dilation", "expected"),
    [
        (224, 7, 2, 3, 1, 112),  # ResNet's stem: floor(223/2) + 1
        (224, 11, 4, 2, 1, 55),  # AlexNet's: floor(217/4) + 1
        (32, 3, 1, 1, 1, 32),
        (7, 7, 1, 0, 1, 1),
        (9, 3, 1, 0, 4, 1),  # a 3 spread over 9
        (10, 3, 3, 0, 1, 3),
    ],
)
def test_output_size(size, kernel, stride, padding, dilation, expected):
    assert separable.output_extent(size, kernel, stride, padding, dilation) == expected


@given(convolutions())
@settings(max_examples=settings.default.max_examples // 2)
def test_formula_and_count_agree_to_the_last_unit(conv):
    counted = separable.compare_layer(conv)
    assert counted.agrees
    for part in ("standard", "depthwise", "pointwise", "separable"):
        assert getattr(counted, part) == getattr(conv, part), part
    assert counted.ratio == conv.ratio == conv.multiplier * (Fraction(1, conv.out_channels) + conv.asymptote)


@given(convolutions())
def test_a_bias_costs_as_many_parameters_on_both_sides_and_no_mult_adds(conv):
    from dataclasses import replace

    bare, biased = replace(conv, bias=False), replace(conv, bias=True)
    assert biased.standard.parameters - bare.standard.parameters == conv.out_channels
    assert biased.separable.parameters - bare.separable.parameters == conv.out_channels
    assert (biased.standard.macs, biased.separable.macs) == (bare.standard.macs, bare.separable.macs)


@given(st.integers(2, 11), st.integers(1, 6))
def test_the_ratio_tends_to_its_asymptote(kernel, power):
    far = separable.convolution(8, 10**power, kernel, 16, padding=0)
    assert far.asymptote == Fraction(1, kernel**2)
    assert far.ratio - far.asymptote == Fraction(1, 10**power)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"kernel": 1}, "nothing to separate"),
        ({"kernel": 4}, "even"),
        ({"kernel": (3, 2)}, "even"),
        ({"size": 2, "padding": 0}, "smaller than the kernel, which reaches over 3x3"),
        ({"size": 4, "padding": 0, "dilation": 2}, "reaches over 5x5"),
        ({"in_channels": 0}, "in_channels is 0"),
        ({"out_channels": -4}, "out_channels is -4"),
        ({"stride": 0}, "stride is 0x0"),
        ({"padding": -1}, "padding is -1x-1"),
        ({"padding": "valid"}, "'valid'"),
        ({"multiplier": 0}, "multiplier is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"size": 0}, "size is 0x0"),
    ],
)
def test_what_no_convolution_accepts(options, said):
    usual = {"in_channels": 4, "out_channels": 8, "kernel": 3, "size": 8}
    with pytest.raises(BadOption) as raised:
        separable.convolution(**(usual | options))
    assert said in str(raised.value)
    assert raised.value.remedy


def test_an_even_dilation_makes_an_even_kernel_keep_its_size():
    assert separable.convolution(1, 1, 4, 9, dilation=2).output_size == (9, 9)


def test_shares_follow_from_the_profile_alone():
    dense = LayerCost(
        "a",
        "aten.convolution",
        "conv 3x3",
        (1, 4, 8, 8),
        (1, 8, 8, 8),
        9 * 4 * 8 * 64,
        parameters=296,
        weights=288,
        kernel=(3, 3),
    )
    again = LayerCost("a", "aten.convolution", "conv 3x3", (1, 4, 4, 4), (1, 8, 4, 4), 9 * 4 * 8 * 16, kernel=(3, 3))
    one = LayerCost(
        "b",
        "aten.convolution",
        "conv 3x3",
        (1, 8, 8, 8),
        (1, 1, 8, 8),
        9 * 8 * 64,
        weights=72,
        parameters=72,
        kernel=(3, 3),
    )
    layers = (dense, again, one)
    macs = sum(layer.macs for layer in layers)
    profile = StaticProfile(
        "net",
        "zoo",
        (4, 8, 8),
        1,
        1000,
        1000,
        0,
        macs + 500,
        0,
        0,
        0,
        0,
        0,
        layers=layers,
        by_type=(
            TypeCost("conv 3x3", 368, macs, 3, weights=360),
            TypeCost("conv 1x1", 32, 300, 1, weights=40),
            TypeCost("fully connected", 0, 200, 1, weights=100),
        ),
    )
    found = separable.shares(profile)
    assert found.fraction("dense KxK") == macs / (macs + 500)
    assert found.fraction("depthwise") == 0
    assert sum(share.macs_fraction for share in found.kinds) == pytest.approx(1)
    assert {share.kind: share.weights for share in found.kinds} == {
        "1x1": 40,
        "depthwise": 0,
        "dense KxK": 360,
        "fully connected": 100,
    }
    # 9*4*8 becomes 9*4 + 4*8 at each of 64 + 16 places, once in parameters; a single output channel stays
    assert found.separable_macs == 80 * (36 + 32) + 9 * 8 * 64 + 500
    assert found.separable_parameters == 1000 - 288 + 68


@pytest.mark.parametrize(
    ("kind", "types"),
    [
        ("1x1", ["conv 1x1", "conv 1", "conv 1x1x1"]),
        ("dense KxK", ["conv 3x3", "conv 1x7", "conv 11x11", "conv 3", "conv 1x11"]),
        ("depthwise", ["depthwise conv 3x3"]),
        ("fully connected", ["fully connected"]),
        ("other", ["grouped conv 3x3", "transposed conv 2x2", "attention", "matrix product"]),
    ],
)
def test_kinds_of_layers(kind, types):
    assert {separable.kind_of(name) for name in types} == {kind}


def test_json_of_a_layer():
    saved = json.loads(separable.to_json(separable.compare_layer(separable.convolution(3, 16, 3, 32))))
    assert saved["counted"]["agrees"] is True
    assert saved["counted"]["standard"]["macs"] == saved["formula"]["standard"]["macs"] == 442_368
    assert saved["formula"]["ratio"] == 75 / 432
    assert saved["timing"] is None


def test_importing_and_rendering_need_no_torch():
    code = (
        "import sys; import archprof.separable, archprof.render.tables.separable, archprof.cli.separable;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
