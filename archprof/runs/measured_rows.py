"""Rows of a comparison measured: all networks in turn, then the time of each layer."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from ..base import units
from ..base.errors import BadOption
from ..measure import device, per_layer, sampling
from ..measure.memory import described
from ..measure.sampling import Key
from ..measure.steps import Step, forward_step
from ..results.comparison import ArchitectureResult, Division
from ..results.latency import Latency
from ..results.per_layer import with_times
from ..results.ratios import Stopping
from .rows import Request, RowInProgress


def refuse_what_cannot_fit(rows: Sequence[RowInProgress], request: Request) -> None:
    """Raise BadOption for a batch size that no network can be measured at in the memory there is."""
    have = device.available_bytes(request.conditions)
    counted = [row for row in rows if row.needs]
    for size in request.batch_sizes:
        least = min((row for row in counted if size in row.needs), key=lambda row: row.needs[size], default=None)
        if have is None or least is None:
            continue
        if least.needs[size] > have:
            raise BadOption(
                f"batch size {size}: {least.result.name} alone needs {units.size(least.needs[size])}, and "
                f"{units.size(have)} are available on {request.conditions.device}.",
                "Leave it out, or count only: --no-latency.",
            )


#: What the second copy of the reference is filed under: no network can have that name.
CONTROL = ""


class Measured(NamedTuple):
    """When measuring was to end, the reference's second copy by batch size, and what somebody should be told."""

    stopping: Stopping | None = None
    control: tuple[Latency, ...] = ()
    warnings: tuple[str, ...] = ()


def measure(rows: Sequence[RowInProgress], request: Request, reference: str | None) -> Measured:
    """Measure every network that was counted, all of them in turn, and a second copy of the reference beside them.

    Raises SamplingInterrupted on Ctrl-C, the rows filled until then.
    """
    conditions = request.conditions
    needed, refused = own_needs(rows, request)
    workloads = [
        sampling.Workload(row.result.name, size, functools.partial(_step, row, request, size))
        for row in rows
        for size in needed.get(row.result.name, ())
    ]
    if not workloads and not refused:
        return Measured()
    workloads += _controls(rows, request, reference)
    began = time.perf_counter()
    try:
        with device.applied(conditions):
            measured = sampling.measure(
                workloads,
                request.sampling,
                sync=device.sync_for(conditions),
                reference=reference,
                progress=lambda seen: request.tell(seen.doing, seen.left_s),
                witness=device.witness(conditions),
                rearrange=device.rearranger(conditions),
            )
    except sampling.SamplingInterrupted as stopped:
        _keep(rows, request, stopped.latencies | refused)
        raise
    _keep(rows, request, measured | refused)
    asked = request.sampling
    stopping = Stopping(asked.precision, asked.time_budget, time.perf_counter() - began)
    return Measured(stopping, tuple(seen for (name, _), seen in measured.items() if name == CONTROL and seen.measured))


def own_needs(rows: Sequence[RowInProgress], request: Request) -> tuple[dict[str, list[int]], dict[Key, Latency]]:
    """The batch sizes at which each network can be measured in the memory there is; those at which not, with why."""
    have = device.available_bytes(request.conditions)
    found: dict[str, list[int]] = {}
    refused: dict[Key, Latency] = {}
    for row in rows:
        for size, needed in row.needs.items():
            if have is None or needed <= have:
                found.setdefault(row.result.name, []).append(size)
                continue
            reason = f"not tried: it needs {units.size(needed)}, and {units.size(have)} are available"
            refused[row.result.name, size] = Latency(size, error=reason)
    return found, refused


def _controls(rows: Sequence[RowInProgress], request: Request, reference: str | None) -> list[sampling.Workload]:
    """The reference once more, as a copy of its own where two fit into memory.

    Compiling another would take as long again: there both are the same network.
    """
    row = next((row for row in rows if row.result.name == reference), None)
    if row is None or len(rows) < 2:
        return []
    have = device.available_bytes(request.conditions)
    second = row if request.conditions.compile else replace(row, built=None)
    return [
        sampling.Workload(CONTROL, size, functools.partial(_step, second, request, size), control=True)
        for size, needed in row.needs.items()
        if have is None or 2 * needed <= have
    ]


def divide(rows: Sequence[RowInProgress], request: Request) -> None:
    """Divide a pass of each network that was measured among the calls of its profile."""
    counted = [row for row in rows if row.result.profile is not None]
    for place, row in enumerate(counted, 1):
        try:
            row.result = _divided(row, request, f" ({place} of {len(counted)})")
        except Exception as failure:
            row.result = replace(row.result, division=Division(error=described(failure)))
        row.built = None


def _step(row: RowInProgress, request: Request, batch_size: int) -> Step:
    """One prepared pass."""
    part = request.conditions.part_of(batch_size) if request.conditions.mode == "train" else batch_size
    args, kwargs = row.given(request, part)
    return forward_step(row.module(request), args, request.conditions, kwargs)


def _keep(rows: Sequence[RowInProgress], request: Request, measured: Mapping[sampling.Key, Latency]) -> None:
    for row in rows:
        mine = tuple(measured[key] for size in row.needs if (key := (row.result.name, size)) in measured)
        row.result = replace(row.result, latency=mine)


def _divided(row: RowInProgress, request: Request, place: str) -> ArchitectureResult:
    """The result with its layers' times, or why it has none. Raises what the network raises."""
    result, profile = row.result, row.result.profile
    assert profile is not None
    seen = result.latency_at(profile.batch_size)
    tried = [seen] if seen else result.latency
    if not any(latency.measured for latency in tried):
        return replace(result, division=Division(error=tried[0].error if tried else "not measured"))

    def tell(doing: str, left_s: float) -> None:
        request.tell(doing + place, left_s)

    module, given = row.module(request), row.given(request, profile.batch_size)
    if seen is None:
        few = replace(request.sampling, time_budget=per_layer.UNDISTURBED_S)
        seen = per_layer.undisturbed(module, given, profile, request.conditions, few, tell=tell)
    times = per_layer.divided(module, given, profile, seen, request.conditions, tell=tell, most_s=per_layer.PROFILING_S)
    return replace(result, profile=with_times(profile, times), division=times.division)
