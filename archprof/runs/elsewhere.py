"""A comparison of which a part runs elsewhere: networks counted by an executor, all measured on a cluster's machine."""

from __future__ import annotations

import functools
import pickle
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

from ..base.errors import ArchprofError, BadOption, Unreachable, one_line
from ..results.comparison import ArchitectureResult, Comparison
from . import engines
from .asked import TIMEOUT_S, Measuring, SweepRequest, apart, environment_one, warm_up, watched
from .engines.cluster import Cluster
from .engines.keeper import Job
from .engines.machines import Machines
from .engines.processes import STARTING_S
from .rows import Request, RowInProgress


def count(models: Sequence[Any], rows: Sequence[RowInProgress], request: Request, executor: Executor) -> None:
    """Fill in the rows as counting here would; a network that takes its process down has that as its error.

    Raises BadOption for a network or inputs that cannot be sent, Unreachable where the executor breaks.
    """
    asked, own = replace(request, progress=None), apart([*models, *([request.inputs] if request.inputs else [])])
    sent = [packed((model, row.result.name, asked)) for model, row in zip(models, rows, strict=True)]
    places = {text: place for place, text in enumerate(sent)}
    job = Job(count_packed, TIMEOUT_S, functools.partial(warm_up, ()), watched, apart=own)
    for outcome in engines.outcomes(job, sent, executor):
        row = rows[places[outcome.task]]
        request.tell(f"counted {row.result.name}")
        if outcome.error is None:
            row.result, row.needs = outcome.value
        else:
            row.result = replace(row.result, error=f"{row.result.name}: {outcome.error}")


def measured(
    models: Mapping[str, Any],
    cluster: Cluster,
    on: Mapping[str, str],
    request: Request,
    compare: Callable[..., Comparison],
    **how: Any,
) -> Comparison:
    """`compare` of networks on a machine of the cluster, interleaved as here.

    Raises BadOption where more than one kind of machine measures, Unreachable where the cluster breaks.
    """
    asked = SweepRequest(measuring=Measuring(request.batch_sizes, request.conditions, request.sampling))
    needs = cluster.versions(engines.PACKAGES)
    probe = Job(functools.partial(environment_one, request=asked), STARTING_S, watch=watched, needs=needs)
    machines = Machines(cluster, probe, on)
    if len(machines.kinds) > 1:
        raise BadOption(
            f"{len(machines.kinds)} kinds of machine measure: {'; '.join(map(str, machines.kinds))};",
            "a comparison has one machine: choose with on={'NAME': 'KIND'}.",
        )
    everything = packed((dict(models), replace(request, progress=None), how))
    most_s = request.sampling.time_budget + TIMEOUT_S * len(models)
    own = apart([*models.values(), *([request.inputs] if request.inputs else [])])
    work = functools.partial(compare_packed, compare=compare)
    job = Job(work, most_s, watch=watched, alone=True, needs=needs, apart=own)
    ((_, outcome),) = machines.run(job, {machines.kinds[0]: [everything]})
    if outcome.error is not None:
        raise Unreachable(f"measuring on {machines.kinds[0]}: {outcome.error};", "measure fewer networks at once.")
    if isinstance(outcome.value, Exception):
        raise outcome.value
    found: Comparison = outcome.value
    return found


def packed(what: object) -> bytes:
    """What can be sent and unpacked where cloudpickle is installed: also classes and functions of a script."""
    try:
        try:
            from cloudpickle import dumps
        except ImportError:
            from pickle import dumps
        return bytes(dumps(what))
    except Exception as error:
        raise BadOption(
            f"a network or its inputs cannot be sent to another process: {one_line(error)};",
            "name it as package.module:callable instead.",
        ) from None


# --- where it runs ------------------------------------------------------------------------------------------------


def count_packed(text: bytes) -> tuple[ArchitectureResult, dict[int, int]]:
    """The row of one network, counted, and the bytes that measuring needs."""
    from . import counted_rows
    from .rows import row_of

    model, name, request = pickle.loads(text)
    row = row_of(model, name)
    counted_rows.count(row, request)
    return row.result, row.needs


def compare_packed(text: bytes, compare: Callable[..., Comparison]) -> Comparison | Exception:
    """The comparison, or what is wrong with what was asked for."""
    models, request, how = pickle.loads(text)
    try:
        return compare(
            models,
            batch_sizes=request.batch_sizes,
            conditions=request.conditions,
            sampling=request.sampling,
            input_shape=request.input_shape,
            inputs=request.inputs,
            accuracies=request.accuracies,
            dataset=request.dataset,
            **{"fits" if request.explain else "memory": request.memory},
            **how,
        )
    except ArchprofError as error:
        return error
