"""Statistics against figures worked out by hand, from tables, or by counting every case."""

from __future__ import annotations

import itertools
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archprof.results import statistics

times = st.floats(min_value=1e-6, max_value=1e3)


def test_quantiles_interpolate_between_order_statistics():
    assert statistics.quantile([4, 1, 3, 2], 0.5) == 2.5
    assert statistics.quantile([1, 2, 3, 4, 5], 0.9) == pytest.approx(4.6)  # rank 0.9 * 4 = 3.6
    assert statistics.quantile([7], 0.99) == 7
    with pytest.raises(ValueError):
        statistics.quantile([], 0.5)


@pytest.mark.parametrize(
    ("n", "low", "high"),
    [
        (6, 1, 6),  # 1 - 2/64 = 96.9 %; ranks 2 and 5 would hold 78 %
        (9, 2, 8),  # 1 - 2 * 10/512 = 96.1 %
        (10, 2, 9),  # Le Boudec 2010, table A.1: 97.9 %
        (20, 6, 15),  # the same table: 95.9 %
        (70, 27, 44),  # the same table: 95.9 %
    ],
)
def test_the_interval_of_a_median_ends_within_a_rank_of_tabulated_ones(n, low, high):
    ranks = list(range(1, n + 1))
    random.Random(n).shuffle(ranks)
    seen = statistics.median_interval(ranks)
    assert low <= seen[0] < low + 1 and high - 1 < seen[1] <= high
    assert sum(seen) == pytest.approx(n + 1)


@pytest.mark.parametrize(
    ("n", "low"),
    [
        (6, 1 + 0.5 / 1.4),  # 96.875 and 78.125 %, excess 1.875 / 18.75 = 0.1: 5 * 0.1 / (1 + 4 * 0.1)
        # 97.852 and 89.063 %, excess 2.852 / 8.789 = 0.3244: 8 * 0.3244 / (2 + 6 * 0.3244)
        (10, 2 + 8 * 0.32444 / (2 + 6 * 0.32444)),
    ],
)
def test_between_two_ranks_the_interval_is_that_of_hettmansperger_and_sheather(n, low):
    assert statistics.median_interval(range(1, n + 1))[0] == pytest.approx(low, abs=1e-4)


def test_ranks_hardly_jump_where_the_normal_approximation_begins():
    exact, normal = statistics.median_interval(range(500)), statistics.median_interval(range(501))
    assert abs(exact[0] - normal[0]) <= 0.6 and abs(exact[1] - normal[1]) <= 0.6


def test_three_values_get_students_interval():
    # logs -d, 0, d: deviation d, t(2) = 4.303, so exp(+- 4.303 d / sqrt 3)
    d = 0.01
    low, high = statistics.median_interval([math.exp(-d), 1.0, math.exp(d)])
    assert low == pytest.approx(math.exp(-4.303 * d / 3**0.5)) and high == pytest.approx(1 / low)


@given(st.lists(times, min_size=1, max_size=40))
def test_the_interval_holds_the_median(values):
    low, high = statistics.median_interval(values)
    middle = statistics.median(values)
    assert low <= middle * (1 + 1e-12) and middle * (1 - 1e-12) <= high


def test_the_interval_of_a_median_covers_it_as_often_as_it_says():
    draw = random.Random(7)
    for n in (3, 6, 8, 25):
        hits = 0
        for _ in range(2000):
            low, high = statistics.median_interval([math.exp(draw.gauss(0, 0.1)) for _ in range(n)])
            hits += low <= 1.0 <= high
        assert 0.93 <= hits / 2000 <= 0.97, n


def test_the_interval_covers_the_median_of_times_that_spread_to_one_side():
    """The fastest time is as it should be, others are longer at random: the median is log 2 above it."""
    draw = random.Random(11)
    for n in (6, 8, 12, 30):
        hits = 0
        for _ in range(2000):
            low, high = statistics.median_interval([1 + draw.expovariate(1) for _ in range(n)])
            hits += low <= 1 + math.log(2) <= high
        assert 0.93 <= hits / 2000 <= 0.97, n


def test_the_bootstrap_of_constant_samples_is_their_ratio():
    assert statistics.bootstrap_ratio_interval([4.0, 4.0, 4.0], [2.0, 2.0]) == (2.0, 2.0)
    spread = statistics.bootstrap_ratio_interval([3.9, 4.0, 4.1, 4.0, 4.2], [1.0, 1.1, 0.9, 1.0, 1.0])
    assert 3.5 < spread[0] < 4 < spread[1] < 4.7
    assert spread == statistics.bootstrap_ratio_interval([3.9, 4.0, 4.1, 4.0, 4.2], [1.0, 1.1, 0.9, 1.0, 1.0])


def test_the_rank_sum_test_counts_arrangements():
    # 3 against 3, all smaller: one of C(6,3) = 20 arrangements to each side
    assert statistics.rank_sum_p([1, 2, 3], [4, 5, 6]) == pytest.approx(2 / 20)
    assert statistics.rank_sum_p([1, 4, 5], [2, 3, 6]) == 1.0  # both rank sums are 10 and 11: as near as can be
    assert statistics.rank_sum_p([1, 1, 1], [1, 1]) == 1.0
    assert statistics.rank_sum_p([1, 1, 1], [2, 2, 2]) == pytest.approx(2 / 20)  # ties within a side change nothing


@given(st.lists(st.integers(0, 6), min_size=1, max_size=5), st.lists(st.integers(0, 6), min_size=1, max_size=5))
def test_the_exact_rank_sum_agrees_with_enumeration(one, other):
    values = [*one, *other]
    ranks = [sum(w < v for w in values) + (1 + sum(w == v for w in values)) / 2 for v in values]
    mean = len(one) * (len(values) + 1) / 2
    away = abs(sum(ranks[: len(one)]) - mean)
    sums = [sum(chosen) for chosen in itertools.combinations(ranks, len(one))]
    expected = sum(abs(s - mean) >= away for s in sums) / len(sums)
    assert statistics.rank_sum_p(one, other) == pytest.approx(expected)
    assert statistics.rank_sum_p(one, other) == pytest.approx(statistics.rank_sum_p(other, one))


def test_the_rank_sum_approximation_joins_the_exact_test(monkeypatch):
    draw = random.Random(3)
    one, other = ([round(draw.gauss(mean, 1), 1) for _ in range(15)] for mean in (0, 0.8))
    exact = statistics.rank_sum_p(one, other)
    monkeypatch.setattr(statistics, "EXACT_RANK_SUM", 0)
    assert exact == pytest.approx(statistics.rank_sum_p(one, other), rel=0.05)
    assert statistics.rank_sum_p([1.0] * 4, [1.0] * 4) == 1.0


def test_half_width_is_the_larger_side():
    assert statistics.half_width((9, 12), 10) == pytest.approx(0.2)
