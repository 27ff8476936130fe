"""archprof whatif: what it prints and writes, and what bad input gets."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from hostile.watching import Photograph
from torch import nn

import archprof
from archprof.base import cache, kept
from archprof.base.errors import ArchprofError
from archprof.cli import main

QUICK = ("--threads", "1", "--time-budget", "0.3")


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Run the command in an empty folder; gives exit code, stdout and stderr without its progress."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def run(*argv: str, measured: bool = True) -> tuple[int, str, list[str]]:
        try:
            code = main(["whatif", *argv, *(QUICK if measured else ())])
        except SystemExit as stop:
            code = stop.code
        seen = capsys.readouterr()
        lines = [line for line in seen.err.splitlines() if not line.startswith("archprof: measuring")]
        return code, seen.out, lines

    return run


def test_each_edit_after_the_one_before(run, tmp_path):
    code, out, err = run("resnet_tiny", "--edit", "*: kernel=1", "--edit", "blocks.0: norm=none", "--json", "w.json")
    assert (code, err) == (0, [])
    lines = out.splitlines()
    assert lines[0] == "resnet_tiny, edited (zoo, input 1x3x64x64)"
    rows = [
        line for line in lines if line.startswith((" resnet_tiny as it is", " *: kernel=1", " + blocks.0: norm=none"))
    ]
    assert len(rows) == 3 and " p " not in rows[0] and rows[1].count(" p") >= 2
    assert any(line.startswith("'*: kernel=1': mult-adds fall by 50 %, predicted time") for line in lines)
    saved = json.loads((tmp_path / "w.json").read_text())
    assert [one["edits"] for one in saved["variants"]] == [[], ["*: kernel=1"], ["*: kernel=1", "blocks.0: norm=none"]]
    base, one, two = saved["variants"]
    assert base["predicted_seconds"] is None and base["measured_seconds"] == base["latency"]["p50_s"]
    assert one["macs"] == two["macs"] == archprof.profile("resnet_tiny").macs - 479_232
    assert one["predicted_interval"][0] < one["predicted_seconds"] < one["predicted_interval"][1]
    assert sum(kind["macs"] for kind in one["kinds"]) == one["macs"] and one["latency"] is None
    # the ratio of the sums of operators, by hand
    whole = [sum(kind["predicted_seconds"] for kind in each["kinds"]) for each in saved["variants"]]
    assert whole[0] == pytest.approx(base["measured_seconds"]) and whole[1] == pytest.approx(one["predicted_seconds"])


def test_each_edit_by_itself_and_measured(run, tmp_path):
    argv = ("--edit", "*: kernel=1", "--edit", "@48", "--alone", "--verify", "--csv", "w.csv", "--markdown", "w.md")
    argv += ("--plot", "w.svg")
    code, out, _ = run("resnet10_cifar", *argv)
    assert code == 0 and "Error" in out and "+ @48" not in out
    rows = list(csv.DictReader((tmp_path / "w.csv").open()))
    assert [row["edits"] for row in rows] == ["", "*: kernel=1", "'@48"]  # no spreadsheet's formula
    assert rows[2]["input_shape"] == "3x48x48" and all(float(row["measured_seconds"]) > 0 for row in rows)
    expected = float(rows[1]["predicted_seconds"]) / float(rows[1]["measured_seconds"]) - 1
    assert float(rows[1]["prediction_error"]) == pytest.approx(expected)
    assert "| \\*: kernel=1 |" in (tmp_path / "w.md").read_text()
    assert (tmp_path / "w.svg").read_text().startswith("<?xml")


def test_operators_are_measured_once_on_this_machine(run, tmp_path):
    counts = []
    for _ in range(2):
        run("resnet_tiny", "--edit", "*: kernel=1", "--json", "w.json")
        saved = json.loads((tmp_path / "w.json").read_text())
        counts.append((saved["operators"], saved["operators_measured"]))
    assert counts[0][0] == counts[0][1] > 10 and counts[1] == (counts[0][0], 0)
    (file,) = kept.folder().rglob("operators.jsonl")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(lines) == counts[0][0] and all(min(line["value"]) > 0 for line in lines)
    assert not cache.may_keep


def test_a_variant_that_fails_keeps_its_place_beside_others(run):
    edits = ("--edit", "blocks.0: identity", "--edit", "*: kernel=1", "--alone")
    code, out, err = run("resnet_tiny", *edits)
    assert (
        code == 1 and "'blocks.0: identity': failed; the reason is below." in out and "'*: kernel=1': mult-adds" in out
    )
    assert len(err) == 1 and err[0].startswith("archprof: edit 'blocks.0: identity': resnet_tiny cannot take an input")
    code, out, err = run("resnet_tiny", *edits[:2])
    assert (code, out) == (2, "") and len(err) == 1


def test_an_edit_without_effect_is_said(run):
    _, out, _ = run("squeezenet1_1@64", "--edit", "features.0: kernel=3")
    assert "'features.0: kernel=3': without effect; every operator call is as it was before." in out
    _, out, _ = run("mobilenetv1(width=0.25)@32", "--edit", "width=0.25", "--edit", "@64")
    assert "'width=0.25': without effect" in out and "'@64': without effect" not in out


def test_what_could_not_be_edited_beside_what_was_is_said(run):
    _, out, _ = run("squeezenet1_1@64", "--edit", "features.3: separable")
    assert "1 layer edited, 2 left alone: nothing to separate (2)." in " ".join(out.split())


BAD = [
    (("resnet_tiny",), "no edit is given"),
    (("--edit", "@160"), "MODEL"),
    (("resnet_tiny", "--edit", ""), "malformed edit ''"),
    (("resnet_tiny", "--edit", "x"), "malformed edit 'x'"),
    (("resnet_tiny", "--edit", "*: kernal=1"), "Did you mean 'kernel'?"),
    (("resnet_tiny", "--edit", "block.0: kernel=1"), "Did you mean 'blocks.0'"),
    (("resnet_tiny", "--edit", "fc: kernel=1"), "fc is of type Linear, and 'kernel' is for convolutions"),
    (("resnet_tiny", "--edit", "wdth=2"), "has no option 'wdth'"),
    (("resnet_tiny", "--edit", "a: \x1b[31mkernel=1"), "malformed edit 'a: \\x1b[31mkernel=1'"),
    (("resnet_tiny", "--edit", "*" * 499 + ": kernel=1"), "malformed edit"),
    (("resnet5o", "--edit", "@160"), "unknown model 'resnet5o'"),
    (("resnet_tiny(", "--edit", "@160"), "malformed model name"),
    (("resnet_tiny", "--edit", "@160", "--alone"), "--alone has no effect on a single edit"),
    (("resnet_tiny", "--edit", "@64", "--mode", "train"), "eager forward passes on the CPU"),
    (("resnet_tiny", "--edit", "@64", "--compile"), "eager forward passes on the CPU"),
    (("resnet_tiny", "--edit", "@64", "--autocast"), "operators are not measured under autocast"),
    (("resnet_tiny", "--edit", "@64", "--device", "cuda"), "device 'cuda'"),
    (("resnet_tiny", "--edit", "@64", "--optimizer", "adam"), "has no effect on a forward pass"),
    (("resnet_tiny", "--edit", "@64", "--batch-size", "0"), "'0' is not a positive whole number"),
    (("resnet_tiny", "--edit", "@64", "--batch-size", "999999999"), "are available"),
    (("resnet_tiny", "--edit", "@64", "--json", "/no/such/x.json"), "does not exist"),
    (("resnet_tiny", "--edit", "*: kernel=9999"), "are available"),
    (("resnet_tiny", "--edit", "@64", "--plot", "x.gif"), "'.gif' is not a figure format"),
    (("resnet_tiny", "--edit", "@64", "--input", "float32[3,64,64]"), "'@64' has no effect where inputs are given"),
    (("resnet_tiny", "--edit", "@64", "--input", "float32[3]", "--input-shape", "3,64,64"), "give one of them"),
    (("squeezenet1_1@64", "--edit", "*: norm=none"), "'norm' is for norm layers"),
    (("alexnet@7", "--edit", "*: activation=silu"), "alexnet@7"),
]


@pytest.mark.parametrize(("argv", "said"), BAD, ids=[f"{said[:40]}" for _, said in BAD])
def test_bad_input_is_one_line(argv, said, run, tmp_path):
    if "cuda" in argv and torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    code, out, err = run(*argv, measured=False)
    assert (code, out, len(err)) == (2, "", 1) and said in err[0] and err[0].isprintable()
    assert list(tmp_path.iterdir()) in ([], [tmp_path / "state"])


def test_an_exported_program_cannot_be_edited(run, tmp_path):
    program = torch.export.export(nn.Sequential(nn.Conv2d(3, 4, 3)), (torch.ones(1, 3, 8, 8),))
    torch.export.save(program, tmp_path / "net.pt2")
    code, out, err = run("net.pt2", "--edit", "*: kernel=1", measured=False)
    assert (code, out, len(err)) == (2, "", 1) and "an exported program, whose layers are fixed in its graph" in err[0]
    code, out, err = run("net.pt2", "--edit", "width=2", measured=False)
    assert (code, out, len(err)) == (2, "", 1) and "takes no options" in err[0]


def test_code_of_others(run, tmp_path):
    (tmp_path / "mine.py").write_text(
        textwrap.dedent("""
            from torch import nn

            class Net(nn.Module):
                input_shape = (3, 8, 8)

                def __init__(self, width: int = 4):
                    super().__init__()
                    self.conv, self.act = nn.Conv2d(3, width, 3), nn.ReLU()

                def forward(self, x):
                    print("forward")
                    return self.act(self.conv(x))

            net = Net()
        """)
    )
    code, out, _ = run("mine.py:Net", "--edit", "width=8", "--edit", "act: identity")
    assert code == 0 and out.startswith("mine.py:Net, edited") and "forward" not in out
    code, out, _ = run("mine.py:net", "--edit", "conv: stride=2")
    assert code == 0 and "Mult-adds fall by 75 %" in out


def test_usage_needs_no_torch():
    code = (
        "import sys; from archprof.cli import main\n"
        "for argv in ['a'], ['a', '--edit', 'x'], ['a(', '--edit', '@160']: main(['whatif', *argv])\n"
        "print('torch' in sys.modules, 'pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False False"


# --- from Python ------------------------------------------------------------------------------------------------------


def small() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1))


def test_a_module_that_was_handed_over_is_never_touched():
    module = small()
    before = Photograph(module)
    found = archprof.whatif(
        module, ["*: separable", "1: norm=none"], input_shape=(3, 8, 8), threads=1, time_budget=0.2, verify=True
    )
    assert before.differences(module) == []
    assert found.name == "Sequential" and [one.edit for one in found] == ["", "*: separable", "1: norm=none"]
    assert all(one.measured_seconds for one in found) and found[1].macs == 64 * (3 * 9 + 3 * 8 + 8 * 9 + 8 * 8)
    assert found[1].left_alone == () and found[1].layers == ("0", "3")


@pytest.mark.parametrize("how", [{"dtype": "bfloat16"}, {"channels_last": True}, {"batch_size": 3}], ids=str)
def test_conditions(how):
    found = archprof.whatif(small(), "3: kernel=1", input_shape=(3, 8, 8), threads=1, time_budget=0.2, **how)
    assert found.batch_size == how.get("batch_size", 1) and found[1].predicted_seconds > 0 and not found[1].untimed


def test_a_class_with_arguments():
    found = archprof.whatif(lambda width=1.0: small(), "3: kernel=1", input_shape=(3, 8, 8), threads=1, time_budget=0.2)
    assert found[1].predicted_seconds > 0


def test_what_cannot_be_asked():
    with pytest.raises(TypeError, match="whatif"):
        archprof.whatif("resnet_tiny", "@64", tim_budget=1)
    with pytest.raises(ArchprofError, match="batch size"):
        archprof.whatif("resnet_tiny", "@64", batch_size=-1)
    with pytest.raises(ArchprofError, match="cannot be of type"):
        archprof.whatif(3, "@64")
    assert Path.cwd().exists()
