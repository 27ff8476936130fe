"""Comparisons as CSV: one row per architecture, numbers in base units."""

from __future__ import annotations

import csv
import io

from ..records import Comparison
from ..table import flat_rows


def csv_text(comparison: Comparison) -> str:
    """Comma-separated, a heading line first; unknown values are empty."""
    rows = flat_rows(comparison)
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(rows[0]) if rows else ["name"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
