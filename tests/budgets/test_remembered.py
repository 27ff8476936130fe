"""Networks of the zoo are counted once for budgets; your own code each time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.repositories import committed, repository

from archprof.base import cache
from archprof.budgets.networks import Feed, count_model
from archprof.costs import registry
from archprof.models import code
from archprof.runs.known import Kept

PROGRAM = (
    "import sys\nfrom archprof.cli import main\ncode = main({words!r})\n"
    "print('torch' in sys.modules, code, file=sys.stderr)"
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def run(*words: str) -> tuple[str, str]:
    done = subprocess.run([sys.executable, "-c", PROGRAM.format(words=words)], capture_output=True, text=True)
    return done.stdout, done.stderr.splitlines()[-1]


def test_the_second_time_nothing_is_counted_and_all_is_said_alike() -> None:
    Path("archprof.toml").write_text(
        '[[budget]]\nmodel = "resnet_tiny"\nparameters = "< 5 M"\nmacs = "< 1 x resnet18"\n'
    )
    first, how = run("check", "--why")
    assert how == "True 0"
    again, how = run("check", "--why")
    assert again == first and how == "False 0"


def test_another_commit_of_known_networks_costs_no_torch() -> None:
    repository(Path("repo"))
    committed(Path("repo"), archprof__toml='[[budget]]\nname = "a"\nmodel = "resnet_tiny"\ngrowth = "2 %"\n')
    os.chdir("repo")
    Path("archprof.toml").write_text('[[budget]]\nname = "a"\nmodel = "resnet_tiny(num_classes=20)"\ngrowth = "2 %"\n')
    first, how = run("check", "--base", "main")
    assert how == "True 1" and "+" in first
    again, how = run("check", "--base", "main")
    assert again == first and how == "False 1"


def test_fit_counts_a_family_once() -> None:
    question = ("fit", "mobilenetv1", "--input-shape", "3,32,32", "--macs", "< 20 M", "--json")
    first, how = run(*question)
    assert how == "True 0"
    again, how = run(*question)
    assert again == first and how == "False 0"
    other, how = run("fit", "mobilenetv1", "--input-shape", "3,32,32", "--parameters", "at least 1 k")
    assert "mobilenetv1" in other and how == "False 0"


@pytest.fixture
def as_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process of the command that ran nobody else's code."""
    monkeypatch.setattr(cache, "may_keep", True)
    monkeypatch.setattr(code, "ran", False)
    monkeypatch.setattr(registry, "own_generation", registry.generation)


def test_a_caller_of_python_keeps_nothing(as_the_command: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have changed torch, as no command can."""
    monkeypatch.setattr(cache, "may_keep", False)
    count_model("resnet_tiny", Feed(), False)
    with Kept() as kept:
        assert kept.profile("resnet_tiny", {"feed": repr(Feed()), "training": False, "whole": True}) is None


def test_a_recalled_profile_is_the_counted_one(as_the_command: None) -> None:
    counted = count_model("resnet_tiny", Feed(), True)
    assert count_model("resnet_tiny", Feed(), True) == counted
    with Kept() as kept:
        how = {"feed": repr(Feed()), "training": True, "whole": True}
        assert kept.profile("resnet_tiny", how) == counted
        assert kept.profile("resnet_tiny", how | {"training": False}) is None


def test_your_own_code_is_counted_each_time() -> None:
    own = Path("mine.py")
    own.write_text("from torch import nn\n\n\ndef net():\n    return nn.Linear(4, 4)\n")
    assert count_model("mine.py:net", Feed(input_shape=(4,)), False).parameters == 20
    own.write_text(own.read_text().replace("nn.Linear(4, 4)", "nn.Linear(4, 4, bias=False)"))
    program = (
        "from archprof.budgets.networks import Feed, count_model\n"
        "print(count_model('mine.py:net', Feed(input_shape=(4,)), False).parameters)"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "16\n"
