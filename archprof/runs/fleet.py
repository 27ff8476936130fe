"""A sweep measured on the machines of a cluster: each kind of machine has a file of its own beside the counts."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..base import files
from . import sweep_file, tasks
from .asked import SweepRequest, apart, environment_one, watched
from .engines import PACKAGES
from .engines.cluster import Cluster
from .engines.keeper import Job
from .engines.machines import Kind, Machines
from .engines.processes import STARTING_S


@dataclass(frozen=True)
class Measured:
    """How measuring went on one kind of machine: its file, how many networks it holds measured, why not the others."""

    kind: str
    path: str
    asked: int
    measured: int
    failed: tuple[tuple[str, str], ...]


def measure(
    models: Sequence[str],
    path: str,
    request: SweepRequest,
    cluster: Cluster,
    *,
    on: Mapping[str, str],
    timeout: float,
    packages: Sequence[str],
    tell: Callable[[int, int, str], None],
    say: Callable[[str], None],
) -> tuple[Measured, ...]:
    """Measure `models` on each kind of machine, one at a time on each machine, into `path_on(path, kind)`.

    What a file holds already is passed over. `on` names the kinds that are meant; without it all that are there are.
    `tell` is called with how many are done, of how many, and the last; `say` with the kinds, before measuring begins.
    """
    needs = cluster.versions((*PACKAGES, *packages))
    probe = Job(functools.partial(environment_one, request=request), STARTING_S, watch=watched, needs=needs)
    machines = Machines(cluster, probe, on)
    for kind in machines.kinds:
        say(f"measuring on {kind}: {path_on(path, kind.name)}{_held_back(kind)}")
    for address, why in machines.why.items():
        say(f"not measuring on {address}: {why}")
    with contextlib.ExitStack() as stack:
        entries: dict[Kind, dict[str, Any]] = {}
        lines: dict[Kind, sweep_file.Lines] = {}
        for kind in machines.kinds:
            own = path_on(path, kind.name)
            stack.enter_context(files.alone(own))
            entries[kind], lines[kind] = sweep_file.opened(own, request, functools.partial(dict, kind.environment))
            stack.callback(lines[kind].close)
        todo = {kind: sweep_file.to_measure(models, entries[kind], request) for kind in machines.kinds}
        job = Job(
            functools.partial(tasks.measure_one, request=request),
            timeout,
            watch=watched,
            alone=True,
            needs=needs,
            apart=apart(models),
        )
        total = sum(map(len, todo.values()))
        outcomes = stack.enter_context(contextlib.closing(machines.run(job, todo)))
        for place, (kind, outcome) in enumerate(outcomes, start=1):
            entry = sweep_file.entry_of(outcome, entries[kind].get(outcome.task))
            entries[kind][outcome.task] = entry
            lines[kind].add(entry)
            tell(place, total, f"{outcome.task} on {kind.name}")
    return tuple(_measured(models, kind, entries[kind], path_on(path, kind.name)) for kind in machines.kinds)


def path_on(path: str, kind: str) -> str:
    """'out/sweep.jsonl' on 'epyc' -> 'out/sweep.epyc.jsonl'."""
    whole = Path(path)
    return str(whole.with_name(f"{whole.stem}.{kind}{whole.suffix}"))


def counts_only(request: SweepRequest) -> SweepRequest:
    """The request for the file of counts, which no machine shapes."""
    return replace(request, measuring=None)


def _held_back(kind: Kind) -> str:
    """A word where dask, not the user, chose the number of threads."""
    seen = kind.environment
    held = [name for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS") if seen.get("variables", {}).get(name) == "1"]
    if seen.get("device") != "cpu" or not held or seen["threads"] != 1 or seen["cpus"] == 1:
        return ""
    return (
        f"; {' and '.join(held)} {'is' if len(held) == 1 else 'are'} 1 there, which dask's nanny sets where nobody "
        f"does: --threads {seen['cpus']} measures with all CPUs"
    )


def _measured(models: Sequence[str], kind: Kind, entries: Mapping[str, Any], path: str) -> Measured:
    rows = [entries[name] for name in models if name in entries]
    return Measured(
        kind.name,
        path,
        len(rows),
        sum(not row.get("error") for row in rows),
        tuple((row["name"], row["error"]) for row in rows if row.get("error")),
    )
