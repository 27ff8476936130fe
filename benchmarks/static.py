"""How long counting takes, beside torchinfo and torch's FlopCounterMode, each at its best and as its README shows it.

    python benchmarks/static.py [--smoke]

One process, models already built. "On meta" is the others' best case: no arithmetic, no memory; "real" is a forward
pass at batch 32 with weights. Ours and theirs run in pairs, A B A B, and the ratio is taken pair by pair, so that a
machine that speeds up or slows down meanwhile changes both. User plus system time is what is compared: waiting for a
busy neighbour is not ours.
"""

from __future__ import annotations

import argparse
import copy
import gc
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
import torchinfo
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from archprof.counting import counts
from archprof.counting.shapes import ShapeMemory
from archprof.models import load

SHAPE = (3, 224, 224)


Prepared = Callable[[], Callable[[], Any]]  # makes a call ready; making it ready is not timed


def seconds(prepared: Prepared) -> float:
    """User plus system time of one call, which pays for no garbage but its own.

    What was there before is frozen: looking through all of torch for garbage would leave the CPU's caches to the
    collector, between one side's call and the other's.
    """
    call = prepared()
    gc.collect()
    gc.freeze()
    start = time.process_time()
    call()
    return time.process_time() - start


def flop_counter(network: nn.Module, x: torch.Tensor) -> None:
    with torch.no_grad(), FlopCounterMode(display=False):
        network(x)


def torchinfo_summary(network: nn.Module, x: torch.Tensor) -> None:
    torchinfo.summary(network, input_data=x, device=x.device, verbose=0)


def subject_of(name: str, shape: tuple[int, ...] = SHAPE) -> counts.Subject:
    found = counts.subject_of(name, shape, shape_memory=ShapeMemory())
    found.module.eval()
    return found


def cold(subject: counts.Subject, batch_size: int = 1) -> Prepared:
    """A profile by a process that has seen nothing."""
    return lambda: lambda: counts.profile_of(subject, batch_size, shape_memory=ShapeMemory())


def fourth(subject: counts.Subject) -> Prepared:
    """A profile by a process that has seen three other ResNets, but not this one, each time again."""
    memory = ShapeMemory()
    for name in ("resnet18", "resnet50", "resnet101"):
        counts.profile_of(subject_of(name), shape_memory=memory)

    def prepared() -> Callable[[], Any]:
        again = duplicate(memory)
        return lambda: counts.profile_of(subject, shape_memory=again)

    return prepared


def duplicate(memory: ShapeMemory) -> ShapeMemory:
    """One that has seen the same, and forgets what it sees from here on."""
    again, passages = ShapeMemory(), memory.passages
    again._known.update(memory._known)
    again.passages.likeness.update(passages.likeness)
    again.passages.blocks.update(passages.blocks)
    again.passages.conduct.update(passages.conduct)
    again.passages.copied |= passages.copied
    again.passages.known.update({key: copy.copy(passage) for key, passage in passages.known.items()})
    again.passages.surroundings = passages.surroundings
    return again


def ratio(title: str, mine: Prepared, theirs: Prepared, pairs: int, aim: float) -> None:
    seconds(mine), seconds(theirs)
    timed = [(seconds(mine), seconds(theirs)) for _ in range(pairs)]
    a, b = (median(side) for side in zip(*timed, strict=True))
    print(f"{title:58} {a * 1e3:9.1f} {b * 1e3:9.1f} {median(y / x for x, y in timed):8.1f}x {aim:6.0f}x")


def beside_others(pairs: int, real_pairs: int) -> None:
    print(f"{'resnet152':58} {'ours, ms':>9} {'other, ms':>9} {'ratio':>9} {'aim':>7}")
    subject, another = subject_of("resnet152"), subject_of("resnet152").module  # hooks leave their traces in a module
    x = torch.empty(1, *SHAPE, device="meta")
    for other in (torchinfo_summary, flop_counter):
        other(another, x)  # what they import, and what of torch they replace, comes before any time is taken
    for name, other in (("torchinfo", torchinfo_summary), ("FlopCounterMode", flop_counter)):

        def theirs(other: Callable[..., None] = other) -> Callable[[], None]:
            return lambda: other(another, x)

        ratio(f"nothing remembered; {name} on meta", cold(subject), theirs, pairs, 10)
        ratio(f"the fourth of four ResNets; {name} on meta", fourth(subject), theirs, pairs, 20)
    if real_pairs:
        real, batch = load("resnet152").eval(), torch.rand(32, *SHAPE)
        for name, other in (("torchinfo", torchinfo_summary), ("FlopCounterMode", flop_counter)):

            def theirs_real(other: Callable[..., None] = other) -> Callable[[], None]:
                return lambda: torch.no_grad()(other)(real, batch)

            ratio(f"nothing remembered; {name}, real, batch 32", cold(subject), theirs_real, real_pairs, 100)


class Deep(nn.Module):
    """A thousand layers: 250 times convolution, norm, activation and addition."""

    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU()) for _ in range(blocks)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = x + block(x)
        return x


def fastest(call: Prepared, times: int) -> float:
    return min(seconds(call) for _ in range(times))


def by_depth(times: int) -> None:
    print(f"\n{'depth':30} {'ms':>8} {'calls':>7} {'us per call':>12}")
    deep = {
        f"{4 * blocks} layers": counts.Subject(Deep(blocks).eval(), "deep", "instance", (16, 32, 32))
        for blocks in (250, 1000)
    }
    named = {name: subject_of(name) for name in ("resnet18", "resnet50", "resnet152")}
    for name, subject in (named | deep).items():
        calls = len(cold(subject)()().layers)
        spent = fastest(cold(subject), times)
        print(f"{name:30} {spent * 1e3:8.1f} {calls:7d} {spent / calls * 1e6:12.1f}")


def by_size(times: int) -> None:
    """The same network at other batch sizes and resolutions: the same work."""
    print(f"\n{'mobilenetv1, ms':30} {'ms':>8} {'to the first':>13}")
    first = None
    for batch_size, side in ((1, 224), (1024, 224), (1, 64), (1, 1024)):
        spent = fastest(cold(subject_of("mobilenetv1", (3, side, side)), batch_size), times)
        first = first or spent
        print(f"batch {batch_size}, {side} pixels".ljust(30) + f" {spent * 1e3:8.2f} {spent / first:13.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="one pair each, no real passes")
    smoke = parser.parse_args().smoke
    beside_others(1 if smoke else 15, 0 if smoke else 2)
    by_depth(1 if smoke else 15)
    by_size(1 if smoke else 40)


if __name__ == "__main__":
    main()
