"""archprof trial on the command line: what it prints and writes, and how it ends."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers.stripes import write

from archprof import cli, models
from archprof.base import files
from archprof.cli import trial_progress
from archprof.results.trials import Trial
from archprof.trials.progress import Told

HELPERS = Path(__file__).parents[1] / "helpers"


@pytest.fixture
def archprof(monkeypatch, capsys, tmp_path):
    """Run a command in an empty folder with stripes.npz in it."""
    from helpers import small_source

    monkeypatch.setitem(models._SOURCES, "small", small_source)
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "stripes.npz")

    def run(*words):
        try:
            code = cli.main(list(words))
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def undrawn(monkeypatch):
    """Folders without figures, where these are not what is tested: drawing takes longer than training."""
    monkeypatch.setattr("archprof.render.figures.trials.kinds", lambda trial: ())


QUICK = ("--lr", "0.01", "--batch-size", "16", "--seeds", "2")


def test_from_images_to_a_ball_chart(archprof):
    words = (*QUICK, "--epochs", "1,2", "--grid", "width=4,8", "-o", "t/s", "--per-class")
    code, out, err = archprof("trial", "small:Net", "--data", "stripes.npz", *words)
    assert code == 0 and "Accuracy on stripes: 36 images held out, 90 for training" in out and "width=8" in out
    assert "Right answers by class" in out and "recipe default, changed: adam, learning rate 0.01" in err
    found = Trial.read("t/s")
    assert (found.epochs, found.seeds, len(found.entries)) == ((1, 2), 2, 2)
    names = [entry.network for entry in found.entries]
    assert archprof("plot", "ball", *names, "--accuracy", "t/s", "-o", "ball.svg")[0] == 0
    code, out, err = archprof("compare", *names, "--no-latency", "--details", "--accuracy", "t/s")
    assert code == 0 and "top-1 on stripes: measured by archprof" in out and err == ""
    for kind in ("curves", "grid"):
        assert archprof("plot", kind, "--from", "t/s", "-o", f"{kind}.png", "--title", "Mine")[0] == 0
        assert Path(f"{kind}.png").stat().st_size > 5000


def test_weights_of_a_trial_are_evaluated(archprof, undrawn):
    first = ("trial", "small:Net", "--data", "stripes.npz")
    assert archprof(*first, *QUICK[:4], "--seeds", "1", "--epochs", "2", "-o", "t")[0] == 0
    (file,) = Path("t/runs").glob("*.pt")
    code, out, _ = archprof(*first, "--weights", str(file), "--crops", "10", "--crop-ratio", "0.875", "--json")
    evaluation = json.loads(out)["entries"][0]["evaluation"]
    assert code == 0 and evaluation["crops"] == 10 and evaluation["weights"] == file.name
    assert archprof(*first, "--weights", str(file), "-o", "e")[0] == 0
    text = Path("e/README.md").read_text()
    assert "Weights evaluated on stripes" in text and "figures/" not in text


def test_a_network_of_ones_own_at_an_input_shape(archprof, undrawn):
    Path("bare.py").write_text(
        "from torch import nn\n\n\ndef net(num_classes):\n"
        "    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(4 * 64, num_classes))\n"
    )
    command = ("trial", "bare.py:net", "--data", "stripes.npz", *QUICK, "--epochs", "1")
    code, _, err = archprof(*command)
    assert code == 2 and "does not take images of 3x224x224" in err and "--input-shape C,H,W" in err
    assert archprof(*command, "--input-shape", "1,10,10", "-o", "t")[0] == 0
    found = Trial.read("t")
    assert found.input_shape == found.entries[0].input_shape == (1, 10, 10)
    page = Path("t/README.md").read_text()
    again, *figure = [line for line in page.splitlines() if line.startswith("archprof ")]
    assert "--input-shape 1,10,10" in again and [line.split()[1] for line in figure] == ["compare", "plot"]
    for line in figure:  # as they are written, but for the place
        assert archprof(*shlex.split(line.replace("trials/t", "t"))[1:])[0] == 0
    assert Path("ball.svg").stat().st_size > 5000


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trial", "small:Net", "--data", "stripes.npz", "--input-shape", "8,8"], "8x8 is not one of images"),
        (["trial", "small:Net", "--data", "stripes.npz", "--input-shape", "2,8,8"], "does not take images of 2x8x8"),
        (["trial", "small:Net", "--data", "stripes.npz", "--input-shape", "1,0,8"], "not a list of positive"),
        (["trial", "small:Net", "--data", "stripes.npz", "--grid", "lr=0.1,1e-1"], "lr=0.1 and lr=1e-1 are the same"),
        (["trial", "small:Net", "--data", "stripes.npz", "--seeds", "0"], "'0' is not a positive whole number"),
        (["trial", "small:Net", "--data", "stripes.npz", "--lr", "nan"], "'nan' is not a number"),
        (["trial"], "no model is given; name at least one"),
        (["trial", "small:Net"], "no data are given; add --data digits"),
        (["trial", "small:Net", "--data", "none"], "there are no data 'none'. Accepted: digits, a folder of images"),
        (["trial", "small:Net", "--data", "stripes.npz", "--lr", "0"], "learning rate is 0; expected a number above 0"),
        (["trial", "small:Net", "--data", "stripes.npz", "--lr", "-0.1"], "learning rate is -0.1; expected"),
        (["trial", "small:Net", "--data", "stripes.npz", "--grid", "lr=0.1,0"], "learning rate is 0;"),
        (["trial", "small:Net", "--data", "stripes.npz", "--grid", "lr"], "grid 'lr' is not NAME=VALUE,VALUE,..."),
        (["trial", "small:Net", "--data", "stripes.npz", "--grid", "lr=1,1"], "has the value 1 twice"),
        (["trial", "small:Net", "--data", "stripes.npz", "--grid", "epochs=1,2"], "Give --epochs 1,2"),
        (["trial", "small:Net", "--data", "stripes.npz", "--recipe", "none"], "unknown recipe 'none'"),
        (["trial", "small:Net", "--data", "stripes.npz", "--crops", "5"], "--crops is for evaluation alone"),
        (["trial", "small:Net", "--data", "stripes.npz", "--force"], "--force has no effect without -o"),
        (["trial", "small:Net", "--data", "stripes.npz", "--hold-out", "0.3"], "the data have a test part"),
        (["trial", "small:Net", "--data", "stripes.npz", "--epochs", "0"], "'0' is not a positive whole number"),
        (["trial", "small:Net", "--data", "stripes.npz", "--device", "cuda"], "finds no CUDA device"),
        (["trial", "small:Net", "--data", "stripes.npz", "--weights", "none.pt"], "'none.pt' cannot be read"),
        (["trial", "small:Net", "--data", "stripes.npz", "--weights", "w", "--lr", "1"], "--lr has no effect with"),
        (["trial", "small:Net", "--data", "stripes.npz", "--weights", "w", "--seeds", "1"], "--seeds has no effect"),
        (["trial", "small:Net", "small:Net", "--data", "stripes.npz", "--weights", "w"], "of one network; 2 are named"),
        (["trial", "small:Net", "small:Net", "--data", "stripes.npz"], "'small:Net' is named twice"),
        (["trial", "small:Picky", "--data", "stripes.npz"], "does not take images of 1x8x8"),
        (["plot", "curves", "-o", "a.svg"], "'curves' is of a trial; name its folder: --from trials/NAME"),
        (["plot", "grid", "--from", ".", "-o", "a.svg"], "cannot read 'trial.json'"),
        (["plot", "grid", "--from", ".", "-o", "a.svg", "--dataset", "x"], "--dataset has no effect on 'grid'"),
        (["plot", "grid", "--from", ".", "-o", "a.svg", "--log"], "--log has no effect on 'grid'"),
        (["plot", "curves", "--from", ".", "-o", "a.svg", "--highlight", "x"], "--highlight has no effect on 'curves'"),
        (["plot", "curves", "--from", ".", "-o", "a.svg", "--x", "macs2"], "--x has no effect on 'curves'"),
        (["plot", "ball", "resnet_tiny", "--accuracy", ".", "-o", "a.svg"], "cannot read 'trial.json'"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_writes_nothing(archprof, words, said):
    before = sorted(os.listdir())
    code, out, err = archprof(*words)
    lines = [line for line in err.splitlines() if not line.startswith("archprof: recipe ")]
    assert code == 2 and out == "" and len(lines) == 1 and said in lines[0]
    assert sorted(os.listdir()) == before


def test_a_network_that_fails_beside_others(archprof):
    code, out, err = archprof("trial", "small:Net", "small:Fails", "--data", "stripes.npz", *QUICK, "--epochs", "1")
    assert code == 1 and "small:Fails" in out and "RuntimeError: no training here" in err


def test_the_recipes_that_ship_are_shown(archprof):
    code, out, _ = archprof("trial", "--recipes")
    assert code == 0 and "# resnet10_cifar\n" in out and 'optimizer = "rmsprop"' in out


def stopping_at(done: float, stop) -> object:
    """In place of a progress bar: calls `stop` once so many epochs are over."""

    @contextmanager
    def progress():
        def tell(told):
            if told.done >= done:
                stop()

        yield tell

    return progress


def test_ctrl_c_ends_with_130_and_the_same_command_goes_on(archprof, monkeypatch, undrawn):
    command = (
        "trial",
        "small:Net",
        "--data",
        "stripes.npz",
        "--lr",
        "0.01",
        "--seeds",
        "1",
        "--epochs",
        "4",
        "-o",
        "t",
    )
    usual = trial_progress.progress
    for at, ended in ((1.4, 1), (2.6, 2)):
        monkeypatch.setattr(trial_progress, "progress", stopping_at(at, lambda: signal.raise_signal(signal.SIGINT)))
        code, out, err = archprof(*command)
        assert code == 130 and "interrupted; the same command goes on from t" in err and "Traceback" not in err
        found = Trial.read("t")
        assert found.interrupted and len(found.entries[0].runs[0].epochs) == ended
        assert "0 of 1 seeds came to the end" in " ".join(out.split())
        assert len(list(Path("t/runs").glob("*.checkpoint"))) == 1
    monkeypatch.setattr(trial_progress, "progress", usual)
    assert archprof(*command)[0] == 0
    assert archprof(*command[:-1], "whole")[0] == 0
    assert weights("t") == weights("whole") and not Trial.read("t").interrupted


def weights(folder: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder, "runs").glob("*.pt")}


def test_a_lock_that_a_killed_process_left_is_in_nobodys_way(archprof, undrawn):
    Path("t").mkdir()
    Path("t/.trial.json.lock").touch()
    assert archprof("trial", "small:Net", "--data", "stripes.npz", *QUICK, "--epochs", "1", "-o", "t")[0] == 0


@pytest.mark.parametrize("held", ["t/trial.json", "t/runs"])
def test_two_commands_into_one_folder(archprof, held):
    Path("t").mkdir()
    with files.alone(held):
        code, out, err = archprof("trial", "small:Net", "--data", "stripes.npz", *QUICK, "--epochs", "1", "-o", "t")
    assert code == 2 and out == "" and f"{held}'" in err and "another archprof is writing to" in err
    assert not list(Path("t").glob("runs/*")) and not Path("t/trial.json").exists()


def test_a_network_that_was_edited_is_trained_again(archprof, undrawn):
    file = Path("mine.py")
    file.write_text((HELPERS / "small_net.py").read_text())
    command = ("trial", "mine.py:Net", "--data", "stripes.npz", *QUICK[:4], "--seeds", "1", "--epochs", "1", "-o", "t")
    assert archprof(*command)[0] == 0
    first = Trial.read("t").entries[0].runs
    assert archprof(*command)[0] == 0 and Trial.read("t").entries[0].runs == first
    file.write_text(file.read_text().replace("torch.relu(", "torch.tanh("))
    sys.modules.pop("mine", None)
    assert archprof(*command)[0] == 0 and Trial.read("t").entries[0].runs[0].epochs[0][:2] != first[0].epochs[0][:2]
    sys.modules.pop("mine", None)


@pytest.mark.parametrize("place", ["stripes.npz", "stripes.npz/t", "/dev/full", "/proc/none/t"])
def test_folders_that_cannot_be_made(archprof, place):
    code, out, err = archprof("trial", "small:Net", "--data", "stripes.npz", *QUICK, "--epochs", "1", "-o", place)
    lines = [line for line in err.splitlines() if not line.startswith("archprof: recipe ")]
    assert code == 2 and out == "" and len(lines) == 1 and place in lines[0]


def test_a_full_disk_for_the_record_is_one_line(archprof, undrawn):
    command = ("trial", "small:Net", "--data", "stripes.npz", *QUICK, "--epochs", "1", "-o", "t", "--json")
    code, _, err = archprof(*command, "/dev/full")
    assert code == 2 and "'/dev/full' cannot be written: No space left on device" in err
    assert Trial.read("t").seeds == 2  # what was trained is there


def test_usage_errors_and_pages_of_saved_trials_need_no_torch(tmp_path, archprof, undrawn):
    assert archprof("trial", "small:Net", "--data", "stripes.npz", *QUICK, "--epochs", "1", "-o", "t")[0] == 0
    script = """
import sys
from archprof.cli import main
for words in ["trial", "--recipes"], ["trial", "resnet_tiny", "--data", "digits", "--lr", "0"], \\
        ["trial", "a", "--data", "d", "--grid", "lr"], ["plot", "curves", "--from", "t", "-o", "a.svg"]:
    main(words)
print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


def test_progress_is_a_line_now_and_then(capsys):
    now = iter([0.0, 1.0, 21.0, 22.0, 22.0])
    tell = trial_progress.lines(lambda: next(now), every_s=20)
    for done in (1.0, 2.0, 3.0):
        tell(Told("net, seed 0, epoch 2 of 5", done, 8, 600.0, 0.912))
    assert capsys.readouterr().err == (
        "archprof: net, seed 0, epoch 2 of 5; 25 % done; accuracy 91.2 %; about 10 min left\n"
    )
