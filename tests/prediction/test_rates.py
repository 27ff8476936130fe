"""Rates, intervals and the tables that ship."""

from __future__ import annotations

import math

import numpy as np
import pytest

from archprof.base.errors import BadOption
from archprof.prediction import benchmarks, fitting, table
from archprof.prediction.benchmarks import parsed
from archprof.prediction.calibration import Calibration, place_of
from archprof.prediction.quantities import QUANTITIES

FITTED = table.fitted()


def test_rates_are_found_again_beside_a_few_networks_that_run_ten_times_as_long():
    chance = np.random.default_rng(1)
    counted = chance.uniform(0.1, 1, (200, 4)) * [1e9, 1e7, 1e2, 1e6]
    seconds = counted @ [2e-12, 5e-10, 1e-5, 0]
    seconds[:6] *= 10
    assert fitting.rates(counted, seconds) == pytest.approx([2e-12, 5e-10, 1e-5, 0], rel=0.02, abs=1e-12)


def test_a_family_left_out_has_no_say():
    counted, families = np.ones((6, 1)), np.array(["a", "a", "b", "b", "c", "c"])
    seconds = np.array([1.0, 1, 2, 2, 2, 2])
    left = np.exp(fitting.left_out(counted, seconds, families, counted, families))
    assert left[0] == pytest.approx(2) and left[1] == pytest.approx(2)


def test_an_interval_holds_the_share_that_it_names():
    chance = np.random.default_rng(2)
    families, distance = np.repeat(np.arange(200), 5), chance.uniform(0.1, 0.6, 1000)
    residual = chance.normal(0, 0.2 * distance)
    found = fitting.calibrated(fitting.Residuals(residual[:500], distance[:500], families[:500]))
    pairs = zip(residual[500:], distance[500:], strict=True)
    held = [low <= 100 <= high for off, apart in pairs for low, high in [found.interval(100 * math.exp(-off), apart)]]
    assert 0.86 < np.mean(held) < 0.94


def test_an_interval_grows_with_the_distance_and_holds_its_figure():
    found = Calibration(0.1, 1.0, -1.0, 2.0)
    assert found.interval(100, 0.4) == pytest.approx((100 * math.exp(-0.5), 100 * math.exp(1.0)))
    assert Calibration(0.1, 0, 0.5, 2.0).interval(100, 0)[0] == 100  # never to one side of the prediction


def test_what_ships_follows_from_what_ships():
    """The rates of a table, fitted anew to the networks and throughput in the package."""
    networks, place = table.networks(), 0
    run = np.isfinite(networks.throughput[place])
    again = fitting.rates(networks.counted[run], 1 / networks.throughput[place, run])
    assert again == pytest.approx(FITTED.rates[place].rates, rel=1e-3, abs=1e-18)
    assert FITTED.rates[place].networks == run.sum()


def test_the_table_is_whole():
    networks = table.networks()
    assert len(networks.names) == len(set(zip(networks.names, networks.sizes, strict=True))) > 1_500
    assert networks.counted.shape == (len(networks.names), len(QUANTITIES)) and (networks.counted >= 0).all()
    assert np.nanmin(networks.throughput) > 0 and np.isfinite(networks.throughput).any(axis=0).all()
    assert {one.on_cpu for one in FITTED.benchmarks} == {True, False}
    assert 0 < FITTED.closest < FITTED.farthest < 1
    assert len(FITTED.anchors) == fitting.COUNT == len(set(FITTED.anchors))
    for kind in ("cpu", "gpu"):
        assert list(FITTED.anchored[kind]) == [6, 7, 8, 9, 10]
    # timm's own figure, as its file has it
    (row,) = [at for at, key in enumerate(zip(networks.names, networks.sizes, strict=True)) if key == ("resnet50", 224)]
    name = "amp-nchw-pt240-cu124-rtx4090"
    assert networks.throughput[[one.name for one in FITTED.benchmarks].index(name), row] == 4217.6


def test_anchors_were_run_on_every_table():
    networks = table.networks()
    rows = [networks.row(name.removeprefix("timm:")) for name in FITTED.anchors]
    assert np.isfinite(networks.throughput[:, rows]).all()


def test_the_same_network_is_found_by_its_counts_whatever_it_is_called():
    networks = table.networks()
    row = networks.row("resnet50")
    counts = dict(zip(QUANTITIES, networks.counted[row], strict=True))
    assert networks.names[networks.same(counts, "resnet50")] == "resnet50"
    assert networks.same(counts, "mine") is not None
    assert networks.same(counts | {"macs.linear": counts["macs.linear"] * 1.01}) is None
    assert networks.nearest(networks.places[row])[1] == pytest.approx(0, abs=1e-6)


def test_a_network_that_multiplies_nothing_has_no_place():
    assert place_of(dict.fromkeys(QUANTITIES, 0.0)) is None


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("amp-nchw-pt291-cu128-4090-dynamo", "rtx4090: amp, compiled, torch 2.9.1, CUDA 12.8"),
        ("amp-nhwc-pt113-cu117-rtx3090", "rtx3090: amp, channels last, eager, torch 1.13, CUDA 11.7"),
        ("amp_bf16-nchw-pt291-cu130-pro6000maxq-dynamo", "pro6000maxq: amp_bf16, compiled, torch 2.9.1, CUDA 13.0"),
        ("fp32-nchw-pt240-cpu-i9_10940x-dynamo", "i9-10940x: fp32, compiled, torch 2.4.0"),
    ],
)
def test_names_of_benchmarks(name, shown):
    assert parsed(name).shown == shown


def test_a_name_of_another_form_is_refused():
    with pytest.raises(ValueError, match="is not precision-layout"):
        parsed("rtx4090")


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ({"device": "rtx4090"}, "rtx4090: amp, eager, torch 2.9.1, CUDA 12.8"),
        ({"device": "rtx4090", "compiled": True}, "rtx4090: amp, compiled, torch 2.9.1, CUDA 12.8"),
        ({"device": "rtx4090", "channels_last": True}, "rtx4090: amp, channels last, eager, torch 2.4.0, CUDA 12.4"),
        ({"device": "rtx5090"}, "rtx5090: amp, compiled, torch 2.9.1, CUDA 13.0"),
        ({"device": "pro6000maxq", "precision": "bf16"}, "pro6000maxq: bf16, compiled, torch 2.9.1, CUDA 13.0"),
        ({"device": "rtx3090", "torch": "1.13"}, "rtx3090: amp, eager, torch 1.13, CUDA 11.7"),
    ],
)
def test_which_table_is_meant(asked, shown):
    assert benchmarks.chosen(FITTED.benchmarks, **asked).shown == shown


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"device": "rtx4091"}, "Did you mean 'rtx4090'"),
        ({"device": "h100"}, "There are: rtx3090, rtx4090, rtx5090, pro6000maxq, i9-10940x"),
        ({"device": "rtx4090", "precision": "fp16"}, "precision 'fp16' is not published for rtx4090"),
        ({"device": "rtx4090", "torch": "2.4"}, "torch '2.4' is not published for rtx4090. Did you mean '2.4.0'"),
        (
            {"device": "rtx5090", "channels_last": True},
            "rtx5090 is not published channels last with the other settings",
        ),
        ({"device": "rtx3090", "compiled": True}, "--device rtx3090 --precision amp --torch 2.4.0 --channels-last"),
    ],
)
def test_what_is_not_published_is_told_with_what_is(asked, said):
    with pytest.raises(BadOption) as refused:
        benchmarks.chosen(FITTED.benchmarks, **asked)
    assert said in str(refused.value)
