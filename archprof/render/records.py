"""Records as one text: what a notebook and a prompt show, and what `to_markdown` returns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from ..results.comparison import ArchitectureResult, Comparison
from ..results.profile import StaticProfile
from ..results.trials import Trial
from .brief import brief
from .flat import epoch_rows, flat_rows
from .html import html
from .markdown import markdown
from .tables.comparison import tables
from .tables.layers import layer_table
from .tables.profile import totals
from .tables.table import Table
from .tables.trials import tables as trial_tables

_FORMATS = {"markdown": markdown, "html": html}


def render(record: Comparison | ArchitectureResult | StaticProfile | Trial, format: str) -> Any:
    """The record in a few lines ('text'), its tables as 'markdown' or 'html', or flat 'rows'."""
    if format == "rows":
        return epoch_rows(record) if isinstance(record, Trial) else flat_rows(cast(Comparison, record))
    return brief(record) if format == "text" else _FORMATS[format](_tables(record))


def _tables(record: Comparison | ArchitectureResult | StaticProfile | Trial) -> Sequence[Table]:
    if isinstance(record, Trial):
        return trial_tables(record)
    if isinstance(record, Comparison):
        return tables(record)
    if isinstance(record, ArchitectureResult):
        return tables(Comparison({}, (record,)))
    return (totals(record), *([layer_table(record, "type")] if record.by_type else []))
