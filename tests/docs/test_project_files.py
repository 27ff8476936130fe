"""Files for people who work on archprof: what they name exists, and several of them say the same."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from archprof.base.version import __version__

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).parents[2]
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
STEPS = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]
SESSIONS = dict(re.findall(r"^@nox\.session\ndef (\w+)(.+?)(?=^@|\Z)", (ROOT / "noxfile.py").read_text(), re.M | re.S))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", ".github/workflows/ci.yml", "noxfile.py"])
def test_every_session_that_is_named_exists(page):
    named = set(re.findall(r"\bnox (?:--no-venv )?-s (\w+)", (ROOT / page).read_text()))
    assert named and named <= set(SESSIONS)


def test_the_workflow_runs_commands_that_exist():
    commands = {line.split()[0] for step in STEPS for line in step.get("run", "").splitlines() if line[0] != "#"}
    assert commands == {"python", "nox", ".ci/run"}
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o100


def test_the_workflow_may_only_read_and_takes_actions_by_their_commit():
    assert WORKFLOW["permissions"] == {"contents": "read"} and "concurrency" in WORKFLOW
    assert not any("permissions" in job for job in WORKFLOW["jobs"].values())
    used = [step["uses"] for step in STEPS if "uses" in step and step["uses"] != "./"]
    assert used and all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action) for action in used)


def test_the_workflow_uses_the_action_with_inputs_that_it_has():
    inputs = yaml.safe_load((ROOT / "action.yml").read_text())["inputs"]
    used = [step["with"] for step in STEPS if step.get("uses") == "./"]
    assert used and all(set(given) <= set(inputs) for given in used)


def test_the_workflow_tests_every_python_and_the_oldest_torch_of_the_project():
    matrix = WORKFLOW["jobs"]["tests"]["strategy"]["matrix"]
    assert f">={matrix['python'][0]}" == PROJECT["requires-python"]
    oldest = next(text for text in PROJECT["dependencies"] if text.startswith("torch>")).removeprefix("torch>=")
    assert matrix["torch"][0].split()[0] == f"torch=={oldest}.*"


def test_linters_are_the_same_everywhere():
    linters = [
        " ".join(words) for words in re.findall(r'"(ruff|mypy|lint-imports)"(?:, "([^)]+)")?\)', SESSIONS["lint"])
    ]
    linters = [re.sub(r'", "', " ", text).strip() for text in linters]
    assert linters == ["ruff check .", "ruff format --check .", "mypy", "lint-imports"]
    ci = re.split(r"\n| && ", (ROOT / ".ci" / "run").read_text())
    assert set(linters) <= set(ci)
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    assert [hook["entry"].replace(" --force-exclude", "") for hook in hooks] == [
        "ruff check",
        "ruff format",
        "mypy",
        "lint-imports",
    ]


def test_what_the_extras_need_is_pinned():
    wanted = [
        *PROJECT["dependencies"],
        *(text for extra in PROJECT["optional-dependencies"].values() for text in extra),
    ]
    names = {re.match(r"[\w-]+", text)[0] for text in wanted} - {"archprof"}
    pins = re.findall(r"^([\w-]+)==", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert {name.replace("_", "-").lower() for name in names} <= {pin.replace("_", "-").lower() for pin in pins}


def test_the_citation_is_of_this_version():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(cited) and cited["cff-version"] == "1.2.0"
    assert (str(cited["version"]), cited["license"]) == (__version__, PROJECT["license"])
