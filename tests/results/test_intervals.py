"""Intervals of an accuracy: known values, and simulations of how often they hold the truth."""

from __future__ import annotations

import random

import pytest

from archprof.results.intervals import student, student_quantile, wilson


@pytest.mark.parametrize(
    ("correct", "images", "low", "high"),
    [
        # z^2 = 3.8415: centre (0.9 + 3.8415/200) / 1.038415, reach 1.96 sqrt(0.09/100 + 3.8415/40000) / 1.038415
        (90, 100, 0.8256, 0.9448),
        (0, 10, 0.0, 0.2775),  # z^2 / (n + z^2)
        (10, 10, 0.7225, 1.0),
    ],
)
def test_wilson(correct, images, low, high):
    assert wilson(correct / images, images) == pytest.approx((low, high), abs=5e-5)


def test_wilson_needs_images():
    with pytest.raises(ValueError, match="at least one"):
        wilson(0.5, 0)


@pytest.mark.parametrize("truth", [0.1, 0.5, 0.9, 0.97])
def test_wilson_covers(truth):
    draw, held = random.Random(1), 0
    for _ in range(2000):
        low, high = wilson(sum(draw.random() < truth for _ in range(360)) / 360, 360)
        held += low <= truth <= high
    assert 0.93 <= held / 2000 <= 0.975


@pytest.mark.parametrize(
    ("degrees", "value"), [(1, 12.706), (4, 2.776), (5, 2.571), (6, 2.447), (9, 2.262), (10, 2.228), (30, 2.042)]
)
def test_student_quantile_is_the_table_s(degrees, value):
    assert student_quantile(degrees) == pytest.approx(value, abs=6e-4)


def test_student():
    assert student([0.9]) is None
    # mean 2, deviation 1: 2 +- 4.303 / sqrt(3)
    assert student([1.0, 2.0, 3.0]) == pytest.approx((2 - 2.4843, 2 + 2.4843), abs=1e-3)


@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
def test_student_covers(seeds):
    draw, held = random.Random(seeds), 0
    for _ in range(4000):
        low, high = student([draw.gauss(0.9, 0.02) for _ in range(seeds)])
        held += low <= 0.9 <= high
    assert 0.94 <= held / 4000 <= 0.96
