"""Everything that a comparison holds, as tables."""

from __future__ import annotations

from ...results.comparison import Comparison
from . import fits
from .costs import memory, shares, static
from .table import Table
from .times import latency, operations


def tables(comparison: Comparison) -> tuple[Table, ...]:
    """Everything that the comparison holds: static cost, then latency where it was measured, then what follows."""
    found = [static(comparison)]
    where = shares(comparison)
    if where.rows:
        found.append(where)
    if any(row.memory for row in comparison.architectures):
        found.append(memory(comparison))
    found += fits.tables(comparison)
    if comparison.batch_sizes:
        found.append(latency(comparison))
        found += [table] if (table := operations(comparison)) else []
    return tuple(found)
