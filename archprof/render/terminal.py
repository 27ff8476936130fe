"""Tables on a terminal."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from . import escapes
from .tables.table import Table

if TYPE_CHECKING:
    from rich.console import Console


#: Characters of a line where stdout is no terminal and COLUMNS does not say, and what COLUMNS may say at least.
PIPED, LEAST = 160, 20

#: What ends a line: blanks, and escape sequences of colours among them.
_END = re.compile(r"(?: |\x1b\[[0-9;]*m)+$", re.MULTILINE)


def show(tables: Iterable[Table], console: Console | None = None, export: str = "--markdown") -> None:
    """Print tables to stdout, notes below each, as wide as the terminal or, when piped, as COLUMNS says.

    `export` is the option of the command that shows what has no room on a terminal.
    """
    from rich.console import Console

    asked = None
    if console is None:
        piped = not sys.stdout.isatty()
        asked = _columns() if piped else None
        console = Console(width=asked or PIPED if piped else None, highlight=False)
    with console.capture() as drawn:
        for place, table in enumerate(tables):
            if place:
                console.print()
            _show(fitting(table, console.width, export), console, wrap=asked is not None)
    # rich fills every line to the full width
    console.file.write(_END.sub(lambda end: end[0].replace(" ", ""), drawn.get()))


def _columns() -> int | None:
    """The width that the environment asks for; None: it does not."""
    asked = os.environ.get("COLUMNS", "")
    return max(int(asked), LEAST) if re.fullmatch("[0-9]{1,5}", asked) and int(asked) else None


#: Characters that the frame takes at both sides together.
EDGES = 2


def fitting(table: Table, width: int, export: str = "--markdown") -> Table:
    """The table without as many details as make it wider than so many characters, and a note of what is missing."""
    places, left_out = list(range(len(table.columns))), []
    details = [place for place in places if table.columns[place].detail]
    while details and sum(_width(table, place) for place in places) + EDGES > width:
        left_out.append(details.pop(0))
        places.remove(left_out[-1])
    if not left_out:
        return table
    named = ", ".join(table.columns[place].heading for place in left_out)
    note = f"No room here for {named}: a wider terminal or {export} shows more."
    return replace(
        table,
        columns=tuple(table.columns[place] for place in places),
        rows=tuple(tuple(row[place] for place in places) for row in table.rows),
        notes=(*table.notes, note),
    )


def _width(table: Table, place: int) -> int:
    """Characters that a column needs with its margin: its headings may break between words, its cells not."""
    texts = [*table.columns[place].heading.split(), *(table.text(row, place) for row in table.rows)]
    return max(map(len, texts)) + 3


#: What a cell's tone looks like where there is colour.
_STYLES = {"good": "green", "bad": "bold red", "doubtful": "yellow"}


def _show(table: Table, console: Console, wrap: bool) -> None:
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(
        title=Text(escapes.terminal(table.title)),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        title_style="bold",
        header_style="bold",
    )
    whole = [max(_width(table, place), len(column.heading) + 3) for place, column in enumerate(table.columns)]
    # where headings must break, every column gets just what it needs: left to itself, rich cuts cells of the last one
    tight = sum(whole) - 1 > console.width
    for place, column in enumerate(table.columns):
        text = column.kind == "text" and column.key != "ci95_s"
        needed = min(_width(table, place) - 3, console.width // 3)
        drawn.add_column(
            Text(escapes.terminal(column.heading)),
            justify="left" if text else "right",
            overflow="fold",
            width=needed if tight else None,
        )
    for row in table.rows:
        drawn.add_row(
            *(
                Text(escapes.terminal(table.text(row, place)), _STYLES.get(cell.tone, ""))
                for place, cell in enumerate(row)
            )
        )
    console.print(drawn)
    for note in table.notes:
        console.print(Text(escapes.terminal(note)), soft_wrap=not wrap)  # a whole sentence can be searched for
