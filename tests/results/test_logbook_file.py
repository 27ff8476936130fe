"""The logbook on disk: read by the next run, and whatever became of the file hurts nobody."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
from helpers import shifting

from archprof.base import cache, kept
from archprof.results import entries, logbook

MACHINE = "0123456789ab"


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(cache, "may_keep", True)
    return tmp_path


def runs(many: int) -> list[logbook.LoggedRun]:
    found = [entries.entry(one) for one in shifting.series(["a" * 6] * many)]
    return [run for run in found if run is not None]


def test_the_next_run_reads_what_was_written():
    written = runs(3)
    for run in written:
        assert logbook.write(MACHINE, run) is None
    assert logbook.read(MACHINE) == (written, "") and logbook.read("another") == ([], "")


@pytest.mark.parametrize(
    "line",
    [
        "[" * 100_000,
        "null",
        '{"key": "k", "value": null}',
        '{"key": "k", "value": {"date": 5}}',
        '{"key": "k", "value": {"date": "x", "states": [{"number": -1, "times": {}, "blocks": 2}]}}',
        '{"key": "k", "value": {"date": "x", "ratios": [["a", "b", 1, 1, 0.0, [0, 0]]]}}',
        '{"key": "k", "value": {"date": "x", "control": [["a", "b", 1, 1, 1.0, [2.0, 3.0]]]}}',
        '{"key": "k", "value": {"date": "x", "ratios": [["a", "b", 1, 1, 1e999, [1, 2]]]}}',
        "\x00\x01\x02",
        '{"key": "cut off',
    ],
)
def test_lines_of_others_are_said_once_and_passed_over(line: str):
    (first, second) = runs(2)
    logbook.write(MACHINE, first)
    with logbook.path(MACHINE).open("a") as file:
        file.write(f"{line}\n")
    assert logbook.write(MACHINE, second) is None
    found, doubt = logbook.read(MACHINE)
    assert found == [first, second]
    head, _, said = doubt.rpartition(": ")
    assert head == f"the logbook {logbook.path(MACHINE)}"
    assert said in ("1 of its lines cannot be read", "1 of its runs cannot be read")


def test_a_folder_that_is_a_file_is_said_and_measuring_goes_on(in_a_folder: Path):
    (run,) = runs(1)
    (in_a_folder / "archprof").write_text("mine")
    assert logbook.read(MACHINE)[0] == []
    assert "not kept for another time" in (logbook.write(MACHINE, run) or "")
    assert (in_a_folder / "archprof").read_text() == "mine"


def test_a_folder_in_its_place_is_said():
    logbook.path(MACHINE).mkdir(parents=True)
    found, doubt = logbook.read(MACHINE)
    assert found == [] and "cannot be read" in doubt


def test_a_link_to_somewhere_else_is_not_followed(in_a_folder: Path):
    (run,) = runs(1)
    target = in_a_folder / "precious"
    target.write_text("mine\n")
    logbook.path(MACHINE).parent.mkdir(parents=True)
    os.symlink(target, logbook.path(MACHINE))
    assert "not kept" in (logbook.write(MACHINE, run) or "") and target.read_text() == "mine\n"


def test_a_lock_that_is_never_let_go_is_not_waited_for(monkeypatch: pytest.MonkeyPatch):
    fcntl = pytest.importorskip("fcntl")
    monkeypatch.setattr(kept, "PATIENCE_S", 0.1)
    (run,) = runs(1)
    logbook.path(MACHINE).parent.mkdir(parents=True)
    held = os.open(logbook.path(MACHINE).parent, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert "another process is writing there" in (logbook.write(MACHINE, run) or "")
    finally:
        os.close(held)
    assert logbook.write(MACHINE, run) is None


def test_a_link_is_neither_followed_nor_silent(in_a_folder: Path):
    logbook.path(MACHINE).parent.mkdir(parents=True)
    os.symlink(in_a_folder / "nowhere", logbook.path(MACHINE))
    found, doubt = logbook.read(MACHINE)
    assert found == [] and "it is a link" in doubt


def test_a_huge_file_is_not_read(in_a_folder: Path):
    logbook.path(MACHINE).parent.mkdir(parents=True)
    with logbook.path(MACHINE).open("wb") as file:
        file.truncate(1 << 33)
    found, doubt = logbook.read(MACHINE)
    assert found == [] and "no file of at most 8 MiB" in doubt


def test_two_runs_at_once_lose_nothing():
    written = runs(1) * 40
    threads = [threading.Thread(target=logbook.write, args=(MACHINE, run)) for run in written]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(logbook.read(MACHINE)[0]) == 40 and logbook.read(MACHINE)[1] == ""


def test_two_runs_at_once_lose_nothing_while_the_file_is_halved(monkeypatch: pytest.MonkeyPatch):
    written = runs(1) * 60
    size = len(json.dumps(logbook.as_json(written[0])))
    monkeypatch.setattr(kept, "LARGEST", 40 * size)
    threads = [threading.Thread(target=logbook.write, args=(MACHINE, run)) for run in written]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found, doubt = logbook.read(MACHINE)
    assert 15 <= len(found) <= 40 and doubt == ""  # half of them went once


def test_it_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(logbook, "MOST_RUNS", 5)
    written = runs(8)
    for run in written:
        logbook.write(MACHINE, run)
    assert logbook.read(MACHINE)[0] == written[-5:]


def test_a_network_by_the_same_name_that_computes_otherwise_is_another():
    first, other, renamed = (shifting.profile(*what) for what in (("slow", 500), ("slow", 501), ("copy", 500)))
    assert len({logbook.identity(each) for each in (first, other, renamed)}) == 3
    assert logbook.identity(first) == logbook.identity(shifting.profile("slow", 500))
