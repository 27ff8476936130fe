"""Operators timed by themselves: which calls, with what, when again; by a scripted clock."""

from __future__ import annotations

import itertools
import time

import pytest
import torch
from torch import nn

from archprof.base import cache
from archprof.base.kept import Store
from archprof.measure import operators
from archprof.measure.operators import FEWEST, MOST, OperatorTimes, calls_of
from archprof.results.ceilings import Cache
from archprof.results.conditions import Conditions

ONE = Conditions(threads=1)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2)

    def forward(self, x):
        x = torch.relu_(self.norm(self.conv(x)))
        return self.head(x.mean((2, 3)))


def calls(size: int = 8, module: nn.Module | None = None):
    return calls_of((module or Net()).eval(), (torch.ones(1, 3, size, size),), {})


def clock(*seconds: float):
    """A clock that says that calls take so long, in turn, over and over."""
    now = 0.0
    lengths = itertools.cycle(seconds)
    starting = itertools.cycle((True, False))

    def read() -> float:
        nonlocal now
        if not next(starting):
            now += next(lengths)
        return now

    return read


def times(*seconds: float, kept: Store | None = None) -> OperatorTimes:
    return OperatorTimes(ONE, Store("operators", "machine") if kept is None else kept, clock=clock(*seconds))


def test_the_calls_of_a_pass_without_views():
    found = calls()
    assert [call.op.name for call in found] == [
        "aten.convolution", "aten.native_batch_norm", "aten.relu_", "aten.mean", "aten.addmm",
    ]  # fmt: skip
    conv = found[0]
    assert conv.key.startswith("aten.convolution.default (float32[1, 3, 8, 8][192, 64, 8, 1], wfloat32[4, 3, 3, 3]")
    assert [leaf.weight for leaf in conv.args[:3]] == [False, True, True]
    # the linear layer's weight is read through a view of it: transposed, and a weight still
    assert found[-1].args[2][:4] == ((4, 2), (1, 4), torch.float32, True)


def test_keys_are_equal_where_everything_that_shapes_a_time_is():
    keys = [call.key for call in calls()]
    assert keys == [call.key for call in calls()] and len(set(keys)) == len(keys)
    assert not set(keys) & {call.key for call in calls(10)} - {keys[-1]}  # the last layer sees one vector
    assert keys[0] != calls(module=Net().to(memory_format=torch.channels_last))[0].key
    assert keys[0] != calls(module=nn.Sequential(nn.Conv2d(3, 4, 3, stride=2)))[0].key


def test_a_long_key_is_cut_and_still_its_own():
    def joined(count: int):
        class Joined(nn.Module):
            def forward(self, x):
                return torch.cat([x] * count)

        return calls(module=Joined())[0].key

    assert len(joined(100)) < 400 and joined(100) != joined(101)


def test_each_distinct_call_is_measured_once_and_kept():
    kept = Store("operators", "machine")
    first = times(0.001, kept=kept)
    first.measure([*calls(), *calls()])
    assert first.measured == 5 and len(kept) == 5
    assert [first.seconds(call) for call in calls()] == pytest.approx([0.001] * 5)
    again = times(7.0, kept=kept)
    again.measure(calls())
    assert again.measured == 0 and again.seconds(calls()[0]) == pytest.approx(0.001)


@pytest.mark.parametrize(("seconds", "count"), [(0.001, MOST), (0.029, 10), (1.0, FEWEST)])
def test_short_calls_are_timed_more_often(seconds, count):
    kept = Store("operators", "machine")
    times(seconds, kept=kept).measure(calls()[:1])
    assert len(kept.get(calls()[0].key)) == count


def test_what_disturbs_makes_longer_and_does_not_count():
    kept = Store("operators", "machine")
    found = times(0.01, 0.01, 0.09, kept=kept)
    found.measure(calls()[:1])
    assert found.seconds(calls()[0]) == pytest.approx(0.01)


def test_new_calls_are_brought_to_the_speed_at_which_others_were_kept():
    kept = Store("operators", "machine")
    times(0.001, kept=kept).measure(calls())
    twice_as_slow = times(0.002, kept=kept)
    twice_as_slow.measure([*calls(), *calls(10)])
    assert twice_as_slow.measured == 4
    assert [twice_as_slow.seconds(call) for call in calls(10)] == pytest.approx([0.001] * 5)


@pytest.mark.parametrize("kept", [None, 3, [], ["a"], [0.0], [-1.0], [1e9], [True], {"a": 1}, [[1.0]]], ids=str)
def test_what_nobody_wrote_is_measured_again(kept):
    file = Store("operators", "machine")
    (call, *_) = calls()
    file.put(call.key, kept)
    found = times(0.001, kept=file)
    assert found.seconds(call) is None
    found.measure([call])
    assert found.seconds(call) == pytest.approx(0.001)


@torch.library.custom_op("archproftest::alone", mutates_args=())
def alone(x: torch.Tensor) -> torch.Tensor:
    return x + 1


def test_what_others_wrote_is_not_run_without_its_network():
    class Own(nn.Module):
        def forward(self, x):
            return alone(x)

    found = times(0.001)
    found.measure(calls(module=Own()))
    assert list(found.failed.values()) == ["archproftest.alone"] and found.measured == 0
    assert found.seconds(calls(module=Own())[0]) is None


def test_indices_keep_their_values():
    class Words(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words = nn.Embedding(10, 4)

        def forward(self, x):
            return self.words(x)

    found = times(0.001)
    (call,) = calls_of(Words(), (torch.tensor([[9, 3]]),), {})
    assert call.args[1].values.tolist() == [[9, 3]]
    found.measure([call])
    assert found.seconds(call) == pytest.approx(0.001)


def test_one_thread_is_timed_by_its_own_clock():
    assert operators.clock_for(2) is time.perf_counter
    start = operators.clock_for(1)()
    time.sleep(0.05)
    assert operators.clock_for(1)() - start < 0.04


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_real_calls_take_real_time(dtype):
    module = Net().to(getattr(torch, dtype)).eval()
    found = OperatorTimes(ONE, Store("operators", "machine"))
    seen = calls_of(module, (torch.ones(1, 3, 8, 8, dtype=getattr(torch, dtype)),), {})
    found.measure(seen)
    assert all(1e-7 <= found.seconds(call) < 1 for call in seen) and not found.failed


def test_the_machine_s_last_cache(monkeypatch):
    monkeypatch.setattr(
        "archprof.measure.operators.cpu_caches", lambda threads: (Cache("L1", 64 << 10), Cache("L3", 32 << 21))
    )
    assert operators.last_cache_bytes() == 32 << 21
    monkeypatch.setattr("archprof.measure.operators.cpu_caches", lambda threads: ())
    assert operators.last_cache_bytes() == operators.USUAL_CACHE


def test_a_caller_s_process_keeps_what_it_measured(monkeypatch):
    monkeypatch.setattr(cache, "may_keep", False)
    assert operators.opened(ONE) is operators.opened(ONE)
    own = operators.opened(ONE)
    assert own is not operators.opened(Conditions(threads=2))
    monkeypatch.setattr(cache, "may_keep", True)
    assert operators.opened(ONE) is not own  # nor does the command read what a caller measured
