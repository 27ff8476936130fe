"""Time on operations: lines through points that a reader can check."""

from __future__ import annotations

import pytest

from archprof.results import regression
from archprof.results.comparison import ArchitectureResult, Comparison
from archprof.results.latency import Block, Latency
from archprof.results.profile import StaticProfile


def row(name: str, macs: int, seconds: float, batch_size: int = 1, family: str = "resnet", **fields):
    profile = StaticProfile(name, "zoo", (3, 8, 8), 1, 0, 0, 0, macs, 0, 0, 0, 0, 0)
    blocks = tuple(Block(seconds, 1, place, place) for place in range(3))
    return ArchitectureResult(name, "zoo", family, profile=profile, latency=(Latency(batch_size, blocks, **fields),))


def test_a_line_through_three_points_worked_out_by_hand():
    """x 1, 2, 3 and y 1, 2, 4: slope 3/2, intercept 7/3 - 3, R^2 = (3)^2 / (2 * 14/3) = 27/28."""
    found = regression.line([1, 2, 3], [1, 2, 4])
    assert found.slope == pytest.approx(1.5) and found.intercept == pytest.approx(-2 / 3)
    assert found.r2 == pytest.approx(27 / 28)


def test_what_no_line_goes_through():
    assert regression.line([2, 2], [1, 5]) is None
    assert regression.line([2], [1]) is None
    assert regression.line([], []) is None
    assert regression.line([1, 2], [1, 2]).r2 is None  # two points always lie on a line
    assert regression.line([1, 2, 3], [5, 5, 5]).r2 is None


def test_a_family_is_read_both_ways():
    """5 ms and 10 ms for each G mult-adds: at 20 ms 1.5 G are left, at the margin 2 / 0.010 = 200 GFLOP/s."""
    seen = Comparison({}, tuple(row(f"r{place}", place * 10**9, 0.005 + 0.010 * place) for place in (1, 2, 4)))
    (fit,) = regression.fits(seen)
    assert fit.family == "resnet" and fit.names == ("r1", "r2", "r4") and fit.r2 == pytest.approx(1)
    assert fit.gflops == pytest.approx(200)
    assert fit.macs_within(0.020) == pytest.approx(1.5e9) and fit.macs_within(0.004) is None
    assert fit.sentence(0.020) == (
        "At 20.0 ms and batch 1 a network of the resnet family may use 1.50 G mult-adds here (R^2 1.000)"
    )
    assert fit.sentence(0.004) == (
        "At 4.00 ms and batch 1 a network of the resnet family does not fit here: 5.00 ms are fixed cost (R^2 1.000)"
    )


def test_macs_are_those_of_the_batch_and_limits_those_of_a_sample():
    seen = Comparison({}, (row("a", 10**9, 0.08, 8), row("b", 2 * 10**9, 0.16, 8)))
    (fit,) = regression.fits(seen)
    assert fit.macs_within(0.16) == pytest.approx(2e9)  # of one of the 8 samples
    assert regression.achieved_gflops(seen.architectures[0], 8) == pytest.approx(2 * 8 / 0.08)
    assert regression.achieved_gflops(seen.architectures[0], 1) is None


def test_families_and_batches_stay_apart_and_the_unreliable_stays_out():
    seen = Comparison(
        {},
        (
            row("a", 10**9, 0.01),
            row("b", 2 * 10**9, 0.02),
            row("c", 3 * 10**9, 9.0, why="disturbed"),
            row("d", 10**9, 0.5, family="vgg"),
            row("e", 10**9, 0.7, 8),
            row("f", 2 * 10**9, 0.6, 8),
        ),
    )
    assert [(fit.family, fit.batch_size, fit.names) for fit in regression.fits(seen)] == [("resnet", 1, ("a", "b"))]


def test_the_name_tells_the_family_whatever_the_source_files_it_under():
    seen = Comparison(
        {},
        (
            row("resnet20_cifar", 10**9, 0.01, family="resnet_cifar"),
            row("plain20_cifar", 10**9, 0.02, family="resnet_cifar"),
            row("resnet50", 2 * 10**9, 0.02, family="resnet"),
            row("plain32_cifar", 2 * 10**9, 0.05, family="resnet_cifar"),
        ),
    )
    assert [(fit.family, fit.names) for fit in regression.fits(seen)] == [
        ("resnet", ("resnet20_cifar", "resnet50")),
        ("plain", ("plain20_cifar", "plain32_cifar")),
    ]
