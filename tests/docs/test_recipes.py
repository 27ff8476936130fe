"""docs/latency.md and recipes.md: every command parses and names networks that exist; the programs run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from archprof import models
from archprof.cli import build_parser
from archprof.results.comparison import ArchitectureResult, Comparison
from archprof.results.latency import Block, Latency
from archprof.results.optimizers import OPTIMIZERS
from archprof.results.profile import StaticProfile

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "latency.md").read_text()
PROGRAMS = re.findall(r"```python\n(.+?)```", PAGE + (DOCS / "recipes.md").read_text(), re.DOTALL)
COMMANDS = re.findall(r"^    archprof (.+)$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_is_well_formed(command):
    args = build_parser().parse_args(shlex.split(command))
    for name in getattr(args, "models", ()):
        found = models.find(name)
        assert found.build is not None


def test_the_page_shows_every_command_of_measuring():
    assert {shlex.split(command)[0] for command in COMMANDS} == {"compare", "diff", "env", "plot", "show"}


def test_the_program_of_the_page_runs(capsys):
    program = next(text for text in PROGRAMS if text.startswith("NETWORK"))
    settings, rest = program.split("\n", 1)
    assert settings.startswith("NETWORK, BATCH, SECONDS = ")
    exec('NETWORK, BATCH, SECONDS = "resnet_tiny", 2, 2.0\n' + rest, {})
    shown = capsys.readouterr().out
    # how many fit into two seconds is the machine's affair; each of them has its line
    assert [line.split()[0] for line in shown.splitlines()[: len(OPTIMIZERS)]] == list(OPTIMIZERS)
    assert "sgd 0.4 MiB of state" in shown


def test_the_program_that_reads_a_limit_runs(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = {1: 0.01, 2: 0.02, 4: 0.04}
    rows = tuple(
        ArchitectureResult(f"resnet{n}", "zoo", profile=StaticProfile(f"resnet{n}", "zoo", (3, 8, 8), 1, 0, 0, 0,
                           n * 10**9, 0, 0, 0, 0, 0), latency=(Latency(1, tuple(Block(seconds, 1, r, r)
                           for r in range(3))),))
        for n, seconds in blocks.items()
    )  # fmt: skip
    (tmp_path / "results.json").write_text(Comparison({}, rows).to_json())
    exec(next(text for text in PROGRAMS if "fits" in text), {})
    assert "may use 2.00 G mult-adds here" in capsys.readouterr().out
