"""Tables as Markdown that renders on any forge."""

from __future__ import annotations

import re
from collections.abc import Iterable

from . import escapes
from .tables.table import Table


def markdown(tables: Iterable[Table], level: int = 2) -> str:
    """Pipe tables under headings of that level, notes as lists below them."""
    return "\n".join(_one(table, level) for table in tables)


def _one(table: Table, level: int) -> str:
    lines = [f"{'#' * level} {escapes.markdown(table.title)}", ""]
    if table.columns:
        lines += [*_rows(table), ""]
    if table.notes:
        lines += [f"- {_linked(note)}" for note in table.notes] + [""]
    return "\n".join(lines)


def _rows(table: Table) -> list[str]:
    lines = ["| " + " | ".join(escapes.markdown(column.heading) for column in table.columns) + " |"]
    lines.append("|" + "|".join(" :--- " if column.kind == "text" else " ---: " for column in table.columns) + "|")
    for row in table.rows:
        lines.append("| " + " | ".join(escapes.markdown(table.text(row, place)) for place in range(len(row))) + " |")
    return lines


def _linked(text: str) -> str:
    """The text with its addresses as links; a comma or full stop after one is not part of it."""
    parts = re.split(r"(https?://[^\s<>]*[^\s<>.,;:])", text)
    return "".join(
        f"<{part}>" if place % 2 else escapes.markdown(part, starts=place == 0) for place, part in enumerate(parts)
    )
