"""Networks trained under one recipe: what was seen epoch by epoch, and what follows from it. Standard library only.

Counts of images and seconds are kept as they were observed; accuracies, intervals and ratios are derived.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

from ..base import json_lines
from ..base.errors import ArchprofError, BadFile
from . import presentation
from .comparison import Accuracy
from .intervals import student, wilson
from .recipe import Recipe, words

if TYPE_CHECKING:
    import pandas

SCHEMA_VERSION = 1

#: Trainings of each network where nothing else is asked for: the fewest from which a spread can be told.
SEEDS = 3

#: The share of each class that is held out where the data have no test part of their own.
HOLD_OUT = 0.2

#: The file of a trial's folder that holds its record.
FILE = "trial.json"


@dataclass(frozen=True)
class DataFacts:
    """What was trained and evaluated on. `image_shape` is (C, H, W) before resizing, None where images differ.

    `left_out` names each image that could not be read, with the reason; `fingerprint` is of the images used.
    """

    name: str
    classes: tuple[str, ...]
    train_images: int
    test_images: int
    image_shape: tuple[int, ...] | None
    split: str
    test_by_class: tuple[int, ...] = ()
    left_out: tuple[str, ...] = ()
    fingerprint: str = ""


class Epoch(NamedTuple):
    """One pass over the training images, then one over those held out.

    Losses are means over images, None where they are not finite. `train_correct` counts images as they were when the
    network met them (augmented, weights still changing), `test_correct` and `test_correct5` held-out ones afterwards:
    the right class first, or among the first five (None with fewer than six classes). `joules` are of the training
    pass, None without a meter.
    """

    train_loss: float | None
    train_correct: int
    test_loss: float | None
    test_correct: int
    test_correct5: int | None
    train_seconds: float
    test_seconds: float
    joules: float | None = None


@dataclass(frozen=True)
class Run:
    """One training from one seed, as far as it came. `class_correct` counts right answers by class after the last."""

    seed: int
    epochs: tuple[Epoch, ...] = ()
    class_correct: tuple[int, ...] = ()

    @property
    def diverged(self) -> int | None:
        """The epoch, from 1 on, in which the loss was no longer finite; None: it stayed so."""
        return next((place for place, seen in enumerate(self.epochs, 1) if seen.train_loss is None), None)

    def after(self, epochs: int) -> Epoch | None:
        """What was seen after so many epochs; a diverged run stays as it was when it was given up."""
        if len(self.epochs) >= epochs:
            return self.epochs[epochs - 1]
        return self.epochs[-1] if self.diverged else None


@dataclass(frozen=True)
class Evaluation:
    """Weights from a file, evaluated. `crops` views of each image are averaged; `seconds` are of the whole pass."""

    weights: str
    sha256: str
    crops: int
    correct: int
    correct5: int | None
    class_correct: tuple[int, ...]
    seconds: float


@dataclass(frozen=True)
class Score:
    """How many of the same images each seed's network got right."""

    correct: tuple[int, ...]
    images: int

    @property
    def mean(self) -> float:
        """The mean share over seeds."""
        return fmean(self.correct) / self.images

    @property
    def over_images(self) -> tuple[float, float]:
        """95 % interval for other images of the same kind (Wilson), networks as they are."""
        return wilson(self.mean, self.images)

    def guesses(self, classes: int) -> bool:
        """Whether some seed cannot be told from guessing: its own interval over images reaches down to one in so
        many."""
        return any(wilson(count / self.images, self.images)[0] <= 1 / classes for count in self.correct)

    @property
    def over_seeds(self) -> tuple[float, float] | None:
        """95 % interval of the mean for other seeds (Student), images as they are; None for one seed.

        Cut off at 0 and 1, which the mean cannot leave.
        """
        ends = student([count / self.images for count in self.correct])
        return None if ends is None else (max(ends[0], 0.0), min(ends[1], 1.0))


@dataclass(frozen=True)
class Entry:
    """One network under one recipe. `settings` are a grid's values for it, by axis, as they were written.

    `error` says why it could not be trained; then there are no runs, or fewer than seeds.
    """

    network: str
    recipe: Recipe
    settings: Mapping[str, str] = field(default_factory=dict)
    parameters: int = 0
    input_shape: tuple[int, ...] = ()
    runs: tuple[Run, ...] = ()
    evaluation: Evaluation | None = None
    error: str | None = None

    @property
    def name(self) -> str:
        """The network, and what sets this entry apart from others of the same one."""
        more = ", ".join(f"{axis}={value}" for axis, value in self.settings.items() if axis != "activation")
        return f"{self.network}, {more}" if more else self.network

    def finished(self, epochs: int | None = None) -> list[tuple[Run, Epoch]]:
        """Each run with what was seen after so many epochs (the recipe's): those that came so far, or diverged."""
        wanted = epochs or self.recipe.epochs
        return [(run, seen) for run in self.runs if (seen := run.after(wanted)) is not None]

    def score(self, images: int, epochs: int | None = None, top: int = 1) -> Score | None:
        """Held-out images that were right, by seed; None where no run came so far."""
        if self.evaluation is not None:
            found = self.evaluation.correct if top == 1 else self.evaluation.correct5
            return None if found is None else Score((found,), images)
        counts = [seen.test_correct if top == 1 else seen.test_correct5 for _, seen in self.finished(epochs)]
        known = tuple(count for count in counts if count is not None)
        return Score(known, images) if known else None

    @property
    def train_seconds(self) -> list[float]:
        """Seconds of each epoch's training pass, over all seeds."""
        return [seen.train_seconds for run in self.runs for seen in run.epochs]

    @property
    def test_seconds(self) -> list[float]:
        """Seconds of each pass over the held-out images, over all seeds."""
        if self.evaluation is not None:
            return [self.evaluation.seconds]
        return [seen.test_seconds for run in self.runs for seen in run.epochs]


@dataclass(frozen=True)
class Axis:
    """One choice of a grid and its values, as they were written."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, repr=False)
class Trial:
    """Networks trained on the same images, under the same recipe but for what the grid varies, from the same seeds.

    `epochs` are the numbers of epochs after which accuracies are read. `recipe` is what was asked for, `recipe_name`
    where it came from; `models` are the networks as they were named, `hold_out` the share that was (None: the data have
    a test part), `input_shape` the input that was asked for (None: each network's own). `interrupted`: not every run
    that was asked for has ended.
    """

    environment: Mapping[str, Any]
    data: DataFacts
    recipe: Recipe
    epochs: tuple[int, ...]
    seeds: int
    entries: tuple[Entry, ...]
    models: tuple[str, ...] = ()
    hold_out: float | None = None
    grid: tuple[Axis, ...] = ()
    recipe_name: str = ""
    archprof: str = ""
    interrupted: bool = False
    input_shape: tuple[int, ...] | None = None

    @classmethod
    def read(cls, path: str | Path) -> Trial:
        """The record in a trial's folder, or in its file. Raises BadFile."""
        file = Path(path)
        file = file / FILE if file.is_dir() else file
        try:
            text = file.read_text(encoding="utf-8")
        except OSError as reason:
            raise BadFile(
                f"cannot read '{file}': {reason.strerror}.", "Expected a folder that 'archprof trial -o' wrote."
            ) from None
        except UnicodeDecodeError:
            raise BadFile(f"'{file}' is not text in UTF-8.") from None
        try:
            return cls.from_json(text)
        except BadFile as reason:
            raise BadFile(f"'{file}': {reason.message}", reason.remedy) from None

    @property
    def evaluates(self) -> bool:
        """Whether weights from a file were evaluated, and nothing trained."""
        return any(entry.evaluation is not None for entry in self.entries)

    @property
    def final(self) -> int:
        """The largest number of epochs: what an accuracy without one means."""
        return max(self.epochs)

    @property
    def rows(self) -> list[list[Entry]]:
        """Entries that differ in their number of epochs alone, together: one row of a grid each."""
        found: dict[tuple[str, tuple[tuple[str, str], ...]], list[Entry]] = {}
        for entry in self.entries:
            found.setdefault((entry.network, tuple(entry.settings.items())), []).append(entry)
        return list(found.values())

    def score(self, row: list[Entry], epochs: int, top: int = 1) -> Score | None:
        """What a row's networks got right after so many epochs."""
        entry = entry_for(row, epochs)
        return None if entry is None else entry.score(self.data.test_images, epochs, top)

    def accuracies(self) -> tuple[Accuracy, ...]:
        """The accuracies as claims, marked as measured; those that failed have none.

        A network with several settings has several, in front that of the recipe as it was asked for, where it is among
        them: the first is the one that tables and figures show.
        """
        who = f"measured by archprof {self.archprof}"
        when, where = str(self.environment.get("date", ""))[:10], self.environment.get("device_name", "")
        source = " ".join(filter(None, (who, f"on {when}" if when else "", f"({where})" if where else "")))
        found = []
        for row in sorted(self.rows, key=lambda row: row[0].recipe != self.recipe):
            entry = entry_for(row, self.final)
            for top, metric in ((1, "top1"), (5, "top5")):
                score = self.score(row, self.final, top)
                if entry is None or score is None:
                    continue
                found.append(
                    Accuracy(
                        architecture=entry.network,
                        dataset=self.data.name,
                        metric=metric,
                        percent=round(100 * score.mean, 6),
                        source=source,
                        url="",
                        protocol=protocol(self, entry, score),
                        resolution=entry.input_shape[-1] if entry.input_shape else None,
                        weights=entry.evaluation.weights if entry.evaluation else "trained here",
                        retrieved=when,
                        measured=True,
                    )
                )
        return tuple(found)

    def to_frame(self) -> pandas.DataFrame:
        """One row for each epoch of each run: losses, counts and shares of right answers, seconds."""
        import pandas

        return pandas.DataFrame(presentation.rows(self))

    def to_markdown(self) -> str:
        """The tables as Markdown, notes below each."""
        return presentation.present(self, "markdown")

    def __repr__(self) -> str:
        return presentation.brief(self)

    def _repr_html_(self) -> str:
        return presentation.present(self, "html")

    def to_json(self) -> str:
        """The record as JSON, a line for each epoch."""
        saved = {"schema_version": SCHEMA_VERSION, "trial": True, **asdict(self)}
        for entry, out in zip(self.entries, saved["entries"], strict=True):
            for run, kept in zip(entry.runs, out["runs"], strict=True):
                kept["epochs"] = [seen._asdict() for seen in run.epochs]
        return json_lines.dumps(_plain(saved), levels=6)

    @classmethod
    def from_json(cls, text: str) -> Trial:
        """Read back what `to_json` wrote. Raises BadFile, which names the key, for anything else."""
        from . import reading  # it is slow to import

        try:
            saved = json_lines.loads(text)
        except ValueError as reason:
            raise BadFile(f"not JSON: {reason}.", "Expected the file that 'archprof trial' wrote.") from None
        reading.check_version(saved, SCHEMA_VERSION, "Read it with the archprof that wrote it.")
        if not saved.get("trial"):
            raise BadFile("JSON of archprof, but not of a trial.", "Expected the file that 'archprof trial' wrote.")
        try:
            entries = tuple(
                reading.checked(Entry, entry, f"entries[{place}]", recipe=_recipe(entry, f"entries[{place}]"))
                for place, entry in enumerate(reading.checked(list[dict[str, Any]], saved.get("entries"), "entries"))
            )
            found: Trial = reading.checked(
                cls, saved, environment=reading.environment(saved.get("environment")), recipe=_recipe(saved, "it"),
                entries=entries,
            )  # fmt: skip
        except BadFile:
            raise
        except ArchprofError as reason:
            raise BadFile(reason.message, reason.remedy) from None
        if not found.epochs or found.seeds < 1 or found.data.test_images < 1 or not found.data.classes:
            raise BadFile("a trial has at least one number of epochs, one seed, one image and one class.")
        return found


def entry_for(row: Iterable[Entry], epochs: int) -> Entry | None:
    """The entry whose training says what so many epochs give: just as many, or more under a recipe that grows."""
    fits = [
        entry
        for entry in row
        if entry.recipe.epochs == epochs
        or entry.evaluation is not None
        or (entry.recipe.grows and entry.recipe.epochs > epochs)
    ]
    return min(fits, key=lambda entry: entry.recipe.epochs, default=None)


def protocol(trial: Trial, entry: Entry, score: Score) -> str:
    """How an accuracy was come by, for a footnote: the data, the recipe, seeds and intervals."""
    low, high = score.over_images
    ends = f"95 % over images {100 * low:.1f} to {100 * high:.1f}"
    if entry.evaluation is not None:
        crops = entry.evaluation.crops
        return f"{score.images} held-out images, {crops} crop{'s' if crops > 1 else ''}, {ends}"
    if score.over_seeds:
        ends = f"95 % over seeds {100 * score.over_seeds[0]:.1f} to {100 * score.over_seeds[1]:.1f}, over images" + (
            f" {100 * low:.1f} to {100 * high:.1f}"
        )
    seeds = f"{len(score.correct)} seed{'s' if len(score.correct) > 1 else ''}"
    images = f"{trial.data.train_images} images for training, {score.images} held out"
    return f"{images}; {words(entry.recipe)}; {seeds}, {ends}"


def _recipe(saved: Any, where: str) -> Recipe:
    from . import recipe

    given = saved.get("recipe") if isinstance(saved, dict) else None
    if not isinstance(given, dict):
        raise BadFile(f"{where} has no recipe.")
    return recipe.checked(given, f"the recipe of {where}")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
