"""What a trial gave, as tables: accuracy with its intervals, time, and right answers class by class."""

from __future__ import annotations

from statistics import fmean

from ...base import units
from ...results.statistics import median
from ...results.trial_findings import relative
from ...results.trials import Entry, Trial, entry_for
from .table import Cell, Column, Table


def label(trial: Trial, entry: Entry) -> str:
    """An entry's name; where all are of one network, what the grid varies alone."""
    if len(trial.models) == 1 and entry.settings:
        return ", ".join(f"{axis}={value}" for axis, value in entry.settings.items())
    return entry.name


def tables(trial: Trial, per_class: bool = False) -> list[Table]:
    """Accuracy, then what it cost, then the classes where asked for."""
    found = [accuracy(trial)]
    if not trial.evaluates:
        found.append(cost(trial))
    if per_class:
        found.append(classes(trial))
    return found


def accuracy(trial: Trial) -> Table:
    """Held-out accuracy of each row after each number of epochs, with the intervals of the last."""
    several = len(trial.epochs) > 1
    columns = [Column("name", "Network" if len(trial.models) > 1 or not trial.grid else "Setting")]
    columns.append(Column("parameters", "Params", "count", "less", detail=True))
    if several:
        columns += [Column(f"top1_{n}", f"after {n}", "accuracy", "more") for n in trial.epochs[:-1]]
    columns += [
        Column("top1", f"after {trial.final}, %" if several else "Top-1 %", "accuracy", "more"),
        Column("over_seeds", "95 % over seeds"),
        Column("over_images", "95 % over images"),
        Column("top5", "Top-5 %", "accuracy", "more", detail=True),
        Column("train", "Training %", "accuracy", detail=True),
    ]
    rows, notes = [], []
    for row in trial.rows:
        entry = entry_for(row, trial.final) or row[0]
        cells = [Cell(label(trial, entry)), Cell(entry.parameters or None)]
        for epochs in trial.epochs:
            score = trial.score(row, epochs)
            gone = _diverged(row, epochs)
            cells.append(Cell(None if score is None else 100 * score.mean, "!" if gone else ""))
        score = trial.score(row, trial.final)
        top5 = trial.score(row, trial.final, 5)
        cells += [Cell(text=_ends(score.over_seeds) if score else units.DASH)]
        cells += [Cell(text=_ends(score.over_images) if score else units.DASH)]
        cells += [Cell(None if top5 is None else 100 * top5.mean), Cell(_training(trial, entry))]
        rows.append(tuple(cells))
        notes += _notes(trial, row, entry)
    if trial.evaluates:
        columns, rows = _without(columns, rows, "train")
        columns, rows = _without(columns, rows, "over_seeds")
    return Table(title(trial), tuple(columns), tuple(rows), (*notes, *_general(trial)))


def _without(
    columns: list[Column], rows: list[tuple[Cell, ...]], key: str
) -> tuple[list[Column], list[tuple[Cell, ...]]]:
    place = next(at for at, column in enumerate(columns) if column.key == key)
    return columns[:place] + columns[place + 1 :], [row[:place] + row[place + 1 :] for row in rows]


def cost(trial: Trial) -> Table:
    """Seconds of an epoch and of an image, each beside the first row's."""
    metered = any(seen.joules is not None for entry in trial.entries for run in entry.runs for seen in run.epochs)
    columns = [
        Column("name", "Network" if len(trial.models) > 1 or not trial.grid else "Setting"),
        Column("train_s", "s an epoch", "rate", "less"),
        Column("train_x", "x first", "text"),
        Column("test_ms", "ms an image, inference", "seconds", "less"),
        Column("test_x", "x first", "text"),
        Column("total_s", "s of training", "rate", "less", detail=True),
    ]
    if metered:
        columns.append(Column("joules", "J an epoch", "joules", "less"))
    first, *_ = lines = trial.rows
    rows = []
    for row in lines:
        entry = entry_for(row, trial.final) or row[0]
        train, test = _seconds(row)
        cells = [
            Cell(label(trial, entry)),
            Cell(median(train) if train else None),
            Cell(text=_times(train, _seconds(first)[0]) if row is not first else "1"),
            Cell(median(test) / trial.data.test_images if test else None),
            Cell(text=_times(test, _seconds(first)[1]) if row is not first else "1"),
            Cell(sum(train) if train else None),
        ]
        if metered:
            read = [seen.joules for run in entry.runs for seen in run.epochs if seen.joules is not None]
            cells.append(Cell(fmean(read) if read else None))
        rows.append(tuple(cells))
    notes = [
        "Medians over epochs and seeds, ratios with 95 % bootstrap intervals; loading images is not part of it, "
        "preparing them is. 'archprof compare' measures inference undisturbed.",
    ]
    if trial.environment.get("compile"):
        notes.append("Compiled: the first epoch of each run has the time of compiling in it.")
    if not metered and trial.environment.get("no_energy_meter"):
        notes.append(f"Energy was not measured: {trial.environment['no_energy_meter']}.")
    return Table("Time", tuple(columns), tuple(rows), tuple(notes))


def classes(trial: Trial) -> Table:
    """Right answers of each class, over all seeds."""
    shown = [(row, entry_for(row, trial.final) or row[0]) for row in trial.rows]
    columns = (
        Column("class", "Class"),
        *(Column(f"entry {place}", label(trial, entry), "accuracy", "more") for place, (_, entry) in enumerate(shown)),
    )
    counts = trial.data.test_by_class
    rows = []
    for place, name in enumerate(trial.data.classes):
        cells = [Cell(name)]
        for _, entry in shown:
            found = [run.class_correct for run in entry.runs if run.class_correct]
            if entry.evaluation is not None:
                found = [entry.evaluation.class_correct]
            right = [seen[place] for seen in found if place < len(seen)]
            cells.append(Cell(100 * fmean(right) / counts[place] if right and counts[place] else None))
        rows.append(tuple(cells))
    return Table("Right answers by class, %", columns, tuple(rows))


def _seconds(row: list[Entry]) -> tuple[list[float], list[float]]:
    return [s for entry in row for s in entry.train_seconds], [s for entry in row for s in entry.test_seconds]


def _times(above: list[float], below: list[float]) -> str:
    found = relative(above, below)
    if found is None:
        return units.DASH
    low, high = found.ci95
    return f"{units.significant(found.ratio)} ({units.significant(low)} to {units.significant(high)})"


def _ends(interval: tuple[float, float] | None) -> str:
    return units.DASH if interval is None else f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f}"


def _training(trial: Trial, entry: Entry) -> float | None:
    seen = [epoch.train_correct for _, epoch in entry.finished()]
    return 100 * fmean(seen) / trial.data.train_images if seen else None


def _diverged(row: list[Entry], epochs: int) -> list[int]:
    """Seeds that had diverged by then."""
    entry = entry_for(row, epochs)
    runs = entry.runs if entry else ()
    return [run.seed for run in runs if run.diverged and run.diverged <= epochs]


def _notes(trial: Trial, row: list[Entry], entry: Entry) -> list[str]:
    name = label(trial, entry)
    notes = [f"{name}: {each.error}" for each in row if each.error]
    if gone := _diverged(row, trial.final):
        of = f"{len(gone)} of {len(entry.runs)} seeds"
        when = ", ".join(str(run.diverged) for run in entry.runs if run.diverged)
        notes.append(
            f"! {name} diverged ({of}; its loss was no longer finite in epoch {when}); it stays as it was then."
        )
    reached = len(entry.finished())
    if not trial.evaluates and not entry.error and reached < trial.seeds:
        notes.append(f"{name}: {reached} of {trial.seeds} seeds came to the end.")
    return notes


def _general(trial: Trial) -> list[str]:
    data = trial.data
    notes = []
    if not trial.evaluates:
        notes.append(
            "Accuracy is that after the last epoch on images held out, the mean over seeds. Intervals over seeds are "
            "Student's, over images Wilson's."
        )
        if trial.seeds == 1:
            notes.append("With one seed nothing is known of what another would give.")
    if data.left_out:
        named = "; ".join(data.left_out[:3]) + ("; ..." if len(data.left_out) > 3 else "")
        files = f"{len(data.left_out)} file{'s' if len(data.left_out) > 1 else ''}"
        notes.append(f"Left out, because they cannot be read: {files} ({named}).")
    return notes


def title(trial: Trial) -> str:
    """What was done, on what."""
    data = trial.data
    what = "Accuracy of given weights" if trial.evaluates else "Accuracy"
    return f"{what} on {data.name}: {data.test_images:,} images held out, {data.train_images:,} for training"
