"""docs/trials.md: its programs run, its commands parse, and each key of a recipe is named."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from archprof.cli import build_parser
from archprof.results.recipe import fields_by_name
from archprof.results.trial_findings import findings

PAGE = (Path(__file__).parents[2] / "docs" / "trials.md").read_text()
COMMANDS = re.findall(r"^archprof (.+)$", PAGE, re.MULTILINE)


def test_the_programs_run(tmp_path, monkeypatch, capsys):
    pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    space: dict = {}
    for program in re.findall(r"```python\n(.+?)```", PAGE, re.DOTALL):
        exec(program, space)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Trial: Accuracy on digits: 359 images held out") and lines[2].startswith("  width=4")
    assert lines[-1].endswith("of 359") and (tmp_path / "curves.svg").stat().st_size > 5000
    assert all(place.score.mean > 0.8 for place in findings(space["trial"]).ranked)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_well_formed(command):
    args = build_parser().parse_args(shlex.split(command))
    assert args.run


def test_every_key_of_a_recipe_is_named():
    table = PAGE.partition("## Recipes")[2].partition("##")[0]
    assert set(fields_by_name()) <= set(re.findall(r"`(\w+)`", table))
