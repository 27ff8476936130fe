"""Predicted against measured peak memory: the zoo, networks of libraries, hand-made ones, and loops of every kind.

    python benchmarks/memory.py [--smoke] [--device cuda] [--groups zoo,libraries,made,loops] [--batch-sizes 1,4,16]
    python benchmarks/memory.py --limits      # does the batch that --memory names fit, and does one more not?

Each network is built with random weights and run really: one forward pass, then one training step. Measured is what
torch's allocator held at most above the loaded network (weights, buffers, optimizer state). Beside the prediction stand
torchinfo's "forward/backward pass size" and, for training, the peak of torch's MemTracker. Prints a Markdown table;
exits with 1 where a bound is missed. Groups whose library is not installed are left out, and said.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parent))
from _memory_networks import LIBRARIES, LOOPED, LOOPS, MADE

import archprof
from archprof import models
from archprof.measure import device
from archprof.measure.memory import free_memory
from archprof.measure.steps import forward_step, loss_of
from archprof.models import zoo
from archprof.results.conditions import Conditions
from archprof.runs import compare

BATCH_SIZES = (1, 4, 16)
SMALL = ("resnet_tiny", "plain20_cifar", "conv2d", "gru", "attention module")
LIMITED = ("resnet_tiny", "plain20_cifar", "mobilenetv2_28", "gru", "attention", "conv2d")
LIMITS = ("24 MB", "50 MB", "100 MB", "150 MB", "250 MB", "400 MB")
GROUPS = ("zoo", "libraries", "made", "loops")
MIB = 2**20

#: Bounds: the median error, the share of rows within CLOSE, and the error beyond which a row has to say "not known".
MIDDLE, CLOSE, SHARE, FAR = 0.005, 0.05, 0.95, 0.10


@dataclass(frozen=True)
class Row:
    """Bytes above the loaded network. `known` is False where the prediction says that something is not known."""

    group: str
    name: str
    batch_size: int
    mode: str
    predicted: int
    measured: int
    known: bool
    peer: int | None = None

    @property
    def error(self) -> float:
        return self.predicted / self.measured - 1

    @property
    def peer_error(self) -> float | None:
        return None if self.peer is None else self.peer / self.measured - 1


def networks(group: str) -> Iterator[tuple[str, Any, tuple[int, ...] | None, dict[str, Any]]]:
    """Name, network, input shape and conditions of each member of a group."""
    if group == "zoo":
        yield from ((name, name, None, {}) for name in zoo.architectures())
    elif group == "libraries":
        yield from ((name, name, None, {}) for name in LIBRARIES)
    elif group == "made":
        yield from ((name, *MADE[name], {}) for name in MADE)
    else:
        for name in LOOPED:
            model, shape = MADE.get(name, (name, None))
            yield from ((f"{name} {_said(loop)}", model, shape, loop) for loop in LOOPS)


def _said(loop: dict[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in loop.items())


def rows_of(
    group: str,
    name: str,
    model: Any,
    shape: tuple[int, ...] | None,
    loop: dict[str, Any],
    sizes: tuple[int, ...],
    kind: str,
) -> Iterator[Row]:
    """Inference and training at each batch size, as far as they can be run."""
    for mode in ("eval", "train"):
        if mode == "eval" and {"accumulate", "zero_grad", "optimizer"} & {*loop}:
            continue
        conditions = Conditions(device=kind, mode=mode, **loop)
        usable = [size for size in sizes if mode == "eval" or size % conditions.accumulate == 0]
        shown = compare.compare(
            {name: model}, batch_sizes=usable, input_shape=shape, latency=False, conditions=conditions
        ).architectures[0]
        if shown.profile is None or shown.held_bytes is None:
            print(f"{name}: {shown.error}", file=sys.stderr)
            return
        build = model if callable(model) else models.find(model).build
        module = device.materialise(device.realistic(build), conditions)
        module.train(mode == "train")
        for entry in shown.memory:
            state = 0
            if mode == "train":
                state = next(each.state_bytes for each in shown.optimizers if each.optimizer == conditions.optimizer)
                whole, scratch = shown.training_bytes(entry, conditions.optimizer), entry.training_scratch_bytes
            else:
                whole, scratch = shown.inference_bytes(entry), entry.scratch_bytes
            part = conditions.part_of(entry.batch_size) if mode == "train" else entry.batch_size
            inputs = device.inputs(shown.profile.input_shape, part, conditions)
            step = forward_step(module, inputs, conditions)
            try:
                measured = step.peak_bytes()
            except ValueError:  # batch norm over one value
                continue
            if whole is None or measured is None:
                print(f"{name}, batch {entry.batch_size}: {mode} is not predicted", file=sys.stderr)
                continue
            held = shown.held_bytes + state
            peer = None
            if not loop and kind == "cpu":
                peer = _quietly(_tracked if mode == "train" else _summed, build, inputs, held)
            yield Row(group, name, entry.batch_size, mode, whole - held, measured - held, scratch is not None, peer)
        del module, step, inputs
        free_memory()


def _quietly(ask: Callable[..., int], *args: Any) -> int | None:
    """What a peer says; None where it fails."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ask(*args)
        except Exception:
            return None


def _summed(build: Callable[[], torch.nn.Module], inputs: tuple[Any, ...], held: int) -> int:
    """torchinfo's "forward/backward pass size" in bytes, counted on the meta device."""
    import torchinfo

    with torch.device("meta"):
        module = build()
    return torchinfo.summary(module, tuple(inputs[0].shape), verbose=0, device="meta").total_output_bytes


def _tracked(build: Callable[[], torch.nn.Module], inputs: tuple[Any, ...], held: int) -> int:
    """The peak of torch's MemTracker over a second step, above the loaded network and the optimizer's state."""
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.distributed._tools.mem_tracker import MemTracker

    with FakeTensorMode():
        module, x = build().train(), torch.randn(inputs[0].shape)
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
        tracker = MemTracker()
        tracker.track_external(module, optimizer)
        for _ in range(2):
            tracker.reset_mod_stats()
            with tracker:
                optimizer.zero_grad()
                loss_of(module(x)).backward()
                optimizer.step()
        (total,) = (each["Total"] for each in tracker.get_tracker_snapshot("peak").values())
    return total - held


def percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:+.1f} %"


HEADINGS = (
    "| group | network | batch | pass | measured, MiB | predicted | error | peer | error |\n|---|---|---:|---|"
    + "---:|" * 5
)


def line(row: Row) -> str:
    """The row in Markdown, MiB."""
    said = percent(row.error) + ("" if row.known else " (not known)")
    peer = "" if row.peer is None else f"{row.peer / MIB:.2f}"
    return (
        f"| {row.group} | {row.name} | {row.batch_size} | {row.mode} | {row.measured / MIB:.2f} "
        f"| {row.predicted / MIB:.2f} | {said} | {peer} | {percent(row.peer_error)} |"
    )


def summary(rows: list[Row]) -> Iterator[str]:
    """A line of Markdown for each group and pass."""
    yield "| group | pass | rows | median | within 5 % | largest | peer: median | largest |"
    yield "|---|---|---:|---:|---:|---:|---:|---:|"
    for group, mode in dict.fromkeys((row.group, row.mode) for row in rows):
        mine = [row for row in rows if (row.group, row.mode) == (group, mode)]
        worst = max(mine, key=lambda row: abs(row.error))
        peers = [row.peer_error for row in mine if row.peer_error is not None]
        near = sum(abs(row.error) <= CLOSE for row in mine) / len(mine)
        peer = f"{percent(median(map(abs, peers)))} | {percent(max(peers, key=abs))}" if peers else "|"
        yield (
            f"| {group} | {mode} | {len(mine)} | {100 * median(abs(row.error) for row in mine):.1f} % "
            f"| {100 * near:.0f} % | {percent(worst.error)} ({worst.name}, batch {worst.batch_size}) | {peer} |"
        )


def missed(rows: list[Row], few: bool) -> Iterator[str]:
    """The bounds that do not hold; of a few rows no share is judged."""
    for row in rows:
        if row.known and abs(row.error) > FAR:
            yield f"{row.name}, batch {row.batch_size}, {row.mode}: {percent(row.error)}, said to be known"
    for mode in () if few else ("eval", "train"):
        errors = [abs(row.error) for row in rows if row.mode == mode and row.known]
        if not errors:
            continue
        if median(errors) > MIDDLE:
            yield f"{mode}: the median is {percent(median(errors))}"
        near = sum(error <= CLOSE for error in errors) / len(errors)
        if near < SHARE:
            yield f"{mode}: {100 * near:.0f} % of rows are within {percent(CLOSE)}, wanted {100 * SHARE:.0f} %"


def limits(names: tuple[str, ...], texts: tuple[str, ...]) -> int:
    """Run the batch that fits into each limit, and one more; how many did not do as foretold."""
    print("| network | limit | pass | batch | measured, MB | one more |\n|---|---|---|---:|---:|---:|")
    wrong = 0
    for name in names:
        model, shape = MADE.get(name, (name, None))
        for text in texts:
            found = archprof.fits(model, text, input_shape=shape, tried=True)
            for each in found.limited:
                if each.measured_bytes is None:
                    continue
                more = each.beyond_bytes or 0
                right = each.measured_bytes <= found.limit_bytes < more
                wrong += not right
                mark = "" if right else " !"
                print(
                    f"| {name} | {text} | {each.mode} | {each.batch_size} | {each.measured_bytes / 1e6:.2f} "
                    f"| {more / 1e6:.2f}{mark} |",
                    flush=True,
                )
    print(f"\n{wrong} did not do as foretold")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these")
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--limits", action="store_true")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--groups", default=",".join(GROUPS))
    parser.add_argument("--batch-sizes", default=",".join(map(str, BATCH_SIZES)))
    args = parser.parse_args()
    if args.limits:
        return int(limits(tuple(args.names) or LIMITED, LIMITS) > 0)
    sizes = tuple(map(int, args.batch_sizes.split(",")))
    names, groups = (SMALL, ("zoo", "made")) if args.smoke else (args.names, args.groups.split(","))
    print(
        f"torch {torch.__version__}, {args.device}, {torch.backends.cpu.get_cpu_capability()}, "
        f"{torch.get_num_threads()} threads\n\n{HEADINGS}",
        flush=True,
    )
    rows = []
    for group in groups:
        for name, model, shape, loop in networks(group):
            if names and name not in names:
                continue
            try:
                for row in rows_of(group, name, model, shape, loop, sizes[:2] if args.smoke else sizes, args.device):
                    print(line(row), flush=True)
                    rows.append(row)
            except archprof.ArchprofError as error:  # a library that is not installed
                print(f"{name} is left out: {error}", file=sys.stderr)
    print("", *summary(rows), sep="\n")
    complaints = [*missed(rows, args.smoke)]
    print(*complaints, sep="\n", file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
