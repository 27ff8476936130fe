"""Where the time goes: scripted profiler events whose sums can be done by hand, then a real pass."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from archprof.base.errors import BadOption
from archprof.measure import operator_times
from archprof.measure.operator_times import MODULE, Event
from archprof.render.tables import layers as layer_table
from archprof.results import latency
from archprof.results.conditions import Conditions
from archprof.results.latency import Latency
from archprof.results.per_layer import BETWEEN, with_times
from archprof.results.profile import LayerCost, StaticProfile, TypeCost


def lasting(seconds: float) -> Latency:
    """A measurement of passes that all took so long."""
    return Latency(1, tuple(latency.Block(seconds, 1, place, place) for place in range(3)))


def call(module: str, op: str, kind: str, macs: int = 0) -> LayerCost:
    return LayerCost(module, op, kind, (1, 4), (1, 4), macs)


COUNTED = [
    call("conv", "aten.convolution", "conv 3x3", macs=3_000_000)._replace(bytes_moved=6_000),
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
    assert operator_times.attributed(EVENTS, COUNTED) == [6.0, 1.0, 0.5, 0.0]


def test_times_are_scaled_to_the_undisturbed_pass():
    times = operator_times.combined([EVENTS] * 3, COUNTED, lasting(5.0))
    assert times.seconds == pytest.approx((3.0, 0.5, 0.25, 0.0)) and times.elsewhere_s == pytest.approx(1.25)
    assert times.overhead == pytest.approx(1.0)


def test_the_table_adds_up_to_the_pass_and_divides_work_by_time():
    times = operator_times.combined([EVENTS] * 3, COUNTED, lasting(5.0))
    profile = StaticProfile(
        "net", "zoo", (3, 8, 8), 1, 9, 9, 0, 3_000_000, 0, 0, 0, 0, 0,
        by_type=(TypeCost("conv 3x3", 9, 3_000_000, 1), TypeCost("addition", 0, 0, 1),
                 TypeCost("activation", 0, 0, 1), TypeCost("product", 0, 0, 1)),
        layers=tuple(COUNTED),
    )  # fmt: skip
    assert COUNTED[0].bytes_moved == 6_000
    *rows, total = layer_table.flat_rows(with_times(profile, times), "type")
    assert [(row["type"], row["seconds"], row["time_share"]) for row in rows] == [
        ("conv 3x3", pytest.approx(3.0), pytest.approx(0.6)),
        ("addition", pytest.approx(0.5), pytest.approx(0.1)),
        ("activation", pytest.approx(0.25), pytest.approx(0.05)),
        ("product", 0.0, 0.0),
        (BETWEEN, pytest.approx(1.25), pytest.approx(0.25)),
    ]
    assert (total["seconds"], total["time_share"], total["calls"]) == (pytest.approx(5.0), pytest.approx(1.0), 4)
    assert rows[0]["gflops"] == pytest.approx(2 * 3_000_000 / 3.0 / 1e9)
    assert rows[0]["arithmetic_intensity"] == pytest.approx(2 * 3_000_000 / 6_000)
    assert rows[1]["gflops"] is None and rows[1]["arithmetic_intensity"] is None
    assert times.sentences == (
        "one pass takes 5,000 ms (5,000 to 5,000), undisturbed by a profiler; "
        "the profiled passes that divide it took 2.00 times as long and are scaled to it",
    )


def test_a_division_of_disturbed_passes_is_not_relied_on():
    times = operator_times.combined([EVENTS] * 3, COUNTED, lasting(4.0))  # profiled passes took 10 s
    assert times.division.why == "profiled passes took more than 2 times as long"
    assert times.sentences[-1].startswith("its division is not reliable")
    assert operator_times.combined([EVENTS] * 3, COUNTED, lasting(9.0)).division.why is None
    assert not times.to_json({})["reliable"]


def test_the_fastest_passes_count():
    """Most passes are stretched by a neighbour that stands between two calls: they tell nothing."""
    slow = [event._replace(start=event.start * 9, seconds=event.seconds * 9) for event in EVENTS]
    passes = [slow, EVENTS, slow, EVENTS, slow, EVENTS, slow, slow, slow]
    times = operator_times.combined(passes, COUNTED, lasting(10.0))
    assert times.seconds == pytest.approx((6.0, 1.0, 0.5, 0.0)) and times.overhead == pytest.approx(0.0)


def test_slow_networks_are_profiled_less_often(monkeypatch):
    ran = []
    monkeypatch.setattr(operator_times, "_profiled", lambda *_: ran.append(1) or EVENTS)
    for step, wanted in ((0.0, operator_times.PASSES), (60.0, operator_times.KEPT)):
        ran.clear()
        now = itertools.count(0.0, step or 1e-6)
        operator_times.where_time_goes(
            nn.Identity(), (), COUNTED, lasting(1.0), Conditions(), clock=lambda now=now: next(now)
        )
        assert len(ran) == wanted


def test_equal_calls_of_one_module_keep_their_order():
    events = [Event(MODULE, 0, 9), Event("aten::add", 1, 2), Event("aten::add", 4, 3)]
    assert operator_times.attributed(events, [call("", "aten.add", "addition")] * 2) == [2, 3]


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
    where = operator_times.where_time_goes(module, (torch.randn(1, 8, 16, 16),), counted, lasting(1.0), Conditions())
    assert all(seconds > 0 for seconds in where.seconds) and where.elsewhere_s >= 0
    assert sum(where.seconds) + where.elsewhere_s == pytest.approx(1.0)
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())


def test_what_cannot_be_told_apart_is_refused():
    with pytest.raises(BadOption, match="eager forward passes on the CPU"):
        operator_times.where_time_goes(nn.Identity(), (), [], lasting(1.0), Conditions(mode="train"))
    compiled = torch.compile(nn.Identity(), backend="eager")
    with pytest.raises(BadOption, match="compiled module"):
        operator_times.where_time_goes(compiled, (), [], lasting(1.0), Conditions())
