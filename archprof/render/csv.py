"""Comparisons as CSV: one row per architecture, numbers in base units."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from ..results.comparison import Comparison
from ..results.machines import Fleet
from . import escapes
from .flat import flat_rows, machine_rows


def csv_text(comparison: Comparison) -> str:
    """Comma-separated, a heading line first; unknown values are empty, text that a spreadsheet would
    compute has an apostrophe before it."""
    return csv_of(flat_rows(comparison))


def machines_csv(fleet: Fleet) -> str:
    """A line for each network, machine and batch size, a heading line first."""
    return csv_of(machine_rows(fleet))


def csv_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """Any rows under their keys, a heading line first; lists are joined with 'x', as shapes are written."""
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(rows[0]) if rows else ["name"], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow(
            {
                key: escapes.csv_cell("x".join(map(str, value)) if isinstance(value, list) else value)
                for key, value in row.items()
            }
        )
    return out.getvalue()
