"""Comparing several networks: counts exact, failures contained, records that survive a round trip."""

import json

import pytest
import torch
from helpers.golden_zoo_a import GOLDEN as ZOO_A
from helpers.golden_zoo_b import GOLDEN as ZOO_B
from torch import nn

import archprof
from archprof.base.errors import BadFile, BadOption, UnknownModel
from archprof.cli import main
from archprof.measure import device, sampling
from archprof.models import zoo
from archprof.results.comparison import Comparison
from archprof.results.conditions import Sampling
from archprof.results.latency import Block, Latency

GOLDEN = ZOO_A | ZOO_B


@pytest.fixture
def scripted(monkeypatch):
    """Measuring answered from a script: 10 ms per image, 20 % more for every further network."""
    asked = []

    def measure(cells, sampling, **options):
        asked.append(([cell.key for cell in cells], sampling))
        names = list(dict.fromkeys(cell.name for cell in cells))
        return {
            cell.key: Latency(
                cell.batch_size,
                tuple(Block(0.010 * cell.batch_size * (1 + names.index(cell.name) / 5), 5, r, r) for r in range(8)),
            )
            for cell in cells
        }

    monkeypatch.setattr(sampling, "measure", measure)
    return asked


@pytest.mark.parametrize("name", zoo.architectures())
def test_every_network_of_the_zoo_has_its_exact_counts(name):
    profile = archprof.profile(name)
    assert (profile.parameters, profile.macs) == GOLDEN[name]
    assert profile.uncounted == ()
    assert profile.notes == ()


def test_no_golden_row_is_left_over():
    assert set(GOLDEN) == set(zoo.architectures())


def test_resnet50_to_the_unit():
    profile = archprof.profile("resnet50")
    assert profile.parameters == profile.trainable_parameters == 25_557_032
    assert profile.macs == 4_089_184_256
    assert profile.flops == 2 * profile.macs
    assert profile.buffers == 53_173  # mean and variance of 26,560 channels, and 53 counters
    # the maps that the 53 convolutions write (11,113,984 elements) and the 1,000 logits
    assert profile.activations == 11_113_984 + 1_000
    assert profile.parameter_bytes == 4 * 25_557_032
    assert profile.buffer_bytes == 4 * 53_120 + 8 * 53


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv1", "alexnet", "densenet121", "googlenet"])
def test_counts_are_linear_in_the_batch(name):
    one, many = archprof.profile(name), archprof.profile(name, batch_size=7)
    assert many.macs == 7 * one.macs
    assert many.activations == 7 * one.activations
    assert many.parameters == one.parameters
    assert many.batch_size == 7


def test_a_comparison_holds_what_was_counted_and_measured(scripted):
    result = archprof.compare(["resnet18", "alexnet"], batch_sizes=[8, 1])
    assert [row.name for row in result.architectures] == ["resnet18", "alexnet"]
    assert result.batch_sizes == (1, 8)
    assert result.reference == "alexnet"
    assert result.architectures[0].latency_at(8).p50_s == pytest.approx(0.08)
    ratio = next(r for r in result.ratios if r.batch_size == 1)
    assert (ratio.architecture, ratio.reference, ratio.ratio) == ("resnet18", "alexnet", pytest.approx(1 / 1.2))
    ((keys, sampling),) = scripted
    second_copies = {("", 1), ("", 8)}
    assert set(keys) == {("resnet18", 1), ("resnet18", 8), ("alexnet", 1), ("alexnet", 8)} | second_copies
    assert sampling == Sampling()
    assert [entry.batch_size for entry in result.architectures[0].memory] == [1, 8]


def test_the_json_has_the_documented_keys_and_is_read_back(scripted):
    result = archprof.compare(["resnet18", "mobilenetv1"], batch_sizes=[1])
    saved = json.loads(result.to_json())
    assert saved["schema_version"] == 1
    assert saved["archprof"] == archprof.__version__
    assert {"torch", "device", "device_name", "threads", "dtype", "fingerprint"} <= set(saved["environment"])
    row = saved["architectures"][0]
    assert {
        "name",
        "source",
        "input_shape",
        "batch_size",
        "parameters",
        "trainable_parameters",
        "buffers",
        "macs",
        "activations",
        "parameter_bytes",
        "buffer_bytes",
        "peak_activation_bytes",
        "training_activation_bytes",
        "uncounted",
        "by_type",
        "accuracy",
        "latency",
    } <= set(row)
    assert {"type", "parameters", "macs", "calls"} <= set(row["by_type"][0])
    assert {"dataset", "metric", "percent", "source", "url"} <= set(row["accuracy"][0])
    assert {
        "batch_size",
        "p50_s",
        "p90_s",
        "ci95_s",
        "samples",
        "throughput",
        "measured_peak_bytes",
        "reliable",
        "why",
        "error",
    } <= set(row["latency"][0])
    over_runs = {"in_run", "in_run_ci95", "runs", "state", "by_state", "why", "era", "since"}
    assert {"batch_size", "architecture", "reference", "ratio", "ci95", "reliable"} | over_runs == set(
        saved["ratios"][0]
    )
    assert {"precision", "time_budget_s", "took_s"} == set(saved["stopping"])
    assert Comparison.from_json(result.to_json()) == result
    assert Comparison.from_json(result.to_json()).to_json() == result.to_json()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not JSON"),
        ("[]", "not archprof's"),
        ('{"schema_version": 99}', "schema_version is 99"),
        ('{"schema_version": 1}', "has no key 'environment'"),
    ],
)
def test_a_file_that_is_not_ours_is_refused(text, says):
    with pytest.raises(BadFile, match=says):
        Comparison.from_json(text)


class Breaks(nn.Module):
    def forward(self, x):
        raise RuntimeError("no such thing")


def test_a_failing_network_keeps_its_row_and_the_others_theirs(scripted):
    result = archprof.compare([Breaks(), "alexnet"], batch_sizes=[1])
    broken, alexnet = result.architectures
    assert broken.profile is None
    assert "no such thing" in broken.error
    assert broken.latency == ()
    assert alexnet.profile.macs == GOLDEN["alexnet"][1]
    assert alexnet.latency_at(1).measured
    saved = json.loads(result.to_json())["architectures"][0]
    assert "macs" not in saved  # no invented numbers
    assert "no such thing" in saved["error"]


def test_a_module_comes_back_as_it_was(scripted):
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    before = {name: value.clone() for name, value in module.state_dict().items()}
    archprof.compare([module, "alexnet"], batch_sizes=[2], input_shape=(3, 224, 224))
    assert module.training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_really_measured_in_a_small_budget():
    result = archprof.compare(["resnet_tiny", "plain_tiny"], batch_sizes=[1, 4], time_budget=10, precision=0.9)
    for row in result.architectures:
        for cell in row.latency:
            assert cell.measured, cell.error
            assert cell.p50_s > 0
            assert cell.ci95_s[0] <= cell.p50_s <= cell.ci95_s[1]


def test_ctrl_c_keeps_what_was_measured(monkeypatch, capsys, tmp_path):
    def measure(cells, *_, **__):
        raise sampling.SamplingInterrupted({cells[0].key: Latency(1, (Block(0.01, 5, 0, 0),))})

    monkeypatch.setattr(sampling, "measure", measure)
    file = tmp_path / "kept.json"
    assert main(["compare", "resnet_tiny", "plain_tiny", "--batch-sizes", "1", "--json", str(file)]) == 130
    kept = Comparison.from_json(file.read_text())
    assert kept.architectures[0].latency_at(1).p50_s == 0.01
    assert kept.architectures[1].profile is not None
    assert "interrupted" in capsys.readouterr().err


def test_a_batch_that_cannot_fit_is_an_entry_where_others_fit(monkeypatch, scripted):
    one = archprof.profile("resnet_tiny").peak_activation_bytes
    monkeypatch.setattr(device, "available_bytes", lambda _: 100 * one)
    result = archprof.compare(["resnet_tiny", "resnet20_cifar"], batch_sizes=[1, 70])
    large = result.architectures[1].latency_at(70)
    assert not large.measured
    assert "are available" in large.error
    assert result.architectures[0].latency_at(70).measured


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"batch_sizes": []}, BadOption),
        ({"batch_sizes": [0]}, BadOption),
        ({"batch_sizes": [1.5]}, BadOption),
        ({"reference": "vgg16"}, BadOption),
        ({"device": "tpu"}, BadOption),
        ({"dtype": "int3"}, BadOption),
    ],
)
def test_impossible_conditions_raise_before_anything_is_built(arguments, error):
    with pytest.raises(error):
        archprof.compare(["alexnet"], **arguments)


def test_an_unknown_name_raises():
    with pytest.raises(UnknownModel, match="Did you mean"):
        archprof.compare(["alexnet", "resnett50"])


def test_names_ignore_case_and_separators():
    assert archprof.profile("MobileNet-V1").macs == archprof.profile("mobilenet_v1").macs == GOLDEN["mobilenetv1"][1]


def test_resolution_and_options_reach_the_network():
    smaller = archprof.profile("mobilenetv1@192")
    assert smaller.input_shape == (3, 192, 192)
    assert round(smaller.macs / 1e6) == 418  # Howard et al. 2017, table 7
    assert archprof.profile("mobilenetv1(width=0.5)").parameters == GOLDEN["mobilenetv1_050"][0]
    assert archprof.profile("resnet18(num_classes=10, activation=gelu)").parameters == (
        GOLDEN["resnet18"][0] - 513 * 1000 + 513 * 10
    )
    assert archprof.profile("alexnet(in_channels=1)").input_shape == (1, 224, 224)


def test_load_builds_the_network_with_weights():
    module = archprof.load("resnet_tiny(num_classes=3)")
    assert module(torch.randn(2, 3, 64, 64)).shape == (2, 3)
