"""Trials from Python: what may be handed over, and what is said of anything else."""

from __future__ import annotations

import inspect
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.small_net import Net
from helpers.stripes import arrays, stripes
from torch import nn

import archprof
from archprof.base import files
from archprof.base.errors import BadOption, BadOutput, ForwardFailed
from archprof.results.recipe import Recipe

QUICK = {"lr": 0.01, "batch_size": 30, "epochs": 1, "seeds": 1}


class Bare(nn.Module):
    """One channel, no `input_shape`, no default for the number of classes."""

    def __init__(self, num_classes: int, width: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, width, 3, padding=1)
        self.fc = nn.Linear(width * 64, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(torch.relu(self.conv(x)).flatten(1))


def trial(models, data=None, **options) -> archprof.Trial:
    return archprof.trial(models, stripes() if data is None else data, **{**QUICK, **options})


def seen(found: archprof.Trial) -> list:
    return [[epoch[:5] for epoch in run.epochs] for entry in found.entries for run in entry.runs]


def test_a_class_a_function_and_a_name_are_the_same_network(net):
    named = trial(net)
    for given in (Net, lambda num_classes=10: Net(num_classes)):
        assert seen(trial(given, input_shape=(1, 8, 8))) == seen(named)
    assert seen(trial(Net)) == seen(named)  # its class says which input it takes
    assert [entry.network for entry in trial([Net]).entries] == ["Net"]


def test_names_of_ones_own_and_options_that_a_grid_sets():
    found = trial({"small": Bare, "other": Net}, input_shape=(1, 8, 8), grid={"width": [2, 4]})
    assert [entry.network for entry in found.entries] == [f"{n}(width={w})" for n in ("small", "other") for w in (2, 4)]
    assert found.models == ("small", "other") and found.input_shape == (1, 8, 8)
    assert [entry.parameters for entry in found.entries][:2] == [2 * 10 + (2 * 64 + 1) * 3, 4 * 10 + (4 * 64 + 1) * 3]


def test_data_as_a_path_a_source_and_arrays(net, tmp_path):
    expected = seen(trial(net))
    np.savez(tmp_path / "stripes.npz", **arrays())
    assert seen(trial(net, tmp_path / "stripes.npz")) == seen(trial(net, str(tmp_path / "stripes.npz"))) == expected
    assert seen(trial(net, arrays())) == expected
    tensors = {name: torch.from_numpy(values) for name, values in arrays().items()}
    assert seen(trial(net, tensors)) == expected
    fixed = {name: values.copy() for name, values in arrays().items()}
    for values in fixed.values():
        values.setflags(write=False)
    assert seen(trial(net, fixed)) == expected
    whole = trial(net, {"images": arrays()["x_train"] / 255, "labels": arrays()["y_train"].tolist()}, hold_out=0.5)
    assert (whole.data.train_images, whole.data.test_images, whole.hold_out) == (45, 45, 0.5)


def test_recipes_by_name_by_record_and_by_keywords(net):
    record = Recipe(lr=0.01, batch_size=30, epochs=1)
    by_record = archprof.trial(net, stripes(), recipe=record, seeds=1)
    assert seen(by_record) == seen(trial(net)) and by_record.recipe_name == ""
    assert trial(net).recipe_name == "default, changed" and trial(net).recipe == record
    changed = archprof.trial(net, stripes(), recipe=record, lr=0.02, seeds=1)
    assert changed.recipe == replace(record, lr=0.02)
    named = archprof.trial(net, stripes(), recipe="resnet_tiny", epochs=1, seeds=1, warmup_epochs=0)
    assert named.recipe_name == "resnet_tiny, changed"


def test_a_grid_is_written_as_on_the_command_line(net):
    found = trial(net, grid={"flip": [False, True], "optimizer": ["sgd", "adam"]})
    assert [dict(entry.settings) for entry in found.entries][:2] == [
        {"flip": "false", "optimizer": "sgd"},
        {"flip": "false", "optimizer": "adam"},
    ]
    assert [entry.recipe.flip for entry in found.entries] == [False, False, True, True]


def test_the_input_shape_decides_whether_images_are_grey():
    seen = []

    class Looks(nn.Module):
        def __init__(self, num_classes: int = 3) -> None:
            super().__init__()
            self.fc = nn.LazyLinear(num_classes)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(x)
            return self.fc(x.flatten(1))

    for channels in (1, 3):
        found = trial(Looks, input_shape=(channels, 16, 12))
        assert found.entries[0].input_shape == (channels, 16, 12) and found.entries[0].error is None
        assert seen[-1].shape[1:] == (channels, 16, 12) and (seen[-1] == seen[-1][:, :1]).all()
    colours = {**arrays(), **{name: arrays()[name].repeat(3, 1) for name in ("x_train", "x_test")}}
    assert trial(Net, colours).data.image_shape == (3, 8, 8)


@pytest.mark.parametrize("shape", [(2, 8, 8), (4, 8, 8)])
def test_other_numbers_of_channels_are_one_error(shape):
    def network(num_classes: int = 3) -> nn.Module:
        return nn.Sequential(nn.Conv2d(shape[0], 4, 3), nn.Flatten(), nn.Linear(144, num_classes))

    with pytest.raises(
        BadOption, match=f"the images have 1 channel, the network takes {shape[0]}; expected 1 .grey. or 3"
    ):
        trial(network, input_shape=shape)


def test_layers_whose_shapes_follow_from_the_first_image():
    def lazy(num_classes: int = 3) -> nn.Module:
        return nn.Sequential(nn.LazyConv2d(4, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(num_classes))

    found = trial(lazy, input_shape=(1, 8, 8), epochs=3)
    assert found.entries[0].error is None and found.entries[0].parameters == 4 * 10 + (144 + 1) * 3
    assert found.entries[0].runs[0].epochs[-1].train_loss < 1


def test_weights_evaluated(net):
    module = Bare(3)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    module.train()
    handed = archprof.evaluate(module, stripes(), input_shape=(1, 8, 8))
    assert module.training and all(torch.equal(before[key], value) for key, value in module.state_dict().items())
    state = archprof.evaluate(Bare, stripes(), module.state_dict(), input_shape=(1, 8, 8))
    one, two = handed.entries[0].evaluation, state.entries[0].evaluation
    assert one.class_correct == two.class_correct and one.sha256 == two.sha256
    assert (one.weights, two.weights) == ("handed over", "a state dict")
    assert archprof.Trial.from_json(handed.to_json()) == handed
    ten = archprof.evaluate(module, stripes(), input_shape=(1, 8, 8), crops=10, crop_ratio=0.8)
    assert ten.entries[0].evaluation.crops == 10


def test_an_evaluation_that_draws_random_numbers_can_be_repeated():
    class Noisy(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) + torch.randn(len(x), 3)

    module = Noisy(3)
    found = [archprof.evaluate(module, stripes()).entries[0].evaluation.class_correct for _ in range(3)]
    assert found[0] == found[1] == found[2]


def test_it_shows_itself(net):
    found = trial(net, grid={"lr": [0.01, 1e6]}, seeds=2)
    lines = repr(found).splitlines()
    assert lines[0] == "Trial: Accuracy on stripes: 36 images held out, 90 for training" and len(lines) == 4
    assert lines[2].split()[0] == "lr=0.01" and lines[2].endswith("2 seeds")
    assert found._repr_html_().startswith("<table>") and "| lr=0.01 |" in found.to_markdown()
    frame = found.to_frame()
    assert len(frame) == sum(len(run.epochs) for entry in found.entries for run in entry.runs)
    first = frame.iloc[0]
    assert first.test_accuracy == first.test_correct / 36 and (first.lr, first.seed, first.epoch) == ("0.01", 0, 1)
    assert "Accuracy of given weights" in repr(archprof.evaluate(Net(3), stripes()))


def test_its_figures(net, tmp_path):
    found = trial(net, grid={"lr": [0.01, 0.001]}, epochs=(1, 2))
    for kind in ("curves", "grid"):
        figure = archprof.plot(kind, found, tmp_path / f"{kind}.png", width=3)
        assert (tmp_path / f"{kind}.png").stat().st_size > 5000 and figure.get_figwidth() == 3
    for kind, subject, said in (
        ("ball", found, "'ball' is a figure of a comparison; a trial was handed over"),
        ("curves", [net], "'curves' is a figure of a trial; something else was handed over"),
        ("curve", found, "unknown figure 'curve'. Did you mean 'curves'?"),
    ):
        with pytest.raises(BadOption, match=said):
            archprof.plot(kind, subject)
    with pytest.raises(TypeError, match=r"plot\(\) of a trial has no argument 'device'"):
        archprof.plot("grid", found, device="cpu")


def test_help_names_the_fields_of_a_recipe():
    names = list(inspect.signature(archprof.trial).parameters)
    assert {"lr", "optimizer", "seeds", "device"} <= set(names) and len(set(names)) == len(names)
    names = list(inspect.signature(archprof.evaluate).parameters)
    assert "crop_ratio" in names and "lr" not in names


def test_one_process_at_a_time_writes_into_a_folder(net, tmp_path):
    with files.alone(str(tmp_path / "runs")), pytest.raises(BadOutput, match="another archprof is writing to"):
        trial(net, folder=tmp_path)
    assert trial(net, folder=tmp_path).entries[0].runs


WRONG = [
    (lambda: trial([]), BadOption, "no network is given;"),
    (lambda: trial(3), BadOption, "a model cannot be of type int;"),
    (lambda: trial(Net(3)), BadOption, "has its weights already, which cannot be drawn anew; hand over its class"),
    (lambda: trial([Net, Net]), BadOption, "'Net' is named twice."),
    (lambda: trial(Net, 3), BadOption, "data cannot be of type int; expected 'digits', a path, or a dict of arrays"),
    (lambda: trial(Net, {}), archprof.ArchprofError, "the data lacks arrays of known names; it has: none"),
    (lambda: trial(Net, {"images": 3, "labels": [1]}), archprof.ArchprofError, "images has the shape ()"),
    (lambda: trial(Net, {"images": [[1], [1, 2]], "labels": [1]}), archprof.ArchprofError, "images is no array"),
    (lambda: trial(Net, hold_out=0.5), BadOption, "the data have a test part"),
    (lambda: trial(Net, {"images": np.zeros((4, 8, 8)), "labels": [0, 1, 0, 1]}, hold_out=2), BadOption, "out is 2;"),
    (lambda: trial(Net, seeds=0), BadOption, "seeds is 0; expected a whole number from 1 to 10,000"),
    (lambda: trial(Net, seeds=10**9), BadOption, "seeds is 1000000000;"),
    (
        lambda: trial(Net, grid={name: range(1, 9) for name in ("a", "b", "c", "d", "e")}),
        BadOption,
        "the grid has 32,768 settings, more than 10,000",
    ),
    (lambda: trial(Net, input_shape=(1, 10**6, 10**6)), BadOption, "the images take 7.28 TiB in memory"),
    (lambda: trial(Net, seeds=1.5), BadOption, "seeds is 1.5;"),
    (lambda: trial(Net, epochs=0), BadOption, "epochs is 0; expected whole numbers above 0"),
    (lambda: trial(Net, epochs=[1, True]), BadOption, "epochs is True;"),
    (lambda: trial(Net, lr=float("nan")), BadOption, "learning rate is nan; expected a number above 0"),
    (lambda: trial(Net, lr=-1), BadOption, "learning rate is -1;"),
    (lambda: trial(Net, lr=10**400), BadOption, "learning rate is inf;"),
    (lambda: trial(Net, lr="0.1"), BadOption, "lr is '0.1'; expected a number"),
    (lambda: trial(Net, lr=True), BadOption, "lr is True; expected a number"),
    (lambda: trial(Net, flip=1), BadOption, "flip is 1; expected true or false"),
    (lambda: trial(Net, weight_decay=float("nan")), BadOption, "weight_decay is nan;"),
    (lambda: trial(Net, mean=[float("nan")], deviation=[1]), BadOption, "mean and deviation are not finite"),
    (lambda: trial(Net, mean=["a"], deviation=[1]), BadOption, "mean is ['a']; expected numbers"),
    (lambda: trial(Net, lrr=0.1), TypeError, "trial() has no argument 'lrr'. Did you mean 'lr'?"),
    (lambda: trial(Net, recipe="none"), BadOption, "unknown recipe 'none'"),
    (lambda: trial(Net, input_shape=(8, 8)), BadOption, "input shape 8x8 is not one of images; expected C,H,W"),
    (lambda: trial(Net, input_shape=8), BadOption, "input shape 8 is not one of images"),
    (lambda: trial(Net, input_shape=(1, 8, -8)), BadOption, "input shape 1x8x-8 is not one of images"),
    (lambda: trial(Bare), ForwardFailed, "Bare does not take images of 3x224x224"),
    (lambda: trial("resnet_tiny", input_shape=(1, 16, 16)), ForwardFailed, "name it with in_channels=1"),
    (lambda: trial(Net, grid={"lr": [0.1, 0.1]}), BadOption, "has the value 0.1 twice"),
    (lambda: trial(Net, grid={"lr": ["0.1", "1e-1"]}), BadOption, "grid: lr=0.1 and lr=1e-1 are the same."),
    (lambda: trial(Net, grid={"flip": ["true", True]}), BadOption, "has the value true twice"),
    (lambda: trial(Net, grid={"lr": 0.1}), BadOption, "has no values for a name; expected {'lr': [0.1, 0.01]}"),
    (lambda: trial(Net, grid={"lr": []}), BadOption, "has no values for a name"),
    (lambda: trial(Net, grid={"epochs": [1, 2]}), BadOption, "epochs are not an axis of the grid. Give --epochs 1,2"),
    (lambda: trial(Net, grid={"depth": [1]}), BadOption, "'depth' is no option of Net, nor a key of a recipe"),
    (lambda: trial(["resnet_tiny", "resnet_tiny()"]), BadOption, "are the same network under the same recipe"),
    (lambda: trial(Net, device="cuda"), BadOption, "finds no CUDA device"),
    (lambda: trial(Net, threads=0), BadOption, "threads is 0;"),
    (lambda: archprof.evaluate(Net(3), stripes(), "w.pt"), BadOption, "has its weights already; others are given"),
    (lambda: archprof.evaluate(Net, stripes()), BadOption, "no weights are given for Net;"),
    (lambda: archprof.evaluate(Net, stripes(), 3), BadOption, "weights cannot be of type int;"),
    (lambda: archprof.evaluate(Net, stripes(), {"a": torch.ones(1)}), archprof.ArchprofError, "of another network"),
    (lambda: archprof.evaluate(Net(4), stripes()), BadOption, "Net has 4 outputs; the data have 3 classes."),
    (lambda: archprof.evaluate(Net(3), stripes(), lr=1), BadOption, "'lr' has no effect where nothing is trained."),
    (lambda: archprof.evaluate(Net(3), stripes(), lrr=1), TypeError, "evaluate() has no argument 'lrr'."),
    (lambda: archprof.evaluate([Net], stripes()), BadOption, "a model cannot be of type list;"),
    (lambda: archprof.evaluate(Net(3), stripes(), crops=5, crop_ratio=0.97), BadOption, "are all the same"),
]


@pytest.mark.parametrize("place", range(len(WRONG)))
def test_what_is_refused(place):
    call, kind, said = WRONG[place]
    with pytest.raises(kind) as reason:
        call()
    assert said in str(reason.value) and "\n" not in str(reason.value)
