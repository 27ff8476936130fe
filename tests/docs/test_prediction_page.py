"""docs/prediction.md: its first command prints what it shows, its program runs, its figures are those that ship."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from helpers.torchvision_on_cpu import import_torchvision

from archprof.cli import build_parser, main
from archprof.prediction import table
from archprof.prediction.quantities import QUANTITIES

PAGE = (Path(__file__).parents[2] / "docs" / "prediction.md").read_text()


def test_the_first_command_prints_what_the_page_shows(capsys):
    if import_torchvision() is None:
        pytest.skip("torchvision, and so timm, is not installed")
    pytest.importorskip("timm")
    (command,) = re.findall(r"^\$ archprof (.+)$", PAGE, re.MULTILINE)
    (shown, *_) = re.findall(r"```text\n(.+?)```", PAGE, re.DOTALL)
    assert main(shlex.split(command)) == 0
    assert capsys.readouterr().out == shown


def test_the_program_runs():
    (program,) = re.findall(r"```python\n(.+?)```", PAGE, re.DOTALL)
    space: dict = {}
    exec(program, space)
    assert space["found"]["resnet50"].predicted_interval and space["found"].target.compiled


@pytest.mark.parametrize("command", re.findall(r"^archprof (predict .+)$", PAGE, re.MULTILINE))
def test_a_command_is_well_formed(command):
    assert build_parser().parse_args(shlex.split(command)).run


def test_each_table_has_its_line_with_the_error_and_networks_that_ship():
    part = PAGE.partition("### A device of the table")[2].partition("###")[0]
    lines = {cells[1].strip(): cells for cells in (line.split("|") for line in part.splitlines() if line[:1] == "|")}
    for one in table.fitted().rates:
        cells = lines[one.benchmark.shown]
        assert cells[2].strip() == f"{one.networks:,}"
        assert cells[5].strip() == f"{100 * one.median_error:.1f} %"
    assert f"{len(QUANTITIES)} quantities" in PAGE
    counts = [int((one.rates > 0).sum()) for one in table.fitted().rates]
    assert f"{min(counts)} to {max(counts)} numbers" in PAGE
    assert f"nothing is predicted: {table.fitted().farthest:.2f}." in PAGE
