"""What a cluster adds to a network: overhead for each task, scaling from one worker to two, the scheduler's limit.

    python benchmarks/fleet.py                 # tables for docs/fleet.md
    python benchmarks/fleet.py --smoke         # everything once, small

Rates depend on what else runs; the CPU seconds of the scheduler for each task hardly do, so both are shown.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="small numbers: everything runs, nothing is claimed")
    parser.add_argument("--most", type=int, default=100_000, help="tasks at the scheduler's limit")
    args = parser.parse_args()
    few, most = (40, [200]) if args.smoke else (400, [1_000, 10_000, args.most])
    print("| what | workers | tasks | ms a task | CPU ms of client and scheduler a task |")
    print("| :--- | ---: | ---: | ---: | ---: |")

    def row(what: str, workers: int, tasks: int, seconds: float, cpu: float | None) -> None:
        spent = "" if cpu is None else f"{1e3 * cpu / tasks:.2f}"
        print(f"| {what} | {workers} | {tasks:,} | {1e3 * seconds / tasks:.2f} | {spent} |", flush=True)

    for work, what in ((nothing, "no work"), (some, "50 ms of work")):
        for workers in (1, 2):
            through_processes(work, range(4), workers)
            row(f"{what}, processes here", workers, few, through_processes(work, range(few), workers), None)
    for workers in (1, 2):
        with Cluster(f"local:{workers}") as there:
            for work, what in ((nothing, "no work"), (some, "50 ms of work")):
                through_cluster(there, work, range(4 * workers))
                row(f"{what}, cluster", workers, few, *through_cluster(there, work, range(few)))
            if workers == 2:
                for count in most:
                    row("no work, dask alone", workers, count, *plain_dask(there, count))
                count = few if args.smoke else 10_000
                row("no work, cluster", workers, count, *through_cluster(there, nothing, range(count)))


if __name__ == "__main__":
    main()
