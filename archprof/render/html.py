"""Tables as HTML, for notebooks: their own styles in place, for none of ours reaches there, and no colours, for the
page may be light or dark."""

from __future__ import annotations

from collections.abc import Iterable

from .escapes import html as escape
from .tables.table import Table

#: What a terminal sets off by colour is bold here.
_WEIGHT = {"best": ";font-weight:bold", "bad": ";font-weight:bold"}

_NUMBER = "text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums"

_CAPTION = "caption-side:top;text-align:left;font-weight:bold;white-space:nowrap"


def html(tables: Iterable[Table], above: Iterable[str] = ()) -> str:
    """One <table> each, with a caption, notes below; sentences `above` them all are paragraphs."""
    return "\n".join([*(f"<p>{escape(sentence)}</p>" for sentence in above), *map(_one, tables)])


def _one(table: Table) -> str:
    # digits of one width, so that columns of numbers can be compared by eye
    align = ["padding:2px 8px;" + ("text-align:left" if column.kind == "text" else _NUMBER) for column in table.columns]
    head = "".join(
        f'<th style="{side}">{escape(column.heading)}</th>' for column, side in zip(table.columns, align, strict=True)
    )
    body = "\n".join(
        "<tr>"
        + "".join(
            f'<td style="{align[place]}{_WEIGHT.get(row[place].tone, "")}">{escape(table.text(row, place))}</td>'
            for place in range(len(row))
        )
        + "</tr>"
        for row in table.rows
    )
    notes = "".join(f"<div><small>{escape(note)}</small></div>" for note in table.notes)
    return (
        f'<table><caption style="{_CAPTION}">{escape(table.title)}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table>{notes}"
    )
