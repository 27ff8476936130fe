"""From one run to the next: states found again, intervals that hold, changes told, on machines that are scripted."""

from __future__ import annotations

import math
import random
import statistics

import pytest
from helpers import shifting
from hypothesis import given
from hypothesis import strategies as st

from archprof.results import entries
from archprof.results.between import SPREAD, between, expected
from archprof.results.comparison import Comparison
from archprof.results.logbook import PastRatio, pooled
from archprof.results.states import State, states_of

A, B, C = ("a" * 12, "b" * 12, "c" * 12)


def holding(found: list[Comparison], states: str = "a") -> list[bool]:
    """Whether each reliable run's interval holds the ratio of that state."""
    truth = shifting.STATES[states][1]
    ratios = [one.ratios[0] for one in found]
    return [ratio.ci95[0] <= truth <= ratio.ci95[1] for ratio in ratios if ratio.reliable]


def test_a_first_run_speaks_for_itself_alone():
    (found,) = shifting.series([A])
    (ratio,) = found.ratios
    assert (ratio.runs, ratio.ratio, ratio.ci95) == (1, ratio.in_run, ratio.in_run_ci95)
    assert ratio.sentence.endswith("times as long as fast at batch 1 in this run")


def test_runs_that_differ_by_more_than_their_own_intervals_say():
    """Each run is off by 2 % for all of its blocks, which vary by 0.5 %: its own interval is far too narrow."""
    found = shifting.series([A] * 40, between=0.02, within=0.005)
    alone = [one.ratios[0].in_run_ci95 for one in found]
    assert sum(low <= 5.0 <= high for low, high in alone) < 20
    held = holding(found[3:])
    assert len(held) >= 35 and sum(held) >= 0.92 * len(held)
    assert found[-1].ratios[0].runs >= 38 and "runs; in this run" in found[-1].ratios[0].sentence
    last = found[-1].ratios[0]
    assert (last.ci95[1] - last.ci95[0]) / last.ratio < 0.02


def test_intervals_hold_over_many_machines():
    """Of the third to tenth runs on 40 machines, about 95 % of the intervals hold the truth."""
    held = [
        hold for seed in range(40) for hold in holding(shifting.series([A] * 10, seed, between=0.02, within=0.01)[2:])
    ]
    assert len(held) > 280 and sum(held) / len(held) >= 0.92


def test_states_keep_their_numbers_and_the_headline_is_the_usual_ones():
    found = shifting.series([A, A, B, A, "c" * 6 + "b" * 6, A], between=0.003, within=0.003)
    assert [sorted(state.number for state in one.states) for one in found] == [[1], [1], [2], [1], [2, 3], [1]]
    third = found[2].ratios[0]
    assert third.state == 2 and third.runs == 2 and third.in_run == pytest.approx(4.5, rel=0.02)
    assert third.ratio == pytest.approx(5.0, rel=0.02) and third.reliable
    last = {each.state: each.ratio for each in found[-1].ratios[0].by_state}
    assert last == {1: pytest.approx(5.0, rel=0.02), 2: pytest.approx(4.5, rel=0.02), 3: pytest.approx(5.6, rel=0.02)}


def test_what_straddles_two_states_is_left_out():
    (found,) = shifting.series([A[:6] + B[:6]], between=0.0, within=0.0)
    (ratio,) = found.ratios
    assert {each.state: round(each.ratio, 6) for each in ratio.by_state} == {1: 5.0, 2: 4.5}


def test_a_network_that_takes_longer_than_before_is_told_and_not_averaged(monkeypatch):
    found = shifting.series([A] * 6, between=0.003, within=0.003)
    book = shifting.opened([entries.entry(one) for one in found])
    monkeypatch.setitem(shifting.STATES, "a", (shifting.STATES["a"][0], 6.0))
    changed = shifting.run(A, random.Random(1), between=0.003, within=0.003, book=book)
    (ratio,) = changed.ratios
    assert not ratio.reliable and ratio.ratio == pytest.approx(6.0, rel=0.02)
    assert "in this run, but 4.9" in ratio.why and "has changed" in ratio.why


def test_two_copies_that_differ_mark_the_run():
    (same,), (other,) = (shifting.series([A], within=0.002, apart=apart) for apart in (1.0, 1.03))
    assert same.ratios[0].reliable and not same.controls[1].apart and same.controls[1].floor < 1.01
    assert other.controls[1].apart and other.controls[1].floor > 1.03
    assert not other.ratios[0].reliable and "two copies of fast differ by 3." in other.ratios[0].why


def test_a_logbook_survives_json():
    found = shifting.series([A, A, B])[-1]
    again = Comparison.from_json(found.to_json())
    assert again.logbook == found.logbook and again.ratios == found.ratios and again.control == found.control


def test_the_first_numbers_are_given_to_the_densest_readings():
    times = [{"product_us": 100.0 + n % 3} for n in range(30)] + [{"product_us": 150.0 + n % 2} for n in range(10)]
    blocks = [shifting.Block(0.01, 1, 1, order, None, each) for order, each in enumerate(times)]
    found = states_of(blocks)
    assert {found[order] for order in range(30)} == {1} and {found[order] for order in range(31, 40)} == {2}
    known = [State(7, {"product_us": 150.0})]
    found = states_of(blocks, known)
    assert {found[order] for order in range(31, 40)} == {7} and {found[order] for order in range(29)} == {8}


def test_blocks_without_readings_have_no_state():
    assert states_of([shifting.Block(0.01, 1, 1, order) for order in range(5)]) == dict.fromkeys(range(5), 0)


def test_between_is_dersimonian_and_lairds_where_nothing_is_expected():
    """By hand: logs 0, 0.1, 0.2 with errors 0.05; Q = 8, the weights 400 each: variance (8 - 2) / 800 = 0.0075."""
    runs = [(math.exp(log), 0.05) for log in (0.0, 0.1, 0.2)]
    found = between(runs, spread=1.0, spread_runs=0)
    assert found.spread**2 == pytest.approx(0.0075) and found.ratio == pytest.approx(math.exp(0.1))
    reach = 4.303 * math.sqrt((0.0075 + 0.0025) / 3)
    assert found.ci95 == pytest.approx((math.exp(0.1 - reach), math.exp(0.1 + reach)))


@given(
    st.lists(st.tuples(st.floats(0.1, 10.0), st.floats(1e-4, 0.1)), min_size=1, max_size=12),
    st.floats(0.5, 2.0),
)
def test_a_ratio_over_runs_lies_among_them_and_scales_with_them(runs, factor):
    found, scaled = between(runs), between([(ratio * factor, error) for ratio, error in runs])
    assert min(ratio for ratio, _ in runs) * 0.999999 <= found.ratio <= max(ratio for ratio, _ in runs) * 1.000001
    assert found.ci95[0] <= found.ratio <= found.ci95[1]
    assert scaled.ratio == pytest.approx(found.ratio * factor) and scaled.spread == pytest.approx(
        found.spread, abs=1e-9
    )


def test_what_other_pairs_do_is_expected_of_a_new_one():
    draw = random.Random(3)
    steady, wild = (
        [
            PastRatio(f"n{pair}", "r", 1, 1, ratio, (ratio * 0.999, ratio * 1.001))
            for pair in range(6)
            for ratio in [draw.lognormvariate(1.0, spread) for _ in range(8)]
        ]
        for spread in (0.002, 0.06)
    )
    assert pooled(())[0] == SPREAD and pooled(steady)[0] < SPREAD / 2 and pooled(wild)[0] > 2 * SPREAD


def test_one_run_in_many_is_unexpected_by_chance():
    draw = random.Random(5)
    surprises = []
    for _ in range(2000):
        runs = [(math.exp(draw.gauss(0, math.hypot(0.04, 0.01))), 0.01) for _ in range(5)]
        surprises.append(not expected(*runs[-1], between(runs[:-1])))
    assert 0 < statistics.fmean(surprises) < 0.02


def changing(truths: list[float], monkeypatch: pytest.MonkeyPatch, seed: int = 0, **how: float) -> list[Comparison]:
    """Runs on a machine in one state, whose ratio is another in each run."""
    draw, before, found = random.Random(seed), [], []
    times, _ = shifting.STATES["a"]
    for truth in truths:
        monkeypatch.setitem(shifting.STATES, "a", (times, truth))
        one = shifting.run("a" * 10, draw, book=shifting.opened(before), **how)
        entry = entries.entry(one)
        assert entry is not None
        before.append(entry)
        found.append(one)
    return found


def test_after_a_change_the_runs_before_it_are_left_alone(monkeypatch):
    """8 % slower from run 9 on: run 9 is marked, and from run 10 on only the runs since count."""
    found = changing([5.0] * 8 + [5.4] * 8, monkeypatch, between=0.005, within=0.004)
    ratios = [one.ratios[0] for one in found]
    assert [ratio.era for ratio in ratios] == [1] * 8 + [2] * 8
    assert not ratios[8].reliable and "has changed" in ratios[8].why and ratios[8].runs == 1
    assert [ratio.runs for ratio in ratios[9:]] == [2, 3, 4, 5, 6, 7, 8]
    assert all(ratio.reliable and ratio.ci95[0] <= 5.4 <= ratio.ci95[1] for ratio in ratios[10:])
    assert "over 8 runs since 2026-11-01; in this run" in ratios[-1].sentence


def test_one_odd_run_is_an_era_of_its_own_and_the_others_go_on(monkeypatch):
    found = changing([5.0] * 4 + [6.5] + [5.0] * 4, monkeypatch, between=0.004, within=0.004)
    ratios = [one.ratios[0] for one in found]
    assert [ratio.era for ratio in ratios] == [1] * 4 + [2] + [1] * 4
    assert not ratios[4].reliable and all(ratio.reliable for ratio in ratios[5:]) and ratios[-1].runs == 8


def test_an_odd_first_run_costs_one_more(monkeypatch):
    found = changing([6.5] + [5.0] * 5, monkeypatch, between=0.004, within=0.004)
    ratios = [one.ratios[0] for one in found]
    assert [ratio.era for ratio in ratios] == [1] + [2] * 5
    assert [ratio.reliable for ratio in ratios] == [True, False, True, True, True, True]
    assert all(ratio.ci95[0] <= 5.0 <= ratio.ci95[1] for ratio in ratios[2:])


def test_a_ratio_that_creeps_has_no_value_in_common(monkeypatch):
    found = changing([5.0 * 1.01**run for run in range(20)], monkeypatch, between=0.003, within=0.004)
    late = [one.ratios[0] for one in found[10:]]
    assert sum(ratio.reliable for ratio in late) <= 2
    assert any("it has been going from" in (ratio.why or "") for ratio in late)


def test_two_runs_at_once_may_give_one_number_to_two_states():
    first, second = (shifting.run(state * 6, random.Random(1)) for state in "ac")
    both = [entries.entry(one) for one in (first, second)]
    assert [[state.number for state in run.states] for run in both] == [[1], [1]]
    book = shifting.opened(both)
    assert sorted(state.number for state in book.states) == [1, 2]
    assert {past.main for past in book.ratios if past.state == 0} == {1, 2}
