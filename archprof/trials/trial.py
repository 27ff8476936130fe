"""Several networks trained, or evaluated, on the same images: the record that tables, figures and pages read."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..base import files
from ..base.errors import BadOption, BuildFailed, ForwardFailed, did_you_mean, one_line, printable
from ..base.options import options_of
from ..base.version import __version__
from ..measure import device as machine
from ..models import given
from ..results.conditions import Conditions
from ..results.environment import fingerprint
from ..results.recipe import OF_EVALUATION, Recipe, fields_by_name
from ..results.trials import SEEDS, Axis, Entry, Evaluation, Trial
from . import finding, grids, networks, running, shipped, training
from .augment import Pipeline
from .data import Images
from .grids import Planned, option_of
from .progress import Clock, Tell

CROPS = (1, 5, 10)

#: Trainings of one network that can be asked for: beyond, the number is a slip.
MOST_SEEDS = 10_000


class TrialInterrupted(KeyboardInterrupt):
    """Ctrl-C: `trial` holds every epoch that had ended until then."""

    def __init__(self, trial: Trial) -> None:
        super().__init__("interrupted")
        self.trial = trial


def trial(
    models: Any,
    data: Any,
    *,
    recipe: Recipe | str | None = None,
    recipe_name: str | None = None,
    grid: Mapping[str, Sequence[Any]] | Sequence[Axis] = (),
    epochs: int | Sequence[int] | None = None,
    seeds: int = SEEDS,
    hold_out: float | None = None,
    input_shape: Sequence[int] | None = None,
    device: str = "cpu",
    threads: int | None = None,
    compile: str | None = None,
    folder: str | Path | None = None,
    progress: Tell | None = None,
    **changed: Any,
) -> Trial:
    """Train networks under the same recipe, from the same seeds, on the same images, and evaluate images held out.

        archprof.trial(["mobilenetv1", Net], "photos", epochs=5, input_shape=(3, 64, 64))
        archprof.trial("resnet_tiny", {"images": x, "labels": y}, lr=0.01, grid={"activation": ["relu", "gelu"]})

    `models` are names, or classes and functions that build a network; a dict gives each the name to show. One that has
    another number of outputs than there are classes is told `num_classes`. `data` are what `--data` takes ('digits', a
    folder of images, CIFAR-10, an .npz), or a dict of arrays under the names of an .npz: images (N, H, W), (N, H, W, C)
    or (N, C, H, W), as whole numbers from 0 to 255 or floats from 0 to 1. Every network is given images of
    `input_shape` (C, H, W), its own by default: grey ones for one channel, colours for three. `hold_out` is the share
    of each class to evaluate on where the data have no test part (a fifth by default).

    `recipe` is a Recipe, the name of one that ships, or a .toml; by default the first network's own, where one ships.
    Its fields can be given as keywords and change it: `lr=0.01, batch_size=32`. `epochs` are the numbers of epochs
    after which accuracies are read; `grid` has values of the recipe's fields, or of options of the network, by name:
    every combination is trained, from the seeds 0 to `seeds` - 1. Seeds are the outer loop, so that networks meet the
    same machine in turn. `device`, `threads` and `compile` are as in `archprof.compare`.

    With `folder`, each run is kept below its `runs`: what is there already is not trained again, and a run that was
    stopped goes on after its last epoch. `progress` is called with a record of how far the trial is.

    Accuracies are those after the last epoch, never the best of several: choosing would use the images held out.

    A network that cannot be built, or fails in training, keeps its row, with the reason, where others do not. Raises
    what the data, the recipe and names raise before anything is trained; BadOutput where `folder` cannot be written;
    TrialInterrupted on Ctrl-C, with the results so far; TypeError for a keyword that nobody takes.
    """
    where = Conditions(device=device, threads=threads, compile=compile)
    named = grids.named(models)
    asked, name = shipped.asked(recipe, _text(named[0][1]), _fields("trial", changed), epochs)
    wanted = shipped.lengths(epochs) or (asked.epochs,)
    if type(seeds) is not int or not 1 <= seeds <= MOST_SEEDS:
        raise BadOption(f"seeds is {printable(str(seeds), 40)};", f"expected a whole number from 1 to {MOST_SEEDS:,}.")
    axes = grids.axes(grid)
    machine.check_available(where)
    plans = grids.planned(named, asked, axes, wanted)
    images = Images(finding.source(data, hold_out))
    known: dict[str, networks.Network] = {}
    entries = [_prepared(plan, images, known, input_shape) for plan in plans]
    if all(each.network is None for each in entries):
        raise ForwardFailed(entries[0].entry.error or "no network can be trained.")
    _refuse_twice(entries)

    def record(interrupted: bool = False) -> Trial:
        return Trial(
            environment=_environment(where, asked),
            data=images.facts,
            recipe=replace(asked, epochs=max(wanted)),
            epochs=wanted,
            seeds=seeds,
            entries=tuple(each.entry for each in entries),
            models=tuple(shown for shown, _ in named),
            hold_out=images.hold_out,
            grid=tuple(axes),
            recipe_name=name if recipe_name is None else recipe_name,
            archprof=__version__,
            interrupted=interrupted,
            input_shape=None if input_shape is None else tuple(input_shape),
        )

    runs = [(each, seed) for seed in range(seeds) for each in entries if each.network]
    clock = Clock(runs, progress)
    with machine.applied(where), _kept(folder) as place:
        try:
            for each, seed in runs:
                running.run(each, seed, images, where, place, clock)
        except KeyboardInterrupt:
            raise TrialInterrupted(record(interrupted=True)) from None
    return record()


def evaluate(
    model: Any,
    data: Any,
    weights: str | Path | Mapping[str, torch.Tensor] | None = None,
    *,
    recipe: Recipe | str | None = None,
    crops: int = 1,
    hold_out: float | None = None,
    input_shape: Sequence[int] | None = None,
    device: str = "cpu",
    threads: int | None = None,
    compile: str | None = None,
    **changed: Any,
) -> Trial:
    """Evaluate weights on the images held out; nothing is trained.

        archprof.evaluate("resnet_tiny", "digits", "weights.safetensors")
        archprof.evaluate(network, "photos", crops=10, crop_ratio=0.875)

    `model` is a name, or a class or function that builds one; then `weights` are a .safetensors file, a state dict in a
    file of torch.save (read without running code from it), or a state dict. Or it is a network with the weights to
    evaluate, of which a copy is used. `data`, `hold_out`, `input_shape`, `device`, `threads` and `compile` are as in
    `archprof.trial`.

    `crops` views of each image are averaged: 1, the middle; 5, with the four corners; 10, with their mirror images. Of
    `recipe` what concerns evaluation holds, and can be changed by keywords: batch_size, normalise, mean and deviation
    (by default those of the training images), crop_ratio, dtype.

    Returns a Trial of one entry, whose `evaluation` has the counts. Raises BadFile for weights of another network, with
    the keys; BadOption for crops that would all be the same, or for a keyword that has no effect here.
    """
    where = Conditions(device=device, threads=threads, compile=compile)
    for key in _fields("evaluate", changed):
        if key not in OF_EVALUATION:
            raise BadOption(f"'{key}' has no effect where nothing is trained.", "Leave it out.")
    name = _one(model)
    asked, _ = shipped.asked(recipe, _text(model), changed, None)
    if crops not in CROPS:
        raise BadOption(f"crops is {printable(str(crops), 40)};", f"expected one of {', '.join(map(str, CROPS))}.")
    machine.check_available(where)
    state, file, digest = networks.weights_of(model, weights)
    images = Images(finding.source(data, hold_out))
    if isinstance(model, nn.Module):
        network = networks.handed_over(model, images.classes, input_shape)
        module = network.build(0)
    else:
        network = networks.network(model, images.classes, input_shape=input_shape)
        module = network.build(0)
        networks.load_weights(module, state, file, network.name)
    shape = network.input_shape
    if crops > 1 and asked.stored(shape)[1:] == shape[1:]:
        raise BadOption(
            f"{crops} crops of an image as large as the network's input are all the same.",
            "Resize to more with --crop-ratio 0.875.",
        )
    loaded = images.at(shape, asked)
    module = module.to(where.device)
    pipeline = Pipeline(asked, shape, loaded.train.images, torch.device(where.device))
    with machine.applied(where):
        called = training.callable_of(module, where)
        try:
            found = training.evaluate(called, module, loaded.test, pipeline, asked, where, crops)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # sys.exit too
            raise ForwardFailed(f"{network.name} fails on the images held out: {one_line(error)}.") from error
    evaluation = Evaluation(file, digest, crops, found.correct, found.correct5, found.class_correct, found.seconds)
    entry = Entry(network.name, asked, {}, network.parameters, shape, evaluation=evaluation)
    return Trial(
        environment=_environment(where, asked),
        data=images.facts,
        recipe=asked,
        epochs=(asked.epochs,),
        seeds=1,
        entries=(entry,),
        models=(name,),
        hold_out=images.hold_out,
        archprof=__version__,
        input_shape=None if input_shape is None else tuple(input_shape),
    )


def _text(model: Any) -> str:
    """The model's name, where it has one by which a recipe may be found."""
    return model if isinstance(model, str) else ""


def _one(model: Any) -> str:
    """The name of the network to evaluate. Raises BadOption for anything else."""
    if not isinstance(model, str) and not callable(model):
        raise given.unknown(model)
    return networks.shown(model)


def _fields(function: str, changed: Mapping[str, Any]) -> Mapping[str, Any]:
    """The keywords, each a field of a recipe. Raises TypeError for any other."""
    fields = [name for name in fields_by_name() if name != "epochs"]
    for key in changed:
        if key not in fields:
            raise TypeError(f"{function}() has no argument '{key}'.{did_you_mean(key, fields)}")
    return changed


def _signature(function: Any, left_out: Sequence[str]) -> inspect.Signature:
    """What `help` shows: the fields of Recipe stand for **changed."""
    shown = inspect.signature(function)
    fields = [known for known in options_of(Recipe) if known.name not in left_out]
    keywords = [
        inspect.Parameter(known.name, inspect.Parameter.KEYWORD_ONLY, default=known.default) for known in fields
    ]
    usual = [each for each in shown.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
    return shown.replace(parameters=[*usual, *keywords])


trial.__signature__ = _signature(trial, ("epochs",))  # type: ignore[attr-defined]
evaluate.__signature__ = _signature(evaluate, [name for name in fields_by_name() if name not in OF_EVALUATION])  # type: ignore[attr-defined]


def _prepared(
    plan: Planned, images: Images, known: dict[str, networks.Network], input_shape: Sequence[int] | None
) -> running.InProgress:
    """The network looked for, built once and tried; its images loaded. What a user can mend is raised.

    `known` keeps what has been tried already, by name and options.
    """
    options = {name: option_of(plan.name, name, text) for name, text in plan.options}
    settings, key = dict(plan.settings), repr((plan.name, options))
    own = plan.name if plan.name != networks.shown(plan.model) else None
    try:
        if key not in known:
            known[key] = networks.network(
                plan.model, images.classes, name=own, options=options, input_shape=input_shape
            )  # fmt: skip
        network = known[key]
        images.at(network.input_shape, plan.recipe)
    except (BuildFailed, ForwardFailed) as reason:
        return running.InProgress(plan, None, Entry(plan.name, plan.recipe, settings, error=str(reason)))
    except BadOption as reason:
        strange = next((axis for axis in options if f"no option '{axis}'" in reason.message), None)
        if strange is None:
            raise
        raise BadOption(
            f"'{strange}' is no option of {plan.name}, nor a key of a recipe.{did_you_mean(strange, fields_by_name())}",
            f"Axes of a grid: {', '.join(fields_by_name())}, or an option of the network. {reason.remedy}",
        ) from None
    entry = Entry(network.name, plan.recipe, settings, network.parameters, network.input_shape)
    return running.InProgress(plan, network, entry)


def _refuse_twice(entries: Sequence[running.InProgress]) -> None:
    """Raise BadOption where two entries would be the very same training."""
    seen: dict[tuple[str, Recipe], running.InProgress] = {}
    for each in entries:
        other = seen.setdefault((each.entry.network, each.entry.recipe), each)
        if other is not each:
            raise BadOption(
                f"'{other.name}' and '{each.name}' are the same network under the same recipe.", "Name it once."
            )


@contextmanager
def _kept(folder: str | Path | None) -> Iterator[Path | None]:
    """The folder of a trial's runs, which nobody else writes to meanwhile. Raises BadOutput.

    As a full path: a network may change the working directory.
    """
    if folder is None:
        yield None
        return
    runs = running.made(Path(folder).absolute() / "runs")
    with files.alone(str(runs)):
        files.remove_halves(runs)
        yield runs


def _environment(where: Conditions, recipe: Recipe) -> dict[str, Any]:
    """What was trained on. What concerns measuring alone is left out."""
    found = machine.environment(where)
    for key in ("mode", "optimizer", "keep_memory", "cuda_graph", "channels_last", "fingerprint"):
        found.pop(key, None)
    found["dtype"] = recipe.dtype
    return {**found, "fingerprint": fingerprint(found)}
