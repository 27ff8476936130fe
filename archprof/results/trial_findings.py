"""What a trial shows: the most accurate, whom it cannot be told from, who diverged or only guesses. Never torch."""

from __future__ import annotations

from typing import NamedTuple

from .statistics import bootstrap_ratio_interval, median
from .trials import Entry, Score, Trial, entry_for


class Place(NamedTuple):
    """A row of a trial, its entry after the most epochs, and what it got right."""

    row: list[Entry]
    entry: Entry
    score: Score


class TrialFindings(NamedTuple):
    """`best` has the highest mean; `beside` are those whose interval over seeds overlaps its own.

    `diverged` are rows with a seed that did, `guessing` others with a seed that cannot be told from it. `ranked` are
    all, best first.
    """

    best: Place | None
    beside: list[Place]
    diverged: list[Entry]
    guessing: list[Place]
    ranked: list[Place]


def findings(trial: Trial) -> TrialFindings:
    """Judged after the most epochs."""
    places, diverged = [], []
    for row in trial.rows:
        entry, score = entry_for(row, trial.final), trial.score(row, trial.final)
        if entry is None or score is None:
            continue
        places.append(Place(row, entry, score))
        if any(run.diverged for run in entry.runs):
            diverged.append(entry)
    ranked = sorted(places, key=lambda place: -place.score.mean)
    best = ranked[0] if ranked else None
    beside = [other for other in ranked[1:] if best and _overlap(best.score, other.score)]
    guessing = [
        place for place in ranked if place.entry not in diverged and place.score.guesses(len(trial.data.classes))
    ]
    return TrialFindings(best, beside, diverged, guessing, ranked)


def _overlap(one: Score, other: Score) -> bool:
    """Whether the intervals meet: those over seeds, over images where there is one seed."""
    low, high = one.over_seeds or one.over_images
    other_low, other_high = other.over_seeds or other.over_images
    return low <= other_high and other_low <= high


class Relative(NamedTuple):
    """A median over another's, with its 95 % interval (bootstrap)."""

    ratio: float
    ci95: tuple[float, float]


def relative(above: list[float], below: list[float]) -> Relative | None:
    """Median over median; None where either was not measured."""
    if not above or not below:
        return None
    return Relative(median(above) / median(below), bootstrap_ratio_interval(above, below))
