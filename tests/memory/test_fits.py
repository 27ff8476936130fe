"""What fits into a memory, what limits it, and what would help."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

import archprof
from archprof.base.errors import BadOption, UnknownModel
from archprof.cli import main
from archprof.counting import counts
from archprof.results.comparison import Comparison
from archprof.results.conditions import Conditions, Sampling
from archprof.runs import asked, tasks
from archprof.runs.fits import Needs
from archprof.runs.prediction import Predictor

LIMIT = 40_000_000


def _block() -> nn.Sequential:
    return nn.Sequential(nn.Linear(256, 256), nn.Tanh(), nn.Linear(256, 256), nn.Tanh())


class Stacked(nn.Module):
    """Three blocks of two layers: each keeps two maps for its backward pass, and one where it is computed again."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(_block() for _ in range(3)))
        self.head = nn.Linear(256, 10)

    def forward(self, x):
        return self.head(self.blocks(x))


@pytest.fixture(autouse=True, scope="module")
def impatient():
    """What no rule tells is left out: to measure it takes long, and is tested by itself (test_measured)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("archprof.runs.fits.TRYING_S", 0)
        patch.setattr("archprof.runs.counted_rows.SEARCHING_S", 0)
        yield


@pytest.fixture(scope="module")
def tiny(impatient):
    return archprof.fits("resnet_tiny", LIMIT, optimizer="adam")


def test_the_peak_is_placed(tiny):
    inference, training = tiny.limited
    assert (inference.mode, inference.moment, inference.batch_size) == ("inference", "forward", tiny.inference)
    assert (training.mode, training.moment, training.batch_size) == ("training", "backward", tiny.training)
    assert inference.layer.startswith("blocks.") and inference.operator == "aten.convolution"
    assert inference.nbytes <= LIMIT and training.nbytes <= LIMIT


def test_each_change_fits_as_many_as_it_does_when_it_is_made(tiny):
    """The options that are named, given: the same batches."""
    by_change = {each.change: each for each in tiny.helps}
    assert len(by_change) == len(tiny.helps) >= 5
    made = {"bfloat16 by autocast": {"autocast": "bfloat16"}, "optimizer sgd": {"optimizer": "sgd"}}
    for change, options in made.items():
        (row,) = archprof.compare(["resnet_tiny"], memory=LIMIT, latency=False, **{"optimizer": "adam", **options})
        helped = by_change[change]
        assert (helped.inference, helped.training) == (row.largest_batch.inference, row.largest_batch.training)
        assert helped.training >= tiny.training


def test_a_checkpoint_saves_what_torchs_own_does():
    """The network that uses torch.utils.checkpoint by itself needs as much as is foretold."""
    from torch.utils.checkpoint import checkpoint

    class Again(Stacked):
        def forward(self, x):
            for block in self.blocks:
                x = checkpoint(block, x, use_reentrant=False)
            return self.head(x)

    found = archprof.fits(Stacked(), 30_000_000, input_shape=(256,))
    (saved,) = (each for each in found.helps if each.change == "checkpointing of 3 blocks")

    def needs(module: nn.Module, batch_size: int) -> int:
        subject = counts.subject_of(module, (256,))
        row = archprof.ArchitectureResult("net", "instance", profile=counts.profile_of(subject))
        predictor = Predictor(subject)
        row = archprof.ArchitectureResult("net", "instance", profile=row.profile, optimizers=predictor.optimizers())
        return Needs(predictor, row).training(batch_size)

    both = [needs(kind(), found.training) for kind in (Stacked, Again)]
    assert saved.saved_training_bytes == both[0] - both[1] > 0


def test_the_network_is_not_touched():
    module = Stacked()
    before = {name: (value.data_ptr(), value.grad) for name, value in module.named_parameters()}
    archprof.fits(module, LIMIT, input_shape=(256,))
    assert {name: (value.data_ptr(), value.grad) for name, value in module.named_parameters()} == before
    assert not any("forward" in vars(part) for part in module.modules())
    assert module(torch.ones(1, 256)).shape == (1, 10)


def test_what_was_named_is_run_and_fits():
    found = archprof.fits(Stacked(), 20_000_000, input_shape=(256,), tried=True)
    for limiting in found.limited:
        assert limiting.why is None
        assert limiting.measured_bytes <= 20_000_000 < limiting.beyond_bytes, limiting.mode


def test_what_is_too_long_to_be_tried_says_so(monkeypatch):
    monkeypatch.setattr("archprof.runs.tried.LONGEST", 1000)
    found = archprof.fits(Stacked(), 20_000_000, input_shape=(256,), tried=True)
    assert all("multiply-accumulates" in limiting.why for limiting in found.limited)


def test_the_update_may_be_what_limits():
    """A layer whose parameters outweigh one sample's activations: Adam takes twice as much again while it updates."""
    found = archprof.fits(nn.Linear(4000, 4000), "1 GB", input_shape=(4000,), optimizer="adam")
    small = archprof.fits(nn.Linear(4000, 4000), 64_000_000 * 6 + 1_000_000, input_shape=(4000,), optimizer="adam")
    assert found.limited[1].moment == "backward" and small.limited[1].moment == "update"
    assert small.limited[1].layer == ""


def test_a_saved_comparison_keeps_it_all():
    found = archprof.compare(["resnet_tiny"], fits=LIMIT, latency=False, batch_sizes=[1])
    assert Comparison.from_json(found.to_json()) == found
    saved = json.loads(found.to_json())["architectures"][0]
    entry = saved["memory"][0]
    assert entry["inference_bytes"] == found[0].inference_bytes(found[0].memory[0])
    assert entry["training_bytes"] == found[0].training_bytes(found[0].memory[0], "sgd")
    assert saved["training_bytes"] == entry["training_bytes"] - (entry["training_scratch_bytes"] or 0)
    markdown = found.to_markdown()
    assert "limited by" in markdown and "What would help" in markdown


def test_on_the_command_line(capsys):
    assert main(["compare", "resnet_tiny", "--fits", "40 MB", "--no-latency", "--batch-sizes", "1"]) == 0
    shown = capsys.readouterr().out
    assert "Largest batch that fits into 38.1 MiB, predicted" in shown and "(convolution_backward), backward" in shown
    assert "--dtype bfloat16" in shown and "torch.utils.checkpoint" in shown


def test_how_it_computes_is_told_beside_every_number(capsys):
    words = ["compare", "resnet_tiny", "--batch-sizes", "8", "--no-latency", "--autocast"]
    loop = ["--mode", "train", "--accumulate", "4", "--zero-grad", "zero", "--optimizer", "adamw(fused=true)"]
    assert main([*words, *loop, "--details"]) == 0
    shown = capsys.readouterr().out
    assert "Static cost, batch 1, input 3x64x64, float32, autocast to bfloat16" in shown
    assert "State (adamw(fused=true))" in shown
    assert main([*words, *loop]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "Training step (adamw(fused=true), in 4 parts, gradients set to zero)" in told
    assert "counted, not measured, float32, autocast to bfloat16" in told


def test_a_measured_entry_of_a_sweep_tells_the_memory_of_its_own_optimizer():
    conditions = Conditions(mode="train", optimizer="adam")
    measuring = asked.Measuring((2,), conditions, Sampling(time_budget=0.2))
    entry = tasks.measure_one("resnet_tiny", asked.SweepRequest(measuring=measuring))
    (row,) = archprof.compare(["resnet_tiny"], batch_sizes=[2], latency=False, conditions=conditions)
    assert entry["memory"][0]["training_bytes"] == row.training_bytes(row.memory[0], "adam")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--fits", "24"], "unit"),
        (["--fits", "0 GB"], "not above 0"),
        (["--fits", "1 kB"], "does not hold resnet_tiny"),
        (["--fits", "1 GB", "--memory", "1 GB"], "give it alone"),
        (["--fits", "1 GB", "--optimizer", "adamw(fussed=true)"], "Did you mean 'fused'"),
        (["--fits", "1 GB", "--autocast", "int8"], "unknown type of autocast 'int8'"),
        (["--fits", "1 GB", "--autocast", "--dtype", "bfloat16"], "autocast is for weights of float32"),
        (["--accumulate", "2"], "accumulate '2' has no effect on a forward pass"),
        (["--mode", "train", "--accumulate", "3", "--batch-sizes", "8"], "a batch of 8 has no 3 equal parts"),
        (["--zero-grad", "maybe", "--mode", "train"], "unknown choice of zero_grad 'maybe'"),
    ],
)
def test_bad_input_is_one_line(capsys, words, said):
    try:
        code = main(["compare", "resnet_tiny", "--no-latency", *words])
    except SystemExit as stopped:
        code = stopped.code
    assert code == 2
    shown = capsys.readouterr()
    assert said in shown.err and shown.err.count("\n") == 1 and shown.out == ""


def test_a_network_without_trainable_parameters_is_not_trained():
    found = archprof.fits(nn.Linear(8, 8).requires_grad_(False), "1 MB", input_shape=(8,), optimizer="adam(fused=true)")
    assert found.training is None and found.inference > 0 and len(found.limited) == 1


def test_bad_arguments():
    with pytest.raises(BadOption, match="expected bytes"):
        archprof.fits("resnet_tiny", 0)
    with pytest.raises(UnknownModel):
        archprof.fits("resnet_tny", "1 GB")
    with pytest.raises(TypeError, match="has no argument 'optimiser'"):
        archprof.fits("resnet_tiny", "1 GB", optimiser="adam")
