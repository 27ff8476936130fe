"""A folder that tells a trial to somebody who was not there: README, figures, record, recipe. Never imports torch."""

from __future__ import annotations

import csv
import io
import shlex
from collections.abc import Sequence
from pathlib import Path

from ..base import files, units
from ..base.errors import BadOption, BadOutput
from ..results.recipe import to_toml, words
from ..results.statistics import median
from ..results.trial_findings import Place, findings
from ..results.trials import FILE, Trial
from . import figures
from .escapes import fenced
from .escapes import markdown as plain
from .figures import trials as trial_figures
from .markdown import markdown
from .tables import environment
from .tables.trials import label, tables
from .words import listed

#: Last line of every README that this module wrote.
MARK = "<!-- written by archprof trial -->"

_FORMATS = ("svg", "png")
_COLUMNS = ("architecture", "dataset", "metric", "percent", "protocol", "resolution", "weights", "source", "retrieved")


def check_folder(folder: str | Path, force: bool = False) -> None:
    """Raise BadOutput where a trial would mix with files that are not a trial's, unless `force`."""
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise BadOutput(f"'{folder}' is a file.", "Name a folder that is new, empty, or a trial's.")
    if not folder.exists() or force or (folder / FILE).exists() or (folder / "runs").is_dir():
        return
    # names that begin with a dot: a lock that a process left which was killed
    if any(not entry.name.startswith(".") for entry in folder.iterdir()):
        raise BadOutput(
            f"the folder '{folder}' is not empty and holds no trial.",
            "Name another folder, or add --force to write into it (nothing else in it is removed).",
        )


def write(trial: Trial, folder: str | Path, per_class: bool = False) -> list[Path]:
    """Write the trial into `folder`, the README last; returns its files. The same trial gives the same bytes."""
    folder = Path(folder)
    try:
        (folder / "figures").mkdir(parents=True, exist_ok=True)
    except OSError as reason:
        raise BadOutput(f"the folder '{folder}' cannot be made: {reason.strerror}.", "Choose another place.") from None
    drawn = []
    for kind in trial_figures.kinds(trial):
        try:
            figure = trial_figures.draw(kind, trial)
        except BadOption:  # nothing has ended yet
            continue
        for format in _FORMATS:
            figures.save(figure, folder / "figures" / f"{kind}.{format}")
        drawn.append(kind)
    texts = {
        FILE: trial.to_json() + "\n",
        "accuracy.csv": accuracy_csv(trial),
        "recipe.toml": to_toml(trial.recipe),
        "README.md": readme(trial, folder.resolve().name, drawn, per_class),
    }
    for name, text in texts.items():
        files.write(str(folder / name), text)
    return [folder / name for name in texts] + [
        folder / "figures" / f"{kind}.{format}" for kind in drawn for format in _FORMATS
    ]


def accuracy_csv(trial: Trial) -> str:
    """The accuracies in the columns that --accuracy reads, for other tools."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for claim in trial.accuracies():
        writer.writerow(["" if getattr(claim, name) is None else getattr(claim, name) for name in _COLUMNS])
    return out.getvalue()


def readme(trial: Trial, name: str, drawn: Sequence[str], per_class: bool) -> str:
    """The trial's Markdown."""
    shown = tables(trial, per_class)
    parts = [f"# {plain(name)}", _opening(trial), "## Summary", _bullets(summary(trial))]
    parts += [markdown([table]).rstrip("\n") for table in shown]
    for kind in drawn:
        title = trial_figures.KINDS[kind].summary
        title = title[:1].upper() + title[1:]
        caption = plain(trial_figures.KINDS[kind].caption)
        parts += [f"## {title}", f"![{title}](figures/{kind}.svg)", f"{caption} ([PNG](figures/{kind}.png))"]
    parts += [
        "## The recipe",
        fenced(to_toml(trial.recipe).rstrip(), "toml"),
        "## How it was measured",
        _bullets(_method(trial)),
    ]
    known = {key: value for key, value in trial.environment.items() if value not in (None, "", {}, False)}
    parts += [markdown([environment.table(known)]).rstrip("\n")]
    parts += ["## To repeat it", f"In this folder:\n\n{fenced(shlex.join(command(trial)), 'sh')}"]
    parts += [_use(trial, name), MARK]
    return "\n\n".join(part for part in parts if part) + "\n"


def summary(trial: Trial) -> list[str]:
    """The few sentences that a hurried reader needs."""
    found = findings(trial)
    out = []
    if trial.interrupted:
        out.append("Interrupted: what was not reached is missing.")
    if found.best is None:
        return [*out, "No training came to its end."]
    out.append(f"The highest accuracy on {trial.data.name} is {_said(trial, found.best)}.")
    if found.beside:
        what = "seeds" if found.best.score.over_seeds else "images"
        out.append(f"Their intervals over {what} overlap with its own: {_listed(trial, found.beside)}.")
    if len(found.ranked) > 1 and len(found.beside) < len(found.ranked) - 1:
        out.append(f"The lowest is {_said(trial, found.ranked[-1])}.")
    if found.diverged:
        out.append(
            f"Diverged (a loss that is not finite): {listed([label(trial, entry) for entry in found.diverged])}."
        )
    if found.guessing:
        share = units.percent(1 / len(trial.data.classes), 1)
        out.append(
            f"With a seed not told from guessing ({share}): {listed([label(trial, p.entry) for p in found.guessing])}."
        )
    seconds = [
        (median(place.entry.train_seconds), label(trial, place.entry))
        for place in found.ranked
        if place.entry.train_seconds
    ]
    if len(seconds) > 1 and not trial.evaluates:
        (least, fast), (most, slow) = min(seconds), max(seconds)
        ends = f"{units.significant(least)} s ({fast}) to {units.significant(most)} s ({slow})"
        out.append(f"An epoch took {ends}, in the median.")
    return out


def _said(trial: Trial, place: Place) -> str:
    low, high = place.score.over_seeds or place.score.over_images
    over = "seeds" if place.score.over_seeds else "images"
    name = label(trial, place.entry)
    return f"{100 * place.score.mean:.2f} % (95 % interval over {over} {100 * low:.1f} to {100 * high:.1f}), {name}"


def _listed(trial: Trial, places: Sequence[Place]) -> str:
    return listed([f"{label(trial, place.entry)} ({100 * place.score.mean:.1f} %)" for place in places])


def _opening(trial: Trial) -> str:
    when = str(trial.environment.get("date", ""))[:10]
    what = "Weights evaluated" if trial.evaluates else "Networks trained and evaluated"
    on = f"{trial.data.name} ({len(trial.data.classes)} classes)"
    by = f" by archprof {plain(trial.archprof)}{f' on {when}' if when else ''}"
    return (
        f"{what} on {plain(on)}: {', '.join(map(plain, trial.models))}. Measured{by}. The record: [{FILE}]({FILE}), as "
        "CSV: [accuracy.csv](accuracy.csv)."
    )


def _method(trial: Trial) -> list[str]:
    data = trial.data
    size = "x".join(map(str, data.image_shape)) if data.image_shape else "of several sizes"
    parts = f"{data.train_images:,} images for training, {data.test_images:,} held out ({data.split})"
    said = [
        f"{parts}; images {size}, resized to each network's input. Fingerprint of the images: {data.fingerprint}.",
    ]
    if data.left_out:
        said.append(f"Left out, because they cannot be read ({len(data.left_out)}): {'; '.join(data.left_out)}.")
    if trial.evaluates:
        return said
    seeds = f"{trial.seeds} seeds, which decide" if trial.seeds > 1 else "one seed, which decides"
    said += [
        f"Recipe {trial.recipe_name or 'as below'}: {words(trial.recipe)}.",
        "Accuracies are those after the last epoch. None was chosen as the best of several epochs, which would use the "
        "images held out.",
        f"Each network was trained from {seeds} its first weights, the order of images and their crops; the images "
        "held out are the same.",
        "Over seeds: Student's interval of the mean. Over images: Wilson's interval at the mean accuracy.",
    ]
    if len(trial.epochs) > 1:
        said.append(
            "Where the rate does not depend on the end of training, accuracies after fewer epochs are read off the "
            "longest one, whose first steps are the same; otherwise each number of epochs has a training of its own."
        )
    return said


def command(trial: Trial) -> list[str]:
    """The words of the command that makes the same trial; data in a file are named without their folder."""
    out = ["archprof", "trial", *trial.models, "--data", trial.data.name]
    if trial.hold_out is not None:
        out += ["--hold-out", f"{trial.hold_out:g}"]
    out += _input_shape(trial)
    if trial.evaluates:
        evaluation = next(entry.evaluation for entry in trial.entries if entry.evaluation)
        more = ["--recipe", "recipe.toml", "--weights", evaluation.weights, "--crops", str(evaluation.crops)]
        return [*out, *more]
    out += ["--recipe", "recipe.toml", "--epochs", ",".join(map(str, trial.epochs)), "--seeds", str(trial.seeds)]
    for axis in trial.grid:
        out += ["--grid", f"{axis.name}={','.join(axis.values)}"]
    if trial.environment.get("device") not in (None, "cpu"):
        out += ["--device", str(trial.environment["device"])]
    if trial.environment.get("threads"):
        out += ["--threads", str(trial.environment["threads"])]
    if trial.environment.get("compile"):
        out += ["--compile", str(trial.environment["compile"])]
    return [*out, "-o", "again"]


def _input_shape(trial: Trial) -> list[str]:
    return ["--input-shape", ",".join(map(str, trial.input_shape))] if trial.input_shape else []


def _use(trial: Trial, name: str) -> str:
    models = list(dict.fromkeys(entry.network for entry in trial.entries))
    ours = ["--accuracy", f"trials/{name}"]
    lines = [["archprof", "plot", "ball", *models, *ours, "-o", "ball.svg"]]
    if trial.input_shape:  # a figure counts networks at their own input; these are counted first
        counted = ["--no-latency", *_input_shape(trial), *ours, "--json", "costs.json"]
        lines = [
            ["archprof", "compare", *models, *counted],
            ["archprof", "plot", "ball", "--from", "costs.json", "--dataset", trial.data.name, "-o", "ball.svg"],
        ]
    shown = "\n".join(map(shlex.join, lines))
    return f"These accuracies beside what the networks cost:\n\n{fenced(shown, 'sh')}"


def _bullets(sentences: Sequence[str]) -> str:
    return "\n".join(f"- {plain(sentence, starts=True)}" for sentence in sentences)
