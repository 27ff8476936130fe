"""Several networks trained, or evaluated, on the same images: the record that tables, figures and pages read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ..base.errors import ArchprofError, BadOption, BuildFailed, ForwardFailed, did_you_mean, one_line
from ..base.version import __version__
from ..measure import device
from ..results.conditions import Conditions
from ..results.environment import fingerprint
from ..results.recipe import Recipe, fields_by_name
from ..results.trials import HOLD_OUT, SEEDS, Axis, Entry, Evaluation, Run, Trial
from . import networks
from .augment import Pipeline
from .checkpoints import Place
from .data import Data, Source
from .finding import find
from .grids import Planned, option_of, planned
from .training import Training, evaluate

CROPS = (1, 5, 10)


class Told(NamedTuple):
    """How far a trial is. `done` and `total` are epochs of all runs, `accuracy` the last share that was right."""

    doing: str
    done: float
    total: int
    left_s: float | None
    accuracy: float | None


Tell = Callable[[Told], None]


class TrialInterrupted(KeyboardInterrupt):
    """Ctrl-C: `trial` holds every epoch that had ended until then."""

    def __init__(self, trial: Trial) -> None:
        super().__init__("interrupted")
        self.trial = trial


@dataclass
class _InProgress:
    """One entry while its runs are made; `network` is None where it cannot be."""

    plan: Planned
    network: networks.Network | None
    entry: Entry

    def with_run(self, run: Run) -> None:
        kept = [other for other in self.entry.runs if other.seed != run.seed]
        self.entry = replace(self.entry, runs=tuple(sorted([*kept, run], key=lambda each: each.seed)))


def trial(
    models: Sequence[str],
    data: str | Source,
    *,
    recipe: Recipe | None = None,
    recipe_name: str = "",
    grid: Sequence[Axis] = (),
    epochs: Sequence[int] = (),
    seeds: int = SEEDS,
    hold_out: float | None = None,
    conditions: Conditions | None = None,
    folder: str | Path | None = None,
    progress: Tell | None = None,
) -> Trial:
    """Train every network under the recipe, the grid's settings in turn, once from each of the seeds 0, 1, ...

    `hold_out` is the share of each class to evaluate on, where the data have no test part (HOLD_OUT by default).
    `epochs` are the numbers of epochs after which accuracies are read (the recipe's own by default). Seeds are the
    outer loop, so that networks meet the same machine in turn. With `folder`, each run is kept below its `runs`: what
    is there already is not trained again, and a run that was stopped goes on after its last epoch.

    Accuracies are those after the last epoch, never the best of several: choosing would use the images held out.
    Raises what the data, the recipe and names raise before anything is trained; TrialInterrupted on Ctrl-C.
    """
    recipe, where = recipe or Recipe(), conditions or Conditions()
    wanted = tuple(sorted(set(epochs))) or (recipe.epochs,)
    if seeds < 1:
        raise BadOption(f"seeds is {seeds};", "expected a whole number above 0.")
    device.check_available(where)
    plans = planned(models, recipe, grid, wanted)
    images = _Images(_source(data, hold_out))
    known: dict[str, networks.Network] = {}
    entries = [_prepared(plan, images, known) for plan in plans]
    if all(each.network is None for each in entries):
        raise ForwardFailed(entries[0].entry.error or "no network can be trained.")

    def record(interrupted: bool = False) -> Trial:
        return Trial(
            environment=_environment(where, recipe),
            data=images.facts,
            recipe=replace(recipe, epochs=max(wanted)),
            epochs=wanted,
            seeds=seeds,
            entries=tuple(each.entry for each in entries),
            models=tuple(models),
            hold_out=images.hold_out,
            grid=tuple(grid),
            recipe_name=recipe_name,
            archprof=__version__,
            interrupted=interrupted,
        )

    clock = _Clock([(each, seed) for seed in range(seeds) for each in entries if each.network], progress)
    with device.applied(where):
        try:
            for each, seed in clock.runs:
                _run(each, seed, images, where, Path(folder) / "runs" if folder else None, clock)
        except KeyboardInterrupt:
            raise TrialInterrupted(record(interrupted=True)) from None
    return record()


def evaluated(
    model: str,
    data: str | Source,
    weights: str,
    *,
    recipe: Recipe | None = None,
    crops: int = 1,
    hold_out: float | None = None,
    conditions: Conditions | None = None,
) -> Trial:
    """Evaluate weights of a file on the images held out; nothing is trained.

    `crops` views of each image are averaged: the middle, with the four corners, with their mirror images. Of the recipe
    what concerns evaluation holds: batch size, normalisation, crop ratio, dtype. Raises BadFile for weights of another
    network, BadOption for crops that would all be the same.
    """
    recipe, where = recipe or Recipe(), conditions or Conditions()
    if crops not in CROPS:
        raise BadOption(f"crops is {crops};", f"expected one of {', '.join(map(str, CROPS))}.")
    if crops > 1 and recipe.crop_ratio == 1:
        raise BadOption(
            f"{crops} crops of an image as large as the network's input are all the same.",
            "Resize to more with --crop-ratio 0.875.",
        )
    device.check_available(where)
    state = networks.read_weights(weights)
    images = _Images(_source(data, hold_out))
    classes = images.classes
    network = networks.network(model, classes)
    module = network.build(0)
    networks.load_weights(module, state, weights, network.name)
    loaded = images.at(network.input_shape, recipe)
    module = module.to(where.device)
    pipeline = Pipeline(recipe, network.input_shape, loaded.train.images, torch.device(where.device))
    with device.applied(where):
        found = evaluate(module, module, loaded.test, pipeline, recipe, where, crops)
    digest = hashlib.sha256(Path(weights).read_bytes()).hexdigest()[:12]
    evaluation = Evaluation(
        Path(weights).name, digest, crops, found.correct, found.correct5, found.class_correct, found.seconds
    )
    entry = Entry(
        network.name, recipe, {}, network.parameters, network.input_shape, evaluation=evaluation
    )  # fmt: skip
    return Trial(
        environment=_environment(where, recipe),
        data=images.facts,
        recipe=recipe,
        epochs=(recipe.epochs,),
        seeds=1,
        entries=(entry,),
        models=(model,),
        hold_out=images.hold_out,
        archprof=__version__,
    )


class _Images:
    """The data at each size that some network takes; loaded once for each."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.loaded: dict[tuple[int, int, int], Data] = {}

    @property
    def classes(self) -> int:
        """How many there are."""
        return len(self.source.classes)

    @property
    def hold_out(self) -> float | None:
        """The share of each class that is held out; None where the data have a test part."""
        return self.source.hold_out

    @property
    def facts(self) -> Any:
        """Of the data as they were first loaded; a network that takes another size sees the same images."""
        return next(iter(self.loaded.values())).facts

    def at(self, shape: tuple[int, int, int], recipe: Recipe) -> Data:
        """The data for a network that takes (C, H, W), resized to more where the recipe crops."""
        stored = (shape[0], round(shape[1] / recipe.crop_ratio), round(shape[2] / recipe.crop_ratio))
        if stored not in self.loaded:
            self.loaded[stored] = self.source.load(stored)
        return self.loaded[stored]


def _source(data: str | Source, hold_out: float | None) -> Source:
    """Where images come from. Raises BadOption for a share to hold out where there is a test part."""
    found = find(data, HOLD_OUT if hold_out is None else hold_out) if isinstance(data, str) else data
    if hold_out is not None and found.hold_out is None:
        raise BadOption("a share to hold out has no effect: the data have a test part.", "Leave out --hold-out.")
    return found


def _prepared(plan: Planned, images: _Images, known: dict[str, networks.Network]) -> _InProgress:
    """The network looked for, built once and tried; its images loaded. What a user can mend is raised.

    `known` keeps what has been tried already, by name.
    """
    options = {name: option_of(plan.model, name, text) for name, text in plan.options}
    name = networks.with_options(plan.model, **options) if options else plan.model
    settings = dict(plan.settings)
    try:
        network = known.get(name) or networks.network(name, images.classes)
        known[name] = network
        images.at(network.input_shape, plan.recipe)
    except (BuildFailed, ForwardFailed) as reason:
        return _InProgress(plan, None, Entry(name, plan.recipe, settings, error=str(reason)))
    except BadOption as reason:
        strange = next((axis for axis in options if f"no option '{axis}'" in reason.message), None)
        if strange is None:
            raise
        raise BadOption(
            f"'{strange}' is no option of {plan.model}, nor a key of a recipe."
            f"{did_you_mean(strange, fields_by_name())}",
            f"Axes of a grid: {', '.join(fields_by_name())}, or an option of the network. {reason.remedy}",
        ) from None
    entry = Entry(network.name, plan.recipe, settings, network.parameters, network.input_shape)
    return _InProgress(plan, network, entry)


def _run(each: _InProgress, seed: int, images: _Images, where: Conditions, folder: Path | None, clock: _Clock) -> None:
    """Train one network from one seed, going on from what is kept in the folder."""
    network, recipe = each.network, each.plan.recipe
    assert network is not None
    data = images.at(network.input_shape, recipe)
    place = None
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        place = Place(folder, network.name, recipe, seed, data.facts.fingerprint, network.input_shape)
        if (ended := place.finished()) is not None:
            each.with_run(ended)
            clock.passed(each, seed)
            return
    run = Run(seed)
    try:
        training = Training(network.build(seed), recipe, data, network.input_shape, where, seed)
        kept = place.resumed() if place else None
        if kept is not None:
            training.resume(kept[0])
            run = kept[1]
            each.with_run(run)
            clock.resumed(each, seed, len(run.epochs))
        for number in range(len(run.epochs), recipe.epochs):
            if run.diverged:
                break
            seen, by_class = training.epoch(number, lambda part: clock.step(each, seed, number, part))  # noqa: B023
            run = Run(seed, (*run.epochs, seen), by_class)
            each.with_run(run)
            clock.epoch(each, seed, number, seen.train_seconds + seen.test_seconds, seen.test_correct / len(data.test))
            if place is not None and number + 1 < recipe.epochs:
                place.save(training.state(), run)
    except ArchprofError:
        raise
    except Exception as error:  # one network's failure is not the end of the others
        each.entry = replace(each.entry, error=f"{each.entry.name}, seed {seed}: {one_line(error)}")
        clock.passed(each, seed)
        return
    if place is not None:
        place.finish(training.state()["model"], run)
    clock.passed(each, seed)


class _Clock:
    """Tells how far the trial is, and how long the rest will take: what epochs of the same entry took, or of others."""

    def __init__(self, runs: list[tuple[_InProgress, int]], tell: Tell | None) -> None:
        self.runs, self.tell = runs, tell
        self.left = {(id(each), seed): each.plan.recipe.epochs for each, seed in runs}
        self.total = sum(self.left.values())
        self.seconds: dict[int, list[float]] = {}
        self.accuracy: float | None = None

    def step(self, each: _InProgress, seed: int, number: int, part: float) -> None:
        """Within an epoch."""
        self._tell(each, seed, number, part)

    def epoch(self, each: _InProgress, seed: int, number: int, seconds: float, accuracy: float) -> None:
        """An epoch has ended."""
        self.seconds.setdefault(id(each), []).append(seconds)
        self.left[id(each), seed] = each.plan.recipe.epochs - number - 1
        self.accuracy = accuracy
        self._tell(each, seed, number, 0.0)

    def resumed(self, each: _InProgress, seed: int, epochs: int) -> None:
        """A run goes on after so many epochs."""
        self.left[id(each), seed] = each.plan.recipe.epochs - epochs

    def passed(self, each: _InProgress, seed: int) -> None:
        """A run has ended, whether all its epochs were made or not."""
        self.left[id(each), seed] = 0

    def _tell(self, each: _InProgress, seed: int, number: int, part: float) -> None:
        if self.tell is None:
            return
        every = [second for seconds in self.seconds.values() for second in seconds]
        usual = sum(every) / len(every) if every else None
        left = None
        if usual is not None:
            means = {key: sum(seconds) / len(seconds) for key, seconds in self.seconds.items()}
            left = sum(count * means.get(key, usual) for (key, _), count in self.left.items())
        done = self.total - sum(self.left.values()) + part
        epochs = each.plan.recipe.epochs
        doing = f"{each.entry.name}, seed {seed}, epoch {min(number + 1, epochs)} of {epochs}"
        self.tell(Told(doing, done, self.total, left, self.accuracy))


def _environment(where: Conditions, recipe: Recipe) -> dict[str, Any]:
    """What was trained on. What concerns measuring alone is left out."""
    found = device.environment(where)
    for key in ("mode", "optimizer", "keep_memory", "cuda_graph", "channels_last", "fingerprint"):
        found.pop(key, None)
    found["dtype"] = recipe.dtype
    return {**found, "fingerprint": fingerprint(found)}
