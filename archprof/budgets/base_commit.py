"""What budgets' models had at another commit: counted from its code, or as its lock says.

The networks of the zoo and of libraries do not depend on the commit, and are counted here. Everything else is counted
from that commit's files, by a process of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..base import git
from ..base.errors import ArchprofError, BadOption, one_line, printable
from ..models import spec
from ..results.profile import StaticProfile
from ..runs.index import SOURCES
from . import base_process, config, lock
from .base_process import Job
from .budget import Budget
from .config import Config
from .judging import sizes_apart
from .limits import MEASURES
from .lock import Baseline, Before, LayerChange
from .networks import Feed, Profiler
from .verdict import Checked

#: Measures that do not depend on what a network is given.
_OF_ANY_INPUT = ("parameters", "trainable_parameters", "parameter_bytes", "file_size")


@dataclass(frozen=True)
class Restated:
    """What a file says of a budget that the base commit said otherwise; `after` is None where the budget is gone."""

    file: str
    budget: str
    key: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Difference:
    """One measure of a budget's model, before and after; `limited` where the budget names it. `layers` made it."""

    file: str
    budget: str
    measure: str
    before: int
    after: int
    limited: bool
    layers: tuple[LayerChange, ...] = ()

    @property
    def change(self) -> float | None:
        """As a fraction of what was there; None where that was nothing."""
        return (self.after - self.before) / self.before if self.before else None


@dataclass(frozen=True)
class BaseCommit:
    """A commit, what each budget's model had there (in the order of the budgets), and what its files stated otherwise.

    `ref` is what was asked for. `notes` are sentences about files that could not be read there, `changed_files` is how
    many tracked files the work tree has changed since its last commit.
    """

    ref: str
    commit: str
    befores: tuple[Before, ...]
    restated: tuple[Restated, ...] = ()
    notes: tuple[str, ...] = ()
    changed_files: int = 0

    def differences(self, checked: Sequence[Checked]) -> tuple[Difference, ...]:
        """Every measure of every budget that both have."""
        return tuple(
            found for one, before in zip(checked, self.befores, strict=True) for found in _differences(one, before)
        )


def at(
    ref: str, stated: Sequence[Config], chosen: Sequence[Config], counted: Profiler, whole: bool = True
) -> BaseCommit:
    """What the `chosen` budgets' models had at `ref`. `whole`: they are all of the `stated` ones.

    Raises BadOption where the files do not lie in one repository, or where it has no such commit; a model that cannot
    be counted there stops no other.
    """
    repository = _repository(stated)
    commit = repository.commit(ref)
    then = {entry.path: _Then.of(repository, commit, ref, entry) for entry in stated}
    plans = [
        _Plan(budget, then[entry.path], repository, commit, ref, counted)
        for entry in chosen
        for budget in entry.budgets
    ]
    jobs = list(dict.fromkeys(plan.job for plan in plans if plan.job is not None and not plan.here))
    counts = _counted_there(repository, commit, jobs)
    befores = tuple(plan.before(counts, counted) for plan in plans)
    restated = [found for entry in stated for found in _restated(then[entry.path], entry, stated, chosen, whole)]
    notes = tuple(found.why for found in then.values() if found.why)
    return BaseCommit(ref, commit, befores, tuple(restated), notes, repository.changed_files())


def _repository(stated: Sequence[Config]) -> git.Repository:
    found = {git.containing(entry.path.parent): entry for entry in stated}
    if len(found) > 1:
        one, two = [entry.shown for entry in found.values()][:2]
        raise BadOption(f"{one} and {two} lie in different git repositories;", "check them one after the other.")
    return next(iter(found))


@dataclass(frozen=True)
class _Then:
    """A file of budgets at the other commit: its budgets by name, the lock beside it, what there is to say of it."""

    budgets: Mapping[str, Budget]
    baselines: Mapping[str, Baseline]
    readable: bool = True
    why: str = ""

    @classmethod
    def of(cls, repository: git.Repository, commit: str, ref: str, entry: Config) -> _Then:
        folder = entry.path.parent.resolve().relative_to(repository.root)
        text = repository.text(commit, (folder / entry.path.name).as_posix())
        locked = repository.text(commit, (folder / lock.FILE_NAME).as_posix())
        budgets, baselines, why = {}, {}, f"{ref} has no {entry.shown}." if text is None else ""
        if text is not None:
            try:
                budgets = {one.name: one for one in config.parse(text, entry.path).budgets}
            except ArchprofError as error:
                why = f"At {ref}, {error.message.rstrip(';.')}; what it states there is not compared."
        if locked is not None:
            # it is asked for only where the code cannot be counted, and then there is nothing
            with contextlib.suppress(ArchprofError):
                baselines = lock.from_json(locked)
        return cls(budgets, baselines, text is None or bool(budgets), why)


class _Plan:
    """How one budget's model at the other commit is to be counted: `job`, or `why` not."""

    def __init__(
        self, budget: Budget, then: _Then, repository: git.Repository, commit: str, ref: str, counted: Profiler
    ) -> None:
        self.budget, self.then, self.ref = budget, then, ref
        self.profile: StaticProfile | None = None
        self.job: Job | None = None
        self.why, self.here = "", False
        try:
            self.profile = counted(budget.model, budget.feed, budget.counts_training)
        except ArchprofError:
            return  # the verdict says so; there is nothing to compare
        old = then.budgets.get(budget.name, budget)
        parsed = spec.parse(old.model)
        self.here = parsed.source in SOURCES
        if parsed.source == "zoo" and base_process.is_code_of(str(repository.root), __file__):
            self.why = "archprof's own networks are not counted anew at another commit"
            return  # the commit may have changed them; its lock knows
        model, file = _moved(old.model, parsed, repository.root)
        if file and not repository.has(commit, file):
            self.why = f"there is no '{file}' at {ref}"
            return
        feeds = dict.fromkeys((budget.feed, old.feed))
        self.job = Job(model, tuple(feeds), self.profile.input_shape, budget.counts_training)

    def before(self, counts: Mapping[Job, Baseline | str], counted: Profiler) -> Before:
        """What is known of it."""
        if self.profile is None:
            return Before(why="could not be counted here.")
        found: Baseline | str = self.why
        if self.job is not None:
            found = self._counted_here(self.job, counted) if self.here else counts[self.job]
            if isinstance(found, Baseline):
                return self._comparable(found, "counted", "")
            found = f"could not be counted at {self.ref}: {found}"
        assert isinstance(found, str)
        why, kept = found.rstrip(".;"), self.then.baselines.get(self.budget.name)
        if kept is not None:
            return self._comparable(kept, "lock", f"{why}; the lock of {self.ref} says what there was.")
        new = self.budget.name not in self.then.budgets and self.then.readable
        return Before(why=f"{'a new budget; ' if new else ''}{why}; it is judged alone.", new=new)

    def _counted_here(self, job: Job, counted: Profiler) -> Baseline | str:
        try:
            return base_process.count(job, counted)
        except ArchprofError as error:
            return error.message

    def _comparable(self, found: Baseline, source: str, why: str) -> Before:
        """As far as it was counted with the same input."""
        assert self.profile is not None
        apart = sizes_apart(self.budget, self.profile, found)
        if apart is None:
            return Before(found, source, why)
        counts = {name: count for name, count in found.counts.items() if name in _OF_ANY_INPUT}
        layers = {path: replace(layer, macs=0, activations=0) for path, layer in found.layers.items()}
        said = (
            f"counted at {apart[0]} at {self.ref}, and at {apart[1]} here: what depends on the input is not compared."
        )
        return Before(replace(found, counts=counts, layers=layers), source, " ".join(filter(None, (why, said))))


def _moved(model: str, parsed: spec.ModelSpec, root: Path) -> tuple[str, str]:
    """The spec with its file's path from the root of the repository, and that path ('': none in there)."""
    if parsed.source not in ("file", "exported"):
        return model, ""
    path, colon, name = parsed.target.rpartition(":") if parsed.source == "file" else (parsed.target, "", "")
    place = Path(os.path.abspath(Path(path).expanduser()))
    folder = place.parent.resolve()
    if not folder.is_relative_to(root):
        return model, ""
    inside = (folder / place.name).relative_to(root).as_posix()
    return parsed.text.replace(f"{path}{colon}{name}", f"{inside}{colon}{name}", 1), inside


def _counted_there(repository: git.Repository, commit: str, jobs: Sequence[Job]) -> dict[Job, Baseline | str]:
    """What each job's network has in that commit, or why it cannot be counted."""
    if not jobs:
        return {}
    counts: dict[Job, Baseline | str] = {}
    try:
        with repository.checked_out(commit) as tree:
            here, root, left = Path.cwd().resolve(), repository.root, [*jobs]
            folder = tree / here.relative_to(root) if here.is_relative_to(root) else tree
            while left:
                lines, ended = _process(root, tree, folder if folder.is_dir() else tree, left)
                for job, line in zip(left, lines, strict=False):
                    counts[job] = _found(json.loads(line), tree)
                left = left[len(lines) :]
                if left and ended:  # this one took the process down
                    counts[left.pop(0)] = ended
    except (git.GitFailed, OSError) as error:  # no room for the code, or for what is said of it
        why = error.message if isinstance(error, git.GitFailed) else one_line(error, kind=False)
        return counts | {job: why for job in jobs if job not in counts}
    return counts


def _found(said: Mapping[str, str], tree: Path) -> Baseline | str:
    if "error" in said:
        return said["error"].replace(f"{tree}{os.sep}", "")
    return lock.from_json(said["lock"])[""]


def _process(root: Path, tree: Path, folder: Path, jobs: Iterable[Job]) -> tuple[list[str], str]:
    """The lines that the process wrote, and how it ended where the next job made it end."""
    beside = tree.parent
    asked, found, log = beside / "jobs.json", beside / "found.jsonl", beside / "log"
    found.write_text("")
    asked.write_text(base_process.to_json([_from(folder, job, tree) for job in jobs]), encoding="utf-8")
    package = Path(__file__).resolve().parents[2]
    words = [sys.executable, "-P", "-c", base_process.PROGRAM, *map(str, (package, root, tree, asked, found))]
    with open(log, "wb") as said:
        running = subprocess.Popen(words, cwd=folder, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        try:
            code = running.wait()
        except BaseException:
            running.kill()
            running.wait()
            raise
    last = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()][-1:]
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    lines = [line for line in found.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
    return lines, "" if lines and code == 0 else printable(": ".join([f"its process ended with {how}", *last]))


def _from(folder: Path, job: Job, tree: Path) -> Job:
    """The job with its file's path from a folder of the tree: the tree's own may have letters that a spec cannot."""
    parsed = spec.parse(job.model)
    if parsed.source not in ("file", "exported") or Path(parsed.target).is_absolute():
        return job
    path = Path(os.path.relpath(tree / parsed.target, folder)).as_posix()
    return replace(job, model=parsed.text.replace(parsed.target, path, 1))


# --- what differs ---------------------------------------------------------------------------------------------------


def _differences(one: Checked, before: Before) -> Iterable[Difference]:
    if one.profile is None or before.baseline is None:
        return
    layers = lock.layers_of(one.profile)
    budget = one.budget
    for name, measure in MEASURES.items():
        if name not in before.baseline.counts or (name == "training_bytes" and not budget.counts_training):
            continue
        then, now = before.baseline.counts[name], measure.value(one.profile)
        changed = tuple(lock.changes(before.baseline.layers, layers, measure.driver(one.profile)))
        yield Difference(
            budget.file, budget.name, name, then, now, name in budget.limits, changed if then != now else ()
        )


def _restated(
    then: _Then, entry: Config, stated: Sequence[Config], chosen: Sequence[Config], whole: bool
) -> Iterable[Restated]:
    """Budgets that are gone, and what of the others is stated otherwise."""
    now = {one.name for config in stated for one in config.budgets}
    if whole:
        for name in then.budgets:
            if name not in now:
                yield Restated(entry.shown, name, "", None, None)
    picked = next((config.budgets for config in chosen if config.path == entry.path), ())
    for budget in picked:
        if (old := then.budgets.get(budget.name)) is not None:
            before, after = _statement(old), _statement(budget)
            for key in dict.fromkeys((*before, *after)):
                if before.get(key) != after.get(key):
                    yield Restated(entry.shown, budget.name, key, before.get(key), after.get(key))


def _statement(budget: Budget) -> dict[str, str]:
    """What a budget says, key by key, as people read it."""
    said = {"model": budget.shown_model}
    for name, limit in budget.limits.items():
        parts = [bound.shown for bound in limit.bounds]
        if limit.growth is not None:
            parts.append(f"growth ≤ {float(100 * limit.growth):g} %")
        said[name] = ", ".join(parts)
    for one in budget.latency:
        said[f"latency, batch {one.batch_size}"] = ", ".join(bound.shown for bound in one.bounds)
    if budget.growth is not None:
        said["growth"] = f"{float(100 * budget.growth):g} %"
    said |= _of_feed(budget.feed)
    if budget.allow_uncounted:
        said["allow_uncounted"] = ", ".join(budget.allow_uncounted)
    return said


def _of_feed(feed: Feed) -> dict[str, str]:
    said = {"batch_size": str(feed.batch_size)}
    if feed.input_shape is not None:
        said["input_shape"] = "x".join(map(str, feed.input_shape))
    if feed.inputs:
        said["input"] = ", ".join(map(str, feed.inputs))
    return said
