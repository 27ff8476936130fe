"""Trials: they learn, the same seed gives the same bits, and what was stopped goes on as if it had not been."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.small_net import Net
from helpers.stripes import stripes as stripes_made

from archprof.base.errors import BadFile, BadOption, BadOutput, ForwardFailed, MissingPackage, UnknownModel
from archprof.results.recipe import OPTIMIZER_CLASSES, Recipe
from archprof.results.trials import Axis, Trial
from archprof.trials import networks
from archprof.trials.training import batches_of
from archprof.trials.trial import TrialInterrupted, evaluate, trial

QUICK = Recipe(lr=0.01, batch_size=16, epochs=3, crop_padding=1, flip=True)


def observed(found: Trial) -> list:
    """Everything of a trial but its times, date and place."""
    return [
        (entry.name, run.seed, [seen[:5] for seen in run.epochs], run.class_correct)
        for entry in found.entries
        for run in entry.runs
    ]


def weights(folder) -> dict:
    return {path.name: path.read_bytes() for path in (folder / "runs").glob("*.pt")}


def test_learns_the_digits(net):
    pytest.importorskip("sklearn")
    found = trial([f"{net}(width=8)"], "digits", recipe=Recipe(lr=0.01, batch_size=32, epochs=3), seeds=1)
    score = found.entries[0].score(found.data.test_images)
    assert score.images == 359 and score.mean >= 0.95
    assert score.over_images[0] < score.mean < score.over_images[1]
    assert found.entries[0].parameters == 8 * 9 + 8 + 16 + 8 * 64 * 10 + 10
    last = found.entries[0].runs[0]
    assert sum(last.class_correct) == last.epochs[-1].test_correct and last.epochs[-1].train_correct > 1300


def test_the_same_seed_gives_the_same_bits_and_another_others(net, stripes, tmp_path):
    state = torch.random.get_rng_state()
    one, two = (trial([net], stripes, recipe=QUICK, seeds=2, folder=tmp_path / name) for name in "ab")
    assert observed(one) == observed(two) and weights(tmp_path / "a") == weights(tmp_path / "b")
    seeds = [run.epochs[0].train_loss for run in one.entries[0].runs]
    assert len(set(seeds)) == 2 and torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_resumed_equals_uninterrupted(net, stripes, tmp_path, optimizer):
    recipe = replace(QUICK, optimizer=optimizer, momentum=0.9 if optimizer == "sgd" else 0.0, warmup_epochs=1)
    whole = trial([net], stripes, recipe=recipe, seeds=2, folder=tmp_path / "whole")
    stops = iter([1.4, 3.9, 4.0])  # within an epoch, within another run, at an epoch's end
    stop = next(stops)

    def interrupt(told):
        nonlocal stop
        if told.done >= stop:
            stop = next(stops, 99.0)
            raise KeyboardInterrupt

    for place in range(3):
        with pytest.raises(TrialInterrupted) as seen:
            trial([net], stripes, recipe=recipe, seeds=2, folder=tmp_path / "cut", progress=interrupt)
        assert seen.value.trial.interrupted
        if place == 0:  # one whole epoch had ended, and is there to go on from
            assert [len(run.epochs) for run in seen.value.trial.entries[0].runs] == [1]
            assert len(list((tmp_path / "cut" / "runs").glob("*.checkpoint"))) == 1
    resumed = trial([net], stripes, recipe=recipe, seeds=2, folder=tmp_path / "cut")
    assert observed(resumed) == observed(whole) and weights(tmp_path / "cut") == weights(tmp_path / "whole")
    assert not list((tmp_path / "cut" / "runs").glob("*.checkpoint"))


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from helpers.small_net import Net
from helpers.stripes import stripes
from archprof.trials.trial import trial

def kill(told):
    if told.done >= 2.5:
        os.kill(os.getpid(), signal.SIGKILL)

trial(Net, stripes(), lr=0.01, epochs=4, seeds=1, threads=1, folder="t", progress=kill)
"""


def test_killed_within_an_epoch_it_goes_on_with_the_same_bytes(tmp_path):
    words = [sys.executable, "-c", KILLED, str(Path(__file__).parents[1])]
    assert subprocess.run(words, cwd=tmp_path, check=False).returncode == -signal.SIGKILL
    (kept,) = (tmp_path / "t" / "runs").iterdir()
    assert kept.suffix == ".checkpoint"
    left = kept.with_name(".archprof-0123")
    left.write_bytes(b"half of a checkpoint")  # as if it had been killed while writing
    told = []
    for name, tell in (("t", told.append), ("whole", None)):
        trial(Net, stripes_made(), lr=0.01, epochs=4, seeds=1, threads=1, folder=tmp_path / name, progress=tell)
    assert min(each.done for each in told) > 2
    assert weights(tmp_path / "t") == weights(tmp_path / "whole") != {}
    assert {path.suffix for path in (tmp_path / "t" / "runs").iterdir()} == {".pt", ".json"}
    assert os.listdir(tmp_path / "t") == ["runs"]


def test_what_is_there_is_not_trained_again(net, stripes, tmp_path, monkeypatch):
    first = trial([net], stripes, recipe=QUICK, seeds=1, folder=tmp_path)
    monkeypatch.setattr("archprof.trials.training.Training.epoch", lambda *_: pytest.fail("trained again"))
    again = trial([net], stripes, recipe=QUICK, seeds=1, folder=tmp_path)
    assert again.entries == first.entries


def test_a_full_disk_in_the_middle_of_an_epoch(net, stripes, tmp_path):
    """The checkpoint before it stays whole, and the same command goes on from there."""
    whole = trial([net], stripes, recipe=QUICK, seeds=1, folder=tmp_path / "whole")
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    written = []

    def fill(told):
        if told.done >= 1.5:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))

    try:
        with pytest.raises(BadOutput, match="Make room: the same command goes on from the last epoch kept"):
            trial([net], stripes, recipe=QUICK, seeds=1, folder=tmp_path / "full", progress=fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert [path.suffix for path in (tmp_path / "full" / "runs").iterdir()] == [".checkpoint"]
    resumed = trial(
        [net], stripes, recipe=QUICK, seeds=1, folder=tmp_path / "full", progress=lambda told: written.append(told.done)
    )
    assert observed(resumed) == observed(whole) and weights(tmp_path / "full") == weights(tmp_path / "whole")
    assert min(written) > 1


def test_files_of_a_run_that_are_not_its_own(net, stripes, tmp_path):
    with pytest.raises(TrialInterrupted):
        trial([net], stripes, recipe=QUICK, seeds=1, folder=tmp_path, progress=_after(1.5))
    (kept,) = (tmp_path / "runs").glob("*.checkpoint")
    kept.write_bytes(b"cos\nsystem\n(S'touch /tmp/unpickled'\ntR.")
    with pytest.raises(BadFile, match="is not a checkpoint of this network"):
        trial([net], stripes, recipe=QUICK, seeds=1, folder=tmp_path)
    kept.with_suffix(".json").write_text(json.dumps({"seed": 0, "epochs": [{"train_loss": "low"}]}))
    with pytest.raises(BadFile, match="train_loss is the text 'low'"):
        trial([net], stripes, recipe=QUICK, seeds=1, folder=tmp_path)


def _after(done):
    def tell(told):
        if told.done >= done:
            raise KeyboardInterrupt

    return tell


# --- grids ----------------------------------------------------------------------------------------------------------


def test_a_grid_of_the_recipe_and_of_the_network(net, stripes):
    axes = [Axis("width", ("4", "8")), Axis("lr", ("0.01", "3000"))]
    found = trial([net], stripes, recipe=QUICK, grid=axes, epochs=(1, 2), seeds=1)
    assert [dict(entry.settings) for entry in found.entries] == [
        {"width": width, "lr": lr} for width in ("4", "8") for lr in ("0.01", "3000")
    ]
    assert [entry.recipe.lr for entry in found.entries] == [0.01, 3000.0] * 2
    assert found.entries[0].parameters < found.entries[2].parameters and "width=8" in found.entries[2].network
    assert found.epochs == (1, 2) and found.data.name == "stripes" and len(found.rows) == 4
    assert Trial.from_json(found.to_json()) == found


def test_shorter_trainings_are_read_off_where_they_are_the_same(net, stripes):
    constant = trial([net], stripes, recipe=QUICK, epochs=(1, 2), seeds=1)
    alone = trial([net], stripes, recipe=QUICK, epochs=(1,), seeds=1)
    assert [len(run.epochs) for entry in constant.entries for run in entry.runs] == [2]
    assert observed(alone)[0][2] == observed(constant)[0][2][:1]
    cosine = trial([net], stripes, recipe=replace(QUICK, schedule="cosine"), epochs=(1, 2), seeds=1)
    assert [entry.recipe.epochs for entry in cosine.entries] == [1, 2] and len(cosine.rows) == 1
    scores = [cosine.score(cosine.rows[0], epochs).correct[0] for epochs in (1, 2)]
    assert scores == [entry.runs[0].epochs[-1].test_correct for entry in cosine.entries]


def test_what_diverged_is_a_result(net, stripes, tmp_path):
    recipe = replace(QUICK, optimizer="sgd", lr=1e6, batch_size=4)
    found = trial([net], stripes, recipe=recipe, seeds=2, folder=tmp_path)
    for run in found.entries[0].runs:
        assert run.diverged == len(run.epochs) and run.epochs[-1].train_loss is None
        assert run.after(3) == run.epochs[-1]
        # an answer that is not a number is wrong
        assert run.epochs[-1].test_loss is not None or run.epochs[-1].test_correct == 0
    assert Trial.from_json(found.to_json()) == found
    again = trial([net], stripes, recipe=recipe, seeds=2, folder=tmp_path)
    assert again.entries == found.entries


@pytest.mark.parametrize("optimizer", list(OPTIMIZER_CLASSES))
def test_every_optimizer_moves_the_weights(net, stripes, optimizer):
    recipe = Recipe(optimizer, lr=0.01, batch_size=45, epochs=1)
    found = trial([net], stripes, recipe=recipe, seeds=1)
    still = trial([net], stripes, recipe=replace(recipe, lr=1e-30), seeds=1)
    assert found.entries[0].runs[0].epochs[0].test_loss != still.entries[0].runs[0].epochs[0].test_loss


def test_a_last_batch_of_one_joins_those_before_it():
    draw = torch.Generator().manual_seed(0)
    assert [len(each) for each in batches_of(17, 8, draw)] == [8, 9]
    assert [len(each) for each in batches_of(18, 8, draw)] == [8, 8, 2]
    assert sorted(torch.cat(batches_of(17, 8, draw)).tolist()) == list(range(17))


def test_bfloat16_by_autocast(net, stripes):
    found = trial([net], stripes, recipe=replace(QUICK, dtype="bfloat16"), seeds=1)
    usual = trial([net], stripes, recipe=QUICK, seeds=1)
    losses = [each.entries[0].runs[0].epochs[-1].train_loss for each in (found, usual)]
    assert losses[0] != losses[1] and losses[0] == pytest.approx(losses[1], abs=0.3)
    assert found.environment["dtype"] == "bfloat16"


# --- bad input ------------------------------------------------------------------------------------------------------


def test_a_network_that_cannot_be_trained_keeps_its_row(net, stripes):
    found = trial([net, net.replace("Net", "Fails")], stripes, recipe=QUICK, seeds=1)
    assert len(found.entries[0].runs) == 1 and found.entries[1].runs == ()
    assert "RuntimeError: no training here" in found.entries[1].error


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("eleven", BadOption, "has another number of outputs than the 3 classes of the data"),
        ("Picky", ForwardFailed, "does not take images of 1x8x8"),
        ("Net(num_classes=7)", BadOption, "has 7 outputs; the data have 3 classes. Give num_classes=3"),
        ("Nett", UnknownModel, "Net"),
    ],
)
def test_networks_that_are_refused(net, stripes, name, kind, said):
    with pytest.raises(kind) as seen:
        trial([net.replace("Net", name)], stripes, recipe=QUICK, seeds=1)
    assert said in str(seen.value)


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        ([Axis("lr", ("0.1", "0"))], "grid lr=0: learning rate is 0;"),
        ([Axis("lr", ("0.1", "-3"))], "grid lr=-3: learning rate is -3;"),
        ([Axis("lr", ("fast",))], "'fast' is not a number"),
        ([Axis("optimizer", ("adma",))], "unknown optimizer 'adma'"),
        ([Axis("optimiser", ("adam",))], "'optimiser' is no option of"),
        ([Axis("flip", ("yes",))], "unknown flip 'yes'"),
        ([Axis("lr", ("1",)), Axis("lr", ("2",))], "the grid has the axis 'lr' twice"),
    ],
)
def test_grids_that_are_refused(net, stripes, grid, said):
    with pytest.raises(BadOption) as seen:
        trial([net], stripes, recipe=QUICK, grid=grid, seeds=1)
    assert said in str(seen.value)


def test_a_momentum_stays_with_those_that_have_one(net, stripes):
    recipe = replace(QUICK, optimizer="sgd", momentum=0.9, epochs=1)
    found = trial([net], stripes, recipe=recipe, grid=[Axis("optimizer", ("sgd", "adam"))], seeds=1)
    assert [entry.recipe.momentum for entry in found.entries] == [0.9, 0.0]


# --- evaluation alone -----------------------------------------------------------------------------------------------


@pytest.fixture
def trained(net, stripes, tmp_path):
    """A trained network's weights, as torch.save writes them, and what it got right."""
    found = trial([net], stripes, recipe=QUICK, seeds=1, folder=tmp_path)
    (file,) = (tmp_path / "runs").glob("*.pt")
    return str(file), found.entries[0].runs[0]


def test_weights_evaluated_are_as_good_as_when_they_were_trained(net, stripes, trained, tmp_path):
    file, run = trained
    found = evaluate(net, stripes, file, recipe=QUICK).entries[0]
    assert found.evaluation.correct == run.epochs[-1].test_correct and found.runs == ()
    assert found.evaluation.class_correct == run.class_correct and found.evaluation.correct5 is None
    safetensors = pytest.importorskip("safetensors.torch")
    safetensors.save_file(torch.load(file, weights_only=True), tmp_path / "w.safetensors")
    again = evaluate(net, stripes, str(tmp_path / "w.safetensors"), recipe=QUICK).entries[0].evaluation
    assert again.class_correct == run.class_correct


def test_ten_crops_are_the_mean_of_ten_probabilities(net, stripes, trained):
    file, _ = trained
    recipe = replace(QUICK, crop_ratio=0.8)
    found = evaluate(net, stripes, file, recipe=recipe, crops=10).entries[0].evaluation
    module = networks.network(net, 3).build(0)
    module.load_state_dict(torch.load(file, weights_only=True))
    data = stripes.load((1, 10, 10))
    x, mean = data.test.images.float() / 255, data.train.images.double().mean() / 255
    x = (x - float(mean)) / float((data.train.images.double() / 255).std(correction=0))
    views = [x[..., 1:9, 1:9], x[..., :8, :8], x[..., :8, 2:], x[..., 2:, :8], x[..., 2:, 2:]]
    with torch.no_grad():
        each = [module.eval()(part).softmax(1) for view in views for part in (view, view.flip(3))]
    answers = torch.stack(each).mean(0).argmax(1)
    right = torch.bincount(data.test.labels[answers == data.test.labels], minlength=3)
    assert found.class_correct == tuple(right.tolist()) and found.crops == 10


def test_crops_that_are_refused(net, stripes, trained):
    with pytest.raises(BadOption, match=r"crops is 3; expected one of 1, 5, 10"):
        evaluate(net, stripes, trained[0], crops=3)
    with pytest.raises(BadOption, match=r"are all the same. Resize to more with --crop-ratio 0.875"):
        evaluate(net, stripes, trained[0], crops=5)


def test_weights_that_are_refused(net, stripes, trained, tmp_path, monkeypatch):
    state = torch.load(trained[0], weights_only=True)

    def refused(said, kind=BadFile, name="w.pt", model=net):
        with pytest.raises(kind) as seen:
            evaluate(model, stripes, str(tmp_path / name), recipe=QUICK)
        assert said in str(seen.value)

    refused("cannot be read", name="none.pt")
    torch.save(
        {"a.weight": state["fc.weight"], **{k: v for k, v in state.items() if k != "conv.bias"}}, tmp_path / "w.pt"
    )
    refused("of another network than")
    refused("1 missing (conv.bias); 1 unknown to it (a.weight)")
    torch.save(state, tmp_path / "w.pt")
    refused("conv.weight is (32, 1, 3, 3), expected (16, 1, 3, 3)", model=f"{net}(width=16)")
    torch.save(torch.nn.Linear(1, 1), tmp_path / "w.pt")
    refused("holds more than weights")
    torch.save([1], tmp_path / "w.pt")
    refused("holds no state dict")
    (tmp_path / "w.pt").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    refused("nothing in it was run")
    (tmp_path / "w.safetensors").write_bytes(b"no")
    refused("is not a .safetensors file", name="w.safetensors")
    monkeypatch.setitem(__import__("sys").modules, "safetensors.torch", None)
    refused("safetensors, which is not installed", MissingPackage, "w.safetensors")


def test_weights_as_training_scripts_wrap_them(net, stripes, trained, tmp_path):
    torch.save({"state_dict": torch.load(trained[0], weights_only=True)}, tmp_path / "w.pt")
    found = evaluate(net, stripes, str(tmp_path / "w.pt"), recipe=QUICK).entries[0].evaluation
    assert found.correct == trained[1].epochs[-1].test_correct
