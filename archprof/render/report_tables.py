"""Tables that only a report shows: memory by batch size, where weights are, and separable savings in full."""

from __future__ import annotations

from .. import units
from ..records import Comparison
from ..table import Cell, Column, Table, counted_shares, kinds_of, what_is_timed
from . import figures


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
            predicted = figures.predicted_peak_bytes(row, size, comparison.environment)
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
            "Predicted: parameters, gradients, buffers, the optimizer's state, and the activations kept for the way back."
            if training
            else "Predicted: parameters, buffers, and the activations alive together.",
            "Measured: the allocator's own account, with inputs and the workspaces of kernels.",
        ),
    )


def kinds(comparison: Comparison) -> Table:
    """Share of mult-adds and of weights in each kind of layer."""
    records = counted_shares(comparison)
    shown = kinds_of(records)
    rows = []
    for record, _ in records:
        parts = {share.kind: share for share in record.kinds}
        rows.append(
            (
                Cell(record.name),
                *(
                    Cell(text=" / ".join(map(units.percent, (part.macs_fraction, part.weights_fraction))))
                    if (part := parts.get(kind)) is not None and (part.macs or part.weights)
                    else Cell()
                    for kind in shown
                ),
            )
        )
    return Table(
        "Mult-adds / weights by kind of layer",
        (Column("name", "Architecture"), *(Column(kind, kind[:1].upper() + kind[1:], "share") for kind in shown)),
        tuple(rows),
        ("Weights are the parameters that multiply: biases and normalisation are left out.",),
    )


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
