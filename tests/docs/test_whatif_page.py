"""docs/whatif.md: its command and its program run, its constants are those in use, and it names every edit."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from archprof.cli import build_parser
from archprof.editing import estimating
from archprof.editing.edits import WORDS, parse

PAGE = (Path(__file__).parents[2] / "docs" / "whatif.md").read_text()


def test_the_command_is_well_formed_and_its_rows_are_its_edits():
    (command,) = re.findall(r"^\$ archprof (.+)$", PAGE, re.MULTILINE)
    args = build_parser().parse_args(shlex.split(command))
    (shown, *_) = re.findall(r"```text\n(.+?)```", PAGE, re.DOTALL)
    assert shown.startswith(f"{args.model}, edited (zoo, input 1x3x224x224)\n")
    for text in args.edit:
        assert parse(text).text == text and f"\n'{text}': mult-adds" in shown


def test_the_program_runs():
    (program,) = re.findall(r"```python\n(.+?)```", PAGE, re.DOTALL)
    space: dict = {}
    exec(program, space)
    low, high = space["found"][1].predicted_interval
    assert low < space["found"][1].predicted_seconds < high and not space["found"][2].error


def test_every_edit_is_in_the_table():
    named = [parse(text.replace("LAYERS", "a")) for text in re.findall(r"^\| `([^`]+)`", PAGE, re.MULTILINE)]
    assert {getattr(edit, "word", None) for edit in named} == {*WORDS, None}


def test_the_constants_are_those_in_use():
    assert f"e^({estimating.FLOOR:g} + {estimating.SLOPE:g} * share)" in PAGE
