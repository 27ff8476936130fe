"""Counts networks from another commit's code: a process of its own, which sees nothing of the work tree.

Both commits' modules have the same names, and Python keeps one of each. An editable install, a .pth file or PYTHONPATH
may name folders of the work tree: what they offer is taken from the same place of the other commit.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import sys
import sysconfig
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from ..base.errors import ArchprofError, one_line
from ..models import input_spec
from ..results.profile import Shape
from . import lock
from .networks import Feed, Profiler, count_model

#: What starts the process, before the path of `archprof` and the arguments of `main`. That path comes first for a
#: moment only: it may be site-packages, or the root of a checkout.
PROGRAM = (
    "import sys; sys.path.insert(0, sys.argv[1]); import archprof; sys.path.remove(sys.argv[1]); "
    "from archprof.budgets.base_process import main; main(*sys.argv[2:])"
)


@dataclass(frozen=True)
class Job:
    """A network to count: at the first of `feeds` that it takes, at `shape` where it can be had."""

    model: str
    feeds: tuple[Feed, ...]
    shape: Shape
    training: bool


def count(job: Job, counted: Profiler) -> lock.Baseline:
    """What the job's network has. Raises ArchprofError where it cannot be counted with any feed."""
    failed: ArchprofError | None = None
    for feed in job.feeds:
        try:
            profile = counted(job.model, feed, job.training)
        except ArchprofError as error:
            failed = failed or error
            continue
        if profile.input_shape != job.shape and not feed.inputs:
            with contextlib.suppress(ArchprofError):  # its own input is another one
                profile = counted(job.model, replace(feed, input_shape=job.shape), job.training)
        return lock.baseline_of(job.model, profile, job.training, tuple(map(str, feed.inputs)))
    assert failed is not None
    raise failed


def to_json(jobs: Sequence[Job]) -> str:
    """The jobs as `main` reads them."""
    return json.dumps(
        [
            {
                "model": job.model,
                "shape": job.shape,
                "training": job.training,
                "feeds": [[feed.batch_size, feed.input_shape, [str(one) for one in feed.inputs]] for feed in job.feeds],
            }
            for job in jobs
        ]
    )


def main(work_tree: str, there: str, jobs_file: str, results_file: str) -> None:
    """Count the jobs of a file with the code that lies `there`; a line of JSON for each, as soon as it is known.

    After one that loaded code of the work tree all the same it ends: the others need a process without that.
    """
    look_there(work_tree, there)
    loaded = _watched(work_tree)
    with open(results_file, "a", encoding="utf-8") as results:
        for saved in json.loads(Path(jobs_file).read_text(encoding="utf-8")):
            try:
                found = {"lock": lock.to_json({"": count(_job(saved), count_model)})}
            except ArchprofError as error:
                found = {"error": error.message}
            except Exception as error:
                found = {"error": one_line(error)}
            if loaded:
                found = {"error": f"it loads {loaded[0]} of the working tree"}
            results.write(json.dumps(found) + "\n")
            results.flush()
            if loaded:
                return


def _job(saved: dict[str, Any]) -> Job:
    feeds = tuple(
        Feed(batch_size, tuple(shape) if shape else None, tuple(map(input_spec.parse, inputs)))
        for batch_size, shape, inputs in saved["feeds"]
    )
    return Job(saved["model"], feeds, tuple(saved["shape"]), saved["training"])


# --- where modules come from ----------------------------------------------------------------------------------------


def look_there(work_tree: str, there: str) -> None:
    """From now on, modules that would come from the work tree come from `there`. Installed packages stay."""

    def moved(path: str) -> str:
        return os.path.join(there, os.path.relpath(path, work_tree)) if is_code_of(work_tree, path) else path

    sys.path[:] = [moved(os.path.realpath(entry)) if entry else entry for entry in sys.path]
    sys.meta_path.insert(0, _Moving(moved))


def is_code_of(work_tree: str, path: str) -> bool:
    """Whether a path lies in the work tree, and in no Python or environment that lies in there too."""
    place, root = Path(os.path.realpath(path)), Path(work_tree)
    if not place.is_relative_to(root) or {"site-packages", "dist-packages"} & set(place.parts):
        return False
    places = (sys.prefix, sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))
    pythons = {Path(os.path.realpath(folder)) for folder in places} - {root}
    return not any(folder.is_relative_to(root) and place.is_relative_to(folder) for folder in pythons)


def _watched(work_tree: str) -> list[str]:
    """The files of the work tree that are loaded from now on: by a link, or a path that the code puts together."""
    loaded: list[str] = []
    package = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))

    def watch(event: str, args: tuple[Any, ...]) -> None:
        file = args[0] if event == "open" else args[1] if event == "import" else None
        if isinstance(file, str) and file.endswith((".py", ".pyc", ".so", ".pyd")) and is_code_of(work_tree, file):
            place = os.path.realpath(file)
            if "__pycache__" in place:
                place = importlib.util.source_from_cache(place)
            if not place.startswith(package + os.sep):
                loaded.append(os.path.relpath(place, work_tree))

    sys.addaudithook(watch)
    return loaded


class _Moving:
    """Asks the other finders, and moves what they find: an editable install may have a finder of its own."""

    def __init__(self, moved: Callable[[str], str]) -> None:
        self.moved = moved

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name.partition(".")[0] == "archprof":  # what counts is this process's own, whatever is counted
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            if finder is not self and find is not None and (found := find(name, path, target)) is not None:
                return self._moved(found)
        return None

    def _moved(self, found: ModuleSpec) -> ModuleSpec:
        folders = found.submodule_search_locations
        places = None if folders is None else [self.moved(folder) for folder in folders]
        if found.origin is None or not found.has_location:
            if places is not None and places != list(folders or ()):
                found.submodule_search_locations = places
            return found
        origin = self.moved(found.origin)
        if origin == found.origin:
            return found
        if not os.path.isfile(origin):
            raise ModuleNotFoundError(f"No module named {found.name!r}", name=found.name)
        made = importlib.util.spec_from_file_location(found.name, origin, submodule_search_locations=places)
        assert made is not None
        return made
