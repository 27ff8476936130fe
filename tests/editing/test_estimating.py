"""From operators to a network, by hand: times are scripted, calls are real."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from archprof.editing import estimating
from archprof.measure.operators import calls_of
from archprof.results.latency import Block, Latency

IMAGE = (torch.ones(1, 8, 4, 4),)


def network(*parts: nn.Module):
    return calls_of(nn.Sequential(*parts).eval(), IMAGE, {})


def conv(kernel: int = 3, **options) -> nn.Conv2d:
    return nn.Conv2d(8, 8, kernel, padding=kernel // 2, bias=False, **options)


BASE = network(conv(), nn.ReLU(), conv(), nn.ReLU())
VARIANT = network(conv(), nn.ReLU(), conv(1), nn.ReLU(), nn.ReLU())
DENSE, RELU, POINT = BASE[0].key, BASE[1].key, VARIANT[2].key
SECONDS = {DENSE: 0.008, RELU: 0.001, POINT: 0.002}


def test_times_add_up_and_what_is_not_known_takes_none():
    assert estimating.total(BASE, SECONDS) == pytest.approx(2 * 0.008 + 2 * 0.001)
    assert estimating.total(VARIANT, SECONDS) == pytest.approx(0.008 + 0.002 + 3 * 0.001)
    assert estimating.total(VARIANT, SECONDS | {POINT: None}) == pytest.approx(0.008 + 3 * 0.001)


def test_what_went_and_what_came():
    gone, come = estimating.differing(BASE, VARIANT)
    assert [call.key for call in gone] == [DENSE] and [call.key for call in come] == [POINT, RELU]
    assert estimating.differing(BASE, BASE) == ([], [])


def test_the_share_that_changed():
    # gone 8, come 2 + 1, of 18 and 13 milliseconds
    assert estimating.changed_share(BASE, VARIANT, SECONDS) == pytest.approx(11 / 31)
    assert estimating.changed_share(BASE, BASE, SECONDS) == 0
    assert estimating.changed_share(BASE, VARIANT, {}) == 1


def test_an_interval_widens_with_what_changed():
    known = Latency(1, (Block(0.02, 1, 1, 1),))  # to the digit
    low, high = estimating.interval(0.01, 0.0, known)
    assert high / 0.01 == pytest.approx(0.01 / low) == pytest.approx(math.exp(estimating.FLOOR))
    widest = math.exp(estimating.FLOOR + estimating.SLOPE)
    assert estimating.interval(0.01, 1.0, known)[1] == pytest.approx(0.01 * widest)


def test_an_interval_holds_what_is_not_known_of_the_base():
    vague = Latency(1, tuple(Block(seconds, 1, n, n) for n, seconds in enumerate((0.01, 0.02, 0.04))))
    low, high = vague.ci95_s
    width = math.log(estimating.interval(0.01, 0.5, vague)[1] / 0.01)
    own = 1.645 / 1.960 * math.log(high / low) / 2
    assert width == pytest.approx(math.hypot(estimating.FLOOR + 0.5 * estimating.SLOPE, own), rel=1e-3)


def test_kinds_have_calls_mult_adds_and_scaled_times():
    dense, relu = estimating.kinds(BASE, SECONDS, 2.0)
    assert dense[:3] == ("conv 3x3", 2, 2 * 16 * 8 * 8 * 9) and dense.predicted_seconds == pytest.approx(0.032)
    assert dense.flops_per_s == pytest.approx(2 * 2 * 16 * 8 * 8 * 9 / 0.032)
    assert relu[:3] == ("activation", 2, 0) and relu.flops_per_s is None
