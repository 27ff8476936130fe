"""From a Comparison to tables: columns with a unit and the better direction, cells with marks, notes in words.

A Table still holds numbers in base units; `text` is what people read. Nothing here knows about terminals or Markdown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from . import units
from .records import Accuracy, ArchitectureResult, Comparison
from .timing import Latency

UNCOUNTED, UNRELIABLE = "*", "~"

_SHOWN: Mapping[str, Callable[[Any], str]] = {
    "text": str,
    "count": units.count,
    "bytes": units.size,
    "seconds": units.milliseconds,
    "rate": units.significant,
    "percent": lambda value: f"{value:.1f}",
    "share": units.percent,
    "ratio": units.significant,
    "number": str,
    "exact": lambda value: f"{value:,}",
    "signed": lambda value: f"{value:+,}" if value else "0",
    "shape": lambda value: "x".join(map(str, value)),
}


@dataclass(frozen=True)
class Column:
    """`kind` names the unit of the values ('count', 'bytes', 'seconds', ...); `better` is 'less', 'more' or ''."""

    key: str
    heading: str
    kind: str = "text"
    better: str = ""


class Cell(NamedTuple):
    """A value in base units (None: unknown), a footnote mark, and text where the value alone would mislead."""

    value: Any = None
    mark: str = ""
    text: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of cells under columns; `notes` are whole sentences that belong below it."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()

    def text(self, row: tuple[Cell, ...], place: int) -> str:
        """What a reader sees in that place: scaled, with a dash for the unknown, the mark behind."""
        cell, column = row[place], self.columns[place]
        if cell.text:
            return cell.text + cell.mark
        shown = units.DASH if cell.value is None else _SHOWN[column.kind](cell.value)
        return shown + cell.mark


def static(comparison: Comparison) -> Table:
    """Parameters, mult-adds, memory and published accuracy: what holds on any machine."""
    columns = (
        Column("name", "Architecture"),
        Column("parameters", "Params", "count", "less"),
        Column("macs", "Mult-Adds", "count", "less"),
        Column("activations", "Activations", "count", "less"),
        Column("parameter_bytes", "Param memory", "bytes", "less"),
        Column("peak_activation_bytes", "Peak activations", "bytes", "less"),
        Column("top1", "Top-1 %", "percent", "more"),
    )
    sources: dict[tuple[str, str, str], int] = {}
    rows = tuple(_static_row(row, sources) for row in comparison.architectures)
    return Table(f"Static cost, {_inputs(comparison)}", columns, rows,
                 (*_counting_notes(comparison), *(f"[{n}] {_source(*key)}" for key, n in sources.items())))


def _static_row(row: ArchitectureResult, sources: dict[tuple[str, str, str], int]) -> tuple[Cell, ...]:
    profile, claim = row.profile, row.top("top1")
    if profile is None:
        return (Cell(row.name), *(Cell(),) * 5, Cell())
    accuracy = Cell()
    if claim is not None:
        place = sources.setdefault((claim.source, claim.protocol, claim.url), len(sources) + 1)
        accuracy = Cell(claim.percent, f" [{place}]")
    return (
        Cell(row.name),
        Cell(profile.parameters),
        Cell(profile.macs, UNCOUNTED if profile.uncounted else ""),
        Cell(profile.activations),
        Cell(profile.parameter_bytes),
        Cell(profile.peak_activation_bytes),
        accuracy,
    )


def _source(source: str, protocol: str, url: str) -> str:
    return f"top-1: {source}{f', {protocol}' if protocol else ''}, {url}"


def _inputs(comparison: Comparison) -> str:
    usual = _usual_input(comparison)
    if usual is None:
        return "nothing was counted"
    batch_size, shape = usual
    others = any((row.profile.batch_size, row.profile.input_shape) != usual
                 for row in comparison.architectures if row.profile)
    return f"batch {batch_size}, input {'x'.join(map(str, shape))}{' where not noted' if others else ''}"


def _usual_input(comparison: Comparison) -> tuple[int, tuple[int, ...]] | None:
    """The batch size and input shape of most networks."""
    inputs = [(row.profile.batch_size, row.profile.input_shape) for row in comparison.architectures if row.profile]
    return max(inputs, key=inputs.count) if inputs else None


def _counting_notes(comparison: Comparison) -> list[str]:
    notes = []
    for row in comparison.architectures:
        if row.error:
            notes.append(f"{row.name}: {row.error}")
        if row.profile is None:
            continue
        if row.profile.uncounted:
            listed = ", ".join(f"{item.op} ({item.calls} {'call' if item.calls == 1 else 'calls'})"
                               for item in row.profile.uncounted)
            notes.append(f"{UNCOUNTED} {row.name}: no formula for {listed}; their mult-adds are left out.")
        if different := _own_input(row, comparison):
            notes.append(different)
        notes += [f"{row.name}: {note}." for note in row.profile.notes]
    return notes


def _own_input(row: ArchitectureResult, comparison: Comparison) -> str:
    usual = _usual_input(comparison)
    if row.profile is None or (row.profile.batch_size, row.profile.input_shape) == usual:
        return ""
    return f"{row.name}: input {'x'.join(map(str, row.profile.input_shape))}."


def latency(comparison: Comparison) -> Table:
    """Measured time, one row per batch size and network, with 95 % intervals and the ratio to the reference."""
    reference = comparison.reference
    columns = [
        Column("batch_size", "Batch", "number"),
        Column("name", "Architecture"),
        Column("p50_s", "ms", "seconds", "less"),
        Column("ci95_s", "95 % interval", "text"),
        Column("throughput", "images/s", "rate", "more"),
        Column("predicted_bytes", "Peak, predicted", "bytes", "less"),
        Column("measured_bytes", "measured", "bytes", "less"),
    ]
    if reference:
        columns.append(Column("ratio", f"x {reference}", "ratio", "less"))
    ratios = {(ratio.batch_size, ratio.architecture): ratio for ratio in comparison.ratios}
    rows, notes = [], []
    for batch_size in comparison.batch_sizes:
        for row in comparison.architectures:
            cell = row.latency_at(batch_size)
            if cell is None:
                continue
            ratio = ratios.get((batch_size, row.name))
            last = [Cell(1.0 if row.name == reference and cell.measured else ratio.ratio if ratio else None)]
            rows.append((Cell(batch_size), Cell(row.name), *_time_cells(cell), *_peak_cells(comparison, row, cell),
                         *(last if reference else [])))
            if cell.error or cell.why:
                mark = UNRELIABLE + " " if cell.measured and cell.why else ""
                notes.append(f"{mark}{row.name}, batch {batch_size}: {cell.error or cell.why}")
            elif cell.note:
                notes.append(f"{row.name}, batch {batch_size}: {cell.note}")
    return Table(f"Latency of one forward pass, {conditions(comparison)}", tuple(columns), tuple(rows),
                 (*notes, *(ratio.sentence for ratio in comparison.ratios if ratio.batch_size == min(
                     r.batch_size for r in comparison.ratios))))


def _time_cells(cell: Latency) -> tuple[Cell, Cell, Cell]:
    if not cell.measured:
        return Cell(), Cell(), Cell()
    mark = "" if cell.reliable else UNRELIABLE
    low, high = cell.ci95_s
    return (Cell(cell.p50_s, mark),
            Cell((low, high), text=f"{units.milliseconds(low)} to {units.milliseconds(high)}"),
            Cell(cell.throughput, mark))


def _peak_cells(comparison: Comparison, row: ArchitectureResult, cell: Latency) -> tuple[Cell, Cell]:
    """Predicted and measured bytes above the loaded network (and its optimizer's state), with their ratio."""
    entry, held = row.memory_at(cell.batch_size), row.held_bytes
    if entry is None or held is None:
        return Cell(), Cell()
    if comparison.environment.get("mode") == "train":
        held += cell.optimizer_state_bytes or 0
        whole = row.training_bytes(entry, str(comparison.environment.get("optimizer")))
    else:
        whole = row.inference_bytes(entry)
    predicted = None if whole is None else whole - held
    if cell.measured_peak_bytes is None:
        return Cell(predicted), Cell()
    measured = cell.measured_peak_bytes - held
    ratio = f", x {measured / predicted:.2f}" if predicted else ""
    return Cell(predicted), Cell(measured, text=units.size(measured) + ratio)


def memory(comparison: Comparison) -> Table:
    """Predicted memory at each batch size: inference and training, everything included."""
    optimizer = str(comparison.environment.get("optimizer") or "sgd")
    columns = (
        Column("batch_size", "Batch", "number"),
        Column("name", "Architecture"),
        Column("held_bytes", "Params, buffers", "bytes", "less"),
        Column("peak_activation_bytes", "Peak activations", "bytes", "less"),
        Column("scratch_bytes", "+ scratch", "bytes", "less"),
        Column("inference_bytes", "Inference", "bytes", "less"),
        Column("training_activation_bytes", "Saved for backward", "bytes", "less"),
        Column("gradient_bytes", "Gradients", "bytes", "less"),
        Column("optimizer_state_bytes", f"State ({optimizer})", "bytes", "less"),
        Column("training_bytes", "Training", "bytes", "less"),
    )
    rows = []
    for batch_size in sorted({entry.batch_size for row in comparison.architectures for entry in row.memory}):
        for row in comparison.architectures:
            entry = row.memory_at(batch_size)
            if entry is None or row.profile is None:
                continue
            state = next((item.state_bytes for item in row.optimizers if item.optimizer == optimizer), None)
            values = (batch_size, row.name, row.held_bytes, entry.peak_activation_bytes, entry.scratch_bytes,
                      row.inference_bytes(entry), entry.training_activation_bytes, row.profile.gradient_bytes, state,
                      row.training_bytes(entry, optimizer))
            rows.append(tuple(Cell(value) for value in values))
    return Table("Memory, predicted", columns, tuple(rows),
                 ("Inference and Training are everything that is held at the highest point of a pass, of a step.",))


def largest_batches(comparison: Comparison) -> Table:
    """The largest batch predicted to fit into the memory that was asked about, parameters included."""
    found = [(row.name, row.largest_batch) for row in comparison.architectures if row.largest_batch]
    columns = (Column("name", "Architecture"), Column("inference", "Inference", "number", "more"),
               Column("training", f"Training ({found[0][1].optimizer})", "number", "more"))
    notes = []
    for name, fits in found:
        if not fits.inference:
            notes.append(f"{name}: inference needs {units.size(fits.least_bytes)} at least.")
        if fits.training is None:
            notes.append(f"{name}: training cannot be traced.")
        elif not fits.training:
            notes.append(f"{name}: training needs {units.size(fits.least_training_bytes)} at least.")
    rows = tuple((Cell(name), Cell(fits.inference), Cell(fits.training)) for name, fits in found)
    return Table(f"Largest batch that fits into {units.size(found[0][1].limit_bytes)}, predicted", columns, rows,
                 tuple(notes))


def conditions(comparison: Comparison) -> str:
    """What was measured on, in words: 'cpu (AMD EPYC), 2 threads, float32, torch 2.13.0'."""
    env = comparison.environment
    device = env.get("device", "cpu")
    name = f" ({env['device_name']})" if env.get("device_name") else ""
    threads = [f"{env['threads']} threads"] if env.get("threads") and device == "cpu" else []
    kept = [f"{device}{name}", *threads, str(env.get("dtype", "")), f"torch {env.get('torch', '?')}"]
    kept += [word for word, on in (("channels last", env.get("channels_last")), ("compiled", env.get("compile"))) if on]
    return ", ".join(part for part in kept if part)


def tables(comparison: Comparison) -> tuple[Table, ...]:
    """Everything that the comparison holds: static cost and memory, then latency where it was measured."""
    found = [static(comparison)]
    if any(row.memory for row in comparison.architectures):
        found.append(memory(comparison))
    if any(row.largest_batch for row in comparison.architectures):
        found.append(largest_batches(comparison))
    if comparison.batch_sizes:
        found.append(latency(comparison))
    return tuple(found)


def flat_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """One flat dict per architecture, numbers in base units: what CSV and data frames hold.

    Latency columns carry their batch size: 'p50_s@8'.
    """
    ratios = {(ratio.batch_size, ratio.architecture): ratio.ratio for ratio in comparison.ratios}
    rows = []
    for row in comparison.architectures:
        profile = row.profile
        flat: dict[str, Any] = {"name": row.name, "source": row.source, "family": row.family, "year": row.year}
        for key in ("batch_size", "parameters", "trainable_parameters", "buffers", "macs", "flops", "activations",
                    "parameter_bytes", "buffer_bytes", "peak_activation_bytes", "training_activation_bytes"):
            flat[key] = getattr(profile, key, None)
        flat["input_shape"] = "x".join(map(str, profile.input_shape)) if profile else None
        flat["uncounted"] = sum(item.calls for item in profile.uncounted) if profile else None
        for metric in ("top1", "top5"):
            claim: Accuracy | None = row.top(metric)
            flat[metric] = claim.percent if claim else None
            flat[f"{metric}_source"] = claim.source if claim else None
        for batch_size in comparison.batch_sizes:
            cell = row.latency_at(batch_size)
            measured = cell is not None and cell.measured
            for key in ("p50_s", "p90_s", "throughput", "reliable"):
                flat[f"{key}@{batch_size}"] = getattr(cell, key) if measured else None
            flat[f"ratio@{batch_size}"] = ratios.get((batch_size, row.name))
        flat["error"] = row.error
        rows.append(flat)
    return rows
