"""Predicted against measured peak memory, over the whole zoo at batch 1 and 8.

    python benchmarks/memory.py [--smoke] [--device cuda] [NAME ...]

Each network is built with random weights and run really: one forward pass, then one training step with SGD. Measured
is what torch's allocator held at most above the loaded network (weights, buffers, optimizer state). Two predictions
stand beside it: of the storages alone, which holds on any device, and with the scratch space of CPU convolutions.
torchinfo's "forward/backward pass size" is judged against the same measurement. Prints a Markdown table; exits with
1 where a bound is missed. `--smoke` takes three small networks.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from statistics import median

import torch

from archprof import models
from archprof.counting import counts
from archprof.measure import device
from archprof.measure.memory import free_memory
from archprof.measure.steps import forward_step
from archprof.models import zoo
from archprof.results.conditions import Conditions
from archprof.runs import compare

BATCH_SIZES = (1, 8)
SMALL = ("resnet_tiny", "plain20_cifar", "mobilenetv2_28")
MIB = 2**20

#: Bounds on the error: median and largest of inference, median of training. On CUDA the scratch is not foretold.
BOUNDS = {"cpu": (0.10, 0.25, 0.15), "cuda": (0.05, 0.25, 0.15)}


@dataclass(frozen=True)
class Row:
    """Bytes above the loaded network; training is None where a step cannot be run."""

    name: str
    batch_size: int
    storages: int
    predicted: int
    measured: int
    torchinfo: int
    training_predicted: int | None
    training_measured: int | None

    @property
    def error(self) -> float:
        return self.predicted / self.measured - 1

    @property
    def storages_error(self) -> float:
        return self.storages / self.measured - 1

    @property
    def torchinfo_error(self) -> float:
        return self.torchinfo / self.measured - 1

    @property
    def training_error(self) -> float | None:
        if self.training_measured is None or self.training_predicted is None:
            return None
        return self.training_predicted / self.training_measured - 1


def rows_of(name: str, kind: str) -> list[Row]:
    """One row for each batch size."""
    conditions = Conditions(device=kind)
    counted = compare.compare([name], batch_sizes=BATCH_SIZES, device=kind, latency=False).architectures[0]
    assert counted.profile is not None and counted.held_bytes is not None
    found = models.find(name)
    module = device.materialise(device.realistic(found.build), conditions)
    rows, state = [], {}
    for entry in counted.memory:
        args = device.inputs(counted.profile.input_shape, entry.batch_size, conditions)
        step = forward_step(module, args, conditions)
        measured = step.peak_bytes()
        assert measured is not None
        pure = entry.peak_activation_bytes
        momentum = next(item.state_bytes for item in counted.optimizers if item.optimizer == "sgd")
        whole = counted.training_bytes(entry, "sgd")
        trained, state = training_peak(module, args, kind, state)
        rows.append(
            Row(
                name,
                entry.batch_size,
                pure,
                pure + entry.scratch_bytes,
                measured - counted.held_bytes,
                torchinfo_bytes(name, entry.batch_size, counted.profile.input_shape),
                None if whole is None else whole - counted.held_bytes - momentum,
                None if trained is None else trained - counted.held_bytes - momentum,
            )
        )
    del module, step, args
    free_memory()
    return rows


def training_peak(module: torch.nn.Module, args: tuple, kind: str, state: dict) -> tuple[int | None, dict]:
    """Everything held at the peak of a training step, None where it raises, as batch norm over one value does.

    The optimizer's state is handed on, so that no step need be run to make it again.
    """
    module.train()
    step = forward_step(module, args, Conditions(device=kind, mode="train"))
    assert step.optimizer is not None
    if state:
        step.optimizer.load_state_dict(state)
    try:
        return step.peak_bytes(), step.optimizer.state_dict()
    except ValueError:
        return None, {}
    finally:
        module.zero_grad(set_to_none=True)
        module.eval()


def torchinfo_bytes(name: str, batch_size: int, shape: tuple[int, ...]) -> int:
    """torchinfo's "forward/backward pass size" in bytes, counted on the meta device."""
    import torchinfo

    module = counts.subject_of(name).module
    seen = torchinfo.summary(module, (batch_size, *shape), verbose=0, device="meta")
    return seen.total_output_bytes


def percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:+.1f} %"


HEADINGS = (
    "| network | batch | measured | storages | error | with scratch | error | torchinfo | error "
    "| training, measured | predicted | error |\n|---|" + "---:|" * 11
)


def line(row: Row) -> str:
    """The row in Markdown, MiB."""
    training = [
        f"{value / MIB:.2f}" if value is not None else "cannot be run"
        for value in (row.training_measured, row.training_predicted)
    ]
    return (
        f"| {row.name} | {row.batch_size} | {row.measured / MIB:.2f} | {row.storages / MIB:.2f} "
        f"| {percent(row.storages_error)} | {row.predicted / MIB:.2f} | {percent(row.error)} "
        f"| {row.torchinfo / MIB:.1f} | {percent(row.torchinfo_error)} "
        f"| {' | '.join(training)} | {percent(row.training_error)} |"
    )


def summary(rows: list[Row]) -> list[str]:
    """Medians and worst cases in sentences."""
    trained = [row for row in rows if row.training_error is not None]
    said = [f"{len(rows)} rows. Absolute error, median and largest:"]
    for what, group, error in (
        ("inference, storages alone", rows, lambda row: row.storages_error),
        ("inference, with scratch", rows, lambda row: row.error),
        ("inference, torchinfo", rows, lambda row: row.torchinfo_error),
        ("training", trained, lambda row: row.training_error),
    ):
        if not group:
            continue
        worst = max(group, key=lambda row: abs(error(row)))
        said.append(
            f"- {what}: {percent(median(abs(error(row)) for row in group))}, "
            f"{percent(error(worst))} ({worst.name}, batch {worst.batch_size})"
        )
    return said


def missed(rows: list[Row], kind: str) -> list[str]:
    """The bounds that do not hold."""
    middle, most, training = BOUNDS[kind]
    said = [
        f"{row.name}, batch {row.batch_size}: {percent(row.error)} is beyond {percent(most)}"
        for row in rows
        if abs(row.error) > most
    ]
    if median(abs(row.error) for row in rows) > middle:
        said.append(f"the median of inference is beyond {percent(middle)}")
    errors = [abs(row.training_error) for row in rows if row.training_error is not None]
    if errors and median(errors) > training:
        said.append(f"the median of training is beyond {percent(training)}")
    return said


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--device", default="cpu", choices=tuple(BOUNDS))
    args = parser.parse_args()
    names = args.names or (SMALL if args.smoke else tuple(zoo.architectures()))
    print(
        f"torch {torch.__version__}, {args.device}, {torch.backends.cpu.get_cpu_capability()}, "
        f"{torch.get_num_threads()} threads, MiB above the loaded network\n\n{HEADINGS}",
        flush=True,
    )
    rows = []
    for name in names:
        found = rows_of(name, args.device)
        print(*map(line, found), sep="\n", flush=True)
        rows += found
    print("", *summary(rows), sep="\n")
    complaints = missed(rows, args.device)
    print(*complaints, sep="\n", file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
