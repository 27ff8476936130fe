"""Do ratios and their intervals hold from one run to the next? Ours, torch.utils.benchmark's and a plain loop's.

    python benchmarks/latency.py --collect runs --minutes 90    measure again and again, each run in a new process
    python benchmarks/latency.py --judge runs                   what the collected runs say, against the bounds
    python benchmarks/latency.py --smoke                        a few seconds: everything runs, nothing is judged

A collection is a folder with a saved comparison for each run. Judging goes through them in the order in which they ran,
as a logbook that grows would: what a run may know is what ran before it. The first three runs are reported apart.

Of the runs that are called reliable, 90 % must hold the median of the others; 60 % must be reliable; half widths are
5 % in the median. With a core busy, no run may be called reliable and be off by more than 5 %. Two copies of a network
are called different in at most 5 %, a network with one more layer in at least 80 %. Exit code 1 where a claim fails.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import _latency_judging as judging

BUSY = """
import time
while True:
    end = time.perf_counter() + {on}
    while time.perf_counter() < end:
        pass
    time.sleep({off})
"""

#: Both ways of the others, one network after the other, in the same time: its ratio and an interval as people make one.
OTHERS = """
import json, math, sys, time
import torch
from statistics import median
from torch.utils import benchmark
from archprof import models
from archprof.measure import device
from archprof.results.conditions import Conditions
seconds, names = float(sys.argv[1]) / 4, sys.argv[2:]
steps = []
for name in names:
    found = models.find(name)
    module = device.materialise(device.realistic(found.build), Conditions())
    image = device.inputs(found.input_shape, 1, Conditions())
    with torch.inference_mode():
        module(*image)
    steps.append((module, image))
timed, looped = [], []
with torch.inference_mode():
    for module, image in steps:
        known = dict(module=module, image=image)
        timer = benchmark.Timer("module(*image)", globals=known, num_threads=torch.get_num_threads())
        timed.append(timer.blocked_autorange(min_run_time=seconds).times)
    for module, image in steps:
        passes, end = [], time.perf_counter() + seconds
        while time.perf_counter() < end:
            start = time.perf_counter()
            module(*image)
            passes.append(time.perf_counter() - start)
        looped.append(passes)
def ratio(series):
    means = [sum(times) / len(times) for times in series]
    share = math.sqrt(sum(
        sum((each - mean) ** 2 for each in times) / max(len(times) - 1, 1) / len(times) / mean**2
        for times, mean in zip(series, means)
    ))
    middle = median(series[0]) / median(series[1])
    return [middle, middle * (1 - 1.96 * share), middle * (1 + 1.96 * share)]
print(json.dumps({"torch.utils.benchmark": ratio(timed), "plain loop": ratio(looped)}))
"""


@dataclass(frozen=True)
class Kind:
    """One kind of run: what is compared, for how long, beside which load; every how many rounds of a collection."""

    name: str
    networks: tuple[str, str]
    seconds: float
    batch_size: int = 1
    load: tuple[float, float] | None = None
    every: int = 1
    others: bool = False


KINDS = (
    Kind("resnet50 / mobilenetv1, 8 s", ("resnet50", "mobilenetv1"), 8, others=True),
    Kind("resnet50 / mobilenetv1, 22 s", ("resnet50", "mobilenetv1"), 22),
    Kind("resnet50 / alexnet, 8 s", ("resnet50", "alexnet"), 8, every=2),
    Kind("densenet121 / vgg16, batch 8, 22 s", ("densenet121", "vgg16"), 22, batch_size=8, every=3),
    Kind("resnet20_cifar / resnet_tiny, 8 s", ("resnet20_cifar", "resnet_tiny"), 8, every=2),
    Kind("two copies of resnet18, 8 s", ("resnet18", "resnet18(num_classes=1000)"), 8),
    Kind("resnet18 with one more layer, 22 s", ("{here}/_longer_network.py:Longer", "resnet18"), 22, every=3),
    Kind("one core half busy, 8 s", ("resnet50", "mobilenetv1"), 8, load=(0.25, 0.25), every=6),
    Kind("one core busy, 8 s", ("resnet50", "mobilenetv1"), 8, load=(3600.0, 0.0), every=6),
)
SMOKE = (Kind("resnet18@64 / mobilenetv1(width=0.25)@64, 0.4 s", ("resnet18@64", "mobilenetv1(width=0.25)@64"), 0.4),)


@contextmanager
def load(times: tuple[float, float] | None) -> Iterator[None]:
    """One process that computes for `on` seconds and sleeps for `off`, again and again; none for None."""
    if times is None:
        yield
        return
    neighbour = subprocess.Popen([sys.executable, "-c", BUSY.format(on=times[0], off=times[1])])
    try:
        time.sleep(0.2)
        yield
    finally:
        neighbour.kill()
        neighbour.wait()


def run(kind: Kind, folder: Path) -> None:
    """One run in a process of its own, saved; the others' ratios beside it where they are asked for."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{time.time():.0f}"
    here = str(Path(__file__).resolve().parent)
    names = [name.format(here=here) for name in kind.networks]
    python = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(here).parent), os.environ.get("PYTHONPATH", "")])}
    options = [
        "--batch-sizes",
        str(kind.batch_size),
        "--time-budget",
        f"{kind.seconds:g}",
        "--no-logbook",
        "--runs",
        "1",
    ]
    with load(kind.load):
        subprocess.run(
            [sys.executable, "-m", "archprof", "compare", *names, *options, "--json", str(folder / f"{stem}.json")],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=python,
        )
        if kind.others:
            found = subprocess.run(
                [sys.executable, "-c", OTHERS, f"{kind.seconds:g}", *names],
                check=True,
                capture_output=True,
                text=True,
                env=python,
            )
            (folder / f"{stem}.others").write_text(found.stdout)


def collect(folder: Path, kinds: Sequence[Kind], rounds: int, minutes: float) -> None:
    """Rounds of runs until there are enough, or the time is over. What is there already counts."""
    (folder / "kinds.json").parent.mkdir(parents=True, exist_ok=True)
    (folder / "kinds.json").write_text(
        json.dumps({place: vars(kind) for place, kind in enumerate(kinds)}, default=list)
    )
    end = time.monotonic() + 60 * minutes
    for turn in range(rounds):
        for place, kind in enumerate(kinds):
            if turn % kind.every or time.monotonic() > end:
                continue
            began = time.monotonic()
            run(kind, folder / str(place))
            print(f"round {turn + 1}: {kind.name} ({time.monotonic() - began:.0f} s)", file=sys.stderr, flush=True)


def main() -> int:
    """Collect, judge, or both in little."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--collect", type=Path, metavar="FOLDER")
    parser.add_argument("--judge", type=Path, metavar="FOLDER")
    parser.add_argument("--rounds", type=int, default=30, help="of runs (default: 30)")
    parser.add_argument("--minutes", type=float, default=90.0, help="at most (default: 90)")
    parser.add_argument("--only", type=int, action="append", metavar="PLACE", help="one kind of run, by its place")
    parser.add_argument("--smoke", action="store_true", help="a few seconds, no claims")
    args = parser.parse_args()
    if args.smoke:
        with tempfile.TemporaryDirectory() as folder:
            collect(Path(folder), SMOKE, 2, 1.0)
            judging.judge(Path(folder))
        return 0
    if args.only:
        for place in args.only:
            run(KINDS[place], args.collect / str(place))
    elif args.collect:
        collect(args.collect, KINDS, args.rounds, args.minutes)
    return judging.judge(args.judge) if args.judge else 0


if __name__ == "__main__":
    raise SystemExit(main())
