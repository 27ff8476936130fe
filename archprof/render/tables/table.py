"""What a table is: columns with a unit and the better direction, cells with marks, notes in words.

A Table still holds numbers in base units; `text` is what people read. Nothing here knows about terminals or Markdown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ...base import units

UNCOUNTED, UNRELIABLE, BEST = "*", "~", "^"

_SHOWN: Mapping[str, Callable[[Any], str]] = {
    "text": str,
    "count": units.count,
    "bytes": units.size,
    "seconds": units.milliseconds,
    "rate": units.significant,
    "watts": units.watts,
    "joules": units.joules,
    "percent": lambda value: f"{value:.1f}",
    "accuracy": lambda value: f"{value:.2f}",
    "share": units.percent,
    "ratio": units.significant,
    "fraction": lambda value: f"{value:.3f}",
    "intensity": lambda value: f"{value:.2f}",
    "number": str,
    "exact": lambda value: f"{value:,}",
    "signed": lambda value: f"{value:+,}" if value else "0",
    "shape": lambda value: "x".join(map(str, value)),
}


@dataclass(frozen=True)
class Column:
    """`kind` names the unit of the values ('count', 'bytes', 'seconds', ...); `better` is 'less', 'more' or ''.

    A `detail` may be left out where there is no room: the highest first, and from left to right among equals. The cells
    of a column that `folds` may be set in several lines.
    """

    key: str
    heading: str
    kind: str = "text"
    better: str = ""
    detail: int = 0
    folds: bool = False


class Cell(NamedTuple):
    """A value in base units (None: unknown), a footnote mark, and text where the value alone would mislead.

    `tone` is 'good', 'bad', 'doubtful' or 'best' where a terminal may set the cell off.
    """

    value: Any = None
    mark: str = ""
    text: str = ""
    tone: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of cells under columns; `notes` are whole sentences that belong below it."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()

    def text(self, row: tuple[Cell, ...], place: int) -> str:
        """What a reader sees in that place: scaled, with a dash for the unknown, the mark behind."""
        cell, column = row[place], self.columns[place]
        if cell.text:
            return cell.text + cell.mark
        shown = units.DASH if cell.value is None else _SHOWN[column.kind](cell.value)
        return shown + cell.mark
