"""Memory of a measurement: the peak of one step, running out, and giving back."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import torch

from ..base.errors import one_line

#: How the error of a cell begins for which memory did not suffice.
MEMORY = "out of memory"


def peak_bytes(step: Callable[[], object], device: torch.device, collect: bool = True) -> int | None:
    """Bytes that `step` allocated at most at one time, beyond what was held before it; None where unknown.

    On CUDA the allocator's own watermark; on the CPU the running sum of the allocations and releases that
    torch's profiler records, so that it does not depend on what the C library keeps back. Python's garbage is looked
    for first unless `collect` is False, for a step during which none can go.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        step()
        torch.cuda.synchronize(device)
        return int(torch.cuda.max_memory_allocated(device) - before)
    if device.type == "cpu":
        return _recorded(step, collect)
    return None


def _recorded(step: Callable[[], object], collect: bool) -> int | None:
    """The highest running sum of the allocations that torch's CPU allocator reports.

    These are all that torch makes, the scratch tensors of oneDNN among them; what a library takes from the C library
    by itself (packed operands of a matrix product) is not seen. torch's older profiler records them in this thread
    without starting kineto, which writes to stderr and imports more than a second's worth of modules. It is to be
    removed one day: None then.
    """
    try:
        from torch._C._autograd import _disable_profiler_legacy, _enable_profiler_legacy
        from torch._C._profiler import ProfilerConfig, ProfilerState, _ExperimentalConfig
    except ImportError:
        return None
    if collect:
        gc.collect()  # what is garbage now must not be seen to go
    config = ProfilerConfig(ProfilerState.CPU, False, True, False, False, False, _ExperimentalConfig())
    _enable_profiler_legacy(config)  # shapes, memory, stacks, flops, modules
    threads: Any = None  # torch's stub has numbers for the kinds of events, which are words
    try:
        step()
    finally:
        threads = _disable_profiler_legacy()
    held = peak = 0
    for event in (event for events in threads for event in events if event.kind() == "memory_alloc"):
        held += event.cpu_memory_usage()
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


def out_of_memory(reason: BaseException) -> bool:
    """Whether an exception says that memory ran out: on a GPU, in torch's CPU allocator or in Python."""
    if isinstance(reason, MemoryError) or type(reason).__name__ == "OutOfMemoryError":
        return True
    text = one_line(reason, longest=2000).lower()
    return isinstance(reason, RuntimeError) and any(
        phrase in text for phrase in (MEMORY, "not enough memory", "can't allocate memory")
    )


def described(reason: BaseException) -> str:
    """An exception as an entry's error: one line, starting with 'out of memory' where that happened."""
    text = one_line(reason, kind=False)
    return f"{MEMORY}: {text}" if out_of_memory(reason) else text


def free_memory() -> None:
    """Give memory back: Python's garbage, then what the GPU's allocator keeps."""
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
