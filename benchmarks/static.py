"""How long counting takes, beside torchinfo and torch's FlopCounterMode, each at its best and as its README shows it.

    python benchmarks/static.py [--smoke]

One process, models already built. "On meta" is the others' best case: no arithmetic, no memory; "real" is a forward
pass at batch 32 with weights. Ours and theirs run in pairs, A B A B, and the ratio is taken pair by pair, so that a
machine that speeds up or slows down meanwhile changes both. User plus system time is what is compared: waiting for a
busy neighbour is not ours.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torchinfo
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from archprof.base.errors import ArchprofError
from archprof.counting import counts
from archprof.counting.shapes import ShapeMemory
from archprof.models import load

SHAPE = (3, 224, 224)


def import_torchvision() -> None:
    """Beside a torch for the CPU alone, torchvision is imported as the tests do it."""
    sys.path.append(str(Path(__file__).parents[1] / "tests"))
    with suppress(Exception):
        from helpers.torchvision_on_cpu import import_torchvision

        import_torchvision()


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
    return lambda: partial(counts.profile_of, replace(subject, shape_memory=ShapeMemory()), batch_size)


def warm(subject: counts.Subject) -> Prepared:
    """A profile by a process that has seen a network of that kind."""
    return lambda: partial(counts.profile_of, subject)


def ratio(title: str, mine: Prepared, theirs: Prepared, pairs: int, aim: float) -> None:
    seconds(mine), seconds(theirs)
    timed = [(seconds(mine), seconds(theirs)) for _ in range(pairs)]
    a, b = (median(side) for side in zip(*timed, strict=True))
    print(f"{title:52} {a * 1e3:9.1f} {b * 1e3:9.1f} {median(y / x for x, y in timed):8.1f}x {aim:6.0f}x")


#: Networks of the zoo, and others' where torchvision can be imported.
NETWORKS = ("resnet50", "resnet152", "torchvision:mobilenet_v2", "torchvision:vit_b_16")


def beside_others(pairs: int, real_pairs: int) -> None:
    print(f"{'on meta':52} {'ours, ms':>9} {'other, ms':>9} {'ratio':>9} {'aim':>7}")
    x = torch.empty(1, *SHAPE, device="meta")
    others = (("torchinfo", torchinfo_summary), ("FlopCounterMode", flop_counter))
    for name in NETWORKS:
        try:
            subject, another = subject_of(name), subject_of(name).module  # hooks leave their traces in a module
        except ArchprofError as error:
            print(f"{name}: left out: {error}")
            continue
        for _, other in others:
            other(another, x)  # what they import, and what of torch they replace, comes before any time is taken
        for tool, other in others:
            theirs = partial(partial, other, another, x)
            ratio(f"{name}, nothing remembered; {tool}", cold(subject), theirs, pairs, 5)
            ratio(f"{name}, shapes remembered; {tool}", warm(subject), theirs, pairs, 5)
    if real_pairs:
        subject, real, batch = subject_of("resnet152"), load("resnet152").eval(), torch.rand(32, *SHAPE)
        for tool, other in others:
            theirs = partial(partial, torch.no_grad()(other), real, batch)
            ratio(f"resnet152, nothing remembered; {tool}, real, batch 32", cold(subject), theirs, real_pairs, 100)


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
    import_torchvision()
    smoke = parser.parse_args().smoke
    beside_others(1 if smoke else 15, 0 if smoke else 2)
    by_depth(1 if smoke else 15)
    by_size(1 if smoke else 40)


if __name__ == "__main__":
    main()
