"""What the logbook of a machine says: sentences below a table of times, and the runs themselves."""

from __future__ import annotations

from collections.abc import Sequence

from ...results.comparison import Comparison
from ...results.logbook import Logbook, LoggedRun, opened
from ...results.ratios import Ratio
from ...results.states import NO_STATE, State
from ..words import listed, with_interval
from .table import Cell, Column, Table

#: Ratios of a run that its row names, and states that a sentence does.
FEW = 3


def sentences(comparison: Comparison) -> list[str]:
    """Which states of the machine this run met, what the ratios are in each, and what two copies differed by."""
    book = comparison.logbook
    said = [] if book is None else [_states(book, comparison.states), *_by_state(comparison.ratios)]
    said += [
        f"Two copies of {each.reference} differed by {100 * abs(each.ratio - 1):.1f} % at batch {each.batch_size} "
        f"(95 % interval of their ratio: {each.ci95[0]:.3f} to {each.ci95[1]:.3f})."
        for each in comparison.controls.values()
    ]
    sizes = sorted({ratio.batch_size for ratio in comparison.ratios} - set(comparison.controls))
    if book is not None and sizes:  # before logbooks, no comparison had a second copy
        where = listed([str(size) for size in sizes])
        said.append(
            f"At batch {where} no second copy of {comparison.reference} ran often enough to be held against it."
        )
    return [sentence for sentence in said if sentence]


def _states(book: Logbook, met: Sequence[State]) -> str:
    """'This run was in state 2 of the machine (products 183 us, ...), the usual one of 3 in 12 runs.'"""
    if not book.runs:
        return "No earlier run is in the logbook: intervals are those of this run; further runs tell how they vary."
    runs = f"{book.runs} earlier run{'s' if book.runs > 1 else ''}"
    if not met:
        return f"{runs.capitalize()} are in the logbook." if book.runs > 1 else "One earlier run is in the logbook."
    usual, known = book.usual_with(met), {state.number for state in book.states}
    told = []
    for state in met[:FEW]:
        which = "the usual one" if state.number == usual else "" if state.number in known else "never met before"
        told.append(f"{state.number} ({'; '.join(filter(None, (which, state.words)))})")
    told += [f"{len(met) - FEW} more"] if len(met) > FEW else []
    plural = "s" if len(met) > 1 else ""
    away = "" if any(state.number == usual for state in met) else f" The usual one is {usual}."
    return f"This run met state{plural} {listed(told)} of the machine, known from {runs}.{away}"


def _by_state(ratios: Sequence[Ratio]) -> list[str]:
    """The ratios at the smallest batch size in each state, where there are several."""
    least = min((ratio.batch_size for ratio in ratios), default=None)
    return [
        f"{ratio.architecture} over {ratio.reference} at batch {least}, by state: "
        + listed([f"{with_interval(each.ratio, each.ci95)} in {each.state}" for each in ratio.by_state])
        + "."
        for ratio in ratios
        if ratio.batch_size == least and len(ratio.by_state) > 1
    ]


def tables(runs: Sequence[LoggedRun]) -> tuple[Table, ...]:
    """The states of a machine and the runs that met them; none where there was no run."""
    return (history(runs), states(opened(runs, {}))) if runs else ()


def history(runs: Sequence[LoggedRun]) -> Table:
    """The runs of a logbook, the latest last: when, in which states, and the ratios that they found."""
    columns = (
        Column("date", "Run"),
        Column("states", "States (blocks)"),
        Column("ratios", "Ratios", folds=True),
        Column("control", "Two copies", "text"),
    )
    rows = []
    for run in runs:
        states = ", ".join(f"{state.number} ({state.blocks})" for state in run.states)
        ratios = [
            f"{run.names.get(each.architecture, '?')} / {run.names.get(each.reference, '?')} at {each.batch_size}: "
            f"{each.ratio:.3g}"
            for each in run.ratios
            if each.state == NO_STATE  # of the whole run
        ]
        more = f", and {len(ratios) - FEW} more" if len(ratios) > FEW else ""
        control = ", ".join(f"{each.ratio:.3f}" for each in run.control if each.state == NO_STATE)
        cells = (run.date, states or None, ", ".join(ratios[:FEW]) + more or None, control or None)
        rows.append(tuple(Cell(value) for value in cells))
    return Table("Runs in the logbook", columns, tuple(rows))


def states(book: Logbook) -> Table:
    """The states in which the machine was met, the usual one first."""
    columns = (
        Column("number", "State", "number"),
        Column("blocks", "Blocks", "number"),
        Column("times", "Reference work"),
    )
    rows = tuple((Cell(state.number), Cell(state.blocks), Cell(state.words)) for state in book.states)
    spread = f"From run to run a ratio varies by {100 * book.spread:.1f} % (standard deviation) in one state."
    return Table("States of the machine", columns, rows, (spread,) if book.runs > 1 else ())
