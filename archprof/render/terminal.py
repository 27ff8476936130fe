"""Tables on a terminal."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..base import units
from . import escapes, lines
from .tables.table import Cell, Table

if TYPE_CHECKING:
    from rich.console import Console


#: Characters of a line where stdout is no terminal and COLUMNS does not say, and what COLUMNS may say at least.
PIPED, LEAST = 160, 20

#: What ends a line: blanks, and escape sequences of colours among them.
_END = re.compile(r"(?: |\x1b\[[0-9;]*m)+$", re.MULTILINE)


def show(
    tables: Iterable[Table], console: Console | None = None, export: str = "--markdown", below: Sequence[str] = ()
) -> None:
    """Print tables to stdout, notes below each, as wide as the terminal or, when piped, as COLUMNS says.

    `export` is the option of the command that shows what has no room on a terminal; `below` are sentences that follow
    the tables.
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
        lines.say(below, console)
    # rich fills every line to the full width
    console.file.write(_END.sub(lambda end: end[0].replace(" ", ""), drawn.get()))


def _columns() -> int | None:
    """The width that the environment asks for; None: it does not."""
    asked = os.environ.get("COLUMNS", "")
    return max(int(asked), LEAST) if re.fullmatch("[0-9]{1,5}", asked) and int(asked) else None


#: Characters that the frame takes at both sides together.
EDGES = 2

#: Characters that the cells of a column which folds have at least.
NARROWEST = 12


def fitting(table: Table, width: int, export: str = "--markdown") -> Table:
    """The table without as many details as make it wider than so many characters, and a note of what is missing."""
    places, left_out = list(range(len(table.columns))), []
    details = [place for place in places if table.columns[place].detail]
    details.sort(key=lambda place: -table.columns[place].detail)
    while details and sum(_width(table, place) for place in places) + EDGES > width:
        left_out.append(details.pop(0))
        places.remove(left_out[-1])
    if not left_out:
        return table
    named = ", ".join(table.columns[place].heading for place in sorted(left_out))
    note = f"No room here for {named}: a wider terminal or {export} shows more."
    return replace(
        table,
        columns=tuple(table.columns[place] for place in places),
        rows=tuple(tuple(row[place] for place in places) for row in table.rows),
        notes=(*table.notes, note),
    )


def _width(table: Table, place: int) -> int:
    """Characters that a column needs with its margin: headings may break between words, cells where a column folds."""
    column, cells = table.columns[place], _longest(table, place)
    words = map(len, column.heading.split())
    heading = lines.narrowest(column.heading) if _folds(table) else max(words, default=0)
    return max(heading, min(cells, NARROWEST) if column.folds else cells) + _gap(table)


def _longest(table: Table, place: int) -> int:
    return max((len(table.text(row, place)) for row in table.rows), default=0)


def _gap(table: Table) -> int:
    """Characters between two columns."""
    return 2 if _folds(table) else 3


def _folds(table: Table) -> bool:
    """Whether the table is made for little room: columns stand close, names and notes break where they must."""
    return any(column.folds for column in table.columns)


def _widths(table: Table, width: int) -> list[int | None]:
    """Characters of each column where headings must break or cells fold to keep within `width`, else None: left to
    itself, rich cuts cells of the last column."""
    gap, places = _gap(table), range(len(table.columns))
    least = [_width(table, place) - gap for place in places]
    whole = [max(_longest(table, place), len(column.heading)) for place, column in enumerate(table.columns)]
    room = width - EDGES - gap * (len(whole) - 1)
    if sum(whole) <= room:
        return [None for _ in places]
    for place in places:
        if table.columns[place].folds:
            least[place] = min(whole[place], least[place] + max(room - sum(least), 0))
        else:
            least[place] = min(least[place], width // 3)
    return [*least]


#: What a cell's tone looks like where there is colour.
_STYLES = {"good": "green", "bad": "bold red", "doubtful": "yellow", "best": "bold"}


def _show(table: Table, console: Console, wrap: bool) -> None:
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    folds = _folds(table)
    if folds or not table.columns:
        lines.say([table.title], console, "bold")
    if not table.columns:
        lines.say(table.notes, console)
        return
    drawn = RichTable(
        title=None if folds else Text(escapes.terminal(table.title)),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, _gap(table) - 2),
        title_style="bold",
        header_style="bold",
    )
    widths = _widths(table, console.width)
    for column, width in zip(table.columns, widths, strict=True):
        text = column.kind == "text" and column.key != "ci95_s"
        heading = escapes.terminal(column.heading)
        drawn.add_column(
            Text(lines.heading(heading, width) if folds and width else heading),
            justify="left" if text else "right",
            overflow="fold",
            width=width,
        )
    for row in table.rows:
        drawn.add_row(
            *(
                Text(_shown(table, row, place, widths[place], console), _STYLES.get(cell.tone, ""))
                for place, cell in enumerate(row)
            )
        )
    console.print(drawn)
    if folds or wrap:
        lines.say(table.notes, console)
        return
    for note in table.notes:
        console.print(Text(escapes.terminal(note)), soft_wrap=True)  # a whole sentence can be searched for


def _shown(table: Table, row: tuple[Cell, ...], place: int, width: int | None, console: Console) -> str:
    """A cell's text, in letters that the terminal has."""
    text = escapes.terminal(table.text(row, place))
    if console.options.ascii_only:
        text = text.replace(units.DASH, "-")
    return lines.folded(text, width) if width and table.columns[place].folds else text
