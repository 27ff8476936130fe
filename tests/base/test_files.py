"""Writing results: refused beforehand where it cannot work, never half-written."""

import os
import re
from pathlib import Path

import pytest

from archprof.base import files
from archprof.base.errors import BadOutput


def test_what_is_written_is_there(tmp_path):
    files.write(str(tmp_path / "x.txt"), "häh\n")
    assert (tmp_path / "x.txt").read_text() == "häh\n"
    files.write(str(tmp_path / "x.txt"), b"\x00\x01")
    assert (tmp_path / "x.txt").read_bytes() == b"\x00\x01"


def test_a_dash_is_stdout(capsys):
    files.write("-", "text")
    assert capsys.readouterr().out == "text\n"


def test_nothing_is_left_of_a_write_that_fails(tmp_path, monkeypatch):
    target = tmp_path / "x.txt"
    target.write_text("before")

    def fails(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(BadOutput, match="No space left"):
        files.write(str(target), "after")
    assert target.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["x.txt"]


def test_new_files_have_the_usual_permissions(tmp_path):
    (tmp_path / "usual").write_text("")
    files.write(str(tmp_path / "ours"), "")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "usual").stat().st_mode


@pytest.mark.parametrize(
    ("paths", "says"),
    [
        (["a", "a"], "two outputs"),
        (["a", "./a"], "two outputs"),
        (["-", "-"], "two outputs"),
        (["no/such/x"], "mkdir -p no/such"),
        (["."], "is a folder"),
    ],
)
def test_what_cannot_work_is_refused(paths, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadOutput, match=says):
        files.check(paths)


def test_what_can_work_passes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files.check(["a", None, "b", "-"])
    assert list(tmp_path.iterdir()) == []


def test_only_one_module_writes_a_temporary_file_and_renames_it():
    package = Path(files.__file__).parents[1]
    elsewhere = re.compile(r"\bos\.(replace|rename)\b|\b(mkstemp|NamedTemporaryFile)\b")
    found = [
        path.relative_to(package).as_posix() for path in package.rglob("*.py") if elsewhere.search(path.read_text())
    ]
    assert found == ["base/files.py"]
