"""Text of others (names, errors, notes) as it may stand in each output: one function an output, imports no renderer.

A name is whatever somebody typed, an error whatever somebody raised. All come out on one line, with control characters
shown as in a Python string, and with nothing left that the output's reader would act upon.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from html import escape as _html
from typing import Any

from ..base.errors import LONGEST, printable

_MARKDOWN = re.compile(r"[\\`*_\[\]<>|~$&]")
#: What makes a block of a line that begins with it: a heading, a quotation, a list, a rule, a numbered list.
_BLOCK = re.compile(r"^(\s*)([#+=-]|\d+(?=[.)]))")

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",  # after the end of a row these two would be an option of the line break
    "*": "{*}",
    "—": "---",
    "²": r"\textsuperscript{2}",
}


def line(text: str) -> str:
    """One line without control characters, at most LONGEST letters: what every other function begins with."""
    return printable(text, LONGEST)


def terminal(text: str) -> str:
    """For a terminal, or for the log of GitHub Actions, which obeys '::' at the start of a line and '##[' anywhere."""
    text = line(text).replace("##[", "## [")
    return re.sub(r"^(\s*):(?=:)", r"\1: ", text)


def markdown(text: str, starts: bool = False) -> str:
    """For Markdown, in a cell or amid a line; where it `starts` a bullet or a paragraph it starts nothing else."""
    text = _MARKDOWN.sub(r"\\\g<0>", line(text))
    start = _BLOCK.match(text) if starts else None
    if start is None:
        return text
    mark = start[2]
    return f"{start[1]}{mark}\\{text[start.end() :]}" if mark.isdigit() else f"{start[1]}\\{text[start.start(2) :]}"


def fenced(text: str, language: str) -> str:
    """A fenced block of Markdown that no line within can end."""
    shown = "\n".join(printable(row, 100 * LONGEST) for row in text.split("\n"))
    longest = max((len(run) for run in re.findall(r"`+", shown)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{shown}\n{fence}"


def html(text: str) -> str:
    """For HTML, between tags or in a quoted attribute."""
    return _html(line(text))


def script_json(value: Any) -> str:
    """JSON for an element <script type="application/json">: every text in it a line, and nothing that could end it."""
    text = json.dumps(_lines(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return re.sub("[<>&\u2028\u2029]", lambda found: f"\\u{ord(found[0]):04x}", text)


def _lines(value: Any) -> Any:
    if isinstance(value, str):
        return line(value)
    if isinstance(value, Mapping):
        return {line(key): _lines(item) for key, item in value.items()}
    return [_lines(item) for item in value] if isinstance(value, list | tuple) else value


def latex(text: str) -> str:
    """For LaTeX's text, also in a cell of a tabular."""
    return "".join(_LATEX.get(letter, letter) for letter in line(text))


def latex_comment(text: str) -> str:
    """For what stands behind a '%': it ends with the line, and so must the text."""
    return line(text)


def csv_cell(value: Any) -> Any:
    """For a cell of CSV: text that a spreadsheet would take for a formula gets an apostrophe; numbers stay numbers."""
    if not isinstance(value, str):
        return value
    return f"'{line(value)}" if value[:1] in tuple("=+-@\t\r") and value else line(value)


def xml(text: str) -> str:
    """For XML, whose writer escapes markup but passes on control characters, which XML 1.0 cannot hold."""
    return line(text)


def workflow(text: str, also: str = "") -> str:
    """For a workflow command of GitHub Actions; `also` are letters that end a property (',' and ':')."""
    text = line(text)
    for letter in f"%\r\n{also}":
        text = text.replace(letter, f"%{ord(letter):02X}")
    return text
