"""Three calculations that never change, timed to see how fast the machine is right now (`results.drift`)."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

#: Two matrices of this side and their product, 768 KiB, stay in a core's own cache: what is timed is arithmetic.
SIDE = 256
PRODUCTS = 2

#: Elements of a sum that torch divides between two threads (its grain is 32,768): what is timed is how long they take
#: to meet, which depends on which cores a host gave us.
SHARED = 1 << 16
SUMS = 40

#: Products and sums are done so many times over, and the best time counts: what disturbs one turn is not drift.
TIMES = 3

#: Bytes copied from one place to another: more than most last-level caches hold of both, so that memory is timed.
COPIED = 32 << 20


def reader(clock: Callable[[], float] = time.perf_counter) -> Callable[[], dict[str, float]]:
    """What times them: `product_us` (microseconds of one product), `sum_us` (of one sum), `copy_ms` (of one copy).

    Takes about 4 ms, and 65 MiB for as long as it is kept.
    """
    own = torch.Generator().manual_seed(0)  # the numbers of whoever asked stay theirs
    one, other = torch.rand(SIDE, SIDE, generator=own), torch.rand(SIDE, SIDE, generator=own)
    product = torch.empty(SIDE, SIDE)
    shared = torch.zeros(SHARED)
    here, there = torch.ones(COPIED // 4), torch.zeros(COPIED // 4)

    def seconds(work: Callable[[], object]) -> float:
        start = clock()
        work()
        return clock() - start

    def multiply() -> None:
        for _ in range(PRODUCTS):
            torch.mm(one, other, out=product)

    def add() -> None:
        for _ in range(SUMS):
            shared.add_(1)

    def read() -> dict[str, float]:
        copying = seconds(lambda: there.copy_(here))
        multiplying = min([seconds(multiply) for _ in range(TIMES)])
        adding = min([seconds(add) for _ in range(TIMES)])
        return {
            "product_us": round(multiplying / PRODUCTS * 1e6, 2),
            "sum_us": round(adding / SUMS * 1e6, 3),
            "copy_ms": round(copying * 1e3, 3),
        }

    return read
