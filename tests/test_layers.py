"""Where the time goes: scripted profiler events whose sums can be done by hand, then a real pass."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from archprof.errors import BadOption
from archprof.measure import layers
from archprof.measure.conditions import Conditions
from archprof.measure.layers import MODULE, Event
from archprof.records import LayerCost


def call(module: str, op: str, kind: str, macs: int = 0) -> LayerCost:
    return LayerCost(module, op, kind, (1, 4), (1, 4), macs)


COUNTED = [
    call("conv", "aten.convolution", "conv 3x3", macs=3_000_000),
    call("", "aten.add_", "addition"),
    call("", "aten.relu", "activation"),
    call("gone", "aten.mul", "product"),
]

# a pass of 10 s: conv2d (6 s, through convolution) in its own module, then a view, add_ and relu in the root
EVENTS = [
    Event(MODULE, 0.0, 10.0),
    Event(MODULE + "conv", 0.5, 6.5),
    Event("aten::conv2d", 0.6, 6.0),
    Event("aten::convolution", 0.7, 5.8),
    Event("aten::mkldnn_convolution", 0.8, 5.6),
    Event("aten::view", 7.0, 0.1),
    Event("aten::add_", 7.2, 1.0),
    Event("aten::relu", 8.5, 0.5),
    Event("aten::clamp_min", 8.6, 0.3),
]


def test_operators_belong_to_the_calls_that_were_counted():
    assert layers.attributed(EVENTS, COUNTED) == [6.0, 1.0, 0.5, 0.0]


def test_times_are_scaled_to_the_undisturbed_pass():
    where = layers.combined([EVENTS] * 3, COUNTED, total_s=5.0)
    assert where.seconds == pytest.approx((3.0, 0.5, 0.25, 0.0)) and where.elsewhere_s == pytest.approx(1.25)
    assert where.total_s == pytest.approx(5.0) and where.overhead == pytest.approx(1.0)
    assert where.shares[0] == pytest.approx(0.6)
    assert where.by_type() == pytest.approx(
        {"conv 3x3": 0.6, "addition": 0.1, "activation": 0.05, "product": 0.0}
    )
    assert where.gflops(0, batch_size=8) == pytest.approx(2e-9 * 8 * 3_000_000 / 3.0)
    assert where.gflops(1, batch_size=8) is None


def test_the_median_pass_counts():
    slow = [event._replace(start=event.start * 9, seconds=event.seconds * 9) for event in EVENTS]
    assert layers.combined([EVENTS, slow, EVENTS], COUNTED, 10.0).seconds == pytest.approx(
        (6.0, 1.0, 0.5, 0.0)
    )


def test_equal_calls_of_one_module_keep_their_order():
    events = [Event(MODULE, 0, 9), Event("aten::add", 1, 2), Event("aten::add", 4, 3)]
    assert layers.attributed(events, [call("", "aten.add", "addition")] * 2) == [2, 3]


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu_(self.norm(self.conv(x)) + x)


def test_a_real_pass_is_explained_call_by_call():
    module = nn.Sequential(Block(), Block()).eval()
    counted = []
    for block in ("0", "1"):
        counted += [
            call(f"{block}.conv", "aten.convolution", "conv 3x3", 1),
            call(f"{block}.norm", "aten.native_batch_norm", "batch norm"),
            call(block, "aten.add", "addition"),
            call(block, "aten.relu_", "activation"),
        ]
    where = layers.where_time_goes(module, (torch.randn(1, 8, 16, 16),), counted, 1.0, Conditions())
    assert all(seconds > 0 for seconds in where.seconds) and where.elsewhere_s >= 0
    assert where.total_s == pytest.approx(1.0) and next(iter(where.by_type())) in ("conv 3x3", "batch norm")
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())


def test_what_cannot_be_told_apart_is_refused():
    with pytest.raises(BadOption, match="eager forward passes on the CPU"):
        layers.where_time_goes(nn.Identity(), (), [], 1.0, Conditions(mode="train"))
