"""docs/budgets.md: its script keeps a history on a branch, from the first commit on; its YAML names known inputs."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from helpers.repositories import committed, git, left_behind, repository

pytest.importorskip("yaml")
import yaml
from helpers.actions import ACTION, Runner

from archprof.results import history

PAGE = (Path(__file__).parents[2] / "docs" / "budgets.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"^## ([^\n]+)\n(.+?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


def blocks(section: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.+?)^```", BLOCKS[section], re.MULTILINE | re.DOTALL)


def test_the_script_keeps_a_history_on_a_branch(tmp_path: Path) -> None:
    """Twice: the branch is begun, then continued, in another clone."""
    (script,) = blocks("History", "bash")
    origin = repository(tmp_path / "origin")
    text = '[[budget]]\nmodel = "resnet_tiny"\nparameters = "1 k"\n'
    commits = [committed(origin, archprof__toml=text)]
    for place in range(2):
        clone = tmp_path / f"run {place}" / "project"
        clone.parent.mkdir()
        git(tmp_path, "clone", "--quiet", f"file://{origin}", str(clone))
        runner = Runner(clone, tmp_path / f"temp {place}", {})
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", script],
            cwd=clone,
            env=runner.surroundings(),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        kept = git(origin, "show", "budgets-history:history.jsonl")
        (tmp_path / "h.jsonl").write_text(kept)
        assert [line.commit for line in history.read(tmp_path / "h.jsonl")] == commits
        assert git(origin, "ls-tree", "--name-only", "budgets-history").split() == ["history.jsonl", "history.svg"]
        commits.append(committed(origin))
    assert git(origin, "rev-list", "--count", "budgets-history") == "2" and left_behind(origin) == []


def test_the_workflows_name_inputs_that_the_action_has() -> None:
    found = [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.+?)^```", PAGE, re.MULTILINE | re.DOTALL)]
    steps = [step for one in found for job in (one.get("jobs") or {}).values() for step in job["steps"]]
    used = [step["with"] for step in steps if step["uses"].startswith("OWNER/archprof@")]
    assert used and all(set(given) <= set(ACTION["inputs"]) for given in used)
    rows = re.findall(r"^\| (`[^|]+`) \|", BLOCKS["On GitHub"], re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`([\w-]+)`", row)} == set(ACTION["inputs"])
