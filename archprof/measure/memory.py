"""Measured peak memory of one step: what torch's allocator held at most."""

from __future__ import annotations

import os
from collections.abc import Callable

import torch


def peak_bytes(step: Callable[[], object], device: torch.device) -> int | None:
    """Bytes that `step` allocated at most at one time, beyond what was held before it; None where unknown.

    On CUDA the allocator's own watermark; on the CPU the running sum of the allocations and releases that
    torch's profiler records, so that it does not depend on what the C library keeps back.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        step()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    if device.type == "cpu":
        return _recorded(step)
    return None


def _recorded(step: Callable[[], object]) -> int:
    """The highest running sum of the profiler's memory events on the CPU."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # or else the profiler reports its start on stderr
    # torch.autograd's profiler, as torch.profiler imports a second's worth of sympy and dynamo
    with torch.autograd.profiler.profile(profile_memory=True) as recorded:
        step()
    events = [event for event in recorded.kineto_results.events() if event.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak


def bytes_of(tensors: object) -> int:
    """Bytes of nested tensors, each storage once."""
    storages: dict[int, int] = {}
    waiting = [tensors]
    while waiting:
        value = waiting.pop()
        if isinstance(value, torch.Tensor):
            storage = value.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
        elif isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, (list, tuple)):
            waiting.extend(value)
    return sum(storages.values())
