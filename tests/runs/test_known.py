"""Comparisons that were counted before are answered from the index, without torch, and are the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from archprof import cli
from archprof.results.conditions import Conditions
from archprof.runs import index, known

NETWORKS = ["squeezenet1_1", "mobilenetv1(width=0.25)@96"]


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A comparison, counted once by the command; gives its JSON."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    assert cli.main(["compare", *NETWORKS, "--no-latency", "--json", "first.json"]) == 0
    return tmp_path / "first.json"


def test_the_second_time_it_is_the_same_without_torch(counted: Path) -> None:
    code = (
        "import sys; from archprof import cli\n"
        f"done = cli.main(['compare', *{NETWORKS}, '--no-latency', '--json', 'second.json'])\n"
        "sys.exit(done or bool({'torch', 'pandas', 'numpy'} & set(sys.modules)))"
    )
    # in this process torch is imported, and pytest's stdout is no terminal: in a new one as in a shell
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    first, second = (json.loads((counted.parent / name).read_text()) for name in ("first.json", "second.json"))
    assert first["environment"].pop("date") and second["environment"].pop("date")
    assert first == second


def test_what_differs_in_anything_is_not_known(counted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, usual = (1, 8, 32), Conditions()
    assert known.comparison(NETWORKS, sizes, usual) is not None
    assert known.comparison(NETWORKS, (1, 8), usual) is None
    assert known.comparison([*NETWORKS, "alexnet"], sizes, usual) is None
    assert known.comparison(["mobilenetv1(width=0.25)@128"], sizes, usual) is None
    assert known.comparison(NETWORKS, sizes, Conditions(threads=1)) is None
    assert known.comparison(NETWORKS, sizes, Conditions(device="cuda")) is None
    assert known.comparison(NETWORKS, sizes, usual, reference="nosuch") is None
    assert known.comparison(["mine.py:Net"], sizes, usual) is None
    monkeypatch.setenv("OMP_NUM_THREADS", str(1 + int(os.environ.get("OMP_NUM_THREADS", "1"))))
    assert known.comparison(NETWORKS, sizes, usual) is None
    monkeypatch.undo()


def test_another_version_is_counted_anew(counted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = index.versions
    monkeypatch.setattr(known, "versions", lambda source: f"{before(source)} and more")
    assert known.comparison(NETWORKS, (1, 8, 32), Conditions()) is None


def test_a_damaged_record_is_not_known(counted: Path) -> None:
    with index.Index() as opened:
        opened.file.execute("update record set content = ?", (b"no zlib",))
    assert known.comparison(NETWORKS, (1, 8, 32), Conditions()) is None


def test_accuracies_are_looked_up_anew(counted: Path, tmp_path: Path) -> None:
    found = known.comparison(NETWORKS, (1, 8, 32), Conditions())
    assert found is not None
    top = found.architectures[0].top()
    assert top is not None and top.percent == 58.178
    assert found.architectures[1].top() is None  # its options make it another network
