"""One network at a time in a process of its own, wherever an executor or a cluster runs `do`. Imports no torch.

Whoever runs `do` never runs a network itself: it keeps a `Worker` for jobs that start alike, which may hang, die, grow
or be changed by a network as in a sweep on one machine, and is replaced as there.
"""

from __future__ import annotations

import hashlib
import pickle
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from ...base import files
from ...base.errors import Unreachable
from ...base.version import __version__
from .processes import Outcome, Processes, Worker

#: Seconds after which a worker that nobody uses ends: its memory is another's, and the client may have been killed.
IDLE_S = 30.0


@dataclass(frozen=True)
class Job:
    """What is done for every task of a sweep, as it is sent to where it is done; everything in it can be pickled.

    `work`, `start`, `watch` and `timeout` are those of `Processes`. `alone`: nothing else of ours runs on the machine
    meanwhile. `needs` are packages with the version that they must have there. Jobs of one `key` share their workers;
    `apart` keeps them from those of others.
    """

    work: Callable[[Any], Any]
    timeout: float
    start: Callable[[], None] | None = None
    watch: Callable[[], Callable[[], str | None]] | None = None
    alone: bool = False
    needs: tuple[tuple[str, str], ...] = ()
    apart: str = ""
    key: str = ""

    def worker(self) -> Worker:
        """A process for this job, and for others that start alike."""
        return Worker(Processes(_perform, 1, self.timeout, self.start, watch=self.watch))


def keyed(job: Job) -> Job:
    """The job with a key of how its workers start, for importing torch takes seconds. Raises what pickling raises."""
    pickle.dumps(job)
    text = pickle.dumps((job.start, job.watch, job.needs, job.apart))
    return replace(job, key=hashlib.sha256(text).hexdigest())


def do(job: Job, task: Any) -> Outcome:
    """What became of `task`. Raises Unreachable where this machine has another version than the job needs."""
    refuse_other_versions(job)
    with files.node(job.alone):
        if job.alone:
            _KEPT.end(lambda kept: kept.key != job.key)
        worker = _KEPT.take(job.key) or job.worker()
        try:
            outcome = worker.do((job.work, task), job.timeout)
        except BaseException:
            worker.stop()
            raise
        if worker.spent:
            worker.stop()
        else:
            _KEPT.put(job.key, worker)
    return replace(outcome, task=task)


def _perform(what: tuple[Callable[[Any], Any], Any]) -> Any:
    work, task = what
    return work(task)


def refuse_other_versions(job: Job) -> None:
    """Raise Unreachable for a package that is missing here or has another version than `job` needs."""
    for package, version in job.needs:
        here = version_of(package)
        if here != version:
            raise Unreachable(f"{package} is {here or 'not installed'} there and {version} here;")


def version_of(package: str) -> str | None:
    """The public part of the installed version ('2.13.0' for '2.13.0+cpu'); None: it is not installed."""
    if package == "archprof":
        return __version__
    import importlib.metadata

    try:
        return importlib.metadata.version(package).partition("+")[0]
    except importlib.metadata.PackageNotFoundError:
        return None


@dataclass(frozen=True)
class _Idle:
    key: str
    worker: Worker
    since: float


class _Kept:
    """Workers that wait for their next task."""

    def __init__(self) -> None:
        self.idle: list[_Idle] = []
        self.lock = threading.Lock()
        self.timer: threading.Timer | None = None

    def take(self, key: str) -> Worker | None:
        with self.lock:
            # the youngest: those that are not needed grow old, and end
            found = next((kept for kept in reversed(self.idle) if kept.key == key), None)
            if found is None:
                return None
            self.idle.remove(found)
            return found.worker

    def put(self, key: str, worker: Worker) -> None:
        with self.lock:
            self.idle.append(_Idle(key, worker, time.monotonic()))
            self._watch()

    def end(self, which: Callable[[_Idle], bool]) -> None:
        """End the idle workers that are meant."""
        with self.lock:
            ended = [kept for kept in self.idle if which(kept)]
            self.idle = [kept for kept in self.idle if not which(kept)]
        for kept in ended:
            kept.worker.stop()

    def _watch(self) -> None:
        if self.timer is None:
            self.timer = threading.Timer(IDLE_S, self._end_the_old)
            self.timer.daemon = True
            self.timer.start()

    def _end_the_old(self) -> None:
        before = time.monotonic() - IDLE_S
        self.end(lambda kept: kept.since <= before)
        with self.lock:
            self.timer = None
            if self.idle:
                self._watch()


_KEPT = _Kept()
