"""Measure what a machine can do at best: products and convolutions by type, moving data by working set, calls.

Probes are workloads like any other (`sampling`): blocks in shuffled rounds, spread over the time budget, each watched
for what disturbs it.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from ..base import units
from ..results.ceilings import CONVOLUTION, ELEMENTWISE, PRODUCT, Cache, Ceilings, Lacking, Probe
from ..results.conditions import DTYPES, Conditions, Sampling
from ..results.latency import Latency
from . import device
from .device import first_line
from .memory import free_memory
from .reliability import commonest_cause
from .sampling import Workload, measure
from .workloads import Progress

Tell = Callable[[str, float], None]

#: Types of products; convolutions are measured in those that networks can be measured in. int8 is none of them: torch's
#: public products of int8 overflow, and what quantised networks call is private to its kernels.
PRODUCTS_IN = (*DTYPES, "float64")

#: Sides of square matrices by kind of device: from what a cache holds to what libraries are at their best with.
SIDES = {"cpu": (256, 512, 1024, 2048), "cuda": (1024, 2048, 4096, 8192), "mps": (512, 1024, 2048, 4096)}

#: Convolutions (batch, channels, kernel, side of the image), ascending in operations: shapes of ResNets. On a GPU with
#: so many times the batch.
CONVOLUTIONS = ((1, 256, 3, 14), (1, 64, 3, 56), (1, 512, 1, 28), (1, 256, 3, 56))
BATCHES = {"cpu": 1, "cuda": 64, "mps": 16}

#: Working sets in bytes, from the first on twice as much each: to LARGEST, and to FAR_BEYOND times the last cache.
SMALLEST = {"cpu": 2**16, "cuda": 2**20, "mps": 2**18}
LARGEST = {"cpu": 2**28, "cuda": 2**31, "mps": 2**29}
FAR_BEYOND, MOST = 4, 2**32

#: Part of the available memory that probes may take.
PART = 0.25

#: Seconds of one calculation from which on no larger one of its kind is tried, and beyond which it is no probe at all:
#: where a type has no fast kernel, one product of two matrices may take minutes.
LONG_S = 0.1
TOO_LONG_S = 3.0


@dataclass(frozen=True)
class Prepared:
    """A probe without times, and the calculation that is to be timed."""

    probe: Probe
    run: Callable[[], object]


def ceilings(
    conditions: Conditions,
    sampling: Sampling,
    *,
    progress: Tell | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Ceilings:
    """Measure the ceilings of the device, with the conditions' threads, within the sampling's time budget.

    A few seconds of trying come on top. Raises BadOption where the device is not to be had.
    """
    device.check_available(conditions)
    tell = progress or (lambda doing, left_s: None)
    seen = replace(device.witness(conditions), meter=None)
    with device.applied(conditions), torch.inference_mode():
        prepared, lacking = prepare(conditions, tell, clock)
        probes = timed(
            prepared,
            sampling,
            clock=clock,
            sync=device.sync_for(conditions),
            witness=seen,
            rearrange=device.rearranger(conditions),
            progress=lambda now: tell(now.doing, now.left_s),
        )
        prepared.clear()
    free_memory()
    return Ceilings(device.environment(conditions), probes, caches_of(conditions), lacking)


def prepare(
    conditions: Conditions, tell: Tell, clock: Callable[[], float]
) -> tuple[list[Prepared], tuple[Lacking, ...]]:
    """All probes of the device, and the types that it does not compute in, or takes too long for."""
    sync = device.sync_for(conditions)
    found, lacking = [*_calls(conditions), *_streams(conditions)], []
    for dtype in PRODUCTS_IN:
        tell(f"trying products and convolutions in {dtype}", 0.0)
        series = [_products(conditions, dtype)]
        if dtype in DTYPES:
            series += [_convolutions(conditions, dtype, channels_last) for channels_last in (False, True)]
        those = [tried(candidates, sync, clock) for candidates in series]
        found += [one for ran, _ in those for one in ran]
        if not any(ran for ran, _ in those):
            lacking.append(Lacking(dtype, next(why for _, why in those)))
    return found, tuple(lacking)


def tried(
    candidates: Iterable[Callable[[], Prepared]], sync: Callable[[], None], clock: Callable[[], float]
) -> tuple[list[Prepared], str]:
    """Of probes that grow, those whose calculations are not too long, the first in any case; and why it ends there.

    Nothing larger is tried from where one would take LONG_S at the rate of the one before: its own would hardly differ.
    """
    found: list[Prepared] = []
    flops_per_s = math.inf
    for make in candidates:
        try:
            one = make()
            if one.probe.flops > LONG_S * flops_per_s:
                return found, "larger ones take long"
            took: list[float] = []
            while len(took) < 2 and sum(took) < TOO_LONG_S:  # the first may load libraries
                start = clock()
                one.run()
                sync()
                took.append(clock() - start)
        except (RuntimeError, NotImplementedError, TypeError) as reason:
            return found, first_line(reason)
        if min(took) > TOO_LONG_S:
            return found, f"one {one.probe.work} ({one.probe.what}) takes {min(took):.1f} s"
        flops_per_s = one.probe.flops / max(min(took), 1e-9)
        found.append(one)
    return found, ""


def timed(
    prepared: Sequence[Prepared],
    sampling: Sampling,
    *,
    progress: Callable[[Progress], None] | None = None,
    **how: Any,
) -> tuple[Probe, ...]:
    """The probes with the times of their blocks, all of them measured in turns; `how` goes to `sampling.measure`.

    Of a probe that failed or was not reached there are none.
    """
    workloads = [Workload(_name(one.probe), 1, _giving(one.run)) for one in prepared]

    def told(now: Progress) -> None:
        if progress:
            progress(replace(now, doing=now.doing.replace(", batch 1", "")))

    found = measure(workloads, sampling, progress=told, **how)
    return tuple(filled(one.probe, found[load.key]) for one, load in zip(prepared, workloads, strict=True))


def filled(probe: Probe, seen: Latency) -> Probe:
    """The probe with the blocks of its measurement: their times, and what disturbed most of those that were."""
    disturbed = tuple(block.seconds for block in seen.blocks if block.disturbed)
    return replace(
        probe,
        seconds=tuple(block.seconds for block in seen.clean),
        disturbed_seconds=disturbed,
        cause=commonest_cause(seen) if disturbed else None,
    )


def _name(probe: Probe) -> str:
    return ", ".join(filter(None, (probe.work, probe.what, probe.dtype)))


def _giving(run: Callable[[], object]) -> Callable[[], Callable[[], object]]:
    return lambda: run


# -- the probes ------------------------------------------------------------------------------------------------------


def _calls(conditions: Conditions) -> list[Prepared]:
    """Operators with next to nothing to do."""
    where = conditions.device
    one, row, square = (torch.ones(shape, device=where) for shape in ((1,), (1, 8), (8, 8)))
    image, filters = torch.ones(1, 8, 1, 1, device=where), torch.ones(8, 8, 1, 1, device=where)
    known: list[tuple[str, str, Callable[[], object]]] = [
        (ELEMENTWISE, "relu_ of 1 number", lambda: torch.relu_(one)),
        (PRODUCT, "linear, 8 to 8", lambda: functional.linear(row, square)),
        (CONVOLUTION, "1x1 of 1 position, 8 to 8", lambda: functional.conv2d(image, filters)),
    ]
    return [Prepared(Probe(kind, what, "float32", 0, 0, 0), run) for kind, what, run in known]


def _streams(conditions: Conditions) -> list[Prepared]:
    """Moving the same data again and again: copied, read (times a vector), and changed in place."""
    caches = caches_of(conditions)
    largest = max([LARGEST[conditions.kind], *(FAR_BEYOND * cache.size_bytes for cache in caches)])
    available = device.available_bytes(conditions)
    most = min(largest, MOST, MOST if available is None else int(available * PART))
    sizes = [SMALLEST[conditions.kind]]
    while 2 * sizes[-1] <= most:
        sizes.append(2 * sizes[-1])
    room = torch.ones(sizes[-1] // 4, device=conditions.device)
    return [make(room, size) for size in sizes for make in (_copy, _read, _in_place)]


def _copy(room: torch.Tensor, size: int) -> Prepared:
    here, there = room[: size // 8], room[size // 8 : size // 4]
    return Prepared(_stream("copy", size, size), lambda: there.copy_(here))


def _read(room: torch.Tensor, size: int) -> Prepared:
    """A matrix times a vector, as in a layer that is fully connected, of one sample: it reads each number once."""
    columns = 1 << (size // 4).bit_length() // 2
    matrix = room[: size // 4].view(-1, columns)
    vector = torch.ones(columns, device=room.device)
    out = torch.empty(len(matrix), device=room.device)
    return Prepared(_stream("read", size, size), lambda: torch.mv(matrix, vector, out=out))


def _in_place(room: torch.Tensor, size: int) -> Prepared:
    part = room[: size // 4]
    return Prepared(_stream("in place", size, 2 * size), lambda: part.mul_(1.0))


def _stream(work: str, size: int, moved: int) -> Probe:
    return Probe(work, units.size(size), "float32", 0, moved, size)


def _products(conditions: Conditions, dtype: str) -> Iterator[Callable[[], Prepared]]:
    """Of square matrices, ascending."""

    def make(side: int) -> Prepared:
        one, other, out = (_random((side, side), conditions, dtype) for _ in range(3))
        probe = Probe("product", f"{side}x{side}x{side}", dtype, 2 * side**3, 3 * _bytes(out), 3 * _bytes(out))
        return Prepared(probe, lambda: torch.mm(one, other, out=out))

    return (functools.partial(make, side) for side in SIDES[conditions.kind])


def _convolutions(conditions: Conditions, dtype: str, channels_last: bool) -> Iterator[Callable[[], Prepared]]:
    """Of images, ascending in operations, in one of the two layouts."""
    layout = torch.channels_last if channels_last else torch.contiguous_format

    def make(batch: int, channels: int, kernel: int, side: int) -> Prepared:
        images = _random((batch, channels, side, side), conditions, dtype).contiguous(memory_format=layout)
        filters = _random((channels, channels, kernel, kernel), conditions, dtype).contiguous(memory_format=layout)
        said = f"{kernel}x{kernel}, {channels} channels, {batch}x{side}x{side}{', channels last' * channels_last}"
        moved = 2 * _bytes(images) + _bytes(filters)
        flops = 2 * batch * (channels * kernel * side) ** 2
        probe = Probe("convolution", said, dtype, flops, moved, moved)
        return Prepared(probe, lambda: functional.conv2d(images, filters, padding=kernel // 2))

    batches = BATCHES[conditions.kind]
    return (functools.partial(make, batches * batch, *rest) for batch, *rest in CONVOLUTIONS)


def _random(shape: tuple[int, ...], conditions: Conditions, dtype: str) -> torch.Tensor:
    own = torch.Generator().manual_seed(0)  # the numbers of whoever asked stay theirs
    return torch.randn(shape, generator=own).to(conditions.device, getattr(torch, dtype))


def _bytes(tensor: torch.Tensor) -> int:
    return int(tensor.numel() * tensor.element_size())


# -- what is known of caches -------------------------------------------------------------------------------------------


def caches_of(conditions: Conditions) -> tuple[Cache, ...]:
    """The caches of the device, the nearest first; none where the system does not tell."""
    if conditions.kind == "cuda":
        size = getattr(torch.cuda.get_device_properties(conditions.device), "L2_cache_size", 0)
        return (Cache("L2", size),) if size else ()
    return cpu_caches(conditions.threads or torch.get_num_threads()) if conditions.kind == "cpu" else ()


def cpu_caches(threads: int, root: Path = Path("/sys/devices/system/cpu")) -> tuple[Cache, ...]:
    """The data caches of as many CPUs as there are threads, together, as Linux lists them.

    A cache that several CPUs share counts once.
    """
    found: dict[tuple[int, str], int] = {}
    folders = sorted(root.glob("cpu[0-9]*/cache"), key=lambda folder: int(folder.parent.name[3:]))
    for folder in folders[:threads]:
        for index in folder.glob("index[0-9]*"):
            try:
                kind, level, size, shared = (
                    (index / name).read_text().strip() for name in ("type", "level", "size", "shared_cpu_list")
                )
                if kind != "Instruction":
                    found[int(level), shared] = int(size.removesuffix("K")) * 1024
            except (OSError, ValueError):
                continue
    levels = sorted({level for level, _ in found})
    return tuple(Cache(f"L{level}", sum(size for (at, _), size in found.items() if at == level)) for level in levels)
