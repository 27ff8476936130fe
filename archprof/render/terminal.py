"""Tables on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..table import Table

if TYPE_CHECKING:
    from rich.console import Console


def show(tables: Iterable[Table], console: Console | None = None) -> None:
    """Print tables to stdout, notes below each; wide tables keep their columns whole when piped."""
    from rich.console import Console

    if console is None:
        piped = not sys.stdout.isatty()
        console = Console(width=160 if piped else None, highlight=False, soft_wrap=False)
    for place, table in enumerate(tables):
        if place:
            console.print()
        _show(table, console)


def _show(table: Table, console: Console) -> None:
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(title=Text(table.title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False,
                      title_style="bold", header_style="bold")
    for column in table.columns:
        text = column.kind == "text" and column.key != "ci95_s"
        drawn.add_column(column.heading, justify="left" if text else "right", overflow="fold")
    for row in table.rows:
        drawn.add_row(*(Text(table.text(row, place)) for place in range(len(row))))
    console.print(drawn)
    for note in table.notes:
        console.print(Text(note), soft_wrap=True)
