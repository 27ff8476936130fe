"""Figures of a trial: curves of loss and accuracy by epoch, and a grid of accuracies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

from ...base.errors import BadOption, did_you_mean
from ...results.comparison import ArchitectureResult, Comparison
from ...results.intervals import student
from ...results.recipe import words
from ...results.trials import Entry, Score, Trial, entry_for
from ..tables.trials import label
from .options import FigureOptions

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .page import Page
    from .rows import Row


class TrialFigure(NamedTuple):
    """A kind of figure: one line for a list, and what to see in it. Known without importing matplotlib."""

    summary: str
    caption: str


#: Every kind, by name.
KINDS = {
    "curves": TrialFigure(
        "loss and accuracy of a trial by epoch",
        "Loss and accuracy after each epoch: full lines on images held out, dashed lines on the images trained on, as "
        "the network met them (augmented, its weights still changing within the epoch). Lines are means over seeds, "
        "the band spans all of them. A line ends where a training diverged.",
    ),
    "grid": TrialFigure(
        "accuracy of a trial for each setting of its grid",
        "Accuracy on images held out for each setting: the mean over seeds, and half the width of its 95 % interval "
        "over seeds (Student) where there are several. Dark is accurate; ! marks a training that diverged, ~ one with "
        "a seed that cannot be told from guessing.",
    ),
}


def draw(kind: str, trial: Trial, options: FigureOptions | None = None) -> Figure:
    """The figure of that kind. Raises BadOption for an unknown kind, and where the trial lacks what it shows."""
    if kind not in KINDS:
        raise BadOption(f"unknown figure '{kind}'.{did_you_mean(kind, KINDS)}", f"Kinds: {', '.join(KINDS)}.")
    if trial.evaluates:
        raise BadOption(f"'{kind}' shows trainings; here weights were evaluated.", "Draw a trial without --weights.")
    from .page import Page
    from .style import pinned_settings

    options = options or FigureOptions()
    rows = {_name(row): row for row in trial.rows}
    usual = {name: label(trial, row[0]) for name, row in rows.items()}
    comparison = Comparison(
        environment={**trial.environment, "compile": trial.environment.get("compile")},
        architectures=tuple(ArchitectureResult(name, "trial") for name in rows),
        archprof=trial.archprof,
    )
    with pinned_settings():
        page = Page(comparison, options)
        page.rows = [row if row.name in options.labels else replace(row, label=usual[row.name]) for row in page.rows]
        _DRAWERS[kind](page, trial, rows)
        return page.figure


def _name(row: list[Entry]) -> str:
    return row[0].name


def _curves(page: Page, trial: Trial, rows: dict[str, list[Entry]]) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.ticker import MaxNLocator

    from . import axes

    page.title(
        f"Training on {trial.data.name}",
        "Full: images held out; dashed: images trained on" + ("; the band spans all seeds" if trial.seeds > 1 else ""),
    )
    losses, accuracies = page.plots(1, 2)[0]
    handles, labels, dropped, low = [], [], [], []
    data = trial.data
    for row in page.rows:
        entry = entry_for(rows[row.name], trial.final) or rows[row.name][0]
        if not any(run.epochs for run in entry.runs):
            dropped.append((row.label, entry.error or "no epoch has ended"))
            continue
        look = page.look(row)
        handles.append(Line2D([], [], color=look.colour, linewidth=1.5))
        labels.append(row.label)
        drawn = [
            *_line(page, losses, row, entry, lambda seen: seen.train_loss, dashed=True),
            *_line(page, losses, row, entry, lambda seen: seen.test_loss),
        ]
        low += [value for value in drawn if value > 0]
        _line(page, accuracies, row, entry, lambda seen: 100 * seen.train_correct / data.train_images, dashed=True)
        _line(page, accuracies, row, entry, lambda seen: 100 * seen.test_correct / data.test_images)
        gone = [run for run in entry.runs if run.diverged]
        if gone:
            page.note(f"{row.label} diverged in {len(gone)} of {len(entry.runs)} seeds.")
    if not handles:
        raise BadOption("no epoch of any training has ended;", "let it run longer.")
    if low and axes.far_apart(low, 20):
        axes.logarithmic(losses.yaxis, low)
    losses.set_ylabel("Loss (cross-entropy)")
    accuracies.set_ylabel("Accuracy (%)")
    for plot in (losses, accuracies):
        plot.set_xlabel("Epoch")
        plot.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    page.legend(handles, labels)
    page.note(_what_was_trained(trial))
    page.left_out(dropped)
    page.finish(page.options.width * (0.5 if page.narrow else 0.42))


def _line(
    page: Page, plot: Axes, row: Row, entry: Entry, value: Callable[..., float | None], dashed: bool = False
) -> list[float]:
    """The mean over seeds by epoch, and a band over all of them; ends with the first that has no value."""
    means, lows, highs = [], [], []
    for place in range(max(len(run.epochs) for run in entry.runs)):
        seen = [value(run.epochs[place]) for run in entry.runs if len(run.epochs) > place]
        known = [each for each in seen if each is not None]
        if len(known) < len(seen) or not known:
            break
        means.append(fmean(known))
        lows.append(min(known))
        highs.append(max(known))
    colour = page.look(row).colour
    epochs = range(1, len(means) + 1)
    plot.plot(
        epochs,
        means,
        color=colour,
        linewidth=1.0 if dashed else 1.5,
        linestyle=(0, (3, 2)) if dashed else "-",
        marker="o" if len(means) == 1 else None,
        markersize=3,
        zorder=3 if dashed else 4,
        gid=f"{'training' if dashed else 'held out'} {row.name}",
    )
    if not dashed:
        plot.fill_between(epochs, lows, highs, color=colour, alpha=0.2, linewidth=0, zorder=2)
    return means


def _grid(page: Page, trial: Trial, rows: dict[str, list[Entry]]) -> None:
    columns, places, title, below = _columns(trial)
    names: dict[str, list[tuple[list[Entry], int] | None]] = {}
    for row in page.rows:
        entry = rows[row.name][0]
        name, column = places(entry, row)
        cells = names.setdefault(name, [None] * len(columns))
        if column is None:
            names[name] = [(rows[row.name], epochs) for epochs in trial.epochs]
        else:
            cells[column] = (rows[row.name], trial.final)
    page.title(f"Accuracy on {trial.data.name}{title}", below)
    plot = page.plot()
    plot.grid(visible=False)
    for side in plot.spines.values():
        side.set_visible(False)
    for line, cells in enumerate(names.values()):
        for column, cell in enumerate(cells):
            _cell(page, plot, trial, line, column, cell)
    plot.set_xlim(-0.5, len(columns) - 0.5)
    plot.set_ylim(len(names) - 0.5, -0.5)
    plot.set_xticks(range(len(columns)), columns)
    plot.set_yticks(range(len(names)), list(names))
    plot.tick_params(length=0)
    plot.xaxis.tick_top()
    page.note(_what_was_trained(trial))
    page.note("! diverged; ~ a seed not told from guessing." if any_marks(trial) else "")
    page.finish(0.45 + 0.34 * max(len(names), 2))


def any_marks(trial: Trial) -> bool:
    """Whether any cell of the grid has a mark to explain."""
    return any(_mark(trial, row, epochs) for row in trial.rows for epochs in trial.epochs)


def _columns(
    trial: Trial,
) -> tuple[list[str], Callable[[Entry, Row], tuple[str, int | None]], str, str]:
    """Headings, where an entry stands (its line, its column; None: a column for each number of epochs), and titles."""
    if len(trial.grid) < 2:
        headings = [f"{n} epoch{'s' if n > 1 else ''}" for n in trial.epochs]
        return headings, lambda entry, row: (row.label, None), ", by setting and epochs", _legend(trial)
    *first, last = trial.grid

    def place(entry: Entry, row: Row) -> tuple[str, int | None]:
        settings = ", ".join(f"{axis.name}={entry.settings[axis.name]}" for axis in first)
        line = settings if len(trial.models) == 1 else f"{entry.network}, {settings}"
        return line, last.values.index(entry.settings[last.name])

    headings = [f"{last.name}={value}" for value in last.values]
    return headings, place, f" after {trial.final} epochs", _legend(trial)


def _legend(trial: Trial) -> str:
    return "Mean over seeds, +- half of the 95 % interval over seeds" if trial.seeds > 1 else "One seed"


def _cell(page: Page, plot: Axes, trial: Trial, line: int, column: int, cell: tuple[list[Entry], int] | None) -> None:
    from matplotlib.patches import Rectangle

    from . import style

    score = trial.score(*cell) if cell else None
    share = score.mean if score else 0.0
    colour = style.mixed(page.theme.paper, style.BLUE, 0.05 + 0.9 * share) if score else page.theme.paper
    plot.add_patch(
        Rectangle((column - 0.5, line - 0.5), 1, 1, facecolor=colour, edgecolor=page.theme.paper, linewidth=1.2)
    )
    ink = "#ffffff" if style.dark(colour) else "#1f2328"
    if cell is None or score is None:
        text = "—"
        ink = page.theme.muted
    else:
        text = f"{100 * share:.1f}{_spread(score)}{_mark(trial, *cell)}"
    plot.text(column, line, text, ha="center", va="center", size=page.small, color=ink, gid="cell")


def _spread(score: Score) -> str:
    ends = score.over_seeds
    if ends is None:
        return ""
    # half the uncut width: at 0 and 1 the interval that is shown in tables is cut off
    whole = student([count / score.images for count in score.correct])
    assert whole is not None
    half = 50 * (whole[1] - whole[0])
    return f" ±{half:.1f}" if half <= 50 else " ±>50"


def _mark(trial: Trial, row: list[Entry], epochs: int) -> str:
    entry = entry_for(row, epochs)
    score = trial.score(row, epochs)
    if entry is None or score is None:
        return ""
    if any(run.diverged and run.diverged <= epochs for run in entry.runs):
        return " !"
    return " ~" if score.guesses(len(trial.data.classes)) else ""


def _what_was_trained(trial: Trial) -> str:
    data = trial.data
    varied = [axis.name for axis in trial.grid]
    told = "; varied: " + ", ".join(varied) if varied else ""
    recipe = f"Recipe: {words(trial.recipe)}{told}."
    seeds = f"{trial.seeds} seed{'s' if trial.seeds > 1 else ''}"
    network = trial.models[0] if len(trial.models) == 1 else f"{len(trial.models)} networks"
    return f"Measured here: {network}, {data.train_images:,} images, {data.test_images:,} held out, {seeds}. {recipe}"


_DRAWERS: dict[str, Callable[[Page, Trial, dict[str, list[Entry]]], None]] = {"curves": _curves, "grid": _grid}


def worth(kind: str, trial: Trial) -> bool:
    """Whether a page shows that figure: a grid of one cell says what its table says."""
    return not trial.evaluates and (kind != "grid" or len(trial.rows) * len(trial.epochs) > 1)


def kinds(trial: Trial) -> Sequence[str]:
    """Those that a page of the trial shows."""
    return [kind for kind in KINDS if worth(kind, trial)]
