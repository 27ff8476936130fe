"""Work in processes that may hang, die or grow: what runs the networks of a sweep. Standard library only.

`concurrent.futures` would not do here: a worker of its pool cannot be stopped without losing the pool. Its executors
and a cluster's workers each run their tasks in a `Worker` of their own instead (`keeper`).
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Protocol

from ...base.errors import one_line, printable

#: Seconds that a process may take to start: torch and a library of networks are imported, perhaps from a slow disk.
STARTING_S = 120.0

#: Threads of a cluster's worker start processes one after another: each changes for a moment what the process may do.
_STARTING = threading.Lock()

#: Signals that ask a process to stop; Windows lacks some.
_STOPPING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


@dataclass(frozen=True)
class Outcome:
    """What became of one task: its `value`, or why there is none. `seconds` is the time that it took."""

    task: Any
    value: Any = None
    error: str | None = None
    seconds: float = 0.0


class Engine(Protocol):
    """Runs tasks somewhere and yields each one's outcome as it comes, in any order. A task never raises."""

    def run(self, tasks: Sequence[str]) -> Iterator[Outcome]: ...


class Processes:
    """An engine of `jobs` local processes, each running `work(task)` for one task after another.

    `start` runs once in every process. A task that takes longer than `timeout` seconds has its process killed; one
    that takes its process down is told so; a process that has grown beyond `most_bytes` is replaced after its task.
    `watch` is called once in every process and gives a function that says what a task has changed in it (None:
    nothing); a process that was changed is replaced as well, so that no task meets what another left behind.
    """

    def __init__(
        self,
        work: Callable[[Any], Any],
        jobs: int = 1,
        timeout: float = 300.0,
        start: Callable[[], None] | None = None,
        most_bytes: int = 2 * 2**30,
        watch: Callable[[], Callable[[], str | None]] | None = None,
    ) -> None:
        self.work, self.jobs, self.timeout, self.start, self.most_bytes = work, jobs, timeout, start, most_bytes
        self.watch = watch

    def run(self, tasks: Sequence[str]) -> Iterator[Outcome]:
        """Neighbours among the tasks resemble each other, so each process has a stretch of them for itself first."""
        jobs = max(1, min(self.jobs, len(tasks)))
        bounds = [len(tasks) * job // jobs for job in range(jobs + 1)]
        stretches = [deque(tasks[low:high]) for low, high in itertools.pairwise(bounds)]
        workers = {stretch: Worker(self) for stretch in range(jobs)}
        try:
            for own, worker in workers.items():
                worker.give(_next(stretches, own))
            while any(worker.task is not None for worker in workers.values()):
                busy = {worker.pipe: own for own, worker in workers.items() if worker.task is not None}
                ready = wait(list(busy), timeout=max(0.0, min(workers[own].left_s() for own in busy.values())))
                for pipe, own in busy.items():
                    worker = workers[own]
                    if pipe in ready:
                        outcome = worker.outcome()
                    elif worker.left_s() <= 0:
                        outcome = worker.too_long()
                    else:
                        continue
                    if outcome is None:
                        continue
                    yield outcome
                    task = _next(stretches, own)
                    if worker.spent:
                        worker.stop()
                        if task is not None:
                            worker = workers[own] = Worker(self)
                    worker.give(task)
        finally:
            for worker in workers.values():
                worker.stop()


def _next(stretches: list[deque[str]], own: int) -> str | None:
    """The next task of one's own stretch; when it is done, the last one of the longest that is left."""
    if stretches[own]:
        return stretches[own].popleft()
    longest = max(stretches, key=len)
    return longest.pop() if longest else None


class Worker:
    """One process and the pipe to it."""

    def __init__(self, engine: Processes) -> None:
        context = multiprocessing.get_context("spawn")
        self.engine = engine
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(
            target=_serve, args=(theirs, engine.work, engine.start, engine.watch), daemon=True
        )
        # Ctrl-C goes to the whole group of processes: a worker that is only being started would print a traceback
        before = _blocked(signal.SIG_BLOCK)
        try:
            with _children_allowed():
                self.process.start()
        finally:
            _blocked(signal.SIG_SETMASK, before)
        theirs.close()
        self.task: Any = None
        self.began = time.monotonic()
        self.timeout = engine.timeout
        self.started = self.spent = False

    def give(self, task: Any) -> None:
        self.task, self.began = task, time.monotonic()
        if task is not None:
            with contextlib.suppress(ConnectionError):  # it is dead: `outcome` will say so
                self.pipe.send(task)

    def left_s(self) -> float:
        """Seconds until the task has had its time; starting up does not count towards it."""
        allowed = self.timeout if self.started else max(STARTING_S, self.timeout)
        return self.began + allowed - time.monotonic()

    def outcome(self) -> Outcome | None:
        """The answer that has arrived, or the news that none will; None for the news that the process has started."""
        assert self.task is not None
        seconds = time.monotonic() - self.began
        try:
            answer = self.pipe.recv()
        except (EOFError, ConnectionError):
            self.spent = True
            self.process.join()
            return Outcome(self.task, None, _how_it_ended(self.process.exitcode), seconds)
        if not self.started:
            self.started, self.began = True, time.monotonic()
            return None
        value, error, size, changed = answer
        self.spent = size > self.engine.most_bytes or changed is not None
        return Outcome(self.task, value, error, seconds)

    def too_long(self) -> Outcome:
        assert self.task is not None
        self.spent = True
        return Outcome(
            self.task,
            None,
            f"stopped after {self.timeout:g} s: it had not returned",
            time.monotonic() - self.began,
        )

    def do(self, task: Any, timeout: float) -> Outcome:
        """Run one task, for so many seconds at most; where it must not go on afterwards, the worker is `spent`."""
        self.timeout = timeout
        self.give(task)
        while True:
            outcome = self.outcome() if self.pipe.poll(max(0.0, self.left_s())) else self.too_long()
            if outcome is not None:
                return outcome

    def stop(self) -> None:
        self.pipe.close()
        self.process.kill()
        self.process.join()


@contextlib.contextmanager
def _children_allowed() -> Iterator[None]:
    """Let a process have children that multiprocessing calls a daemon, as a cluster's worker is.

    Daemons have none because they would outlive it; ours end with their parent, however it ends.
    """
    config: dict[str, Any] = getattr(multiprocessing.current_process(), "_config", {})
    with _STARTING:
        daemon = config.pop("daemon", None)
        try:
            yield
        finally:
            if daemon is not None:
                config["daemon"] = daemon


def _how_it_ended(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        killed = " (out of memory?)" if name == "SIGKILL" else ""
        return f"it took its process down: {name}{killed}"
    return f"it ended its process with exit code {code}"


def _serve(
    pipe: Connection,
    work: Callable[[Any], Any],
    start: Callable[[], None] | None,
    watch: Callable[[], Callable[[], str | None]] | None,
) -> None:
    """A worker's life: answer tasks until the pipe closes, or the parent ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    _blocked(signal.SIG_UNBLOCK)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    if start is not None:
        start()
    changed = watch() if watch is not None else _unchanged
    with contextlib.suppress(ConnectionError):  # the parent is gone: nobody is left to be told
        _answer(pipe, work, changed)


def _unchanged() -> None:
    """Where nobody watches, nothing is seen to change."""


def _end_with_the_parent() -> None:
    """End this process when its parent ends, however that was: a task that hangs would hang for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _blocked(how: int, signals: Iterable[int] = _STOPPING) -> Iterable[int]:
    """Change which signals wait until they are let through; returns those that waited before."""
    if not hasattr(signal, "pthread_sigmask"):
        return ()
    return signal.pthread_sigmask(how, signals)


def _answer(pipe: Connection, work: Callable[[Any], Any], changed: Callable[[], str | None]) -> None:
    pipe.send(None)
    failed: str | None
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        try:
            value, failed = work(task), None
        except (KeyboardInterrupt, Exception) as error:
            value, failed = None, one_line(error)
        except SystemExit as error:
            value, failed = None, f"it calls sys.exit({printable(repr(error.code))})"
        pipe.send((value, failed, _size(), changed()))


def _size() -> int:
    """The memory that this process holds, in bytes; 0 where the system does not tell.

    Not getrusage's maximum: a new process begins with that of the process which started it.
    """
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
