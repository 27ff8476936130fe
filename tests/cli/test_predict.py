"""archprof predict: what it prints and writes, and what bad input gets."""

from __future__ import annotations

import csv
import json
import subprocess
import sys

import pytest
from helpers.anchors import GPU, measured

from archprof.cli import main
from archprof.prediction import table

FASTEST = "amp-nchw-pt291-cu130-5090-dynamo"


def run(capsys, *argv: str) -> tuple[int, str, str]:
    code = main(["predict", *argv])
    seen = capsys.readouterr()
    return code, seen.out, seen.err


@pytest.fixture
def anchors(tmp_path):
    """A file of anchors as fast as the table's fastest device."""
    path = tmp_path / "measured.json"
    path.write_text(measured(FASTEST, 1, GPU, 256).to_json())
    return str(path)


def test_a_table_whose_predicted_figures_are_marked(capsys):
    code, out, err = run(capsys, "resnet18", "resnet_tiny", "--device", "rtx4090")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "Predicted for rtx4090: amp, eager, torch 2.9.1, CUDA 12.8, batch 1,024"
    (row,) = [line for line in lines if line.startswith(" resnet18")]
    assert row.split()[2] == "p" and " to " in row and "convolutions" in row
    assert "p predicted, not measured." in lines
    assert any(line.startswith("resnet_tiny: not predicted, for the table's nearest network") for line in lines)


def test_what_was_published_stands_beside_it_without_the_mark(capsys):
    _, out, _ = run(capsys, "resnet18", "--device", "rtx4090", "--torch", "2.4.0", "--markdown", "-")
    heads, _, row = (line for line in out.splitlines() if line.startswith("|"))
    cell = dict(zip(heads.split("|"), row.split("|"), strict=True))
    assert "p" not in cell[" timm measured "] and cell[" Images/s "].endswith(" p ")


def test_anchors(capsys, anchors):
    code, out, _ = run(capsys, "resnet18", "--anchors", anchors)
    assert code == 0
    assert out.startswith("Predicted for GPU of a test: float16, compiled, torch 2.13.0, batch 256\n")
    assert "timm measured" not in out


def test_exports(capsys, tmp_path):
    names = [str(tmp_path / f"x.{kind}") for kind in ("json", "csv", "md")]
    code, _, _ = run(
        capsys, "resnet18", "--device", "rtx5090", "--json", names[0], "--csv", names[1], "--markdown", names[2]
    )
    assert code == 0
    saved = json.loads((tmp_path / "x.json").read_text())
    (row,) = csv.DictReader((tmp_path / "x.csv").open())
    assert float(row["predicted_throughput"]) == saved["networks"][0]["predicted_throughput"]
    assert "| resnet18 |" in (tmp_path / "x.md").read_text()


def test_a_network_that_fails_beside_one_that_does_not(capsys):
    code, out, err = run(capsys, "alexnet@7", "resnet18", "--device", "rtx4090")
    assert code == 1 and "alexnet@7 failed" in out and err.startswith("archprof: alexnet@7")
    assert main(["predict", "alexnet@7", "--device", "rtx4090"]) == 2


def test_what_there_is(capsys):
    code, out, _ = run(capsys, "--list-devices")
    assert code == 0
    for one in table.fitted().benchmarks:
        assert one.device in out and one.torch in out
    assert "aa4b5850, Apache-2.0" in out
    code, out, _ = run(capsys, "--list-anchors")
    assert code == 0 and out.splitlines()[:10] == list(table.fitted().anchors)
    assert "archprof predict MODEL... --anchors measured.json" in out


def test_questions_about_the_table_need_no_torch():
    code = (
        "import sys; from archprof.cli import main\n"
        "for argv in ['--list-devices'], ['--list-anchors'], ['x', '--device', 'rtx4091']: main(['predict', *argv])\n"
        "print('torch' in sys.modules, 'pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False False"


BAD = [
    ((), "no model is given"),
    (("resnet18",), "neither --device nor --anchors is given"),
    (("resnet18", "--device", "rtx4091"), "Did you mean 'rtx4090'"),
    (("resnet18", "--device", ""), "neither --device nor --anchors"),
    (("resnet18", "--device", "rtx4090", "--precision", "int8"), "precision 'int8' is not published for rtx4090"),
    (("resnet18", "--device", "rtx4090", "--batch-size", "8"), "--batch-size has no effect with --device"),
    (("resnet18", "--device", "rtx4090", "--anchors", "x.json"), "both --device and --anchors"),
    (("resnet18", "--anchors", "no.json"), "'no.json' cannot be read"),
    (("resnet18", "--anchors", "x.json", "--compile"), "--compile has no effect with --anchors"),
    (("resnet18", "--list-devices"), "a model has no effect with --list-devices"),
    (("--list-anchors", "--json", "x.json"), "--json has no effect with --list-anchors"),
    (("resnet5o", "--device", "rtx4090"), "unknown model 'resnet5o'"),
    (("resnet18(", "--device", "rtx4090"), "malformed model name"),
    (("resnet18", "--device", "rtx4090", "--json", "/no/such/x.json"), "does not exist"),
]


@pytest.mark.parametrize(("argv", "said"), BAD, ids=[said[:40] for _, said in BAD])
def test_bad_input_is_one_line(argv, said, capsys):
    code, out, err = run(capsys, *argv)
    assert (code, out, err.count("\n")) == (2, "", 1) and said in err


def test_a_busy_machine_is_refused(capsys, tmp_path):
    path = tmp_path / "busy.json"
    busy = measured(FASTEST, 1, GPU, 256, why=lambda name: "9 of 9 blocks were disturbed")
    path.write_text(busy.to_json())
    code, out, err = run(capsys, "resnet18", "--anchors", str(path))
    assert (code, out) == (2, "") and "0 of 10 anchors were measured reliably" in err and "quieter machine" in err
