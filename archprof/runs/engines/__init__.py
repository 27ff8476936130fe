"""Where tasks run: processes of this machine, an executor that was handed over, or a dask cluster.

Nothing here knows of networks or imports torch: tasks and what is done with them come from outside.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .processes import Outcome, Processes

if TYPE_CHECKING:
    from .keeper import Job

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
    # the index of counts needs processes alone, and starts with every command that lists or chooses
    from .cluster import Cluster
    from .executors import Submitted

    if isinstance(executor, Cluster):
        return executor.run(replace(job, needs=executor.versions((*PACKAGES, *packages))), tasks)
    return Submitted(executor, replace(job, needs=here())).run(tasks)


def here() -> tuple[tuple[str, str], ...]:
    """The versions that this machine has."""
    from .keeper import version_of

    return tuple((package, version_of(package) or "") for package in PACKAGES)
