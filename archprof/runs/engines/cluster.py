"""Tasks on a dask cluster: counted anywhere, measured where a worker declares it, one process a machine.

dask carries tasks and results and starts a task again whose worker is lost. What is ours: each network runs in a
process of its own (`keeper`), workers of other versions are refused, machines are told apart by what shapes a time,
and a scheduler that comes back is gone on with. Imports no torch, and distributed when a cluster is made.
"""

from __future__ import annotations

import contextlib
import logging
import pickle
import queue
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

from ...base.errors import MissingPackage, Unreachable, one_line
from . import keeper
from .address import ANSWER_S, parsed, refuse_silent, unanswered
from .executors import shippable
from .keeper import Job
from .processes import Outcome

#: The resource of a worker that measures: dask worker ADDRESS --resources measure=1
MEASURE = "measure"

#: Seconds for which a scheduler, workers or a kind of machine that went away are waited for.
PATIENCE_S = 60.0

#: Seconds without a worker after which this machine starts a new one: dask's nanny may lose one that dies as it starts.
HEAL_S = 5.0

#: Seconds between two looks at who is there.
LOOK_S = 1.0

#: A network whose measurement took down so many workers is given up. For counting, dask decides (allowed-failures).
DEATHS = 3

Tell = Callable[[str], None]


_NO_TASK = object()


class Cluster(Executor):
    """The cluster whose scheduler is at `address`, or N processes of this machine for 'local:N'; or a dask `client`.

    To be closed, or used in a with statement. `tell` is called with what is waited for. Raises BadOption for an address
    that is none, MissingPackage without dask distributed, Unreachable where no scheduler answers.
    """

    def __init__(
        self, address: str = "", *, client: Any = None, patience: float = PATIENCE_S, tell: Tell | None = None
    ) -> None:
        self.where = parsed(address) if client is None else str(client.scheduler.address)
        self.patience, self.tell = patience, tell or (lambda doing: None)
        try:
            import distributed
        except ImportError:
            raise MissingPackage(
                "a cluster needs the package 'distributed'.", "Install it: pip install 'archprof[cluster]'"
            ) from None
        self.distributed = distributed
        self._local: Any = None
        self._own_client = client is None
        # its loggers, each with a level of its own, tell on stderr what becomes a line of ours
        for name in list(logging.root.manager.loggerDict):
            if name.partition(".")[0] == "distributed":
                logging.getLogger(name).setLevel(logging.CRITICAL)
        self.client = client or self._connected()

    # --- a concurrent.futures.Executor --------------------------------------------------------------------------------

    def submit(self, fn: Callable[..., Any], /, *args: Any, **how: Any) -> Any:
        """dask's future of fn(*args); `how` is for dask, such as `workers` and `resources`."""
        return self.client.submit(fn, *args, pure=False, **how)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leave the cluster; local processes end."""
        with contextlib.suppress(Exception):
            if self._own_client:
                self.client.close(timeout=ANSWER_S)
        if self._local is not None:
            self._local.close(timeout=ANSWER_S)

    # --- who is there -------------------------------------------------------------------------------------------------

    def workers(self) -> dict[str, Mapping[str, Any]]:
        """What the scheduler says of each worker, by address."""
        found: dict[str, Mapping[str, Any]] = self.client.scheduler_info(n_workers=-1)["workers"]
        return found

    @property
    def threads(self) -> int:
        """Tasks that the workers run at once, all together."""
        return sum(int(worker["nthreads"]) for worker in self.workers().values())

    def versions(self, packages: Sequence[str]) -> tuple[tuple[str, str], ...]:
        """The version of each package, alike on all workers; of archprof and torch also here.

        Waits for the first worker. Raises Unreachable where none comes, and with the worker's name for one that lacks a
        package or has another version.
        """
        self._wait_for_a_worker()
        try:
            answers: Mapping[str, Any] = self.client.run(_asker(), tuple(packages), on_error="return")
        except (OSError, TimeoutError) as error:
            raise Unreachable(f"{self}: {one_line(error)};", "is the scheduler still there?") from None
        expected = {package: keeper.version_of(package) for package in ("archprof", "torch")}
        for address, answer in sorted(answers.items()):
            if isinstance(answer, BaseException):
                raise Unreachable(f"worker {address} cannot be asked: {one_line(answer)};", "look at its log.")
            for package in packages:
                wanted = expected.setdefault(package, answer[package])
                if answer[package] is None or answer[package] != wanted:
                    has = f"has {package} {answer[package]}" if answer[package] else f"has no {package}"
                    raise Unreachable(
                        f"worker {address} {has}; expected {wanted or 'one'}, as {self._who(package)}.",
                        "Install the same on all machines, or stop that worker.",
                    )
        return tuple((package, expected[package] or "") for package in packages)

    def _who(self, package: str) -> str:
        return "here" if package in ("archprof", "torch") else "on the other workers"

    def _wait_for_a_worker(self) -> None:
        until = time.monotonic() + self.patience
        while not self.workers():
            if time.monotonic() > until:
                raise Unreachable(
                    f"{self} has no workers after {self.patience:g} s.", f"Start some: dask worker {self.where}"
                )
            self.tell(f"waiting for a worker of {self}")
            time.sleep(LOOK_S)

    def __str__(self) -> str:
        return f"the scheduler at {self.where}" if isinstance(self.where, str) else f"local:{self.where}"

    # --- counting -----------------------------------------------------------------------------------------------------

    def run(self, job: Job, tasks: Sequence[Any]) -> Iterator[Outcome]:
        """Each task's outcome, as it comes, run by whichever worker is free.

        Raises Unreachable where the cluster or all its workers go away and do not come back: outcomes that came before
        are whole.
        """
        job, waiting, again = shippable(job), iter(tasks), list[Any]()
        room, looked = self.threads, time.monotonic()
        missing, started = None, looked  # since when there is no worker, and when new ones were last started
        with Flight(self) as flight:
            while True:
                # no more than run at once: where a worker dies, dask suspects all tasks that are with it
                while len(flight) < max(room, 1):
                    task = again.pop() if again else next(waiting, _NO_TASK)
                    if task is _NO_TASK:
                        break
                    flight.send(job, task)
                if not len(flight):
                    return
                landed = flight.landed(LOOK_S)
                if landed is None:
                    again += flight.dropped()
                    self.reconnect()
                yield from landed or ()
                if time.monotonic() - looked > LOOK_S:
                    room, looked = self._seen_threads(), time.monotonic()
                    missing = None if room else missing or looked
                    if missing is not None and looked - missing > self.patience:
                        raise Unreachable(
                            f"{self} has had no workers for {self.patience:g} s.",
                            "The same command goes on when there are some.",
                        )
                    if missing is not None and looked - max(missing, started) > HEAL_S:
                        started = looked
                        self.start_another()

    def start_another(self) -> None:
        """One worker more, where they are this process's own."""
        if self._local is not None:
            self._local.scale(len(self._local.worker_spec) + 1)

    def _seen_threads(self) -> int:
        try:
            found = self.threads
        except Exception:  # the scheduler is gone: its futures are cancelled, and that is handled there
            return 1
        if not found:
            self.tell(f"waiting for a worker of {self}")
        return found

    def _connected(self) -> Any:
        if isinstance(self.where, int):
            return self._started(self.where)
        refuse_silent(self.where)
        try:
            return self.distributed.Client(self.where, timeout=ANSWER_S, set_as_default=False)
        except Exception as error:
            raise unanswered(self.where, _reason(error)) from None

    def _started(self, workers: int) -> Any:
        """Workers on this machine, each a process with one thread; the environment stays as it is here."""
        import dask

        plain = {
            "distributed.nanny.pre-spawn-environ": {},
            "distributed.scheduler.allowed-failures": DEATHS - 1,
            "distributed.worker.profile.enabled": False,
            "distributed.admin.system-monitor.disk": False,
        }
        with dask.config.set(plain):
            self._local = self.distributed.LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                dashboard_address="127.0.0.1:0",
                resources={MEASURE: 1},
                silence_logs=logging.CRITICAL,
                memory_limit=0,
            )
            return self.distributed.Client(self._local, set_as_default=False)

    def reconnect(self) -> None:
        """Wait for a scheduler at the same address, with workers. Raises Unreachable where none comes in time."""
        until = time.monotonic() + self.patience
        with contextlib.suppress(Exception):
            self.client.close(timeout=1)
        while isinstance(self.where, str):
            self.tell(f"waiting for {self}, which is gone")
            with contextlib.suppress(Unreachable):
                self.client, self._own_client = self._connected(), True
                self._wait_for_a_worker()
                return
            if time.monotonic() > until:
                break
            time.sleep(LOOK_S)
        raise Unreachable(f"{self} is gone, and did not come back within {self.patience:g} s.", "What came is kept.")


def _asker() -> Callable[[Sequence[str]], Mapping[str, str | None]]:
    """A function that tells which versions are installed. It is sent as it stands, for workers without archprof."""

    def ask(packages: Sequence[str]) -> Mapping[str, str | None]:
        import importlib.metadata

        found: dict[str, str | None] = {}
        for package in packages:
            try:
                if package == "archprof":
                    from archprof.base.version import __version__ as version
                else:
                    version = importlib.metadata.version(package)
                found[package] = version.partition("+")[0]
            except ImportError:
                found[package] = None
        return found

    return ask


def _refused(error: BaseException) -> Unreachable:
    """What the shipped function itself raised: not a network's fault."""
    if isinstance(error, Unreachable):
        return Unreachable(f"a worker cannot be used: {error.message}", "Install the same on all machines.")
    return Unreachable(f"a worker cannot run archprof: {one_line(error)};", "is the same version installed there?")


def _reason(error: BaseException) -> str:
    """The innermost reason, such as 'connection refused'."""
    while error.__cause__ is not None:
        error = error.__cause__
    return one_line(error, kind=False)


def _opener() -> Callable[[bytes], Outcome]:
    """A function that does what a parcel says, sent as it stands: a scheduler opens tasks, and may lack archprof."""

    def open_and_do(parcel: bytes) -> Outcome:
        import pickle

        do, job, task = pickle.loads(parcel)
        outcome: Outcome = do(job, task)
        return outcome

    return open_and_do


_OPEN = _opener()


class Flight:
    """Tasks that are with the cluster, or their tags, by their futures."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.running: dict[Any, Any] = {}
        self.done: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def __enter__(self) -> Flight:
        return self

    def __exit__(self, *_: object) -> None:
        self.dropped()

    def __len__(self) -> int:
        return len(self.running)

    def send(self, job: Job, task: Any, tag: Any = None, **how: Any) -> Any:
        """Send one task, whose outcome then bears the tag instead; `how` is dask's. Returns the future.

        Where the scheduler is gone, that is for `landed` to say.
        """
        try:
            future = self.cluster.submit(_OPEN, pickle.dumps((keeper.do, job, task)), **how)
        except Exception:
            future = _Lost()
            self.done.put(future)
        else:
            future.add_done_callback(self.done.put)
        self.running[future] = task if tag is None else tag
        return future

    def drop(self, future: Any) -> Any:
        """Let go of one task, and return it, or its tag."""
        with contextlib.suppress(Exception):
            future.cancel()
        return self.running.pop(future)

    def dropped(self) -> list[Any]:
        """Let go of all that has not come, and return it; a scheduler that is gone need not be told."""
        return [self.drop(future) for future in list(self.running)]

    def landed(self, seconds: float) -> list[Outcome] | None:
        """What came within so many seconds, all that is there together; None: the scheduler is gone.

        Raises Unreachable where a worker cannot run archprof.
        """
        futures = [future for future in self._ready(seconds) if future in self.running]
        if any(future.status in ("cancelled", "lost") for future in futures):
            return None
        killed, well = self.cluster.distributed.KilledWorker, []
        outcomes = []
        for future in futures:
            if future.status != "error":
                well.append(future)
            elif isinstance(error := future.exception(), killed):
                outcomes.append(Outcome(self.running.pop(future), None, took_down(error.allowed_failures + 1)))
            else:
                raise _refused(error)
        from asyncio import CancelledError  # with this module, whatever starts without a cluster would start later

        try:
            values = self.cluster.client.gather(well)
        except (Exception, CancelledError):
            # the scheduler went away with the results, or a worker did and they are made again: told when it is known
            for future in well:
                future.add_done_callback(self.done.put)
            return outcomes
        for future, value in zip(well, values, strict=True):
            outcomes.append(replace(value, task=self.running.pop(future)))
        return outcomes

    def _ready(self, seconds: float) -> list[Any]:
        found = []
        with contextlib.suppress(queue.Empty):
            found.append(self.done.get(timeout=seconds))
            while True:
                found.append(self.done.get_nowait())
        return found


class _Lost:
    """Stands for a task that could not even be sent."""

    status = "lost"

    def cancel(self) -> None: ...


def took_down(workers: int) -> str:
    """The error of a network that ends whatever runs it."""
    return f"it took down {workers} workers of the cluster"
