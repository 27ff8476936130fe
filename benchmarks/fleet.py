"""What a cluster adds to a network: overhead for each task, scaling from one worker to two, the scheduler's limit.

    python benchmarks/fleet.py                 # tables for docs/fleet.md
    python benchmarks/fleet.py --smoke         # everything once, small

Rates depend on what else runs; the CPU seconds of the scheduler for each task hardly do, so both are shown.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import psutil

from archprof.runs.engines.cluster import Cluster
from archprof.runs.engines.keeper import Job
from archprof.runs.engines.processes import Processes


def nothing(task: Any) -> Any:
    """A task of no work."""
    return task


def some(task: Any) -> float:
    """A task of 50 ms of computing, which two workers can share."""
    began = time.process_time()
    while time.process_time() - began < 0.05:
        pass
    return 0.05


def waiting(task: Any) -> float:
    """A task that takes 200 ms and no CPU: what two workers gain where nothing is short."""
    time.sleep(0.2)
    return 0.2


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    found = run()
    return time.perf_counter() - began, found


def scheduler_seconds(there: Cluster) -> float:
    """CPU seconds of the process of the scheduler, which here is this process with the client in it."""
    used = psutil.Process(os.getpid()).cpu_times()
    return used.user + used.system


def through_processes(work: Callable[[Any], Any], tasks: Sequence[int], jobs: int) -> float:
    seconds, found = timed(lambda: list(Processes(work, jobs).run([str(task) for task in tasks])))
    assert len(found) == len(tasks)
    return seconds


def through_cluster(there: Cluster, work: Callable[[Any], Any], tasks: Sequence[int]) -> tuple[float, float]:
    before = scheduler_seconds(there)
    seconds, found = timed(lambda: list(there.run(Job(work, 60.0), tasks)))
    assert sorted(outcome.task for outcome in found) == list(tasks)
    return seconds, scheduler_seconds(there) - before


def plain_dask(there: Cluster, count: int) -> tuple[float, float]:
    """dask alone: `count` tasks of no work, all handed over at once."""
    before = scheduler_seconds(there)

    def run() -> None:
        there.client.gather(there.client.map(nothing, range(count), pure=False))

    seconds, _ = timed(run)
    return seconds, scheduler_seconds(there) - before


@contextlib.contextmanager
def crowded(threads: int) -> Iterator[Cluster]:
    """Two processes with so many threads each: as many tasks at once as that many machines would have."""
    import dask
    from distributed import LocalCluster

    plain = {"distributed.nanny.pre-spawn-environ": {}, "distributed.worker.profile.enabled": False}
    how = {"n_workers": 2, "threads_per_worker": threads, "dashboard_address": "127.0.0.1:0", "memory_limit": 0}
    with (
        dask.config.set(plain),
        LocalCluster(**how) as local,
        local.get_client() as client,
        Cluster(client=client) as there,
    ):
        yield there


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="small numbers: everything runs, nothing is claimed")
    parser.add_argument("--most", type=int, default=100_000, help="tasks at the scheduler's limit")
    args = parser.parse_args()
    few, most = (8, [50]) if args.smoke else (400, [1_000, 10_000, args.most])
    print("| what | workers | tasks | ms a task | CPU ms of client and scheduler a task |")
    print("| :--- | ---: | ---: | ---: | ---: |")

    def row(what: str, workers: int, tasks: int, seconds: float, cpu: float | None) -> None:
        spent = "" if cpu is None else f"{1e3 * cpu / tasks:.2f}"
        print(f"| {what} | {workers} | {tasks:,} | {1e3 * seconds / tasks:.2f} | {spent} |", flush=True)

    works = ((nothing, "no work", few), (some, "50 ms of work", few), (waiting, "200 ms of waiting", few // 4))
    counts = (2,) if args.smoke else (1, 2)
    for work, what, tasks in works:
        for workers in counts:
            through_processes(work, range(4), workers)
            row(f"{what}, processes here", workers, tasks, through_processes(work, range(tasks), workers), None)
    for workers in counts:
        with Cluster(f"local:{workers}") as there:
            for work, what, tasks in works:
                through_cluster(there, work, range(4 * workers))
                row(f"{what}, cluster", workers, tasks, *through_cluster(there, work, range(tasks)))
    for count in most:
        with Cluster("local:2") as there:
            row("no work, dask alone", 2, count, *plain_dask(there, count))
    with crowded(2 if args.smoke else 50) as there:
        through_cluster(there, waiting, range(2 * there.threads))
        tasks = 4 * there.threads if args.smoke else 2000
        row("200 ms of waiting, cluster", there.threads, tasks, *through_cluster(there, waiting, range(tasks)))


if __name__ == "__main__":
    main()
