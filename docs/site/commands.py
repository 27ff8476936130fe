"""The reference of commands: what --help prints of each."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Sequence
from unittest import mock

from archprof.cli import build_parser
from archprof.cli.commands import COMMANDS


def pages() -> dict[str, str]:
    """A page for each command, and one that lists them."""
    rows = "\n".join(f"| [`{name}`]({name}.md) | {summary} |" for name, summary in COMMANDS.items())
    index = ["# Commands", f"| Command | What it does |\n| :--- | :--- |\n{rows}", _help()]
    contents = "\n".join(["```{toctree}", ":hidden:", "", *COMMANDS, "```"])
    return {
        "commands/index.md": "\n\n".join([*index, contents]),
        **{
            f"commands/{name}.md": f"# archprof {name}\n\n{summary}\n\n{_help(name)}"
            for name, summary in COMMANDS.items()
        },
    }


def _help(*words: str) -> str:
    """What `archprof WORDS --help` prints on a terminal of 80 columns, as a block of a page."""
    return (
        f"```console\n$ {' '.join(['archprof', *words, '--help'])}\n```\n\n```text\n{_printed(words).rstrip()}\n```\n"
    )


def _printed(words: Sequence[str]) -> str:
    printed = io.StringIO()
    plain = {"COLUMNS": "80", "NO_COLOR": "1"}
    with mock.patch.dict(os.environ, plain), contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        build_parser(words).parse_args([*words, "--help"])
    return printed.getvalue()
