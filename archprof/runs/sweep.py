"""Thousands of networks, one line of JSON each, as they finish. Imports no torch: that happens in its processes.

The file is its own state: a sweep that is stopped goes on where it was. `Comparison.from_json` reads it.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from ..base import files
from ..base.errors import BadOption
from . import engines, fleet, sweep_file, tasks
from .asked import SAMPLING, TIMEOUT_S, Measuring, SweepRequest, apart, environment_one, warm_up, watched
from .engines.cluster import Cluster
from .engines.keeper import Job
from .engines.processes import Outcome
from .fleet import Measured

__all__ = [
    "SAMPLING",
    "TIMEOUT_S",
    "Measuring",
    "Summary",
    "SweepRequest",
    "expanded",
    "sweep",
]


@dataclass(frozen=True)
class Summary:
    """How a sweep went: networks in the file that were asked for, those with a profile, and why others have none.

    `earlier` of them were there from a previous run; `seconds` is the time of this one. `machines` say how each kind of
    a cluster's machines went.
    """

    asked: int
    profiled: int
    failed: tuple[tuple[str, str], ...]
    earlier: int
    seconds: float
    machines: tuple[Measured, ...] = ()


def sweep(
    models: Sequence[str],
    path: str,
    request: SweepRequest = SweepRequest(),
    *,
    jobs: int = 1,
    timeout: float = TIMEOUT_S,
    executor: Executor | None = None,
    on: Mapping[str, str] | None = None,
    progress: Callable[[str], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> Summary:
    """Count every model in `jobs` processes, then measure them one at a time where `request` says so.

    Each goes into the file at `path` as soon as it is done; a model that raises, does not return within `timeout`
    seconds or takes its process down has an entry with the reason. Models that have their entry are passed over.

    `executor` counts instead of processes here: any concurrent.futures.Executor whose tasks run where archprof is
    installed. Each of its workers runs networks in a process of its own. A `Cluster` also measures, on the machines
    that declare it and into a file for each kind of machine (`fleet.path_on`); `on` names the kinds that are meant.

    `progress` is called with what was done last, `say` with what one should know before it ends. Raises BadFile where
    the file is something else, or a sweep of another request or by another version; Unreachable where the executor or
    the cluster breaks: what came before is in the file.
    """
    if on and not (isinstance(executor, Cluster) and request.measuring):
        raise BadOption("'on' has no effect unless a cluster measures;", "leave it out.")
    models = list(dict.fromkeys(models))
    tell = progress or (lambda doing: None)
    began = time.monotonic()
    there = executor if isinstance(executor, Cluster) else None
    with files.alone(path):
        counting = fleet.counts_only(request) if there else request
        entries, out = sweep_file.opened(path, counting, functools.partial(environment_one, None, counting))
        earlier = sum(name in entries for name in models)
        with contextlib.closing(out):
            file = _Filling(entries, out)
            _count(models, file, request, timeout, jobs, executor, tell)
            if request.measuring is not None and there is None:
                _measure_here(models, file, request, timeout, tell)
        machines: tuple[Measured, ...] = ()
        if request.measuring is not None and there is not None:
            counted = [name for name in models if not entries[name].get("error")]
            telling = _Telling(tell, "measured")
            machines = fleet.measure(
                counted,
                path,
                request,
                there,
                on=on or {},
                timeout=timeout,
                packages=tasks.libraries_of(models),
                tell=telling,
                say=say or (lambda text: None),
            )
    asked = [entries[name] for name in models]
    return Summary(
        len(asked),
        sum("macs" in entry for entry in asked),
        tuple((entry["name"], entry["error"]) for entry in asked if entry.get("error")),
        earlier,
        time.monotonic() - began,
        machines,
    )


def expanded(patterns: Sequence[str], cluster: Cluster) -> list[str]:
    """The networks that patterns mean on a cluster's machines. Raises what is wrong with a pattern."""
    packages = tasks.libraries_of(patterns)
    job = Job(tasks.expand_one, TIMEOUT_S, functools.partial(warm_up, tuple(packages)), watched)
    (outcome,) = engines.outcomes(job, [tuple(patterns)], cluster, packages=packages)
    if outcome.error is not None:
        raise BadOption(f"patterns cannot be looked up on the cluster: {outcome.error}.", "Name the networks.")
    if isinstance(outcome.value, Exception):
        raise outcome.value
    found: list[str] = outcome.value
    return found


class _Filling:
    """The entries of the file, and the file itself, filled together."""

    def __init__(self, entries: dict[str, Any], out: sweep_file.Lines) -> None:
        self.entries, self.out = entries, out

    def note(self, outcome: Outcome) -> None:
        entry = sweep_file.entry_of(outcome, self.entries.get(outcome.task))
        self.entries[outcome.task] = entry
        self.out.add(entry)


class _Telling:
    """Progress in words, with the time that is left."""

    def __init__(self, tell: Callable[[str], None], done: str) -> None:
        self.tell, self.done, self.began = tell, done, time.monotonic()

    def __call__(self, place: int, total: int, last: str) -> None:
        left = (time.monotonic() - self.began) / place * (total - place)
        self.tell(f"{self.done} {place} of {total}, about {left:.0f} s left: {last}")


def _count(
    models: Sequence[str],
    file: _Filling,
    request: SweepRequest,
    timeout: float,
    jobs: int,
    executor: Executor | None,
    tell: Callable[[str], None],
) -> None:
    todo = [name for name in models if name not in file.entries]
    libraries = tasks.libraries_of(todo)
    job = Job(
        functools.partial(tasks.count_one, request=fleet.counts_only(request)),
        timeout,
        functools.partial(warm_up, tuple(libraries)),
        watched,
        apart=apart(todo),
    )
    telling = _Telling(tell, "counted")
    for place, outcome in enumerate(engines.outcomes(job, todo, executor, jobs, libraries), start=1):
        file.note(outcome)
        telling(place, len(todo), outcome.task)


def _measure_here(
    models: Sequence[str], file: _Filling, request: SweepRequest, timeout: float, tell: Callable[[str], None]
) -> None:
    todo = sweep_file.to_measure(models, file.entries, request)
    job = Job(functools.partial(tasks.measure_one, request=request), timeout, watch=watched)
    telling = _Telling(tell, "measured")
    # never side by side: they would take the machine from each other
    for place, outcome in enumerate(engines.outcomes(job, todo, None, 1), start=1):
        file.note(outcome)
        telling(place, len(todo), outcome.task)
