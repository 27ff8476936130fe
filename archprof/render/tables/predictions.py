"""Predicted throughput as a table: every figure that was not measured has its mark."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ...base import units
from ...results.predictions import Predicted, Prediction
from .table import Cell, Column, Table

if TYPE_CHECKING:
    from ...prediction.table import Rates

#: Behind every figure that is predicted.
PREDICTED = " p"


def table(found: Prediction) -> Table:
    """A row for each network: predicted images a second and their interval, and what was published or measured."""
    published = any(row.published_throughput is not None for row in found.networks)
    columns = (
        Column("name", "Network"),
        Column("predicted_throughput", "Images/s", "rate", "more"),
        Column("predicted_interval", f"{100 * found.level:.0f} % interval"),
        Column("predicted_seconds", "ms/image", "seconds", "less", detail=1),
        *([Column("published_throughput", "timm measured", "rate")] if published else []),
        Column("most", "Most of the time", detail=2),
        Column("nearest", "Nearest in the table", detail=3),
    )
    rows = tuple(tuple(_cell(row, column.key) for column in columns) for row in found.networks)
    return Table(f"Predicted for {found.target.shown}", columns, rows, tuple(_notes(found)))


def _cell(row: Predicted, key: str) -> Cell:
    if key == "most":
        most = next(iter(row.predicted_shares.items()), None)
        return Cell(None if most is None else f"{most[0]} {100 * most[1]:.0f} %")
    if key == "predicted_interval":
        if row.predicted_interval is None:
            return Cell()
        low, high = (units.significant(value) for value in row.predicted_interval)
        return Cell(f"{low} to {high}", PREDICTED)
    value = getattr(row, key)
    return Cell(value, PREDICTED if key.startswith("predicted") and value is not None else "")


def _notes(found: Prediction) -> list[str]:
    notes = []
    if any(row.predicted_throughput is not None for row in found.networks):
        notes.append("p predicted, not measured.")
    if any(row.predicted_interval is not None for row in found.networks):
        which = "on a device that is not in the table" if found.anchors else "whose family is not in the table"
        notes.append(
            f"The interval holds the true figure of {100 * found.level:.0f} networks in 100 {which}; "
            "docs/prediction.md says how that was checked."
        )
    if found.anchor_error is not None:
        notes.append(
            f"{len(found.anchors)} anchors, each predicted from the others within "
            f"{100 * math.expm1(found.anchor_error):.1f} % on average."
        )
    notes += [f"{row.name}: not predicted, for {row.outside}." for row in found.networks if row.outside]
    notes += [f"{row.name} failed; the reason is below." for row in found.networks if row.error]
    return [*notes, *(f"{note[0].upper()}{note[1:]}." for note in found.notes)]


def devices(known: Iterable[Rates], source: str) -> Table:
    """The devices of the table, how each was used, and how far predictions without a network's family are off."""
    columns = (
        Column("device", "Device"),
        Column("precision", "Precision"),
        Column("layout", "Layout"),
        Column("compiled", "Compiled"),
        Column("torch", "torch"),
        Column("cuda", "CUDA"),
        Column("batch_size", "Batch", "exact", detail=1),
        Column("networks", "Networks", "exact"),
        Column("median_error", "Median error", "share", "less"),
    )
    rows = [
        (
            Cell(one.benchmark.device),
            Cell(one.benchmark.precision),
            Cell("channels last" if one.benchmark.channels_last else "usual"),
            Cell("yes" if one.benchmark.compiled else "no"),
            Cell(one.benchmark.torch),
            Cell(one.benchmark.cuda or None),
            Cell(one.batch_size),
            Cell(one.networks),
            Cell(one.median_error),
        )
        for one in sorted(
            known, key=lambda one: (one.benchmark.device, one.benchmark.torch.split("."), one.benchmark.name)
        )
    ]
    return Table(
        "Devices whose throughput is published",
        columns,
        tuple(rows),
        (
            "Median error: of networks whose whole family was left out of the fit.",
            f"Source: {source}.",
        ),
    )
