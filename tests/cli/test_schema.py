"""Everything that is written as JSON follows its schema, and the schema knows every key of it."""

from __future__ import annotations

import glob
import json
from functools import cache

import jsonschema
import pytest
from helpers.anchors import GPU, measured
from helpers.budget_records import budget, written
from helpers.figure_data import comparison

from archprof.cli import main, schema


def tightened(part):
    """The schema without room for keys of later versions: a key that is written has to be in it."""
    if isinstance(part, list):
        return [tightened(item) for item in part]
    if not isinstance(part, dict):
        return part
    closed = {"additionalProperties": False} if "properties" in part and part.get("title") != "Machine" else {}
    return {key: tightened(value) for key, value in part.items()} | closed


@cache
def validator(output: str) -> jsonschema.Draft202012Validator:
    made = tightened(schema.schema(output))
    jsonschema.Draft202012Validator.check_schema(made)
    return jsonschema.Draft202012Validator(made)


def assert_follows(output: str, value) -> None:
    errors = [f"{error.json_path}: {error.message[:200]}" for error in validator(output).iter_errors(value)]
    assert errors == []


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Run a command in an empty folder; gives what it printed as JSON."""
    monkeypatch.chdir(tmp_path)

    def run(*argv: str, codes: tuple[int, ...] = (0,)):
        code = main(argv)
        seen = capsys.readouterr()
        assert code in codes, seen.err
        return json.loads(seen.out)

    return run


QUICK = ("--time-budget", "0.5", "--precision", "0.9")


def test_comparisons(run):
    assert_follows("compare", json.loads(comparison("vgg19", "resnet50", sizes=(1, 16)).to_json()))
    argv = ("compare", "alexnet@7", "resnet_tiny", "--batch-sizes", "1,2", "--memory", "1GiB", "--json", "-", *QUICK)
    assert_follows("compare", run(*argv, codes=(1,)))


def test_lines_of_a_sweep(run, tmp_path, capsys):
    assert main(["sweep", "resnet_tiny", "alexnet@7", "-o", "x.jsonl", "--no-latency"]) == 0
    header, *entries = map(json.loads, (tmp_path / "x.jsonl").read_text().splitlines())
    assert_follows("sweep", header)
    assert len(entries) == 2
    for entry in entries:
        assert_follows("sweep-entry", entry)
    from archprof.runs.engines.processes import Outcome
    from archprof.runs.sweep_file import entry_of

    assert_follows("sweep-entry", entry_of(Outcome("resnet18", error="it ended with signal 9", seconds=1.5), None))


def test_edits(run):
    argv = ("whatif", "resnet_tiny", "--edit", "blocks.0: identity", "--edit", "*: kernel=1", "--alone", "--verify")
    assert_follows("whatif", one := run(*argv, "--json", "-", "--threads", "1", *QUICK, codes=(1,)))
    assert [one["error"] is None for one in one["variants"]] == [True, False, True]
    assert one["variants"][2]["latency"]["samples"] and one["variants"][2]["left_alone"] == []


def test_predictions(run, tmp_path):
    names = ("resnet_tiny", "resnet18", "alexnet@7", "--json", "-")
    assert_follows("predict", one := run("predict", *names, "--device", "rtx4090", codes=(1,)))
    assert [bool(row["outside"]) for row in one["networks"]] == [True, False, False]
    (tmp_path / "a.json").write_text(measured("amp-nchw-pt291-cu130-5090-dynamo", 1, GPU, 256).to_json())
    assert_follows("predict", other := run("predict", *names, "--anchors", "a.json", codes=(1,)))
    assert len(other["anchors"]) == 10 and other["anchor_error"] > 0


def test_trials(run, monkeypatch):
    from helpers import small_source
    from helpers.stripes import write

    from archprof import models

    monkeypatch.setitem(models._SOURCES, "small", small_source)
    write("stripes.npz")
    data = ("--data", "stripes.npz", "--json", "-")
    more = ("--grid", "lr=0.01,3000", "--epochs", "1,2", "--seeds", "1", "-o", "t")
    assert_follows("trial", trained := run("trial", "small:Net", "small:Fails", *data, *more, codes=(1,)))
    assert [entry["error"] is None for entry in trained["entries"]] == [True, True, False, False]
    (file, *_) = glob.glob("t/runs/*.pt")
    assert_follows("trial", run("trial", "small:Net", *data, "--weights", file))


def test_catalogue(run):
    assert_follows("list", run("list", "resnet_tiny", "alexnet", "--json"))


@pytest.mark.parametrize("by", ["layer", "type", "op", "module"])
def test_layers(by, run):
    assert_follows("show", run("show", "resnet_tiny", "--by", by, "--json", "-"))


def test_measured_layers(run):
    assert_follows("show", run("show", "resnet_tiny", "--measure", "--json", "-", *QUICK))


LAYER = ("--in-channels", "4", "--out-channels", "8", "--kernel", "3", "--size", "8")


def test_separable(run):
    for output, argv in (("separable-layer", LAYER), ("separable", ("resnet_tiny",))):
        for more in ((), ("--measure", *QUICK)):
            assert main(["separable", *argv, "--json", "x.json", *more]) == 0
            with open("x.json") as file:
                assert_follows(output, json.load(file))


def test_audit(run):
    assert_follows("audit", run("audit", "resnet_tiny", "--json", "-", codes=(0, 1)))


def test_verdicts_and_their_lock(run, tmp_path, capsys):
    written(
        tmp_path,
        budget(model="resnet_tiny", parameters="1 k", macs="at most 2 x resnet_tiny", growth="1 %")
        + budget(model="nosuchnet", parameters="1 k"),
    )
    assert main(["check", "--update"]) == 2
    capsys.readouterr()
    assert_follows("lock", json.loads((tmp_path / "archprof.lock.json").read_text()))
    assert_follows("check", run("check", "--json", codes=(2,)))


def test_members_of_a_family(run):
    few = ("fit", "resnet18(width=0.125,separable=false)", "--input-shape", "3,32,32", "--json")
    assert_follows("fit", found := run(*few, "--parameters", "< 150 k"))
    assert 0 < len(found["members"]) < found["tried"]
    assert_follows("fit", missed := run(*few, "--parameters", "5 k", codes=(1,)))
    assert missed["closest"]


def test_machine(run):
    assert_follows("env", run("env", "--seconds", "0.1", "--json"))


def test_the_command_prints_one_or_all(run):
    whole = run("schema")
    jsonschema.Draft202012Validator.check_schema(whole)
    assert {name.partition("/$defs/")[2] for entry in whole["anyOf"] for name in entry.values()} <= set(whole["$defs"])
    made = run("schema", "compare")
    assert made["$ref"] == "#/$defs/Comparison" and "additionalProperties" not in made["$defs"]["Comparison"]
    jsonschema.validate(json.loads(comparison("vgg19", sizes=(1,)).to_json()) | {"later": 1}, whole)


def test_what_does_not_follow_is_found():
    saved = json.loads(comparison("vgg19", sizes=(1,)).to_json())
    del saved["architectures"][0]["memory"]
    saved["architectures"][0]["macs"] = "many"
    assert len([*validator("compare").iter_errors(saved)]) == 2


def test_an_unknown_output_is_one_line(capsys):
    assert main(["schema", "comapre"]) == 2
    assert "nothing writes 'comapre'. Did you mean 'compare'?" in capsys.readouterr().err
