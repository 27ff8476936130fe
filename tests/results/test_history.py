"""A history of budgets: its lines, what a second check of a commit changes, and files that are none."""

from __future__ import annotations

import json

import pytest

from archprof.base.errors import BadFile
from archprof.results import history
from archprof.results.history import Costs, Held, Recorded


def costs(name="net", **more):
    limit = Held("parameters", "over", 618, "≤ 600", 600)
    ratio = Held("latency", "cannot tell", 1.21, "≤ 1.2 x nin", 1.2, True, None, (1.1, 1.3), 8, "nin")
    return Costs(
        "archprof.toml", name, "net.py:Net", (3, 8, 8), 1, {"parameters": 618, "macs": 2**60}, (limit, ratio), **more
    )


def line(commit="a" * 40, *budgets):
    return Recorded(commit, "2026-01-31T10:00:00+01:00", "2026-01-31T10:05:00+00:00", "0.1.0", budgets or (costs(),), 1)


def test_what_is_written_is_read(tmp_path):
    lines = (line(), line("b" * 40, costs(), Costs("x.toml", "gone", "lost", error="unknown model 'lost'.")))
    path = tmp_path / "history.jsonl"
    path.write_text(history.to_json(lines))
    assert history.read(path) == lines
    assert [json.loads(text)["schema_version"] for text in path.read_text().splitlines()] == [1, 1]
    assert history.read(tmp_path / "none", missing=True) == ()


def test_a_commit_that_is_recorded_again_keeps_its_place_and_its_other_budgets():
    first, second = line("a" * 40, costs("one"), costs("two")), line("b" * 40)
    again = line("a" * 40, costs("two", error="x"), costs("three"))
    joined = history.joined((first, second), again)
    assert [each.commit[0] for each in joined] == ["a", "b"]
    assert [(each.budget, each.error) for each in joined[0].budgets] == [("one", None), ("two", "x"), ("three", None)]
    assert history.joined((), second) == (second,)


GOOD = history.to_json((line(),))


@pytest.mark.parametrize(
    "text, said",
    [
        (f"{GOOD}<<<<<<< HEAD\n", "line 2 is not JSON"),
        (
            GOOD.replace('"schema_version": 1', '"schema_version": 2'),
            "schema_version is 2; this archprof reads 1.",
        ),
        (GOOD.replace('"macs": ', '"macs": -'), "line 1: a value in budgets[0].counts: expected a whole number >= 0."),
        (GOOD.replace(', "archprof": "0.1.0"', ""), "line 1: "),
        (GOOD[: len(GOOD) // 2], "line 1 is not JSON"),
        ("[]\n", "line 1: JSON, but not archprof's"),
        ("[" * 100_000, "line 1 is not JSON: it is nested too deeply"),
        (GOOD.replace("618", "NaN"), "NaN is not a number in JSON"),
    ],
)
def test_a_file_that_is_none_is_one_line_with_its_place(tmp_path, text, said):
    path = tmp_path / "history.jsonl"
    path.write_text(text)
    with pytest.raises(BadFile) as told:
        history.read(path)
    assert said in str(told.value) and "\n" not in str(told.value)


def test_a_file_that_is_not_there_names_the_option(tmp_path):
    with pytest.raises(BadFile, match="archprof check --record FILE writes one"):
        history.read(tmp_path / "none")
    with pytest.raises(BadFile, match="cannot be read: Is a directory"):
        history.read(tmp_path)
    (tmp_path / "x").write_bytes(b"\xff\xfe")
    with pytest.raises(BadFile, match="cannot be read: "):
        history.read(tmp_path / "x")
