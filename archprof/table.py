"""From a Comparison to tables: columns with a unit and the better direction, cells with marks, notes in words.

A Table still holds numbers in base units; `text` is what people read. Nothing here knows about terminals or Markdown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from . import units
from .records import Accuracy, ArchitectureResult, Comparison
from .separable.records import KINDS, Shares
from .separable.records import shares as shares_of
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
    sources: dict[tuple[str, str, str, str], int] = {}
    rows = tuple(_static_row(row, comparison.dataset, sources) for row in comparison.architectures)
    notes = _counting_notes(comparison) + _other_inputs(comparison)
    notes += [f"[{n}] {_source(*key)}" for key, n in sources.items()]
    return Table(f"Static cost, {_inputs(comparison)}", columns, rows, tuple(notes))


def _static_row(
    row: ArchitectureResult, dataset: str, sources: dict[tuple[str, str, str, str], int]
) -> tuple[Cell, ...]:
    profile, claim = row.profile, row.top("top1", dataset)
    if profile is None:
        return (Cell(row.name), *(Cell(),) * 5, Cell())
    accuracy = Cell()
    if claim is not None:
        place = sources.setdefault((dataset, claim.source, claim.protocol, claim.url), len(sources) + 1)
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


def _source(dataset: str, source: str, protocol: str, url: str) -> str:
    return f"top-1 on {dataset}: {source}{f', {protocol}' if protocol else ''}, {url}"


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
        notes += [f"{row.name}: {note}." for note in row.profile.notes]
    return notes


def _other_inputs(comparison: Comparison) -> list[str]:
    """Who was counted with another input than most, input by input."""
    usual = _usual_input(comparison)
    others: dict[tuple[int, ...], list[str]] = {}
    for row in comparison.architectures:
        if row.profile and (row.profile.batch_size, row.profile.input_shape) != usual:
            others.setdefault(row.profile.input_shape, []).append(row.name)
    return [f"Input {'x'.join(map(str, shape))}: {', '.join(names)}." for shape, names in others.items()]


def shares(comparison: Comparison) -> Table:
    """Share of mult-adds by kind of layer, and what rewriting as depthwise separable would leave."""
    records = counted_shares(comparison)
    kinds = kinds_of(records)
    columns = (
        Column("name", "Architecture"),
        *(Column(kind, _capital(kind), "share") for kind in kinds),
        Column("separable_macs", "Mult-Adds if separable", "count", "less"),
        Column("separable_parameters", "Params if separable", "count", "less"),
    )
    rows = tuple(
        (Cell(record.name), *(Cell(record.fraction(kind)) for kind in kinds),
         _left(record.separable_macs, record.macs, known), _left(record.separable_parameters, record.parameters, known))
        for record, known in records)
    return Table("Where the mult-adds are", columns, rows, (
        "If separable: every dense KxK convolution as depthwise + pointwise, by the formula; in brackets the rest.",))


def counted_shares(comparison: Comparison) -> list[tuple[Shares, bool]]:
    """`separable.shares` of every network counted, and whether its savings are known.

    They need the single layers, which a sweep leaves out.
    """
    found = [(shares_of(row.profile), row.profile) for row in comparison.architectures
             if row.profile is not None and row.profile.by_type]
    return [(record, bool(profile.layers) or not record.fraction("dense KxK")) for record, profile in found]


def kinds_of(records: list[tuple[Shares, bool]]) -> list[str]:
    """The kinds of layer to show: 'other' only where some network has it."""
    return [kind for kind, _ in KINDS if kind != "other" or any(
        share.kind == kind and (share.macs or share.weights) for record, _ in records for share in record.kinds)]


def _left(value: int, of: int, known: bool) -> Cell:
    if not known or not of:
        return Cell()
    return Cell(value, text=f"{units.count(value)} ({units.percent(value / of, 1)})")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def latency(comparison: Comparison) -> Table:
    """Measured time, one row per batch size and network, with 95 % intervals and the ratio to the reference."""
    reference, training = comparison.reference, comparison.environment.get("mode") == "train"
    columns = [
        Column("batch_size", "Batch", "number"),
        Column("name", "Architecture"),
        Column("p50_s", "ms", "seconds", "less"),
        Column("ci95_s", "95 % interval", "text"),
        Column("throughput", "images/s", "rate", "more"),
        *((Column("training_activation_bytes", "Activations kept", "bytes", "less"),
           Column("optimizer_state_bytes", "Optimizer state", "bytes", "less"))
          if training else (Column("peak_activation_bytes", "Peak activations", "bytes", "less"),)),
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
            predicted = next((m for m in row.memory if m.batch_size == batch_size), None)
            alive = "training_activation_bytes" if training else "peak_activation_bytes"
            memory = [Cell(getattr(predicted, alive, None))]
            memory += [Cell(cell.optimizer_state_bytes)] if training else []
            last = [Cell(1.0 if row.name == reference and cell.measured else ratio.ratio if ratio else None)]
            rows.append((Cell(batch_size), Cell(row.name), *_time_cells(cell), *memory,
                         *(last if reference else [])))
            if cell.error or cell.why:
                mark = UNRELIABLE + " " if cell.measured and cell.why else ""
                notes.append(f"{mark}{row.name}, batch {batch_size}: {cell.error or cell.why}")
            elif cell.note:
                notes.append(f"{row.name}, batch {batch_size}: {cell.note}")
    return Table(f"Latency of one {what_is_timed(comparison)}, {conditions(comparison)}", tuple(columns), tuple(rows),
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


def what_is_timed(comparison: Comparison) -> str:
    """'forward pass', or 'training step (adam)'."""
    env = comparison.environment
    if env.get("mode") != "train":
        return "forward pass"
    return f"training step ({env['optimizer']})" if env.get("optimizer") else "training step"


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
    """Everything that the comparison holds: static cost, where it is, then latency where it was measured."""
    found = [static(comparison)]
    where = shares(comparison)
    if where.rows:
        found.append(where)
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
            claim: Accuracy | None = row.top(metric, comparison.dataset)
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
