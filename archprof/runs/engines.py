"""Which engine runs a job: processes of this machine, an executor that was handed over, or a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

from .cluster import Cluster
from .keeper import Job, version_of
from .processes import Outcome, Processes
from .submitted import Submitted

#: Packages of which every machine must have the same version.
PACKAGES = ("archprof", "torch")


def outcomes(
    job: Job, tasks: Sequence[Any], executor: Executor | None, jobs: int = 1, packages: Sequence[str] = ()
) -> Iterator[Outcome]:
    """What becomes of each task, as it comes; without `executor` in `jobs` processes here.

    `packages` are others than archprof and torch that every worker of a cluster must have, in one version. Raises
    BadOption and Unreachable as the engines do.
    """
    if not tasks:
        return iter(())
    if executor is None:
        return Processes(job.work, jobs, job.timeout, job.start, watch=job.watch).run(tasks)
    if isinstance(executor, Cluster):
        return executor.run(replace(job, needs=executor.versions((*PACKAGES, *packages))), tasks)
    return Submitted(executor, replace(job, needs=here())).run(tasks)


def here() -> tuple[tuple[str, str], ...]:
    """The versions that this machine has."""
    return tuple((package, version_of(package) or "") for package in PACKAGES)
