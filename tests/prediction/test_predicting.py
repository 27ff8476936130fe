"""Predictions of a device of the table, and of one that is known by its anchors."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from helpers.anchors import CPU, GPU, measured, published

import archprof
from archprof.base.errors import BadOption, UnknownModel
from archprof.prediction import anchors, predicting, table
from archprof.prediction.predicting import predict
from archprof.prediction.quantities import GROUPS, QUANTITIES, quantities
from archprof.prediction.transfer import Anchors, doubt, filled, parts, transfer
from archprof.results.profile import StaticProfile

NETWORK = "resnet18"
FASTEST = "amp-nchw-pt291-cu130-5090-dynamo"
ON_CPU = "fp32-nchw-pt240-cpu-i9_10940x-dynamo"


def test_a_device_of_the_table():
    found = predict([NETWORK], device="rtx4090")
    (row,) = found
    counted = quantities(archprof.profile(NETWORK))
    (rates,) = [one for one in table.fitted().rates if one.benchmark.name == found.target.table]
    seconds = sum(rate * counted[name] for name, rate in zip(QUANTITIES, rates.rates, strict=True))
    assert row.predicted_throughput == pytest.approx(1 / seconds)
    assert row.predicted_seconds == pytest.approx(seconds)
    low, high = row.predicted_interval
    assert low < row.predicted_throughput < high
    assert row.published_throughput == published(NETWORK, found.target.table)
    assert sum(row.predicted_shares.values()) == pytest.approx(1) and set(row.predicted_shares) <= set(GROUPS.values())
    assert row.nearest == "resnet18@224" and found.anchors == () and found.level == 0.9


@pytest.mark.parametrize("batch_size", [64, 1024])
def test_half_of_a_published_device(batch_size):
    """Anchors at half the speed of a table: so is any other network, that the table has or not."""
    found = predict([NETWORK], anchors=measured(FASTEST, 0.5, GPU, batch_size))
    assert found[NETWORK].predicted_throughput == pytest.approx(published(NETWORK, FASTEST) / 2, rel=0.05)
    assert found[NETWORK].published_throughput is None and found[NETWORK].predicted_interval
    assert found.target.device == "GPU of a test" and found.target.batch_size == batch_size and not found.notes
    assert [one.name for one in found.anchors] == list(table.fitted().anchors)
    for one in found.anchors:
        assert one.predicted_throughput == pytest.approx(one.measured_throughput, rel=0.1)


def test_from_one_cpu_to_another():
    (row,) = predict([NETWORK], anchors=measured(ON_CPU, 3, CPU, 1))
    assert row.predicted_throughput == pytest.approx(3 * published(NETWORK, ON_CPU), rel=0.15)
    assert row.predicted_interval


def test_anchors_that_fit_badly_widen_the_interval():
    """One anchor in three is a third faster or slower than its table has it."""
    even, odd = measured(FASTEST, 1, GPU, 256), measured(FASTEST, 1.5, GPU, 256)
    rows = [other if place % 3 == 0 else one for place, (one, other) in enumerate(zip(even, odd, strict=True))]
    good, bad = (predict([NETWORK], anchors=one) for one in (even, replace(even, architectures=tuple(rows))))
    assert bad.anchor_error > 3 * good.anchor_error
    assert np.diff(np.log(bad[0].predicted_interval)) > 1.5 * np.diff(np.log(good[0].predicted_interval))


def test_anchors_that_miss_one_another_altogether_cost_the_interval():
    slow, fast = measured(FASTEST, 1, GPU, 256), measured(FASTEST, 6, GPU, 256)
    rows = [other if place % 2 else one for place, (one, other) in enumerate(zip(slow, fast, strict=True))]
    found = predict([NETWORK], anchors=replace(slow, architectures=tuple(rows)))
    assert found[0].predicted_throughput and found[0].predicted_interval is None
    assert found.notes[0].startswith("the anchors miss one another by ")


def test_a_network_of_no_table_has_a_wider_interval():
    comparison = measured(FASTEST, 0.5, GPU, 256)
    known, mine = predict([NETWORK, f"{NETWORK}(num_classes=10)"], anchors=comparison)
    assert mine.predicted_throughput == pytest.approx(known.predicted_throughput, rel=0.2)
    assert np.diff(np.log(mine.predicted_interval)) > np.diff(np.log(known.predicted_interval))


@pytest.mark.parametrize(
    ("environment", "size", "said"),
    [
        (GPU | {"dtype": "float32"}, 256, "in float32, where the table has half precision"),
        (GPU, 8, "at batch 8, where the table's GPUs took as many images as fit"),
        ({**CPU, "compile": None}, 1, "without torch.compile, where the table's CPU ran with it"),
        (CPU, 4, "at batch 4, where the table's CPU took single images"),
    ],
)
def test_conditions_that_the_table_lacks_cost_the_interval(environment, size, said):
    found = predict([NETWORK], anchors=measured(FASTEST if size > 4 else ON_CPU, 1, environment, size))
    assert found[0].predicted_throughput and found[0].predicted_interval is None
    assert said in found.notes[0]


def test_anchors_that_were_disturbed_are_left_out_and_named():
    odd = table.fitted().anchors[3]
    busy = measured(FASTEST, 1, GPU, 256, why=lambda name: "other work held 38 % of the CPU" if name == odd else None)
    found = predict([NETWORK], anchors=busy)
    assert len(found.anchors) == 9 and found[0].predicted_interval
    assert found.notes == (f"1 of 10 anchors are left out: {odd} (other work held 38 % of the CPU)",)


@pytest.mark.parametrize(
    ("comparison", "said"),
    [
        (lambda: measured(FASTEST, 1, GPU, 256, count=5), "the file holds 5 of the ten anchors, and 6 are needed"),
        (lambda: measured(FASTEST, 1, GPU, 256, why=lambda name: "busy"), "0 of 10 anchors were measured reliably"),
        (lambda: measured(FASTEST, 1, GPU | {"device": "mps"}, 256), "the anchors were measured on 'mps'"),
        (lambda: measured(FASTEST, 1, GPU | {"mode": "train"}, 256), "the anchors were measured in training"),
    ],
)
def test_anchors_that_cannot_be_used(comparison, said):
    with pytest.raises(BadOption) as refused:
        predict([NETWORK], anchors=comparison())
    assert said in str(refused.value)


def test_an_anchor_that_is_another_network_is_left_out():
    good = measured(FASTEST, 1, GPU, 256)
    name = table.fitted().anchors[0]
    profile = StaticProfile(name, "timm", (3, 224, 224), 1, 1_000, 0, 0, 0, 0, 0, 0, 0, None)
    rows = (replace(good[0], profile=profile), *good.architectures[1:])
    found = predict([NETWORK], anchors=replace(good, architectures=rows))
    assert len(found.anchors) == 9
    assert f"{name} (its parameters or its input are not those of the table's network)" in found.notes[0]


def test_anchors_by_the_name_of_their_file():
    with pytest.raises(BadOption, match="anchors cannot be of type str; expected a Comparison"):
        predict([NETWORK], anchors="measured.json")


def test_a_batch_size_that_the_anchors_lack():
    with pytest.raises(BadOption, match="not measured at batch 32"):
        predict([NETWORK], anchors=measured(FASTEST, 1, GPU, 256), batch_size=32)


def test_the_commands_that_measure_anchors_are_well_formed():
    from archprof.cli import build_parser

    for kind in ("cpu", "cuda"):
        args = build_parser().parse_args(anchors.command(table.fitted(), kind).split()[1:])
        assert args.models == list(table.fitted().anchors) and args.json == "measured.json"


def test_what_is_unlike_the_table_is_said_of_that_network_alone():
    rows = predict(["resnet_tiny", NETWORK], device="rtx5090")
    assert rows[0].outside.endswith("beyond 0.73 nothing was checked") and rows[0].error is None
    assert rows[0].predicted_throughput is None and rows[0].predicted_interval is None
    assert rows[1].predicted_interval and not rows[1].outside


def test_what_reads_no_images_is_unlike_the_table():
    from torch import nn

    (row,) = predict(nn.Linear(16, 16), device="rtx5090", input_shape=(16,))
    assert row.outside == "it reads 16, and the table's networks read images"


def test_an_operator_without_a_formula_leaves_nothing_to_predict_from():
    import torch
    from torch import nn

    class Solves(nn.Module):
        def forward(self, x):
            return torch.linalg.solve(x, x)

    (row,) = predict(Solves(), device="rtx5090", input_shape=(3, 32, 32))
    assert "has no formula, so that its counts are not whole" in row.outside


def test_a_network_that_fails_keeps_its_place():
    rows = predict(["alexnet@7", NETWORK], device="rtx4090")
    assert "alexnet" in rows[0].error and rows[0].predicted_throughput is None
    assert rows[1].predicted_throughput


def test_names_that_cannot_be_meant_end_it():
    with pytest.raises(UnknownModel, match="resnet5o"):
        predict([NETWORK, "resnet5o"], device="rtx4090")


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"device": "rtx4090", "batch_size": 8},
        {"device": "rtx4090", "anchors": "both"},
        {"anchors": "both", "precision": "amp"},
    ],
)
def test_what_does_not_go_together(settings):
    if "anchors" in settings:
        settings = settings | {"anchors": measured(FASTEST, 1, GPU, 256)}
    with pytest.raises(BadOption):
        predict([NETWORK], **settings)


def test_a_transfer_follows_a_factor_and_leaves_one_odd_anchor_aside():
    chance = np.random.default_rng(3)
    sources = chance.normal(0, 1, 40) + chance.normal(0, 0.1, (4, 40))
    truth = sources[0] + math.log(2)
    seen = truth[:10].copy()
    seen[4] += 1.0
    taken = np.full((4, 40), 0.25)
    found = transfer(Anchors(sources[:, :10], seen, taken[:, :10], np.array([1.0, 0, 0, 0])))
    assert found.log_seconds(sources[:, 10:], taken[:, 10:]) == pytest.approx(truth[10:], abs=0.1)


def test_a_device_with_slow_calls_is_told_by_the_parts():
    """Twice the time for each call, and nothing else: what takes half of its time for calls takes 1.5 times as long."""
    rates, counted = np.zeros(len(QUANTITIES)), np.zeros((12, len(QUANTITIES)))
    calls, macs = QUANTITIES.index("calls.linear"), QUANTITIES.index("macs.linear")
    rates[[calls, macs]] = 1.0
    counted[:, calls], counted[:, macs] = np.linspace(0, 0.5, 12), 1 - np.linspace(0, 0.5, 12)
    taken = parts(rates, counted)
    assert taken.sum(axis=0) == pytest.approx(np.ones(12)) and taken[2, -1] == pytest.approx(0.5)
    sources = np.zeros((1, 12))
    truth = np.log1p(counted[:, calls])
    found = transfer(Anchors(sources[:, ::2], truth[::2], taken[:, ::2], np.ones(1)))
    assert found.log_seconds(sources, taken) == pytest.approx(truth, abs=0.06)


def test_doubt_is_what_the_others_make_of_each_anchor():
    chance = np.random.default_rng(4)
    sources, taken = chance.normal(0, 1, 10) + chance.normal(0, 0.01, (3, 10)), np.full((4, 10), 0.25)
    assert doubt(Anchors(sources, sources[0] + 5, taken, np.ones(3))) < 0.03
    assert doubt(Anchors(sources, sources[0] + chance.normal(0, 0.5, 10), taken, np.ones(3))) > 0.2


def test_what_no_source_ran_is_as_far_off_as_elsewhere():
    measured_s = np.array([[1.0, math.nan], [math.nan, math.nan]])
    predicted = np.array([[1.3, 2.0], [5.0, 6.0]])
    assert filled(measured_s, predicted) == pytest.approx(np.array([[1.0, 2.0], [4.7, 6.0]]))


def test_the_record_in_all_its_forms():
    found = predict([NETWORK, "resnet_tiny"], device="rtx4090")
    saved = json.loads(found.to_json())
    assert saved["target"]["device"] == "rtx4090" and saved["networks"][0]["predicted_throughput"] > 0
    measured_keys = {"throughput", "p50_s", "latency", "seconds"}
    assert not measured_keys & {key for row in saved["networks"] for key in row}
    assert list(found.to_frame()["name"]) == [NETWORK, "resnet_tiny"]
    assert repr(found).startswith("Prediction for rtx4090: amp, eager, torch 2.9.1, CUDA 12.8, batch 1,024\n")
    assert len(found) == 2 and [row.name for row in found] == [NETWORK, "resnet_tiny"]
    with pytest.raises(KeyError, match="Did you mean 'resnet18'"):
        found["resnet19"]


def test_counts_are_recalled(monkeypatch):
    from archprof.base import cache
    from archprof.counting import counts

    monkeypatch.setattr(cache, "may_keep", True)
    first = predict(["squeezenet1_1"], device="rtx4090")
    monkeypatch.setattr(counts, "profile", lambda *_, **__: pytest.fail("counted again"))
    assert predict(["squeezenet1_1"], device="rtx4090") == first
    assert predicting.predict("squeezenet1_1", device="rtx4090") == first
