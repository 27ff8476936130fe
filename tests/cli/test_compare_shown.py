"""What compare prints: the answer first, everything with --details, and every option that was given."""

from __future__ import annotations

import re

import pytest

from archprof.cli import main
from archprof.render.markdown import markdown
from archprof.render.tables import comparison as whole
from archprof.results.comparison import Comparison

TWO = ("resnet_tiny", "plain_tiny")


def run(capsys, *argv):
    code = main(["compare", *argv])
    out, err = capsys.readouterr()
    return code, out, err


def test_the_answer_comes_first_and_the_tables_with_details(capsys, tmp_path):
    file = tmp_path / "seen.json"
    code, out, _ = run(capsys, *TWO, "--no-latency", "--json", str(file), "--markdown", str(tmp_path / "seen.md"))
    assert code == 0 and out.startswith("Forward pass of 3x64x64, counted, not measured\n")
    assert "Where the mult-adds are" not in out and out.rstrip().endswith(
        "--details adds kinds of layer and all memory."
    )
    tables = whole.tables(Comparison.from_json(file.read_text()))
    assert (tmp_path / "seen.md").read_text() == markdown(tables)  # files hold everything as before
    code, out, _ = run(capsys, *TWO, "--no-latency", "--details")
    assert code == 0 and [table.title in out for table in tables] == [True] * 3
    assert "Smallest" not in out


def test_details_without_a_place_to_be_shown_are_refused(capsys, tmp_path):
    code, out, err = run(capsys, *TWO, "--no-latency", "--details", "--json", "-")
    assert (code, out) == (2, "")
    assert err == "archprof: --details has no effect where a result takes stdout. Leave it out, or write to a file.\n"


def test_a_reference_for_no_ratios_is_refused(capsys):
    code, out, err = run(capsys, *TWO, "--no-latency", "--reference", "plain_tiny")
    assert (code, out) == (2, "") and err == "archprof: --reference has no effect with --no-latency. Leave it out.\n"


def test_what_was_asked_for_is_shown_without_details(capsys):
    code, out, _ = run(capsys, *TWO, "--batch-sizes", "1,2", "--reference", "resnet_tiny", "--memory", "64MiB",
                       "--time-budget", "1", "--precision", "0.9")  # fmt: skip
    assert code == 0
    assert "Largest batch that fits into 64.0 MiB, predicted" in " ".join(out.split())
    assert "Times as long as resnet_tiny takes (95 % interval)" in out
    assert re.search(r"ms at 1 +ms at 2", out) and "within 90 %" in " ".join(out.split())


@pytest.mark.parametrize("details", [(), ("--details",)])
def test_a_network_that_failed_is_named_beside_the_others(details, capsys, tmp_path, monkeypatch):
    (tmp_path / "nets.py").write_text("def Broken():\n    raise ValueError('no such width')\n")
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, "nets.py:Broken", *TWO, "--no-latency", *details)
    assert code == 1 and "no such width" in err
    assert ("Failed: nets.py:Broken." in out) is (not details) and out.count("nets.py:Broken") >= 2


def test_the_dataset_and_the_accuracies_that_were_given_are_shown(capsys, tmp_path):
    own = tmp_path / "own.csv"
    own.write_text("architecture,dataset,metric,percent,source\nplain_tiny,flowers,top1,61.5,here\n")
    code, out, _ = run(capsys, *TWO, "--no-latency", "--accuracy", str(own), "--dataset", "flowers")
    assert code == 0 and "Most accurate: plain_tiny with 61.5 % top-1 on flowers." in out
    assert "No top-1 known: resnet_tiny." in out
