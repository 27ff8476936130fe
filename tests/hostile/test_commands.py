"""Two commands into one file, killed commands, full disks, closed outputs: nothing lost, nothing left behind."""

from __future__ import annotations

import functools
import json
import os
import signal
import stat
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from helpers.sweep_work import pid_after

import archprof
from archprof.base import files
from archprof.base.errors import BadOutput
from archprof.cli import main
from archprof.runs import asked
from archprof.runs.engines.processes import Processes

ROOT = str(Path(archprof.__file__).parents[1])
NETS = """
    import os, threading, time
    import torch
    from torch import nn

    class Fine(nn.Linear):
        input_shape = (4,)

        def __init__(self):
            super().__init__(4, 4)

    class Hangs(Fine):
        def forward(self, x):
            open(f"started-{os.getpid()}", "w").close()
            while True:
                pass
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets.py").write_text(textwrap.dedent(NETS))
    return tmp_path


def start(*argv: str, **how) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": ROOT, **how.pop("env", {})}
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | how
    return subprocess.Popen([sys.executable, "-m", "archprof", *argv], env=environment, **given)


def until(condition, seconds: float = 60.0):
    """What the condition gives as soon as it is true."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not come about")


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# --- two at once ------------------------------------------------------------------------------------------------------


def test_a_second_writer_is_refused_and_told_why(tmp_path):
    path = str(tmp_path / "x.jsonl")
    refused = pytest.raises(BadOutput, match=r"another archprof is writing to '.*x\.jsonl'")
    with files.alone(path), refused, files.alone(path):
        pass
    with files.alone(path):
        pass


def test_a_second_sweep_into_one_file_is_refused_and_changes_nothing(here, capsys):
    with files.alone("sweep.jsonl"):
        assert main(["sweep", "resnet_tiny", "-o", "sweep.jsonl", "--no-latency"]) == 2
    assert "another archprof is writing to 'sweep.jsonl'" in capsys.readouterr().err
    assert not (here / "sweep.jsonl").exists()


def test_a_second_update_of_a_lock_is_refused_and_changes_nothing(here, capsys):
    (here / "archprof.toml").write_text('[[budget]]\nmodel = "resnet_tiny"\nparameters = "1 M"\n')
    with files.alone("archprof.lock.json"):
        assert main(["check", "--update"]) == 2
    assert "another archprof is writing to" in capsys.readouterr().err
    assert not (here / "archprof.lock.json").exists()
    assert main(["check", "--update"]) == 0 and (here / "archprof.lock.json").exists()
    assert sorted(path.name for path in here.iterdir() if "lock" in path.name) == ["archprof.lock.json"]


# --- killed -----------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are looked up in /proc")
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL, signal.SIGHUP])
def test_a_stopped_sweep_ends_its_workers_quietly(stop, here):
    sweep = start("sweep", "nets:Hangs", "nets:Fine", "-o", "sweep.jsonl", "--no-latency", "--jobs", "2")
    worker = int(until(lambda: [path.name for path in here.glob("started-*")])[0].partition("-")[2])
    sweep.send_signal(stop)
    _, err = sweep.communicate(timeout=30)
    until(lambda: not is_alive(worker), 10)
    assert "Traceback" not in err and "BrokenPipe" not in err and err.count("\n") <= 5
    if stop != signal.SIGKILL:
        assert sweep.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}[stop]
        assert "the same command goes on from sweep.jsonl" in err
    header, *entries = (here / "sweep.jsonl").read_text().splitlines()
    assert header.startswith("{") and len(entries) <= 1


def test_a_report_that_was_killed_is_no_obstacle_for_its_own_command(here, monkeypatch):
    from archprof.render import report

    argv = ["report", "resnet_tiny", "--no-latency", "-o", "told"]

    def killed(*_):
        os._exit(9)

    child = os.fork()
    if not child:
        monkeypatch.setattr(report, "csv_text", killed)
        main(argv)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert main(argv) == 0
    assert (here / "told" / "README.md").exists()


def test_a_report_that_fails_leaves_no_half_of_it(here, monkeypatch, capsys):
    from archprof.render import report

    def full(*_):
        raise BadOutput("the disk is full.")

    monkeypatch.setattr(report, "csv_text", full)
    assert main(["report", "resnet_tiny", "--no-latency", "-o", "told"]) == 2
    assert sorted(path.name for path in here.iterdir() if path.name != "__pycache__") == ["nets.py"]


# --- outputs that cannot be written -----------------------------------------------------------------------------------

SHOW = ("compare", "resnet_tiny", "--no-latency")


def finished(*argv: str, **how) -> tuple[int, str]:
    done = start(*argv, **how)
    _, err = done.communicate(timeout=120)
    assert "Traceback" not in err and "Exception ignored" not in err and err.count("\n") <= 5, err
    return done.returncode, err


def full_device(folder: Path) -> Path:
    path = folder / "full"
    try:
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 7))
        os.close(os.open(path, os.O_WRONLY))
    except (OSError, AttributeError):
        pytest.skip("only root can make devices, and not on every file system")
    return path


def test_stdout_on_a_full_disk_is_one_line(here):
    with full_device(here).open("w") as full:
        code, err = finished(*SHOW, stdout=full)
    assert (code, err) == (2, "archprof: stdout cannot be written: No space left on device.\n")


def test_a_closed_stdout_is_one_line(here):
    code, err = finished(*SHOW, stdout=None, preexec_fn=lambda: os.close(1))
    assert (code, err) == (2, "archprof: stdout cannot be written: it is closed.\n")


def test_a_closed_stdout_does_not_matter_where_nothing_is_shown(here):
    code, err = finished(*SHOW, "--json", "x.json", "--csv", "-", stdout=None, preexec_fn=lambda: os.close(1))
    assert code == 2 and (here / "x.json").read_text().startswith("{")
    code, err = finished(
        "plot", "breakdown", "--from", "x.json", "-o", "x.svg", stdout=None, preexec_fn=lambda: os.close(1)
    )
    assert (code, err) == (0, "")


def test_a_closed_stderr_keeps_results_on_stdout(here):
    done = start("show", "nosuchnet", stderr=None, preexec_fn=lambda: os.close(2))
    assert done.communicate(timeout=60)[0] == "" and done.returncode == 2


@pytest.fixture
def unread():
    """The end of a pipe that nobody reads."""
    read, write = os.pipe()
    os.close(read)
    yield write
    os.close(write)


@pytest.mark.parametrize("argv", [(), ("list",), ("show", "resnet18"), (*SHOW, "--json", "-"), ("env",), ("--help",)])
def test_a_reader_that_went_away_is_no_error_to_speak_of(argv, here, unread):
    assert finished(*argv, stdout=unread) == (0, "")


def test_what_nobody_reads_does_not_keep_files_from_being_written(here, unread):
    assert finished(*SHOW, "--csv", "x.csv", stdout=unread) == (0, "")
    assert "resnet_tiny" in (here / "x.csv").read_text()


def test_a_verdict_that_nobody_reads_is_still_the_exit_code(here, unread):
    (here / "archprof.toml").write_text('[[budget]]\nmodel = "resnet_tiny"\nparameters = "1 k"\n')
    assert finished("check", stdout=unread) == (1, "")
    assert finished("check", "--json", stdout=unread) == (1, "")


def test_a_reader_of_errors_that_went_away(here, unread):
    done = start("compare", "nosuchnet", stderr=unread)
    assert (done.communicate(timeout=60)[0], done.returncode) == ("", 2)
    done = start("compare", "resnet_tin?", "--no-latency", stderr=unread)
    assert "resnet_tiny" in done.communicate(timeout=60)[0] and done.returncode == 0


@pytest.mark.parametrize("argv", [SHOW, ("list", "resnet*"), ("compare", "caf\u00e9.py:Fine", "--no-latency")])
def test_letters_that_the_encoding_lacks_are_escaped(argv, here):
    (here / "caf\u00e9.py").write_text((here / "nets.py").read_text())
    code, err = finished(*argv, env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "1"})
    assert (code, err) == (0, "")


def test_names_that_are_not_utf_8(here):
    name = os.fsdecode(b"caf\xe9.py")
    try:
        (here / name).write_text((here / "nets.py").read_text())
    except OSError:
        pytest.skip("this file system keeps names in UTF-8")
    code, err = finished("compare", f"{name}:Fine", "--no-latency", "--json", "x.json", "--markdown", "x.md")
    assert (code, err.count("\n")) == (2, 1) and "cannot be printed" in err
    # a folder of such a name is only written to
    folder = os.fsdecode(b"caf\xe9")
    assert finished("compare", "resnet_tiny", "--no-latency", "--json", f"{folder}.json")[0] == 0
    assert finished("report", "--from", f"{folder}.json", "-o", folder) == (0, "")


def test_a_job_summary_that_cannot_be_written_is_one_line(here, capsys, monkeypatch):
    (here / "archprof.toml").write_text('[[budget]]\nmodel = "resnet_tiny"\nparameters = "1 M"\n')
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(here / "no" / "such" / "folder"))
    assert main(["check", "--github"]) == 0
    said = capsys.readouterr().err
    assert said.startswith("archprof: the job summary cannot be written to '") and said.count("\n") == 1


def test_a_sweep_on_a_full_disk_is_one_line(here, capsys):
    assert main(["sweep", "resnet_tiny", "-o", str(full_device(here)), "--no-latency"]) == 2
    said = capsys.readouterr().err
    assert (
        "full' cannot be written: No space left on device. The same command goes on" in said and said.count("\n") == 1
    )


def test_what_a_network_prints_cannot_act_on_the_terminal(here, capsys):
    (here / "loud.py").write_text(
        "from nets import Fine\nclass Loud(Fine):\n    def forward(self, x):\n"
        "        print('\\x1b[2J\\x07 hello', flush=True)\n        return super().forward(x)\n"
    )
    assert main(["compare", "loud.py:Loud", "--no-latency"]) == 0
    said = capsys.readouterr().err
    assert "\\x1b[2J\\x07 hello" in said and "\x1b" not in said


# --- networks that change the process for those after them ------------------------------------------------------------

POISON = {
    "default_dtype": "torch.set_default_dtype(torch.float64)",
    "conv_forward": "nn.Conv2d.forward = lambda self, x: x",
    "layer_forward": "nn.BatchNorm2d.forward = lambda self, x: torch.cat([x, x], 1)",
    "functional": "nn.functional.relu = lambda *_, **__: 1 / 0",
    "global_hook": "nn.modules.module.register_module_forward_pre_hook(lambda *_: 1 / 0)",
    "chdir": "os.chdir('/')",
    "rmdir": "os.makedirs('gone', exist_ok=True); os.chdir('gone'); os.rmdir(os.getcwd())",
    "environment": "os.environ['FINE_WIDTH'] = '99'",
    "threads": "threading.Thread(target=time.sleep, args=(600,), daemon=True).start()",
    "no_grad": "torch.set_grad_enabled(False)",
    "recursion": "sys.setrecursionlimit(120)",
    "stdout": "sys.stdout = sys.stderr = None",
    "exit": "builtins.print = sys.exit",
}
HOSTILE = """
    import builtins, os, sys, threading, time
    import torch
    from torch import nn

    class Fine(nn.Sequential):
        input_shape = (3, 8, 8)

        def __init__(self):
            width = int(os.environ.get("FINE_WIDTH", "4"))
            super().__init__(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.ReLU())

        def forward(self, x):
            return nn.functional.relu(super().forward(x))

    class Poison(Fine):
        def __init__(self, how):
            super().__init__()
            exec(HOW[how])
"""


def entries_of(path: Path) -> dict[str, dict]:
    return {entry["name"]: entry for entry in map(json.loads, path.read_text().splitlines()[1:])}


def test_no_network_of_a_sweep_meets_what_another_left_behind(here):
    """Each poison costs a process of its own; that the others are noticed is the next test."""
    (here / "hostile_nets.py").write_text(textwrap.dedent(HOSTILE) + f"\nHOW = {POISON!r}\n")
    names, worst = [], ("default_dtype", "conv_forward", "rmdir", "environment", "stdout")
    for place, how in enumerate(worst):
        names += [f"hostile_nets.py:Poison(how={how})", f"hostile_nets.py:Fine@{16 + place}"]
    finished("sweep", "hostile_nets.py:Fine", *names, "-o", "swept.jsonl", "--no-latency", "--jobs", "2")
    found = entries_of(here / "swept.jsonl")
    for place, how in enumerate(worst):
        fine = found[f"hostile_nets.py:Fine@{16 + place}"]
        assert not fine.get("error"), (how, fine["error"])
        assert (fine["parameters"], fine["parameter_bytes"]) == (120, 480), how
        assert fine["macs"] == 4 * 27 * (14 + place) ** 2, how


def test_each_change_is_seen(here):
    script = (
        "import builtins, json, os, sys, threading, time, torch\nfrom torch import nn\n"
        "from archprof.runs import process_state\nreal = os.write\n"
        "for name, statement in json.load(open('poison.json')).items():\n"
        "    if os.fork():\n"
        "        os.wait()\n"
        "        continue\n"
        "    changed = process_state.watched()\n"
        "    assert changed() is None\n"
        "    exec(statement)\n"
        "    real(1, f'{name}: {changed()}\\n'.encode())\n"
        "    os._exit(0)\n"
    )
    (here / "poison.json").write_text(json.dumps(POISON))
    environment = {**os.environ, "PYTHONPATH": ROOT}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60)
    seen = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert seen.keys() == POISON.keys(), done.stderr
    assert {name: what for name, what in seen.items() if what in ("", "None")} == {}


def test_a_process_serves_networks_that_change_nothing(here):
    """Otherwise every network would pay for importing torch."""
    request = asked.SweepRequest()
    engine = Processes(
        functools.partial(pid_after, request=request), 1, 60, functools.partial(asked.warm_up, ()),
        watch=asked.watched,
    )  # fmt: skip
    outcomes = list(engine.run(["resnet_tiny", "plain_tiny", "squeezenet1_1", "mobilenetv1", "nosuch"]))
    assert [outcome.error for outcome in outcomes] == [None] * 5
    assert len({outcome.value for outcome in outcomes}) == 1


# --- errors of networks -----------------------------------------------------------------------------------------------

ERRORS = """
    from torch import nn

    class Fine(nn.Linear):
        input_shape = (4,)

        def __init__(self):
            super().__init__(4, 4)

    class Unspeakable(Exception):
        def __str__(self):
            raise ZeroDivisionError("no text today")

        __repr__ = __str__

    class Raises(Fine):
        def forward(self, x):
            raise Unspeakable()

    class Builds(Fine):
        def __init__(self):
            raise Unspeakable()

    class Long(Fine):
        def forward(self, x):
            raise RuntimeError("x" * 5_000_000)

    class Escapes(Fine):
        def forward(self, x):
            raise RuntimeError("\\x1b[2J\\n::error::x\\n" * 3)
"""
FAILING = [f"errors_of.py:{name}" for name in ("Raises", "Builds", "Long", "Escapes")]


def test_no_error_of_a_network_takes_the_others_with_it(here, capsys):
    (here / "errors_of.py").write_text(textwrap.dedent(ERRORS))
    assert main(["compare", *FAILING, "errors_of.py:Fine", "--no-latency", "--json", "x.json"]) == 1
    said = capsys.readouterr().err
    rows = json.loads((here / "x.json").read_text())["architectures"]
    assert [bool(row["error"]) for row in rows] == [True] * 4 + [False] and rows[-1]["macs"] == 16
    assert all(row["error"].isprintable() and len(row["error"]) < 3000 for row in rows[:4])
    assert said.replace("\n", "").isprintable() and not any(line.startswith("::") for line in said.splitlines())


def test_no_error_of_a_network_ends_a_sweep(here):
    (here / "errors_of.py").write_text(textwrap.dedent(ERRORS))
    code, _ = finished("sweep", *FAILING, "errors_of.py:Fine", "-o", "swept.jsonl", "--no-latency")
    found = entries_of(here / "swept.jsonl")
    assert code == 0 and len(found) == 5 and found["errors_of.py:Fine"]["macs"] == 16
    assert all(found[name]["error"].isprintable() and len(found[name]["error"]) < 3000 for name in FAILING)
