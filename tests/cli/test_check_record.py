"""archprof check --record and archprof plot history: from checks of commits to a figure."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from helpers.budget_records import budget, network, written
from helpers.repositories import committed, git, repository

from archprof.base.errors import BadOption
from archprof.budgets.networks import Relative
from archprof.cli import main
from archprof.render.figures import FigureOptions
from archprof.render.figures import history as figure
from archprof.results import history
from archprof.results.history import Costs, Held, Recorded

TEXT = budget(parameters="650") + budget(name="timed", model="wider", latency="1.2 x mobilenetv1")


@pytest.fixture
def recorded(check, tmp_path, tmp_path_factory):
    """Three commits, each checked: net has 618, 656 and 618 parameters."""
    path = tmp_path_factory.mktemp("kept") / "history.jsonl"
    repository(tmp_path)
    for width, ratio in ((16, 1.0), (17, 1.1), (16, 1.3)):
        committed(tmp_path, archprof__toml=TEXT)
        seen = Relative(ratio, (ratio - 0.05, ratio + 0.05))
        check("--record", str(path), net=network(width), ratio=seen)
    return path


def test_a_line_for_each_commit(recorded, tmp_path):
    lines = history.read(recorded)
    commits = git(tmp_path, "log", "--reverse", "--format=%H %cI").splitlines()
    assert [f"{line.commit} {line.committed}" for line in lines] == commits
    assert [line.budgets[0].counts["parameters"] for line in lines] == [618, 656, 618]
    assert [[held.status for one in line.budgets for held in one.limits] for line in lines] == [
        ["within", "within"],
        ["over", "within"],
        ["within", "over"],
    ]
    timed = lines[2].budgets[1].limits[0]
    assert (timed.value, timed.interval, timed.reference, timed.batch_size) == (1.3, (1.25, 1.35), "mobilenetv1", 1)


def test_the_same_commit_again_and_from_a_folder_below(check, recorded, tmp_path, monkeypatch):
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert check("--config", "../archprof.toml", "net", "--record", str(recorded), net=network(15))[0] == 0
    newest = history.read(recorded)[-1]
    assert [(one.file, one.budget) for one in newest.budgets] == [("archprof.toml", "net"), ("archprof.toml", "timed")]
    assert newest.budgets[0].counts["parameters"] == 580 and newest.budgets[1].limits[0].value == 1.3


def test_a_model_that_fails_keeps_its_place(check, recorded, tmp_path):
    committed(tmp_path, archprof__toml=budget(model="lost", name="net", parameters="650"))
    written(tmp_path, budget(model="lost", name="net", parameters="651"))
    assert check("--record", str(recorded))[0] == 2
    newest = history.read(recorded)[-1]
    assert newest.budgets[0].error.startswith("unknown model 'lost'.") and newest.budgets[0].counts == {}
    assert newest.changed_files == 1


@pytest.mark.parametrize(
    "file, said",
    [
        ("-", "--record adds to a file; name one, such as history.jsonl."),
        ("no/history.jsonl", "the folder 'no' does not exist."),
        ("archprof.toml", "'archprof.toml', line 1 is not JSON"),
    ],
)
def test_misuse_is_one_line_and_writes_nothing(check, tmp_path, file, said):
    repository(tmp_path)
    committed(tmp_path, archprof__toml=TEXT)
    before = (tmp_path / "archprof.toml").read_text()
    code, out, err = check("--record", file, "--junit", "x.xml")
    assert (code, out) == (2, "") and said in err and err.count("\n") == 1
    assert not (tmp_path / "x.xml").exists() and (tmp_path / "archprof.toml").read_text() == before


def test_without_a_commit_there_is_nothing_to_record_under(check, tmp_path):
    code, out, err = check("--record", "h.jsonl", text=budget(parameters="650"))
    assert (code, out) == (2, "") and "is not in a git repository;" in err
    repository(tmp_path)
    code, _, err = check("--record", "h.jsonl")
    assert code == 2 and "no commit 'HEAD' here" in err and not (tmp_path / "h.jsonl").exists()


# --- the figure -------------------------------------------------------------------------------------------------------


def drawn(lines, **options):
    """The lines of a figure by what they show, and its texts."""
    found = figure.draw(lines, FigureOptions(**options))
    marks = {
        line.get_gid(): list(line.get_ydata()) for plot in found.axes for line in plot.get_lines() if line.get_gid()
    }
    return found, marks


def test_the_figure_has_the_values(recorded):
    found, marks = drawn(history.read(recorded))
    assert marks["parameters net"] == [618, 656, 618] and marks["limit parameters net"] == [650] * 3
    assert marks["latency timed"] == [1.0, 1.1, 1.3] and marks["limit latency timed"] == [1.2] * 3
    assert marks["macs net"] == [27808, 29546, 27808]
    assert [plot.get_title(loc="left") for plot in found.axes] == [
        "Parameters",
        "Mult-Adds",
        "Peak activations",
        "Latency / reference",
    ]
    texts = [text.get_text() for text in found.texts]
    assert "Budgets over 3 commits" in texts
    assert any("Latency is relative to mobilenetv1 at batch 1" in text.replace("\n", " ") for text in texts)
    _, kept = drawn(history.read(recorded), only=("net",))
    assert "parameters timed" not in kept and "parameters net" in kept


def line(commit, *budgets, **more):
    return Recorded(commit * 40, "2026-01-31T10:00:00+01:00", "2026-01-31T10:05:00+00:00", "0.1.0", budgets, **more)


def test_gaps_failures_and_one_commit():
    one = Costs("a.toml", "net", "net", (3,), 1, {"parameters": 5}, (Held("parameters", "within", 5, "≤ 9", 9),))
    broken = Costs("a.toml", "net", "net", error="it failed")
    found, marks = drawn([line("a", one), line("b", broken), line("c"), line("d", one, changed_files=2)])
    values = marks["parameters net"]
    assert values[0] == values[3] == 5 and values[1] != values[1] and values[2] != values[2]
    small = " ".join(text.get_text().replace("\n", " ") for text in found.texts)
    assert "net could not be counted at bbbbbbb." in small and "1 of 4 commits had files changed since." in small
    drawn([line("a", one)])
    two = replace(one, file="b.toml", counts={"parameters": 5_000_000})
    _, marks = drawn([line("a", one, two)])
    assert {"parameters a.toml: net", "parameters b.toml: net"} <= set(marks)
    with pytest.raises(BadOption, match="no count of any budget"):
        drawn([line("a", broken)])
    with pytest.raises(BadOption, match="no count of any budget"):
        drawn([])
    with pytest.raises(BadOption, match="too many for a figure"):
        drawn([line("a", *(replace(one, budget=f"n{place}") for place in range(21)))])


def test_the_command(recorded, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("h.svg", "h.png", "h.pdf"):
        assert main(["plot", "history", "--from", str(recorded), "-o", name]) == 0
        assert (tmp_path / name).stat().st_size > 4000
    capsys.readouterr()
    for words, said in (
        (("-o", "h.svg"), "'history' is of what 'archprof check --record FILE' wrote; name it: --from FILE."),
        (("resnet18", "-o", "h.svg"), "'history' is of what"),
        (
            ("--from", "none.jsonl", "-o", "h.svg"),
            "'none.jsonl' does not exist; archprof check --record",
        ),
        (("--from", str(recorded), "-o", "h.html"), "'.html' is not a figure format."),
        (("--from", str(recorded), "-o", "h.svg", "--log"), "--log has no effect on 'history'."),
        (("--from", str(recorded), "-o", "h.svg", "--only", "x*"), "x*"),
        (("--from", str(recorded), "-o", "h.svg", "--batch-sizes", "1"), "--batch-sizes has no effect on 'history'."),
        (("--from", str(recorded), "-o", "h.svg", "--ops", "flops"), "--ops has no effect on 'history'."),
    ):
        assert main(["plot", "history", *words]) == 2
        assert said in capsys.readouterr().err
    assert main(["plot", "histroy", "--from", "x", "-o", "h.svg"]) == 2
    assert "Did you mean 'history'" in capsys.readouterr().err


def test_every_line_follows_the_schema(recorded):
    import jsonschema

    from archprof.cli import schema

    for text in recorded.read_text().splitlines():
        jsonschema.Draft202012Validator(schema.schema("history")).validate(json.loads(text))
