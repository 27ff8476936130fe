"""Tables that only a report shows: memory by batch size, where weights are, and separable savings in full."""

from __future__ import annotations

from ...base import units
from ...results.comparison import Comparison
from ...results.findings import predicted_peak_bytes
from ...results.shares import Share, time_by_kind
from .costs import counted_shares, kinds_of
from .table import UNRELIABLE, Cell, Column, Table
from .times import what_is_timed


def memory(comparison: Comparison) -> Table:
    """Peak memory by batch size: predicted by counting, and measured."""
    columns = (
        Column("batch_size", "Batch", "number"),
        Column("name", "Architecture"),
        Column("predicted", "Predicted", "bytes", "less"),
        Column("measured", "Measured", "bytes", "less"),
    )
    rows = []
    for size in comparison.batch_sizes:
        for row in comparison.architectures:
            cell = row.latency_at(size)
            predicted = predicted_peak_bytes(row, size, comparison.environment)
            rows.append(
                (
                    Cell(size),
                    Cell(row.name),
                    Cell(predicted or None),
                    Cell(cell.measured_peak_bytes if cell else None),
                )
            )
    training = comparison.environment.get("mode") == "train"
    return Table(
        f"Peak memory of one {what_is_timed(comparison)}",
        columns,
        tuple(rows),
        (
            "Predicted: parameters, gradients, buffers, optimizer state, and the activations kept for the way back."
            if training
            else "Predicted: parameters, buffers, and the activations alive together.",
            "Measured: the allocator's own account, with inputs and the workspaces of kernels.",
        ),
    )


def kinds(comparison: Comparison) -> Table:
    """Share of mult-adds, of weights and, where layers were timed, of time in each kind of layer."""
    records = counted_shares(comparison)
    counted = {row.profile.name: row for row in comparison.architectures if row.profile}
    times = {name: time_by_kind(row.profile) if row.profile else {} for name, row in counted.items()}
    timed = any(times.values())
    shown = kinds_of(records)
    if timed and "other" not in shown:
        shown.append("other")
    notes = ["Weights are the parameters that multiply: biases and normalisation are left out."]
    if timed:
        notes.append("Time is that of one pass; normalisation, activation and what lies between calls are in other.")
    rows = []
    for record, _ in records:
        parts, time = {share.kind: share for share in record.kinds}, times[record.name]
        why = (how := counted[record.name].division) and how.why
        if why:
            notes.append(f"{UNRELIABLE} {record.name}: the time is not reliable ({why.rstrip('.')}).")
        cells = (_kind(parts.get(kind), time.get(kind, 0.0 if time else None), timed) for kind in shown)
        marked = (cell._replace(mark=UNRELIABLE if why and cell.text else "") for cell in cells)
        rows.append((Cell(record.name), *marked))
    return Table(
        f"Mult-adds / weights {'/ time ' if timed else ''}by kind of layer",
        (Column("name", "Architecture"), *(Column(kind, kind[:1].upper() + kind[1:], "share") for kind in shown)),
        tuple(rows),
        tuple(notes),
    )


def _kind(part: Share | None, time: float | None, timed: bool) -> Cell:
    """'94.86 % / 74.59 % / 61.20 %'; a dash where the network has nothing of the kind, or its time is not known."""
    if not time and (part is None or not (part.macs or part.weights)):
        return Cell()
    fractions = (part.macs_fraction, part.weights_fraction) if part else (0.0, 0.0)
    words = [units.percent(fraction) for fraction in fractions]
    if timed:
        words.append(units.DASH if time is None else units.percent(time))
    return Cell(text=" / ".join(words))


def savings(comparison: Comparison) -> Table:
    """Mult-adds and parameters now, and with every dense KxK convolution as depthwise + pointwise."""
    columns = (
        Column("name", "Architecture"),
        Column("macs", "Mult-Adds", "count", "less"),
        Column("separable_macs", "if separable", "count", "less"),
        Column("macs_ratio", "left", "share", "less"),
        Column("parameters", "Params", "count", "less"),
        Column("separable_parameters", "if separable", "count", "less"),
        Column("parameters_ratio", "left", "share", "less"),
    )
    rows = []
    for record, known in counted_shares(comparison):
        cells = [Cell(record.name)]
        for now, then in (
            (record.macs, record.separable_macs),
            (record.parameters, record.separable_parameters),
        ):
            cells += [Cell(now), Cell(then if known else None), Cell(then / now if known and now else None)]
        rows.append(tuple(cells))
    return Table("Left after rewriting, by the formula", columns, tuple(rows))
