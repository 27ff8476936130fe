"""The recipes of docs/latency.md: every command parses and names networks that exist; the program runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from archprof import sources
from archprof.cli import build_parser
from archprof.measure.conditions import OPTIMIZERS

PAGE = (Path(__file__).parent.parent / "docs/latency.md").read_text()
COMMANDS = re.findall(r"^    archprof (.+)$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_is_well_formed(command):
    args = build_parser().parse_args(shlex.split(command))
    for name in getattr(args, "models", ()):
        found = sources.find(name)
        assert found.build is not None


def test_the_page_shows_every_command_of_measuring():
    assert {shlex.split(command)[0] for command in COMMANDS} == {"compare", "diff", "env"}


def test_the_program_of_the_page_runs(capsys):
    (program,) = re.findall(r"```python\n(.+?)```", PAGE, re.DOTALL)
    settings, rest = program.split("\n", 1)
    assert settings.startswith("NETWORK, BATCH, SECONDS = ")
    exec('NETWORK, BATCH, SECONDS = "resnet_tiny", 2, 2.0\n' + rest, {})
    shown = capsys.readouterr().out
    # how many fit into two seconds is the machine's affair; each of them has its line
    assert [line.split()[0] for line in shown.splitlines()[: len(OPTIMIZERS)]] == list(OPTIMIZERS)
    assert "sgd 0.4 MiB of state" in shown
