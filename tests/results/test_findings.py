"""What a comparison shows and which claims hold, on records whose answers can be worked out by hand."""

from __future__ import annotations

import pytest

from archprof.render.findings import summary
from archprof.results.claims import BelowLimit, DeepCostsLess, SkipsAreFree, StandsApart, TimeRatio, claims
from archprof.results.comparison import Accuracy, ArchitectureResult, Comparison
from archprof.results.findings import findings, front_of, predicted_peak_bytes, usual_batch_size
from archprof.results.latency import Block, Latency
from archprof.results.profile import StaticProfile, Uncounted


def row(name, parameters=0, macs=0, top1=None, seconds=(), why=None, batch_size=16, **fields):
    profile = StaticProfile(name, "zoo", (3, 8, 8), 1, parameters, parameters, 0, macs, 0, 0, 0, 0, 0, **fields)
    claim = (Accuracy(name, "imagenet-1k", "top1", top1, "a paper", "https://a.example"),) if top1 else ()
    blocks = tuple(Block(second, 1, place, place) for place, second in enumerate(seconds))
    cells = (Latency(batch_size, blocks, why=why),) if seconds else ()
    return ArchitectureResult(name, "zoo", profile=profile, accuracy=claim, latency=cells)


def test_the_front_holds_what_no_other_beats_on_both():
    #      0       1       2       3 beaten by 1   4 ties 0 and is as good
    xs, ys = [1, 2, 4, 3, 1], [10, 20, 40, 15, 10]
    assert front_of(xs, ys, "low", "high") == [0, 4, 1, 2]
    assert front_of(xs, ys, "high", "high") == [2]


def test_extremes_front_and_speed():
    found = findings(
        Comparison(
            {},
            (
                row("thin", 10, 100, 60.0, (0.1, 0.1, 0.1)),
                row("wide", 40, 400, 70.0, (0.4, 0.4, 0.4)),
                row("poor", 20, 500, 65.0, (0.9, 0.9, 0.9), "disturbed"),  # wide is cheaper and better
                row("new", 30, 300),
                ArchitectureResult("broken", "zoo", error="its forward raised"),
            ),
            reference="thin",
        )
    )
    assert [(e.cost, e.least, e.most) for e in found.extremes] == [
        ("parameters", ("thin", 10), ("wide", 40)),
        ("macs", ("thin", 100), ("poor", 500)),
    ]
    assert found.accuracy is not None and found.speed is not None
    assert (found.accuracy.best, found.accuracy.claim.percent) == ("wide", 70.0)
    assert found.accuracy.front == ("thin", "wide") and found.accuracy.unpublished == ("new", "broken")
    assert found.speed.batch_size == 16 and found.speed.ratio == pytest.approx(4)
    assert found.speed.fastest[0] == "thin" and found.speed.slowest[0] == "wide"
    assert found.speed.doubtful == ("poor",) and found.speed.unmeasured == ("new", "broken")
    assert found.failed == (("broken", "its forward raised"),) and found.uncounted == ()


def test_what_is_not_there_is_not_found():
    found = findings(Comparison({}, (row("only", 5, 5, uncounted=(Uncounted("mylib::op", 3),)),)))
    assert (found.extremes, found.accuracy, found.speed, found.uncounted) == ((), None, None, ("only",))


def test_equal_costs_and_a_network_without_any_are_told_apart():
    assert summary(Comparison({}, (row("a", 5, 7), row("b", 5, 0))))[:2] == [
        "All have the same parameters: 5.",
        "Mult-adds run from 0 (b) to 7 (a).",
    ]


def test_the_usual_batch_size_is_16_unless_another_is_fuller():
    a, b = row("a", seconds=(1,)), row("b", seconds=(1,), batch_size=8)
    assert usual_batch_size(Comparison({}, (a, b))) == 16
    assert usual_batch_size(Comparison({}, (a, b, row("c", seconds=(1,), batch_size=8)))) == 8
    assert usual_batch_size(Comparison({}, (a, b)), asked=4) == 4
    assert usual_batch_size(Comparison({}, (row("a"),))) is None


def test_memory_at_a_batch_size_that_was_not_counted_grows_with_the_activations():
    profile = StaticProfile("a", "zoo", (3, 8, 8), 2, 0, 0, 0, 0, 0, 100, 10, 6, 8)  # 6 bytes at batch 2, 8 in training
    counted = ArchitectureResult("a", "zoo", profile=profile)
    assert predicted_peak_bytes(counted, 8, {}) == 100 + 10 + 4 * 6
    assert predicted_peak_bytes(counted, 8, {"mode": "train"}) == 100 + 10 + 100 + 4 * 8
    assert predicted_peak_bytes(ArchitectureResult("b", "zoo", error="no"), 8, {}) == 0


def test_claims_keep_the_numbers_that_decide():
    deep, wide = row("resnet152", 60, 11, seconds=(1.0,) * 5), row("torchvision:VGG_19", 140, 20, seconds=(2.0,) * 5)
    skips, plain = row("resnet20_cifar", 5, 8), row("plain20_cifar", 5, 8)
    found = {type(claim): claim for claim in claims(Comparison({}, (deep, wide, skips, plain)))}
    assert set(found) == {DeepCostsLess, StandsApart, SkipsAreFree}
    less = found[DeepCostsLess]
    assert less.holds and less.time.less and less.time.ratio == pytest.approx(0.5)
    parameters = next(cost for cost in found[StandsApart].costs if cost.cost == "parameters")
    assert (parameters.leanest, parameters.heaviest) == (("torchvision:VGG_19", 140), ("resnet152", 60))
    assert parameters.factor == pytest.approx(140 / 60)
    (pair,) = found[SkipsAreFree].pairs
    assert pair.residual.parameters == pair.plain.parameters and not pair.time.measured


def test_an_interval_around_1_decides_nothing():
    assert TimeRatio("a", "b", 1, 0.9, (0.8, 0.95), measured=True).less is True
    assert TimeRatio("a", "b", 1, 1.2, (1.1, 1.3), measured=True).less is False
    assert TimeRatio("a", "b", 1, 1.0, (0.9, 1.1), measured=True).less is None
    assert TimeRatio("a", "b", 1).less is None


def test_five_million_parameters_are_not_below_five_million():
    assert BelowLimit("resnet10_cifar", 4_999_999).holds
    assert not BelowLimit("resnet10_cifar", 5_000_000).holds
