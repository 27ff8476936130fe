"""A check as a line of a history. Standard library only."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path

from ..base import files, git
from ..base.version import __version__
from ..results import history
from ..results.history import Costs, Held, Recorded
from .limits import MEASURES
from .verdict import Checked, Verdict


def check(file: str, folder: Path) -> None:
    """Raise BadOption where the folder's repository, or a commit, is missing; BadFile where the file is no history."""
    git.containing(folder).commit("HEAD")
    history.read(Path(file), missing=True)


def record(file: str, folder: Path, checked: Sequence[Checked]) -> Recorded:
    """Write what was checked to a history's file, under the last commit of the folder's repository.

    Raises as `check` does, and BadOutput where the file cannot be written.
    """
    new = recorded(git.containing(folder), checked)
    with files.alone(file):
        files.write(file, history.to_json(history.joined(history.read(Path(file), missing=True), new)))
    return new


def recorded(repository: git.Repository, checked: Sequence[Checked], now: datetime.datetime | None = None) -> Recorded:
    """The line of what was checked."""
    commit = repository.commit("HEAD")
    time = now or datetime.datetime.now(datetime.UTC)
    return Recorded(
        commit,
        repository.committed(commit),
        time.isoformat(timespec="seconds"),
        __version__,
        tuple(_costs(one, repository) for one in checked),
        repository.changed_files(),
    )


def _costs(one: Checked, repository: git.Repository) -> Costs:
    budget, profile = one.budget, one.profile
    place = Path(budget.file).resolve()
    # from the root, so that it is the same from wherever the check was started
    file = place.relative_to(repository.root).as_posix() if place.is_relative_to(repository.root) else budget.file
    if profile is None:
        why = next((verdict.detail for verdict in one.verdicts), "it was not counted")
        return Costs(file, budget.name, budget.shown_model, error=why)
    counts = {
        name: measure.value(profile)
        for name, measure in MEASURES.items()
        if name != "training_bytes" or budget.counts_training
    }
    limits = tuple(map(_held, one.verdicts))
    return Costs(file, budget.name, budget.shown_model, profile.input_shape, profile.batch_size, counts, limits)


def _held(verdict: Verdict) -> Held:
    return Held(**{name: getattr(verdict, name) for name in Held.__dataclass_fields__})
