"""Tables as HTML, for notebooks."""

from __future__ import annotations

from collections.abc import Iterable

from .escapes import html as escape
from .tables.table import Table


def html(tables: Iterable[Table]) -> str:
    """One <table> each, with a caption, notes below."""
    return "\n".join(_one(table) for table in tables)


def _one(table: Table) -> str:
    align = ["left" if column.kind == "text" else "right" for column in table.columns]
    head = "".join(
        f'<th style="text-align:{side}">{escape(column.heading)}</th>'
        for column, side in zip(table.columns, align, strict=True)
    )
    body = "\n".join(
        "<tr>"
        + "".join(
            f'<td style="text-align:{align[place]}">{escape(table.text(row, place))}</td>' for place in range(len(row))
        )
        + "</tr>"
        for row in table.rows
    )
    notes = "".join(f"<div><small>{escape(note)}</small></div>" for note in table.notes)
    return (
        f"<table><caption>{escape(table.title)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table>{notes}"
    )
