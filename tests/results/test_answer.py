"""Who is best by each measure and what cannot be relied on, on records whose answers can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from archprof.results.answer import answer, fastest, pass_bytes
from archprof.results.comparison import Accuracy, ArchitectureResult, Comparison
from archprof.results.latency import Block, Latency
from archprof.results.memory import BatchMemory, OptimizerMemory
from archprof.results.profile import LayerCost, StaticProfile, TypeCost, Uncounted
from archprof.results.ratios import Stopping


def row(name, parameters=10, macs=10, top1=None, cells=(), **fields):
    profile = StaticProfile(
        name, "zoo", (3, 8, 8), 1, parameters, parameters, 0, macs, 0, 4 * parameters, 0, 0, 0, **fields
    )
    claim = (Accuracy(name, "imagenet-1k", "top1", top1, "a paper", "https://a.example"),) if top1 else ()
    return ArchitectureResult(name, "zoo", profile=profile, accuracy=claim, latency=tuple(cells))


def cell(*seconds, batch_size=1, disturbed=0, **fields):
    """One block a round; the first so many were disturbed."""
    blocks = tuple(
        Block(second, 1, place, place, "other work" if place < disturbed else None)
        for place, second in enumerate(seconds)
    )
    return Latency(batch_size, blocks, **fields)


def test_the_best_of_each_measure():
    found = answer(
        Comparison({}, (row("thin", 10, 300, 60.0), row("wide", 40, 100, 70.0), row("poor", 40, 400, 70.0), row("new")))
    )
    chosen = {best.measure: best.chosen for best in found.best}
    assert chosen == {"parameters": ("thin", "new"), "macs": ("new",), "memory": (), "top1": ("wide", "poor")}
    assert found.best_by("seconds", 8).names == ()  # nobody was measured


def test_where_all_are_equal_nobody_stands_out():
    best = answer(Comparison({}, (row("a"), row("b")))).best_by("parameters")
    assert best.names == ("a", "b") and best.chosen == ()
    assert answer(Comparison({}, (row("alone"),))).best_by("parameters").chosen == ()


@pytest.mark.parametrize(("least", "chosen"), [("odd", ()), ("sure", ("sure",))])
def test_mult_adds_that_were_not_counted_whole_win_nothing(least, chosen):
    """Where the others' are less all the same, they stay least: what was left out only adds."""
    odd = row("odd", macs=5 if least == "odd" else 20, uncounted=(Uncounted("mylib::op", 3),))
    found = answer(Comparison({}, (odd, row("sure", macs=10))))
    assert found.best_by("macs").chosen == chosen
    assert found.doubts.uncounted == (("odd", ("mylib::op",)),)


QUICK, SLOW = cell(1.0, 1.1, 0.9, 1.0), cell(2.0, 2.2, 1.8, 2.0)  # twice as long in every round


def test_who_is_fastest():
    assert fastest({"quick": QUICK, "slow": SLOW}) == ("quick",)
    assert fastest({"one": QUICK, "same": QUICK}) == ("one", "same")
    # 1.5 % apart in the median, but the order changes from round to round
    assert fastest({"a": cell(1.0, 1.02, 1.0, 1.02), "b": cell(1.02, 1.0, 1.05, 1.0)}) == ("a", "b")


def test_a_vague_time_may_be_surely_the_least():
    """The machine sped up for both: each time is +-30 %, each quotient 2."""
    drifting = (1.0, 0.8, 0.6, 0.5)
    quick = cell(*drifting, why="the 95 % interval is +-30 %, more than 5 %")
    assert fastest({"quick": quick, "slow": cell(*(2 * second for second in drifting))}) == ("quick",)


def test_without_three_undisturbed_blocks_the_least_is_not_known():
    assert fastest({"quick": cell(1.0, 1.0, 1.0, 1.0, disturbed=2), "slow": SLOW}) == ()
    assert fastest({"quick": QUICK, "slow": cell(2.0, 2.0, disturbed=2)}) == ("quick",)  # the other's do not matter


def test_memory_is_that_of_what_is_timed():
    memory = (BatchMemory(2, 100, training_activation_bytes=1, training_peak_bytes=200, scratch_bytes=7),
              BatchMemory(8, 400))  # fmt: skip
    made = replace(row("a", 10), memory=memory, optimizers=(OptimizerMemory("adam", 80, 5),))
    inference, training = Comparison({}, (made,)), Comparison({"mode": "train", "optimizer": "adam"}, (made,))
    assert pass_bytes(inference, made, 2) == 40 + 100 + 7
    assert pass_bytes(training, made, 2) == 40 + 80 + 200
    assert pass_bytes(training, made, 8) is None  # a step that was not traced
    assert pass_bytes(inference, made, 4) is None


def test_the_most_accurate_and_what_it_costs_above_the_one_before():
    rows = (row("cheap", macs=100, top1=60.0), row("dear", macs=400, top1=70.0), row("poor", macs=500, top1=65.0),
            row("odd", macs=50, top1=69.0, uncounted=(Uncounted("mylib::op", 1),)), row("new"))  # fmt: skip
    best = answer(Comparison({}, rows)).accurate
    assert best is not None and (best.name, best.claim.percent) == ("dear", 70.0)
    assert best.front == ("cheap", "dear") and best.behind == ("poor",)  # odd may cost more than it seems
    assert (best.next_best, best.points, best.factor) == ("cheap", 10.0, 4.0)
    assert answer(Comparison({}, (row("new"),))).accurate is None


def test_the_most_accurate_may_be_the_cheapest_too():
    best = answer(Comparison({}, (row("good", macs=1, top1=80.0), row("poor", macs=2, top1=70.0)))).accurate
    assert best is not None and best.front == ("good",) and best.next_best is None


def test_claims_of_different_protocols_are_counted():
    other = row("b", top1=50.0)
    other = replace(other, accuracy=(replace(other.accuracy[0], protocol="10 crops"),))
    assert answer(Comparison({}, (row("a", top1=60.0), other, row("c", top1=40.0)))).accurate.sources == 2


def dense(name, part):
    """3x3 convolutions from 9 to 9 channels with `part` of 1,000 mult-adds: separable ones need 2/9 of that."""
    layer = LayerCost("conv", "aten.convolution", "conv 3x3", (1, 9, 4, 4), (1, 9, 4, 4), part, kernel=(3, 3))
    types = (TypeCost("conv 3x3", 729, part, 1), TypeCost("fully connected", 1, 1000 - part, 1))
    return row(name, 1000, 1000, by_type=types, layers=(layer,))


def test_separable_convolutions_are_told_where_they_would_save_something():
    rows = (dense("half", 729), dense("whole", 729), dense("hardly", 100 - 100 % 27))
    # 729 of 1,000 mult-adds become 162, so 433 are left; of 81, 63 could be saved: less than a tenth
    found = answer(Comparison({}, rows))
    assert found.savings == (("half", 0.433), ("whole", 0.433))


def test_what_is_missing_and_what_cannot_be_relied_on():
    rows = (
        row("a", top1=50.0, cells=[QUICK, cell(1.0, why="there was time for 1 block, 3 are needed", batch_size=8)]),
        row("b", cells=[SLOW, Latency(8, error="out of memory")], notes=("not everything was seen",)),
        row("c", cells=[QUICK]),
        ArchitectureResult("gone", "zoo", error="gone cannot be built"),
    )
    found = answer(Comparison({}, rows, stopping=Stopping(0.5, 20.0, 20.0))).doubts
    assert found.failed == (("gone", "gone cannot be built"),) and found.unpublished == ("b", "c")
    assert found.noted == (("b", ("not everything was seen",)),)
    assert found.unmeasured == {("b", 8): "out of memory", ("c", 8): "not reached"}
    assert found.unreliable == {("a", 8): "there was time for 1 block, 3 are needed"}
    assert (found.times, found.within) == (6, 3)


def test_after_ctrl_c_nobody_says_how_many_are_within_the_precision():
    assert answer(Comparison({}, (row("a", cells=[QUICK]),))).doubts.within is None


def test_the_least_energy_is_that_of_a_reliable_measurement():
    def metered(joules, **fields):
        seen = cell(1.0, 1.0, 1.0, **fields)
        return replace(seen, blocks=tuple(replace(block, joules=joules) for block in seen.blocks))

    rows = (row("a", cells=[metered(4.0)]), row("b", cells=[metered(3.0, why="disturbed"), metered(8.0, batch_size=4)]))
    assert answer(Comparison({}, rows)).least_energy == ("b", 4, 2.0)
