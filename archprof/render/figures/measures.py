"""What can be read off one architecture: a value, its unit for people, and what to do where it is missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...base.errors import BadOption, did_you_mean
from ...results.comparison import Accuracy, ArchitectureResult, Comparison
from ...results.latency import Latency
from .options import FigureOptions
from .rows import Row

MIB = 2**20

_RERUN = "Run without --no-latency."


@dataclass(frozen=True)
class Measure:
    """A number of an architecture. `read` gives it in units of `unit`; None where it is unknown.

    `better` is 'low' or 'high'; `remedy` names what gives the number where no row has it.
    """

    name: str
    title: str
    unit: str
    better: str
    read: Callable[[ArchitectureResult, FigureOptions], float | None]
    remedy: str = ""
    timed: bool = False
    lacking: str = ""  # what is said of a measured network that has no such value
    linear: bool = False  # percentages sit on a linear axis, magnitudes on a logarithmic one

    def label(self, options: FigureOptions) -> str:
        """The axis label: 'Params (M)', and the batch size for what was measured."""
        at = f", batch {options.batch_size}" if self.timed and options.batch_size else ""
        return f"{self.title} ({self.unit}{at})"


def _counted(read: Callable[..., float]) -> Callable[[ArchitectureResult, FigureOptions], float | None]:
    def value(row: ArchitectureResult, options: FigureOptions) -> float | None:
        return read(row.profile) if row.profile is not None else None

    return value


def _measured(
    read: Callable[[Latency], float | None],
) -> Callable[[ArchitectureResult, FigureOptions], float | None]:
    def value(row: ArchitectureResult, options: FigureOptions) -> float | None:
        cell = row.latency_at(options.batch_size) if options.batch_size else None
        return read(cell) if cell is not None and cell.measured else None

    return value


def _claimed(row: ArchitectureResult, options: FigureOptions) -> float | None:
    claim = row.top(options.metric, options.dataset)
    return claim.percent if claim else None


MEASURES = {
    measure.name: measure
    for measure in (
        Measure("parameters", "Params", "M", "low", _counted(lambda p: p.parameters / 1e6)),
        Measure("macs", "Mult-Adds", "G per image", "low", _counted(lambda p: p.macs / p.batch_size / 1e9)),
        Measure(
            "flops",
            "FLOPs",
            "G per image, 2 per mult-add",
            "low",
            _counted(lambda p: p.flops / p.batch_size / 1e9),
        ),
        Measure(
            "activations",
            "Activations",
            "M per image",
            "low",
            _counted(lambda p: p.activations / p.batch_size / 1e6),
        ),
        Measure("parameter_bytes", "Parameter memory", "MiB", "low", _counted(lambda p: p.parameter_bytes / MIB)),
        Measure(
            "peak_activation_bytes",
            "Peak activations",
            "MiB per image",
            "low",
            _counted(lambda p: p.peak_activation_bytes / p.batch_size / MIB),
        ),
        Measure(
            "latency",
            "Time per image",
            "ms",
            "low",
            _measured(lambda c: 1e3 * c.p50_s / c.batch_size),
            f"latency was not measured. {_RERUN}",
            timed=True,
        ),
        Measure(
            "throughput",
            "Throughput",
            "images/s",
            "high",
            _measured(lambda c: c.throughput),
            f"latency was not measured. {_RERUN}",
            timed=True,
        ),
        Measure(
            "measured_peak_bytes",
            "Measured peak memory",
            "MiB",
            "low",
            _measured(lambda c: c.measured_peak_bytes / MIB if c.measured_peak_bytes else None),
            f"peak memory was not measured. {_RERUN}",
            timed=True,
            lacking="peak memory not measured",
        ),
        Measure(
            "power",
            "Power",
            "W",
            "low",
            _measured(lambda c: c.power_w),
            f"power was not measured. {_RERUN}",
            timed=True,
            lacking="no energy reading",
        ),
        Measure(
            "energy",
            "Energy per image",
            "J",
            "low",
            _measured(lambda c: c.joules_per_sample),
            f"energy was not measured. {_RERUN}",
            timed=True,
            lacking="no energy reading",
        ),
        Measure("top1", "Top-1 accuracy", "%", "high", _claimed, linear=True),
        Measure("top5", "Top-5 accuracy", "%", "high", _claimed, linear=True),
    )
}

#: Measures that only a run on a device gives.
TIMED = tuple(name for name, measure in MEASURES.items() if measure.timed)


def measure(name: str, option: str = "measure") -> Measure:
    """The measure of that name. Raises BadOption with the nearest name."""
    if name not in MEASURES:
        raise BadOption(f"unknown {option} '{name}'.{did_you_mean(name, MEASURES)}", f"Known: {', '.join(MEASURES)}.")
    return MEASURES[name]


def why_not(row: ArchitectureResult, wanted: Measure, options: FigureOptions) -> str:
    """Why `row` has no value of `wanted`, in a few words."""
    if row.profile is None and wanted.read is not _claimed:
        return f"failed: {row.error}" if row.error else "not counted"
    if wanted.read is _claimed:
        return f"no published {options.metric} on {options.dataset}"
    if wanted.timed:
        cell = row.latency_at(options.batch_size) if options.batch_size else None
        if cell is not None and cell.error:
            return f"batch {options.batch_size}: failed: {cell.error.rstrip('.')}"
        if cell is not None and cell.measured:
            return wanted.lacking
        return f"failed: {row.error}" if row.error else f"not measured at batch {options.batch_size}"
    return "not counted"


def complete(
    rows: Sequence[Row], wanted: Sequence[Measure], options: FigureOptions, comparison: Comparison
) -> tuple[list[Row], list[tuple[str, str]]]:
    """The rows that have every wanted measure, and (label, reason) of the others.

    Raises BadOption when no row is left, saying what would give the measure that all lack.
    """
    kept: list[Row] = []
    dropped: list[tuple[str, str]] = []
    for row in rows:
        lacking = next((m for m in wanted if m.read(row.result, options) is None), None)
        if lacking is None:
            kept.append(row)
        else:
            dropped.append((row.label, why_not(row.result, lacking, options)))
    if not kept:
        for m in wanted:
            if all(m.read(row.result, options) is None for row in rows):
                raise BadOption(*_remedy(m, rows, options, comparison))
        raise BadOption(
            f"no network has {' and '.join(m.title.lower() for m in wanted)} together:",
            "; ".join(f"{label}: {reason}" for label, reason in dropped) + ".",
        )
    return kept, dropped


def _remedy(wanted: Measure, rows: Sequence[Row], options: FigureOptions, comparison: Comparison) -> tuple[str, str]:
    if wanted.read is _claimed:
        known = sorted({f"{a.metric} on {a.dataset}" for row in rows for a in row.result.accuracy})
        return (
            f"none of these networks has a published {options.metric} on {options.dataset};",
            f"--metric and --dataset choose among: {', '.join(known)}."
            if known
            else "no accuracy is published here for any of them: compare networks that have one.",
        )
    if wanted.timed:
        sizes = comparison.batch_sizes
        if not sizes:
            return wanted.remedy.split(". ")[0] + ";", _RERUN[0].lower() + _RERUN[1:]
        if options.batch_size not in sizes:
            return (
                f"nothing was measured at batch size {options.batch_size};",
                f"measured: {', '.join(map(str, sizes))}. --batch-size chooses.",
            )
        reasons = dict.fromkeys(why_not(row.result, wanted, options) for row in rows)
        return f"no network has {wanted.title.lower()}:", "; ".join(reasons) + "."
    reasons = dict.fromkeys(why_not(row.result, wanted, options) for row in rows)
    return "no network could be counted:", "; ".join(reasons) + "."


def accuracy_title(options: FigureOptions) -> str:
    """'Top-1 accuracy on imagenet-1k'."""
    words = {"top1": "Top-1 accuracy", "top5": "Top-5 accuracy"}
    return f"{words.get(options.metric, options.metric)} on {dataset_title(options.dataset)}"


def dataset_title(dataset: str) -> str:
    """The way in which people write a data set's name."""
    return {
        "imagenet-1k": "ImageNet-1k",
        "cifar10": "CIFAR-10",
        "cifar-10": "CIFAR-10",
        "cifar100": "CIFAR-100",
        "cifar-100": "CIFAR-100",
    }.get(dataset, dataset)


def claims(rows: Sequence[Row], options: FigureOptions) -> list[Accuracy]:
    """The published claims that the figure shows."""
    found = (row.result.top(options.metric, options.dataset) for row in rows)
    return [claim for claim in found if claim is not None]


def reliable(row: Row, batch_size: int | None) -> bool:
    """Whether the latency of `row` at that batch size is reliable."""
    cell = row.result.latency_at(batch_size) if batch_size else None
    return cell is not None and cell.reliable
