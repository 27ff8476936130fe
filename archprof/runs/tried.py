"""The largest batches that are predicted to fit, run: what the device's allocator saw, and at one batch more."""

from __future__ import annotations

from dataclasses import replace

from ..base import units
from ..measure import device, real
from ..measure.memory import described, free_memory, out_of_memory
from ..measure.steps import forward_step
from ..results.memory import Limiting
from .rows import Request, RowInProgress

#: Multiply-accumulates of a pass that is tried at most: half a minute or so on a few cores.
LONGEST = 10**12

#: A training step's work in multiples of a forward pass's.
STEP = 3


def verify(row: RowInProgress, request: Request) -> None:
    """Run the largest batches of a network, where it was counted and the machine can, and one that is larger."""
    fits = row.result.largest_batch
    if fits is None:
        return
    limited = []
    for limiting in fits.limited:
        request.tell(f"trying {limiting.mode} of {row.result.name} at batch {limiting.batch_size}")
        limited.append(_tried(row, request, limiting, fits.limit_bytes))
        row.built = None
        free_memory()
    row.result = replace(row.result, largest_batch=fits._replace(limited=tuple(limited)))


def _tried(row: RowInProgress, request: Request, limiting: Limiting, limit: int) -> Limiting:
    profile, conditions = row.result.profile, request.conditions
    assert profile is not None
    training = limiting.mode == "training"
    work = profile.macs // profile.batch_size * limiting.batch_size * (STEP if training else 1)
    have = device.available_bytes(conditions)
    if limiting.nbytes > limit:
        return limiting  # nothing fits: nothing to try
    if work > LONGEST:
        return limiting._replace(why=f"it takes {units.count(work)} multiply-accumulates")
    if have is not None and limiting.nbytes * 5 // 4 > have:
        return limiting._replace(why=f"{units.size(have)} are available")
    if conditions.kind not in ("cpu", "cuda") or conditions.compile is not None or conditions.cuda_graph:
        return limiting._replace(why="memory can be measured on the CPU and CUDA without a compiler or a graph")
    try:
        measured = _peak_bytes(row, request, limiting.batch_size, training)
    except Exception as error:
        return limiting._replace(why=described(error))
    if measured is None:
        return limiting._replace(why="this torch does not tell")
    if row.found is not None and row.found.batch_size is not None and request.inputs is None:
        return limiting._replace(measured_bytes=measured)  # exported for this batch alone
    try:
        step = conditions.accumulate if training else 1
        beyond = _peak_bytes(row, request, limiting.batch_size + step, training)
    except Exception as error:
        if not out_of_memory(error):
            raise
        beyond = None
    return limiting._replace(measured_bytes=measured, beyond_bytes=beyond)


def _peak_bytes(row: RowInProgress, request: Request, batch_size: int, training: bool) -> int | None:
    conditions = replace(request.conditions, mode="train" if training else "eval")
    with device.applied(conditions):
        if row.built is None:
            row.built = real.module(row.model, row.found, conditions)
        args, kwargs = row.given(request, conditions.part_of(batch_size) if training else batch_size)
        return forward_step(row.built, args, conditions, kwargs).peak_bytes()
