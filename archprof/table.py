"""From a Comparison to tables: columns with a unit and the better direction, cells with marks, notes in words.

A Table still holds numbers in base units; `text` is what people read. Nothing here knows about terminals or Markdown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from . import regression, units
from .records import Accuracy, ArchitectureResult, Comparison
from .separable.records import KINDS, Shares
from .separable.records import shares as shares_of
from .timing import Latency, Ratio

UNCOUNTED, UNRELIABLE = "*", "~"

#: Networks of a family from which on a line is shown: through two points it always goes.
FEWEST_FITTED = 3

_SHOWN: Mapping[str, Callable[[Any], str]] = {
    "text": str,
    "count": units.count,
    "bytes": units.size,
    "seconds": units.milliseconds,
    "rate": units.significant,
    "percent": lambda value: f"{value:.1f}",
    "share": units.percent,
    "ratio": units.significant,
    "fraction": lambda value: f"{value:.3f}",
    "number": str,
    "exact": lambda value: f"{value:,}",
    "signed": lambda value: f"{value:+,}" if value else "0",
    "shape": lambda value: "x".join(map(str, value)),
}


@dataclass(frozen=True)
class Column:
    """`kind` names the unit of the values ('count', 'bytes', 'seconds', ...); `better` is 'less', 'more' or ''.

    A `detail` may be left out where there is no room.
    """

    key: str
    heading: str
    kind: str = "text"
    better: str = ""
    detail: bool = False


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
        Column("activations", "Activations", "count", "less", detail=True),
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
    columns = _latency_columns(comparison)
    ratios = {(ratio.batch_size, ratio.architecture): ratio for ratio in comparison.ratios}
    rows, notes = [], []
    for batch_size in comparison.batch_sizes:
        for row in comparison.architectures:
            cell = row.latency_at(batch_size)
            if cell is None:
                continue
            cells = _latency_cells(comparison, row, cell) | {"ratio": _ratio_cell(row, cell, comparison.reference,
                                                                     ratios.get((batch_size, row.name)))}
            rows.append(tuple(cells[column.key] for column in columns))
            if cell.error or cell.why:
                mark = UNRELIABLE + " " if cell.measured and cell.why else ""
                notes.append(f"{mark}{row.name}, batch {batch_size}: {cell.error or cell.why}")
            elif cell.note and comparison.stopping is None:
                notes.append(f"{row.name}, batch {batch_size}: {cell.note}")
    return Table(f"Latency of one {what_is_timed(comparison)}, {conditions(comparison)}", columns, tuple(rows),
                 (*notes, *_ratio_sentences(comparison), *_stopping_sentence(comparison)))


def _latency_columns(comparison: Comparison) -> tuple[Column, ...]:
    cells = [cell for row in comparison.architectures for cell in row.latency if cell.measured]
    training = any(cell.optimizer_state_bytes is not None for cell in cells)
    columns = [
        Column("batch_size", "Batch", "number"),
        Column("name", "Architecture"),
        Column("p50_s", "ms", "seconds", "less"),
        Column("ci95_s", "95 % interval", "text"),
        Column("p90_s", "p90 ms", "seconds", "less", detail=True),
        *([Column("p99_s", "p99 ms", "seconds", "less", detail=True)] if any(cell.p99_s for cell in cells) else []),
        Column("throughput", "images/s", "rate", "more"),
        # a training step computes more than the forward pass whose operations are counted
        *([] if training else [Column("gflops", "GFLOP/s", "rate", "more", detail=True)]),
        Column("peak_activation_bytes", "Peak activations", "bytes", "less", detail=True),
        Column("measured_activation_bytes", "Measured", "bytes", "less", detail=True),
        *([Column("optimizer_state_bytes", "Optimizer state", "bytes", "less")] if training else []),
        *([Column("ratio", f"x {comparison.reference}", "ratio", "less")] if comparison.reference else []),
    ]
    return tuple(columns)


def _latency_cells(comparison: Comparison, row: ArchitectureResult, cell: Latency) -> dict[str, Cell]:
    """By column key; what was not measured is unknown, what cannot be relied on is marked."""
    predicted, measured = _peak_cells(comparison, row, cell)
    known = {"batch_size": Cell(cell.batch_size), "name": Cell(row.name), "peak_activation_bytes": predicted,
             "measured_activation_bytes": measured}
    if not cell.measured:
        return dict.fromkeys(("p50_s", "ci95_s", "p90_s", "p99_s", "throughput", "gflops", "optimizer_state_bytes"),
                             Cell()) | known
    mark = "" if cell.reliable else UNRELIABLE
    low, high = cell.ci95_s
    return known | {
        "p50_s": Cell(cell.p50_s, mark),
        "ci95_s": Cell((low, high), text=f"{units.milliseconds(low)} to {units.milliseconds(high)}")
        if len(cell.seconds) > 1 else Cell(),
        "p90_s": Cell(cell.p90_s, mark),
        "p99_s": Cell(cell.p99_s, mark if cell.p99_s else ""),
        "throughput": Cell(cell.throughput, mark),
        "gflops": Cell(regression.achieved_gflops(row, cell.batch_size)),
        "optimizer_state_bytes": Cell(cell.optimizer_state_bytes),
    }


def _ratio_cell(row: ArchitectureResult, cell: Latency, reference: str | None, ratio: Ratio | None) -> Cell:
    if row.name == reference and cell.measured:
        return Cell(1.0)
    return Cell() if ratio is None else Cell(ratio.ratio, "" if ratio.reliable else UNRELIABLE)


def _ratio_sentences(comparison: Comparison) -> list[str]:
    """The ratios at the smallest batch size as sentences, with their intervals."""
    least = min((ratio.batch_size for ratio in comparison.ratios), default=None)
    return [f"{ratio.sentence}." for ratio in comparison.ratios if ratio.batch_size == least]


def _stopping_sentence(comparison: Comparison) -> list[str]:
    """What ended the measuring: the precision, or the time budget."""
    cells = [cell for row in comparison.architectures for cell in row.latency]
    return [comparison.stopping.sentence(cells, comparison.ratios)] if comparison.stopping else []


def operations(comparison: Comparison) -> Table | None:
    """Time against mult-adds: the least-squares line of each family at each batch size, and what a limit on time
    means in operations. None where no family has FEWEST_FITTED networks that were measured reliably."""
    found = [fit for fit in regression.fits(comparison) if len(fit.names) >= FEWEST_FITTED]
    if not found:
        return None
    training = comparison.environment.get("mode") == "train"
    columns = (
        Column("batch_size", "Batch", "number"),
        Column("family", "Family"),
        Column("networks", "Networks", "number", detail=True),
        Column("intercept_s", "Fixed ms", "seconds", "less"),
        Column("seconds_per_g", "ms per G", "seconds", "less"),
        Column("r2", "R^2", "fraction"),
        *([] if training else [Column("gflops", "GFLOP/s", "rate", "more")]),
        Column("limit_s", "Limit ms", "seconds"),
        Column("macs", "Mult-Adds then", "count", "more"),
    )
    rows, sentences = [], []
    for fit in found:
        limit = regression.round_limit([cell.p50_s for row in comparison.architectures if row.name in fit.names
                                           and (cell := row.latency_at(fit.batch_size))])
        cells = {"batch_size": Cell(fit.batch_size), "family": Cell(fit.family), "networks": Cell(len(fit.names)),
                 "intercept_s": Cell(fit.intercept_s), "seconds_per_g": Cell(1e9 * fit.seconds_per_mac),
                 "r2": Cell(fit.r2), "gflops": Cell(fit.gflops), "limit_s": Cell(limit),
                 "macs": Cell(fit.macs_within(limit))}
        rows.append(tuple(cells[column.key] for column in columns))
        if fit.batch_size == found[0].batch_size:
            sentences.append(f"{fit.sentence(limit)}.")
    of_what = "mult-adds of its forward pass" if training else "its mult-adds"
    return Table(f"Time of one {what_is_timed(comparison)} against {of_what}, a least-squares line for each family",
                 columns, tuple(rows), tuple(sentences))


def what_is_timed(comparison: Comparison) -> str:
    """'forward pass', or 'training step (adam)'."""
    env = comparison.environment
    if env.get("mode") != "train":
        return "forward pass"
    return f"training step ({env['optimizer']})" if env.get("optimizer") else "training step"


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
        Column("held_bytes", "Params, buffers", "bytes", "less", detail=True),
        Column("peak_activation_bytes", "Peak activations", "bytes", "less"),
        Column("scratch_bytes", "+ scratch", "bytes", "less", detail=True),
        Column("inference_bytes", "Inference", "bytes", "less"),
        Column("training_activation_bytes", "Saved for backward", "bytes", "less", detail=True),
        Column("gradient_bytes", "Gradients", "bytes", "less", detail=True),
        Column("optimizer_state_bytes", f"State ({optimizer})", "bytes", "less", detail=True),
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
    plural = "" if env.get("threads") == 1 else "s"
    threads = [f"{env['threads']} thread{plural}"] if env.get("threads") and device == "cpu" else []
    kept = [f"{device}{name}", *threads, str(env.get("dtype", "")), f"torch {env.get('torch', '?')}"]
    kept += [word for word, on in (("channels last", env.get("channels_last")), ("CUDA graph", env.get("cuda_graph")))
             if on]
    kept += [f"compiled ({env['compile']})"] if env.get("compile") else []
    return ", ".join(part for part in kept if part)


def tables(comparison: Comparison) -> tuple[Table, ...]:
    """Everything that the comparison holds: static cost, then latency where it was measured, then what follows."""
    found = [static(comparison)]
    where = shares(comparison)
    if where.rows:
        found.append(where)
    if any(row.memory for row in comparison.architectures):
        found.append(memory(comparison))
    if any(row.largest_batch for row in comparison.architectures):
        found.append(largest_batches(comparison))
    if comparison.batch_sizes:
        found.append(latency(comparison))
        found += [table] if (table := operations(comparison)) else []
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
            flat |= {f"{key}@{batch_size}": value for key, value in _flat_latency(cell).items()}
            flat[f"ratio@{batch_size}"] = ratios.get((batch_size, row.name))
        flat["error"] = row.error
        rows.append(flat)
    return rows


def _flat_latency(cell: Latency | None) -> dict[str, Any]:
    """One measurement's columns; `why` says also why there is none."""
    keys = ("p50_s", "ci95_low_s", "ci95_high_s", "p90_s", "p99_s", "throughput", "optimizer_state_bytes", "reliable")
    flat: dict[str, Any] = dict.fromkeys(keys) | {"why": cell and (cell.error or cell.why)}
    if cell is None or not cell.measured:
        return flat
    low, high = cell.ci95_s
    return flat | {"ci95_low_s": low, "ci95_high_s": high} | {
        key: getattr(cell, key) for key in keys if not key.startswith("ci95")}
