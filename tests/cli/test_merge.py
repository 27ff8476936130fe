"""archprof merge: tables, exports and the figure of several machines; files that do not go together."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest
from helpers.machines import FAST, TURNED, fleet, measured

from archprof.cli import main
from archprof.render.figures import machines as figure
from archprof.results import machines as record


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("epyc.json").write_text(measured(FAST).to_json())
    Path("atom.json").write_text(measured(TURNED, "bbbb", "Atom").to_json())


def test_tables_of_two_machines(files, capsys):
    assert main(["merge", "epyc.json", "small=atom.json", "--reference", "a"]) == 0
    out, err = capsys.readouterr()
    lines = out[: out.index("How alike")].splitlines()
    rows = {line.split()[0]: line.replace(" k", "k").split()[1:] for line in lines if line.startswith((" a ", " b "))}
    # mult-adds, ms and ratio on the one, on the other
    assert rows["b"] == ["1.00k", "2.00", "2.00", "30.0", "3.00"]
    assert "EPYC and small" in out and "0.800" in out
    assert "b is faster than c on EPYC, slower on small (batch 1, beyond the 95 % intervals)." in out
    assert "x: times as long as a on the same machine." in out
    assert not err


def test_exports(files, capsys):
    words = ["--json", "fleet.json", "--csv", "fleet.csv", "--markdown", "fleet.md", "--figure", "fleet.svg"]
    assert main(["merge", "epyc.json", "atom.json", *words]) == 0
    capsys.readouterr()
    rows = list(csv.DictReader(Path("fleet.csv").read_text().splitlines()))
    assert len(rows) == 8 and {row["machine"] for row in rows} == {"EPYC", "Atom"}
    assert float(next(row for row in rows if (row["name"], row["machine"]) == ("b", "Atom"))["p50_s"]) == 0.03
    assert "## Who changes place, batch 1" in Path("fleet.md").read_text()
    assert len(json.loads(Path("fleet.json").read_text())["machines"]) == 2
    assert Path("fleet.svg").stat().st_size > 5000
    assert main(["merge", "fleet.json", "--json", "again.json"]) == 0
    assert Path("again.json").read_text() == Path("fleet.json").read_text()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["none.json"], "'none.json' cannot be read: No such file"),
        (["x=none.json"], "'none.json' cannot be read"),
        (["=epyc.json"], "'=epyc.json' is not NAME=FILE;"),
        (["x=epyc.json", "x=atom.json"], "two machines have the name 'x'"),
        (["epyc.json", "--reference", "z"], "reference 'z' was not measured."),
        (["epyc.json", "--figure", "f.gif"], "'.gif' is not a figure format."),
        (["epyc.json", "--figure", "f.svg"], "a figure of machines needs at least two;"),
        (["epyc.json", "--json", "no/such/folder.json"], "the folder 'no/such' does not exist."),
    ],
)
def test_bad_input_is_one_line(words, says, files, capsys):
    assert main(["merge", *words]) == 2
    out, err = capsys.readouterr()
    assert out == "" and says in err and err.startswith("archprof: ") and err.count("\n") == 1
    assert not Path("f.svg").exists()


def test_torch_is_not_imported(files):
    import subprocess

    code = "import sys; from archprof.cli import main; main(['merge', 'epyc.json']); assert 'torch' not in sys.modules"
    root = str(Path(record.__file__).parents[2])
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": root}, stdout=subprocess.DEVNULL)


def test_the_figure_has_the_data():
    drawn = figure.draw(fleet(), "a")
    ratios, ranks = drawn.axes
    marks = sorted((line.get_label(), line.get_xdata()[0]) for line in ratios.lines if len(line.get_xdata()) == 1)
    assert [value for _, value in marks] and max(value for _, value in marks) == pytest.approx(4.0)
    lines = [tuple(line.get_ydata()) for line in ranks.lines if len(line.get_xdata()) == 2 and line.get_marker() == "o"]
    assert sorted(lines) == [(1, 1), (2, 3), (3, 2), (4, 4)]
    assert any("0.800" in text.get_text() for text in ranks.texts)


def test_a_figure_of_many_networks_names_those_that_move():
    many = {f"net{n:03}": 0.001 * (n + 1) for n in range(60)}
    turned = {**many, "net005": 0.0505}
    both = record.merge([(None, measured(many)), (None, measured(turned, "bbbb", "Atom"))])
    (ranks,) = figure.draw(both).axes
    names = {text.get_text() for text in ranks.texts}
    assert "net005" in names and "net059" not in names
