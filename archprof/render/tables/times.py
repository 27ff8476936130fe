"""What was measured, as tables: latency per batch size, and time against operations."""

from __future__ import annotations

from ...base import units
from ...results import regression
from ...results.answer import At
from ...results.comparison import ArchitectureResult, Comparison
from ...results.environment import memory_words, type_words
from ...results.latency import FEWEST_BLOCKS, Latency
from ...results.ratios import Ratio
from ..reasons import reasons, unsure_ratios
from . import logbook
from .table import UNRELIABLE, Cell, Column, Table

#: Networks of a family from which on a line is shown: through two points it always goes.
FEWEST_FITTED = 3


def latency(comparison: Comparison) -> Table:
    """Measured time, one row per batch size and network, with 95 % intervals and the ratio to the reference."""
    columns = _latency_columns(comparison)
    ratios = {(ratio.batch_size, ratio.architecture): ratio for ratio in comparison.ratios}
    rows = []
    missing: dict[At, str] = {}
    unsure: dict[At, str] = {}
    cut: dict[At, str] = {}
    for batch_size in comparison.batch_sizes:
        for row in comparison.architectures:
            cell = row.latency_at(batch_size)
            if cell is None:
                continue
            cells = _latency_cells(comparison, row, cell) | {
                "ratio": _ratio_cell(row, cell, comparison.reference, ratios.get((batch_size, row.name)))
            }
            rows.append(tuple(cells[column.key] for column in columns))
            at = (row.name, batch_size)
            if cell.error:
                missing[at] = cell.error
            elif cell.why:
                unsure[at] = cell.why
            elif cell.note and comparison.stopping is None:
                cut[at] = cell.note
    return Table(
        f"Latency of one {what_is_timed(comparison)}, {conditions(comparison)}",
        columns,
        tuple(rows),
        (
            *reasons("not measured", missing),
            *reasons(f"{UNRELIABLE} not reliable", unsure),
            *reasons(f"{UNRELIABLE} ratios that are not", unsure_ratios(comparison, {*missing, *unsure})),
            *reasons("cut short", cut),
            *_ratio_sentences(comparison),
            *logbook.sentences(comparison),
            *_stopping_sentence(comparison),
            *_memory_sentence(comparison),
            *power_sentence(comparison),
        ),
    )


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
        *(
            [
                Column("power_w", "Power", "watts", "less", detail=True),
                Column("joules_per_sample", "Energy/image", "joules", "less"),
            ]
            if comparison.metered
            else []
        ),
        # a training step computes more than the forward pass whose operations are counted
        *([] if training else [Column("gflops", "GFLOP/s", "rate", "more", detail=True)]),
        Column("peak_activation_bytes", "Peak (predicted)", "bytes", "less", detail=True),
        Column("measured_activation_bytes", "Measured", "bytes", "less", detail=True),
        *([Column("optimizer_state_bytes", "Optimizer state", "bytes", "less")] if training else []),
        *([Column("ratio", f"x {comparison.reference}", "ratio", "less")] if comparison.reference else []),
    ]
    return tuple(columns)


def _latency_cells(comparison: Comparison, row: ArchitectureResult, cell: Latency) -> dict[str, Cell]:
    """By column key; what was not measured is unknown, what is not reliable is marked."""
    predicted, measured = _peak_cells(comparison, row, cell)
    known = {
        "batch_size": Cell(cell.batch_size),
        "name": Cell(row.name),
        "peak_activation_bytes": predicted,
        "measured_activation_bytes": measured,
    }
    if not cell.measured:
        return (
            dict.fromkeys(
                (
                    "p50_s",
                    "ci95_s",
                    "p90_s",
                    "p99_s",
                    "throughput",
                    "power_w",
                    "joules_per_sample",
                    "gflops",
                    "optimizer_state_bytes",
                ),
                Cell(),
            )
            | known
        )
    mark = "" if cell.reliable else UNRELIABLE
    low, high = cell.ci95_s
    return known | {
        "p50_s": Cell(cell.p50_s, mark),
        "ci95_s": Cell((low, high), text=f"{units.milliseconds(low)} to {units.milliseconds(high)}")
        if len(cell.seconds) >= FEWEST_BLOCKS
        else Cell(),
        "p90_s": Cell(cell.p90_s, mark),
        "p99_s": Cell(cell.p99_s, mark if cell.p99_s else ""),
        "throughput": Cell(cell.throughput, mark),
        "power_w": Cell(cell.power_w, mark if cell.metered else ""),
        "joules_per_sample": Cell(cell.joules_per_sample, mark if cell.metered else ""),
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


def _memory_sentence(comparison: Comparison) -> list[str]:
    """What became of memory between passes."""
    words = memory_words(comparison.environment)
    return [f"Memory that a pass freed was {words}."] if words else []


def power_sentence(comparison: Comparison) -> list[str]:
    """What the power and the energy are of, where there are any."""
    if not comparison.metered:
        return []
    meter = comparison.environment.get("energy_meter") or "the meter is not stated"
    every = all(cell.metered for row in comparison.architectures for cell in row.latency if cell.measured)
    lacking = "" if every else " Where there are none, no undisturbed block was long enough for the meter."
    return [f"Power and energy: {meter}.{lacking}"]


def _peak_cells(comparison: Comparison, row: ArchitectureResult, cell: Latency) -> tuple[Cell, Cell]:
    """Predicted and measured bytes above the loaded network (and its optimizer's state), with their ratio."""
    entry, held = row.memory_at(cell.batch_size), row.held_bytes
    if entry is None or held is None:
        return Cell(), Cell()
    if comparison.environment.get("mode") == "train":
        held += cell.optimizer_state_bytes or 0
        whole = row.training_bytes(entry, comparison.optimizer)
    else:
        whole = row.inference_bytes(entry)
    predicted = None if whole is None else whole - held
    if cell.measured_peak_bytes is None:
        return Cell(predicted), Cell()
    measured = cell.measured_peak_bytes - held
    ratio = f", x {measured / predicted:.2f}" if predicted else ""
    return Cell(predicted), Cell(measured, text=units.size(measured) + ratio)


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
        limit = regression.round_limit(
            [
                cell.p50_s
                for row in comparison.architectures
                if row.name in fit.names and (cell := row.latency_at(fit.batch_size))
            ]
        )
        cells = {
            "batch_size": Cell(fit.batch_size),
            "family": Cell(fit.family),
            "networks": Cell(len(fit.names)),
            "intercept_s": Cell(fit.intercept_s),
            "seconds_per_g": Cell(1e9 * fit.seconds_per_mac),
            "r2": Cell(fit.r2),
            "gflops": Cell(fit.gflops),
            "limit_s": Cell(limit),
            "macs": Cell(fit.macs_within(limit)),
        }
        rows.append(tuple(cells[column.key] for column in columns))
        if fit.batch_size == found[0].batch_size:
            sentences.append(f"{fit.sentence(limit)}.")
    of_what = "mult-adds of its forward pass" if training else "its mult-adds"
    return Table(
        f"Time of one {what_is_timed(comparison)} against {of_what}, a least-squares line for each family",
        columns,
        tuple(rows),
        tuple(sentences),
    )


def what_is_timed(comparison: Comparison) -> str:
    """'forward pass', 'training step (adam)', or 'training step (sgd, in 4 parts, gradients set to zero)'."""
    env = comparison.environment
    if env.get("mode") != "train":
        return "forward pass"
    parts = f"in {env['accumulate']} parts" if env.get("accumulate") else ""
    zeroed = "gradients set to zero" if env.get("zero_grad") == "zero" else ""
    told = ", ".join(filter(None, (env.get("optimizer"), parts, zeroed)))
    return f"training step ({told})" if told else "training step"


def conditions(comparison: Comparison) -> str:
    """What was measured on, in words: 'cpu (AMD EPYC), 2 threads, float32, torch 2.13.0'."""
    env = comparison.environment
    device = env.get("device", "cpu")
    name = f" ({env['device_name']})" if env.get("device_name") else ""
    plural = "" if env.get("threads") == 1 else "s"
    threads = [f"{env['threads']} thread{plural}"] if env.get("threads") and device == "cpu" else []
    kept = [f"{device}{name}", *threads, type_words(env), f"torch {env.get('torch', '?')}"]
    kept += [
        word for word, on in (("channels last", env.get("channels_last")), ("CUDA graph", env.get("cuda_graph"))) if on
    ]
    kept += [f"compiled ({env['compile']})"] if env.get("compile") else []
    return ", ".join(part for part in kept if part)
