"""Predicted against measured time of edited networks: random edits of five networks, on this machine.

    python benchmarks/whatif.py [--smoke] [--threads N] [--seed N] [--seconds S] [-o FILE.jsonl]
    python benchmarks/whatif.py --calibrate -o FILE.jsonl    # the constants of intervals, from what a run has measured

Each network is measured with six variants of it, all in turns (`archprof.whatif(..., alone=True, verify=True)`), after
the operators of all of them were measured by themselves; nothing that was kept before is used. Judged are the error of
the predicted times, how often the 90 % intervals hold, and the order of variants of a network, itself included, that
differ by more than 10 %. Prints Markdown; exits with 1 where a figure is beyond its bound. With `-o` what a network
gave is kept, and not measured again. `--smoke` takes two small networks and judges nothing. Networks of libraries that
are not installed give way to others of the zoo.

The constants of the intervals (archprof/editing/estimating.py) come from runs with seeds 1 to 3; others are judged.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import nn

import archprof
from archprof import models
from archprof.counting import counts
from archprof.editing import edits, variants
from archprof.editing.estimating import FLOOR, LEVEL, NARROWER, SLOPE
from archprof.measure import device
from archprof.results.conditions import Conditions, Sampling

#: Each network, and what stands for it where its library is not installed.
NETWORKS = {
    "resnet18": "resnet18",
    "mobilenetv2": "mobilenetv2",
    "densenet121": "densenet121",
    "torchvision:googlenet": "googlenet",
    "timm:efficientnet_b0": "squeezenet1_1",
}
SMALL = ("squeezenet1_1", "resnet_tiny")
EDITS = 6

#: Bounds: the median error, the share of intervals that hold, and of pairs in the right order.
MIDDLE, HELD, ORDERED = 0.10, (0.80, 1.0), 0.90

#: Pairs that differ by more have an order.
APART = 1.10


def drawn(name: str, draw: random.Random, count: int) -> list[str]:
    """So many different edits that the network can take, one by one."""
    module, rows = models.load(name), rows_as(name)
    parts = [path for path, part in module.named_modules() if path and path.count(".") < 2 and _has_convolution(part)]
    found: list[str] = []
    while len(found) < count:
        text = draw.choice(
            (
                "@{size}",
                "width={width}",
                *("{part}: separable", "{part}: separable=plain", "{part}: groups=depthwise", "{part}: groups=4"),
                *("{part}: kernel=1", "{part}: kernel=5", "{part}: stride=2", "{part}: identity"),
                *("{part}: activation={activation}", "{part}: norm=none"),
            )
        ).format(
            size=draw.choice((128, 160, 192, 256)),
            width=draw.choice((0.5, 0.75, 1.25)),
            part=draw.choice(("*", *parts)),
            activation=draw.choice(("relu", "silu", "gelu", "hardswish")),
        )
        if text in found or text == "*: identity":  # nothing would be left
            continue
        new = rows_as(name, text)
        if new is not None and _differ(new, rows):
            found.append(text)
    return found


def _has_convolution(part: nn.Module) -> bool:
    return any(isinstance(each, nn.Conv2d) for each in part.modules())


def rows_as(name: str, *texts: str) -> Counter[Any] | None:
    """The operator calls of the network, edited so; None where it does not run."""
    try:
        variant = variants.variant_of(name, edits.parsed(texts) if texts else (), None, Conditions())
        layers = counts.profile_of(variant.subject).layers
    except archprof.ArchprofError:
        return None
    return Counter((row.type, row.input_shape, row.output_shape, row.macs, row.op) for row in layers)


def _differ(one: Counter[Any], other: Counter[Any]) -> bool:
    """Whether a hundredth of the calls at least differ: what changes nothing tells nothing."""
    return (one - other).total() + (other - one).total() >= 0.02 * other.total()


def measured(name: str, args: argparse.Namespace) -> dict[str, Any]:
    """What archprof.whatif says of the network, as JSON has it."""
    texts = drawn(name, random.Random(f"{args.seed} {name}"), 2 if args.smoke else EDITS)
    found = archprof.whatif(
        name,
        texts,
        alone=True,
        verify=True,
        conditions=Conditions(threads=args.threads),
        sampling=Sampling(time_budget=args.seconds),
        progress=lambda doing, left_s=0.0: None,
    )
    saved: dict[str, Any] = json.loads(found.to_json())
    return saved


def rows_of(saved: dict[str, Any]) -> list[dict[str, Any]]:
    """The variants that have both times."""
    return [one for one in saved["variants"] if one["edits"] and one["prediction_error"] is not None]


def changed(one: dict[str, Any], base: dict[str, Any]) -> float:
    """The share of both passes' time that differs, as the interval has it."""
    seconds = [sum(kind["predicted_seconds"] for kind in kinds) for kinds in (one["gone"], one["come"])]
    whole = sum(kind["predicted_seconds"] for kind in (*one["kinds"], *base["kinds"]))
    return sum(seconds) / whole if whole else 1.0


def holds(one: dict[str, Any]) -> bool:
    low, high = one["predicted_interval"]
    return bool(low <= one["measured_seconds"] <= high)


def within(one: dict[str, Any], base: dict[str, Any]) -> bool:
    """Whether the interval held if the network's own time were known: both were measured in turns."""
    return abs(math.log1p(one["prediction_error"])) <= FLOOR + SLOPE * changed(one, base)


def pairs(saved: dict[str, Any]) -> Iterator[bool]:
    """Whether each pair that is apart is foretold in the right order."""
    times = [(one["measured_seconds"], one["predicted_seconds"]) for one in rows_of(saved)]
    base = saved["variants"][0]["measured_seconds"]
    for one, other in itertools.combinations([(base, base), *times], 2):
        slower, faster = (one, other) if one[0] > other[0] else (other, one)
        if slower[0] / faster[0] > APART:
            yield slower[1] > faster[1]


def percent(value: float, places: int = 1) -> str:
    return f"{100 * value:+.{places}f} %" if places else f"{100 * value:.0f} %"


def show(saved: dict[str, Any]) -> None:
    """Rows of the table."""
    base = saved["variants"][0]
    quiet = "" if base["latency"]["reliable"] else "~"
    print(f"| {saved['name']} | as it is | {1e3 * base['measured_seconds']:.2f}{quiet} | | | | |")
    for one in rows_of(saved):
        quiet = "" if one["latency"]["reliable"] else "~"
        macs = one["macs"] / base["macs"] - 1
        low, high = (f"{1e3 * end:.2f}" for end in one["predicted_interval"])
        print(
            f"| {saved['name']} | `{one['name']}` | {1e3 * one['measured_seconds']:.2f}{quiet} | {percent(macs, 0)} "
            f"| {1e3 * one['predicted_seconds']:.2f} | {low} to {high}{'' if holds(one) else ' !'} "
            f"| {percent(one['prediction_error'])} |",
            flush=True,
        )


def verdict(every: list[dict[str, Any]], judged: bool) -> int:
    """Print each figure beside its bound; 1 where one is beyond it."""
    rows = [one for saved in every for one in rows_of(saved)]
    ordered = [right for saved in every for right in pairs(saved)]
    if not rows or not ordered:
        print("nothing can be judged")
        return int(judged)
    errors = sorted(abs(one["prediction_error"]) for one in rows)
    figures = (
        ("median error", median(errors), (0.0, MIDDLE)),
        (f"{100 * LEVEL:.0f} % intervals hold", sum(map(holds, rows)) / len(rows), HELD),
        (f"order right of {len(ordered)} pairs", sum(ordered) / len(ordered), (ORDERED, 1.0)),
    )
    model = [within(one, saved["variants"][0]) for saved in every for one in rows_of(saved)]
    beyond = False
    print(f"\n{len(rows)} edits; 90th percentile of the error {100 * errors[int(0.9 * (len(errors) - 1))]:.1f} %")
    for said, seen, (low, high) in figures:
        wrong = not low <= seen <= high
        beyond |= wrong
        print(f"- {said}: {100 * seen:.1f} % (bound {100 * low:.0f} to {100 * high:.0f} %){' !' if wrong else ''}")
    print(f"- without what is not known of the networks' own times they hold in {100 * sum(model) / len(model):.1f} %")
    # what the mult-adds alone would say, in proportion
    alone = [
        abs(
            saved["variants"][0]["measured_seconds"]
            * one["macs"]
            / saved["variants"][0]["macs"]
            / one["measured_seconds"]
            - 1
        )
        for saved in every
        for one in rows_of(saved)
    ]
    print(f"- beside it, by mult-adds alone: median error {100 * median(alone):.1f} %")
    return int(beyond and judged)


def calibrate(every: list[dict[str, Any]]) -> None:
    """Print the least widths that hold LEVEL of the intervals, for several ratios of SLOPE to FLOOR.

    What is not known of a network's own time is part of its intervals already: constants are for what lies beyond.
    """
    seen = []
    for saved in every:
        low, high = saved["variants"][0]["latency"]["ci95_s"]
        own = NARROWER * math.log(high / low) / 2
        for one in rows_of(saved):
            off = math.log1p(one["prediction_error"])
            seen.append((math.sqrt(max(off**2 - own**2, 0.0)), changed(one, saved["variants"][0])))
    place = min(math.ceil(LEVEL * (len(seen) + 1)), len(seen)) - 1  # of a conformal quantile
    for ratio in (0.0, 0.5, 1.0, 2.0, 4.0):
        floor = sorted(off / (1 + ratio * share) for off, share in seen)[place]
        mean = sum(floor * (1 + ratio * share) for _, share in seen) / len(seen)
        print(f"SLOPE / FLOOR = {ratio:g}: FLOOR {floor:.3f}, SLOPE {ratio * floor:.3f}, mean width {mean:.3f}")
    print(f"{len(seen)} edits; in use: FLOOR {FLOOR}, SLOPE {SLOPE}")


def kept(path: Path | None, args: argparse.Namespace) -> list[dict[str, Any]]:
    """What earlier runs have measured: all of it to calibrate by, else that of this seed and number of threads."""
    if path is None or not path.exists():
        return []
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    asked = (args.seed, args.threads, args.smoke)
    return [one for one in lines if args.calibrate or (one["seed"], one["threads"], one["smoke"]) == asked]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--calibrate", action="store_true")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, help="for measuring a network and its variants (60; smoke: 3)")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.jsonl")
    args = parser.parse_args()
    args.seconds = args.seconds or (3.0 if args.smoke else 60.0)
    before = kept(args.output, args)
    if args.calibrate:
        calibrate([one["found"] for one in before])
        return 0
    print(
        f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}, "
        f"{args.threads or torch.get_num_threads()} threads, seed {args.seed}\n"
    )
    print("| network | edit | measured, ms | mult-adds | predicted, ms | interval | error |")
    print("|---|---|---:|---:|---:|---|---:|")
    known = {one["network"]: one["found"] for one in before}
    every = []
    for name in SMALL if args.smoke else installed():
        found = known.get(name) or measured(name, args)
        if args.output and name not in known:
            line = {"network": name, "seed": args.seed, "threads": args.threads, "smoke": args.smoke, "found": found}
            with args.output.open("a") as file:
                file.write(json.dumps(line) + "\n")
        every.append(found)
        show(found)
    return verdict(every, judged=not args.smoke)


def installed() -> Iterator[str]:
    for name, instead in NETWORKS.items():
        try:
            models.find(name)
        except archprof.ArchprofError as error:
            print(f"{instead} instead of {name}: {error}", file=sys.stderr)
            yield instead
        else:
            yield name


if __name__ == "__main__":
    device.check_available(Conditions())
    sys.exit(main())
