"""Memory as torch's allocator on CUDA hands it out: in blocks of 512 bytes, from segments that it keeps.

Sizes and the order of search are those of c10/cuda/CUDACachingAllocator.cpp and c10/core/AllocatorConfig.h with default
settings (torch 2.6 to 2.13); cuBLAS's workspace is that of ATen/cuda/CublasHandlePool.cpp. What cuDNN chooses as its
workspace at run time, and the driver's context (some hundred MiB outside of the allocator), is not known here.
"""

from __future__ import annotations

import bisect
import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ..counting import lifetimes
from ..counting.trace import Trace

MIB = 2**20

#: Every size is a multiple of this.
BLOCK = 512

#: Sizes up to this come from small segments; a larger rest of a block in a large one stays free for others.
SMALL = MIB
SMALL_SEGMENT = 2 * MIB

#: Sizes below this come from middle segments; from there on a segment is as large as what it is for, rounded.
LARGE = 10 * MIB
MIDDLE_SEGMENT = 20 * MIB
ROUND = 2 * MIB

#: Operators that cuBLAS computes; the first of them takes the workspace, which is kept.
_PRODUCTS = frozenset("mm addmm bmm baddbmm".split())

#: Bytes of cuBLAS's workspace: ':4096:2:16:8' KiB, and 32 MiB on Hopper (compute capability 9).
WORKSPACE = (2 * 4096 + 8 * 16) * 1024
WORKSPACE_ON_HOPPER = 32 * MIB


def blas_workspace(capability: tuple[int, int]) -> int:
    """Bytes that cuBLAS keeps for its products, by CUDA's compute capability, unless CUBLAS_WORKSPACE_CONFIG says."""
    parts = re.findall(r":(\d+):(\d+)", os.environ.get("CUBLAS_WORKSPACE_CONFIG", ""))
    if parts:
        return sum(int(size) * int(count) for size, count in parts) * 1024
    return WORKSPACE_ON_HOPPER if capability[0] == 9 else WORKSPACE


def rounded(nbytes: int) -> int:
    """The size of a block that holds so many bytes."""
    return max(-(-nbytes // BLOCK), 1) * BLOCK


def segment_for(size: int) -> int:
    """Bytes of the segment that is asked of the driver where no free block of that size is left."""
    if size <= SMALL:
        return SMALL_SEGMENT
    return MIDDLE_SEGMENT if size < LARGE else -(-size // ROUND) * ROUND


@dataclass(eq=False)
class _Block:
    segment: int
    start: int
    size: int
    small: bool
    free: bool = False
    before: _Block | None = None
    after: _Block | None = None

    @property
    def key(self) -> tuple[int, int, int]:
        return self.size, self.segment, self.start


@dataclass
class Allocator:
    """What was handed out and what is held, in bytes, now and at most."""

    allocated: int = 0
    reserved: int = 0
    most_allocated: int = 0
    most_reserved: int = 0
    _segments: int = 0
    _free: dict[bool, list[tuple[tuple[int, int, int], _Block]]] = field(default_factory=lambda: {True: [], False: []})

    def take(self, nbytes: int) -> _Block:
        """The smallest free block that is large enough, or one of a new segment; what is left of it is free again."""
        size = rounded(nbytes)
        small = size <= SMALL
        pool = self._free[small]
        place = bisect.bisect_left(pool, (size, 0, 0), key=lambda entry: entry[0])
        if place < len(pool):
            block = pool.pop(place)[1]
        else:
            self._segments += 1
            block = _Block(self._segments, 0, segment_for(size), small)
            self.reserved += block.size
            self.most_reserved = max(self.most_reserved, self.reserved)
        left = block.size - size
        if left >= BLOCK if small else left > SMALL:
            rest = _Block(block.segment, block.start + size, left, small, True, block, block.after)
            if block.after is not None:
                block.after.before = rest
            block.size, block.after = size, rest
            self._add(rest)
        block.free = False
        self.allocated += block.size
        self.most_allocated = max(self.most_allocated, self.allocated)
        return block

    def give_back(self, block: _Block) -> None:
        """A block is free, together with those beside it that are."""
        self.allocated -= block.size
        for other in (block.before, block.after):
            if other is None or not other.free:
                continue
            self._remove(other)
            first, second = (other, block) if other is block.before else (block, other)
            first.size += second.size
            first.after = second.after
            if second.after is not None:
                second.after.before = first
            block = first
        block.free = True
        self._add(block)

    def _add(self, block: _Block) -> None:
        bisect.insort(self._free[block.small], (block.key, block), key=lambda entry: entry[0])

    def _remove(self, block: _Block) -> None:
        pool = self._free[block.small]
        pool.pop(bisect.bisect_left(pool, block.key, key=lambda entry: entry[0]))


class Held(NamedTuple):
    """Bytes at the highest points: handed out, and held of the driver."""

    allocated: int
    reserved: int


class Update(NamedTuple):
    """Sizes of what an optimizer keeps from its first update on, and of what each update takes."""

    state: Sequence[int] = ()
    taken: Sequence[int] = ()


def replayed(trace: Trace, weights: Iterable[int], workspace: int, update: Update | None = None) -> Held:
    """Passes of a loaded network, or training steps, one after another through the allocator.

    The second finds what the first has left: state, workspace, free blocks.
    """
    allocator = Allocator()
    for nbytes in weights:
        allocator.take(nbytes)
    products = next((place for place, call in enumerate(trace.calls) if _is_product(call.op.name)), None)
    for first in (True, False):
        held = _pass(allocator, trace, workspace if first else 0, products)
        if update is not None:
            if first:
                for nbytes in update.state:
                    allocator.take(nbytes)
            for block in [allocator.take(nbytes) for nbytes in update.taken]:
                allocator.give_back(block)
        for block in held:
            allocator.give_back(block)
    return Held(allocator.most_allocated, allocator.most_reserved)


def _is_product(name: str) -> bool:
    return name.removeprefix("aten.") in _PRODUCTS


def _pass(allocator: Allocator, trace: Trace, workspace: int, products: int | None) -> Collection[_Block]:
    """One pass; returns what is alive after it. The workspace is taken by the call numbered `products`."""
    born, died = defaultdict(list), defaultdict(list)
    for number, storage in enumerate(trace.storages):
        if storage.owner in lifetimes.ACTIVATIONS and storage.nbytes:
            born[storage.born].append(number)
            died[storage.died].append(number)
    joined = dict(lifetimes.joined(trace))
    blocks: dict[int, _Block] = {}
    for moment in range(len(trace.calls) + 1):
        for number in died[moment]:
            if number in blocks:
                allocator.give_back(blocks.pop(number))
        for number in born[moment]:
            before = joined.get(number)
            blocks[number] = allocator.take(trace.storages[number].nbytes) if before is None else blocks.pop(before)
        if workspace and moment == products:
            allocator.take(workspace)
    return blocks.values()
