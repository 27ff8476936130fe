"""Records as one text: what a notebook and a prompt show, and what `to_markdown` returns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from ..results.choice import Choice
from ..results.comparison import ArchitectureResult, Comparison
from ..results.predictions import Prediction
from ..results.profile import StaticProfile
from ..results.trials import Trial
from ..results.whatif import WhatIf
from . import escapes
from .brief import brief
from .choice import summary
from .flat import epoch_rows, flat_rows
from .html import html
from .markdown import markdown
from .tables.choice import table as choice_table
from .tables.comparison import tables
from .tables.layers import layer_table
from .tables.predictions import table as prediction_table
from .tables.profile import totals
from .tables.table import Table
from .tables.trials import tables as trial_tables
from .tables.whatif import table as whatif_table

#: Records that are tables.
Record = Comparison | ArchitectureResult | StaticProfile | Trial | Prediction | WhatIf

#: Networks of a choice that are shown in full, as the command shows them.
_CHOSEN = 10


def render(record: Record | Choice, format: str) -> Any:
    """The record in a few lines ('text'), its tables as 'markdown' or 'html', or flat 'rows'; above a choice's table
    stand its reasons."""
    if format == "rows":
        return epoch_rows(record) if isinstance(record, Trial) else flat_rows(cast(Comparison, record))
    if format == "text":
        return brief(record)
    if isinstance(record, Choice):
        return _choice(record, format)
    return html(_tables(record)) if format == "html" else markdown(_tables(record))


def _choice(found: Choice, format: str) -> str:
    shown = [choice_table(found, _CHOSEN, "to_frame() has all of them")] if found.options else []
    if format == "html":
        return html(shown, summary(found))
    return "\n\n".join([*map(escapes.markdown, summary(found)), *([markdown(shown)] if shown else [])])


def _tables(record: Record) -> Sequence[Table]:
    if isinstance(record, Prediction):
        return (prediction_table(record),)
    if isinstance(record, WhatIf):
        return (whatif_table(record),)
    if isinstance(record, Trial):
        return trial_tables(record)
    if isinstance(record, Comparison):
        return tables(record)
    if isinstance(record, ArchitectureResult):
        return tables(Comparison({}, (record,)))
    return (totals(record), *([layer_table(record, "type")] if record.by_type else []))
