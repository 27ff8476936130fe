"""docs/models.md: its Python runs, and the commands that it shows for transformers work in the folder that it makes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from archprof import cli

PAGE = (Path(__file__).parents[2] / "docs" / "models.md").read_text()


def test_its_blocks_run_and_so_do_its_commands(tmp_path, monkeypatch, capsys, torchvision):
    pytest.importorskip("transformers")
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(block, "models.md", "exec"), {"__name__": "models_page"})
    commands = re.findall(r"^    archprof (show hf:.*)$", PAGE, re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        assert cli.main(shlex.split(command)) == 0
        assert "6,738,415,616" in capsys.readouterr().out
