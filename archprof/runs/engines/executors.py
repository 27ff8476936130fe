"""Tasks sent through a `concurrent.futures.Executor`, whichever: a pool of processes, of MPI ranks, of a cluster."""

from __future__ import annotations

import queue
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

from ...base.errors import BadOption, Unreachable, one_line
from . import keeper
from .keeper import Job
from .processes import Outcome

#: Tasks that are with the executor at once: enough for any pool to be busy, few enough for thousands to be tried.
AT_ONCE = 1000


class Submitted:
    """An engine over an executor, which runs `keeper.do` for each task.

    Raises BadOption for an executor that is none and for what cannot be pickled, Unreachable where the executor breaks:
    outcomes that came before are whole.
    """

    def __init__(self, executor: Executor, job: Job) -> None:
        if not callable(getattr(executor, "submit", None)):
            raise BadOption(
                f"executor is of type {type(executor).__name__};",
                "expected a concurrent.futures.Executor: something with submit(function, *arguments).",
            )
        self.executor, self.job = executor, shippable(job)

    def run(self, tasks: Sequence[Any]) -> Iterator[Outcome]:
        """Each task's outcome, as it comes."""
        waiting, done = iter(tasks), queue.SimpleQueue[Any]()
        running: dict[Any, Any] = {}

        def submit() -> None:
            for task in waiting:
                try:
                    future = self.executor.submit(keeper.do, self.job, task)
                except RuntimeError as error:  # a pool that is shut down, or broken
                    raise _broken(error) from None
                running[future] = task
                future.add_done_callback(done.put)
                return

        try:
            for _ in range(AT_ONCE):
                submit()
            while running:
                future = done.get()
                task = running.pop(future)
                yield replace(self._result(future), task=task)
                submit()
        finally:
            for future in running:
                future.cancel()

    def _result(self, future: Any) -> Outcome:
        try:
            found: Outcome = future.result()
        except Unreachable as error:
            raise Unreachable(f"{type(self.executor).__name__}: {error.message}", "install the same version.") from None
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            raise _broken(error) from None
        return found


def shippable(job: Job) -> Job:
    """The job with its key. Raises BadOption where it cannot be sent to another process."""
    try:
        return keeper.keyed(job)
    except Exception as error:
        raise BadOption(
            f"what is asked for cannot be sent to another process: {one_line(error)};",
            "name functions and classes of a module, not of a script or a function.",
        ) from None


def _broken(error: BaseException) -> Unreachable:
    return Unreachable(f"the executor broke: {one_line(error)};", "what came before is kept; try again.")
