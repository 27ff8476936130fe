"""Text that others chose, broken into the lines of a terminal. No line begins with what a reader would act upon."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size

from . import escapes

if TYPE_CHECKING:
    from rich.console import Console

#: Characters of a line of prose at most: longer ones are hard to read.
LONGEST_LINE = 120

#: Where a name is broken: behind what separates its parts.
_PARTS = re.compile(r"[^\s:/,(._@-]*[\s:/,(._@-]?")

#: An amount with its unit, and what stands for the blank between them: a letter that nobody prints, of width 1.
_AMOUNT = re.compile(r"(\d) (%|[kMGT]|[KMGT]iB|m?J|ms|s)(?!\w)")
_JOINED = "\ue000"


def say(sentences: Iterable[str], console: Console, style: str = "") -> None:
    """Print each sentence, broken between words where the console is narrower; a number keeps its unit."""
    from rich.text import Text

    for sentence in sentences:
        text = Text(_AMOUNT.sub(rf"\1{_JOINED}\2", escapes.terminal(sentence)))
        for line in text.wrap(console, min(console.width, LONGEST_LINE), overflow="fold"):
            plain = line.plain.rstrip().replace(_JOINED, " ")
            console.print(Text(escapes.terminal(plain), style), soft_wrap=True)


def narrowest(heading: str) -> int:
    """Characters that a heading needs in two lines."""
    words = heading.split()
    places = range(len(words) + 1)
    return min(max(len(" ".join(words[:place])), len(" ".join(words[place:]))) for place in places)


def heading(text: str, width: int) -> str:
    """A heading in two lines where it is longer than `width`, the second as long as it can be: 'ms', 'at 8'."""
    words = text.split()
    place = next((n for n in range(len(words)) if len(" ".join(words[n:])) <= width), 0)
    return "\n".join(" ".join(part) for part in (words[:place], words[place:]) if part)


def folded(text: str, width: int) -> str:
    """The text in lines of at most so many cells, broken behind a separator where there is one."""
    lines, width = [""], max(width, 2)  # a letter may take two
    for part in _PARTS.findall(text):
        if lines[-1] and cell_len(lines[-1] + part.rstrip()) > width:
            lines.append("")
        lines[-1] += part
        while cell_len(lines[-1].rstrip()) > width:
            head = set_cell_size(lines[-1], width).rstrip()
            lines[-1:] = [head, lines[-1][len(head) :]]
    return "\n".join(escapes.terminal(line.rstrip()) for line in lines)
