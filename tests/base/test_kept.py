"""What was measured is there again; what became of its file hurts nobody."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from archprof.base import cache, kept
from archprof.base.kept import Store


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(cache, "may_keep", True)


def test_a_value_is_there_for_the_next_process_of_the_same_machine_and_kind() -> None:
    first = Store("ceilings", "0123456789ab")
    assert first.get("copy") is None
    first.put("copy", {"bytes": [1, 2], "seconds": 0.5})
    first.put("copy", {"bytes": [3], "seconds": 0.25})
    assert first.get("copy") == {"bytes": [3], "seconds": 0.25} and len(first) == 1
    assert Store("ceilings", "0123456789ab").get("copy") == {"bytes": [3], "seconds": 0.25}
    assert Store("ceilings", "another").get("copy") is None and Store("operators", "0123456789ab").get("copy") is None


def test_a_callers_process_reads_and_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    Store("ceilings", "machine").put("copy", 1)
    monkeypatch.setattr(cache, "may_keep", False)
    own = Store("ceilings", "machine")
    assert own.get("copy") is None
    own.put("product", 2)
    assert own.get("product") == 2
    monkeypatch.setattr(cache, "may_keep", True)
    assert Store("ceilings", "machine").get("product") is None


def test_lines_that_cannot_be_read_are_passed_over_and_the_next_is_whole() -> None:
    first = Store("ceilings", "machine")
    first.put("copy", 1)
    with first.path.open("ab") as file:
        file.write(b'[1]\n{"key": 1}\n{"value": 2}\nnull\n\xff\xfe\n' + b"[" * 100_000 + b'\n{"key": "product", "va')
    again = Store("ceilings", "machine")
    assert again.get("copy") == 1 and len(again) == 1
    again.put("sum", 3)
    assert Store("ceilings", "machine").get("sum") == 3


def test_a_file_of_somebody_else_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    first = Store("ceilings", "machine")
    first.put("copy", 1)
    monkeypatch.setattr(kept, "LARGEST", 10)
    assert Store("ceilings", "machine").get("copy") is None


def test_a_file_that_grows_keeps_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "LARGEST", 2000)
    first = Store("operators", "machine")
    for number in range(500):
        first.put(f"key {number}", number)
    assert first.path.stat().st_size <= 2000 and first.unwritten is None
    again = Store("operators", "machine")
    assert again.get("key 499") == 499 and again.get("key 0") is None


@pytest.mark.parametrize("made", ["a folder where the file is", "a file where the folder is", "a link to elsewhere"])
def test_a_place_that_cannot_be_written_is_told_and_the_values_are_there(made: str, tmp_path: Path) -> None:
    path = Store("ceilings", "machine").path
    path.parent.parent.mkdir(parents=True)
    if made == "a file where the folder is":
        path.parent.write_text("")
    else:
        path.parent.mkdir()
        if made == "a folder where the file is":
            path.mkdir()
        else:
            path.symlink_to(tmp_path / "precious")
    own = Store("ceilings", "machine")
    own.put("copy", 1)
    own.put("product", 2)
    assert own.get("copy") == 1 and own.get("product") == 2
    assert own.unwritten and "not kept" in own.unwritten
    assert not (tmp_path / "precious").exists()


def test_many_who_write_at_once_lose_no_line() -> None:
    def write(number: int) -> None:
        own = Store("operators", "machine")
        for item in range(50):
            own.put(f"{number} {item}", "x" * 200)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = [json.loads(line) for line in Store("operators", "machine").path.read_text().splitlines() if line]
    assert len({line["key"] for line in lines}) == 400
