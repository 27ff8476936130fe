"""Sweeps: processes that raise, hang, die and grow; a file that is resumed; latency never side by side."""

import json
import os
import subprocess
import sys
import textwrap
from concurrent.futures import Executor, Future
from pathlib import Path

import pytest
from helpers import sweep_work

import archprof
from archprof.base.errors import BadFile
from archprof.cli import main
from archprof.models.input_spec import InputSpec
from archprof.results.comparison import Comparison
from archprof.results.conditions import Sampling
from archprof.runs import engines, sweep
from archprof.runs.engines.processes import Outcome, Processes

# --- processes -------------------------------------------------------------------------------------------------------


def run(tasks, **options):
    return {outcome.task: outcome for outcome in Processes(sweep_work.work, **options).run(tasks)}


def test_whatever_a_task_does_the_others_are_done():
    tasks = ["one", "raise it", "exit", "two", "die 9", "three", "leave 7", "four"]
    outcomes = run(tasks, jobs=2, timeout=30)
    assert set(outcomes) == set(tasks)
    assert outcomes["raise it"].error == "ValueError: refused it"
    assert outcomes["exit"].error == "it calls sys.exit(3)"
    assert outcomes["die 9"].error == "it took its process down: SIGKILL (out of memory?)"
    assert outcomes["leave 7"].error == "it ended its process with exit code 7"
    assert all(outcomes[name].error is None and outcomes[name].value for name in ("one", "two", "three", "four"))


def test_what_hangs_is_stopped_and_only_that():
    outcomes = run(["one", "hang", "two"], jobs=1, timeout=0.5)
    assert outcomes["hang"].error == "stopped after 0.5 s: it had not returned"
    assert outcomes["hang"].seconds >= 0.5
    assert outcomes["one"].value != outcomes["two"].value  # another process went on


def test_starting_up_is_not_charged_to_a_task(monkeypatch):
    monkeypatch.setenv("SWEEP_STARTS_IN", "1")
    assert run(["one"], timeout=0.5, start=sweep_work.prepare)["one"].error is None


def test_a_process_that_has_grown_is_replaced():
    outcomes = run(["one", f"grow {256 * 2**20}", "two", "three"], most_bytes=200 * 2**20)
    pids = [outcome.value for outcome in outcomes.values()]
    assert pids[0] == pids[1] != pids[2] == pids[3]


def test_no_process_is_left_over():
    executor = Processes(sweep_work.work, jobs=2)
    outcomes = executor.run(["one", "two", "hang"])
    pids = [next(outcomes).value, next(outcomes).value]
    outcomes.close()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


# --- the file --------------------------------------------------------------------------------------------------------


class Here(Executor):
    """An executor in this process, which stops after so many tasks; what it is sent needs no process of its own."""

    def __init__(self, request=None, stop_after=99):
        self.left, self.seen = stop_after, []

    def submit(self, do, job, task):
        future = Future()
        if not self.left:
            future.set_exception(KeyboardInterrupt())
            return future
        self.left -= 1
        self.seen.append(task)
        future.set_result(Outcome(task, job.work(task), None, 0.1))
        return future


NAMES = ["resnet_tiny", "squeezenet1_1", "no_such_net", "plain_tiny"]


def lines(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def test_a_line_a_network_in_the_comparisons_form(tmp_path):
    path = str(tmp_path / "sweep.jsonl")
    summary = sweep.sweep(NAMES, path, executor=Here())
    assert (summary.asked, summary.profiled, summary.earlier) == (4, 3, 0)
    ((name, error),) = summary.failed
    assert name == "no_such_net" and error.startswith("unknown model 'no_such_net'.")
    header, *entries = lines(path)
    assert header["schema_version"] == 1 and header["environment"]["device"] == "cpu"
    assert [entry["name"] for entry in entries] == NAMES
    whole = json.loads(archprof.compare(["resnet_tiny"], latency=False).to_json())["architectures"][0]
    theirs = entries[0]
    assert set(whole) - set(theirs) == {"layers", "modules"}
    for key in ("macs", "parameters", "activations", "peak_activation_bytes", "by_type", "accuracy", "year"):
        assert theirs[key] == whole[key]


def test_a_comparison_is_read_from_it(tmp_path):
    path = tmp_path / "sweep.jsonl"
    sweep.sweep(NAMES, str(path), executor=Here())
    read = Comparison.from_json(path.read_text())
    assert [row.name for row in read.architectures] == NAMES
    assert read.architectures[0].profile.macs == archprof.profile("resnet_tiny").macs
    assert read.architectures[2].profile is None and "unknown model" in read.architectures[2].error


def test_a_ball_chart_is_drawn_from_it(tmp_path):
    path, chart = tmp_path / "sweep.jsonl", tmp_path / "ball.svg"
    sweep.sweep(NAMES, str(path), executor=Here())
    assert main(["plot", "ball", "--from", str(path), "-o", str(chart)]) == 0
    assert "squeezenet1_1" in chart.read_text()


def test_it_goes_on_where_it_stopped(tmp_path):
    path = tmp_path / "sweep.jsonl"
    with pytest.raises(KeyboardInterrupt):
        sweep.sweep(NAMES, str(path), executor=Here(stop_after=2))
    with path.open("a") as file:
        file.write('{"name": "no_such_net", "sour')  # killed while it wrote
    assert len(Comparison.from_json(path.read_text()).architectures) == 2
    second = Here()
    summary = sweep.sweep(NAMES, str(path), executor=second)
    assert second.seen == NAMES[2:] and summary.earlier == 2 and summary.profiled == 3
    assert [entry["name"] for entry in lines(path)[1:]] == NAMES


def test_other_conditions_do_not_mix(tmp_path):
    path = tmp_path / "sweep.jsonl"
    small = sweep.SweepRequest((3, 64, 64))
    sweep.sweep(NAMES[1:2], str(path), small, executor=Here(small))
    assert lines(path)[1]["input_shape"] == [3, 64, 64]
    with pytest.raises(BadFile, match=r"with input shape 3,64,64; this is .* with each network's own input"):
        sweep.sweep(NAMES, str(path), executor=Here())
    inputs = sweep.SweepRequest(inputs=(InputSpec("x", "float32", (3, 64, 64)),))
    with pytest.raises(BadFile, match=r"with inputs x=float32\[3,64,64\]"):
        sweep.sweep(NAMES, str(path), inputs, executor=Here(inputs))


def test_other_machines_do_not_mix(tmp_path):
    """Counts are the same everywhere, latencies are not."""
    path = tmp_path / "sweep.jsonl"
    sweep.sweep(NAMES[:1], str(path), executor=Here())
    text = path.read_text()
    threads = json.loads(text.splitlines()[0])["environment"]["threads"]
    path.write_text(text.replace(f'"threads": {threads}', '"threads": 77', 1))
    assert sweep.sweep(NAMES[:1], str(path), executor=Here()).earlier == 1
    with pytest.raises(BadFile, match=f"on another machine or under other conditions: threads: 77 against {threads}"):
        sweep.sweep(NAMES[:1], str(path), sweep.SweepRequest(measuring=sweep.Measuring()), executor=Here())


@pytest.mark.parametrize("content", ["hello\n", "{}\n", '{"schema_version": 1, "architectures": []}\n', "[1]\n"])
def test_other_files_are_left_alone(tmp_path, content):
    path = tmp_path / "notes.jsonl"
    path.write_text(content)
    with pytest.raises(BadFile, match="exists and is not a sweep"):
        sweep.sweep(NAMES, str(path), executor=Here())
    assert path.read_text() == content


def test_latency_is_added_one_network_at_a_time(tmp_path, monkeypatch):
    """The counting engine is not used for it, and one local process is."""
    asked = []

    class Alone:
        def __init__(self, work, jobs, timeout, *rest, **more):
            asked.append(jobs)
            self.work = work

        def run(self, tasks):
            for task in tasks:
                yield Outcome(task, self.work(task)) if task != "plain_tiny" else Outcome(task, error="gone")

    monkeypatch.setattr(engines, "Processes", Alone)
    path = tmp_path / "sweep.jsonl"
    request = sweep.SweepRequest((3, 64, 64), measuring=sweep.Measuring((2,), sampling=Sampling(0.05)))
    sweep.sweep(NAMES, str(path), request, jobs=8, executor=Here(request))
    assert asked == [1]
    read = {row.name: row for row in Comparison.from_json(path.read_text()).architectures}
    assert read["resnet_tiny"].latency_at(2).p50_s > 0
    more = sweep.SweepRequest((3, 64, 64), measuring=sweep.Measuring((1, 2), sampling=Sampling(0.05)))
    sweep.sweep(NAMES[:1], str(path), more, executor=Here(request))
    assert [cell["batch_size"] for cell in lines(path)[-1]["latency"]] == [1, 2]
    assert read["no_such_net"].latency == ()
    assert read["plain_tiny"].error == "plain_tiny: gone" and read["plain_tiny"].profile.macs > 0


# --- the command -----------------------------------------------------------------------------------------------------


def test_the_command_survives_its_networks(tmp_path):
    """A forward that never returns and one that takes its process down are entries with a reason."""
    (tmp_path / "nets.py").write_text(
        textwrap.dedent("""
        import os
        from torch import nn

        print("imported")

        class Fine(nn.Linear):
            input_shape = (4,)

            def __init__(self):
                super().__init__(4, 4)

        class Dies(Fine):
            def forward(self, x):
                os._exit(9)

        class Hangs(Fine):
            def forward(self, x):
                while True:
                    pass
    """)
    )
    command = [
        sys.executable,
        "-m",
        "archprof",
        "sweep",
        "nets:Fine",
        "nets:Dies",
        "nets:Hangs",
        "-o",
        "sweep.jsonl",
        "--no-latency",
        "--timeout",
        "2",
    ]
    environment = {**os.environ, "PYTHONPATH": str(Path(archprof.__file__).parents[1])}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1 of 3 networks profiled, 2 with an error, in ") and done.stdout.count("\n") == 1
    _, fine, dies, hangs = lines(tmp_path / "sweep.jsonl")
    assert fine["macs"] == 16
    assert dies["error"] == "nets:Dies: it ended its process with exit code 9"
    assert hangs["error"] == "nets:Hangs: stopped after 2 s: it had not returned"


def test_stdout_is_refused(capsys):
    assert main(["sweep", "resnet18", "-o", "-"]) == 2
    assert "give a file name" in capsys.readouterr().err


def test_what_is_there_already_needs_no_process(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sweep.sweep(["resnet18"], "sweep.jsonl", executor=Here())
    monkeypatch.setattr(engines, "Processes", lambda *args, **more: None)
    assert main(["sweep", "resnet18", "-o", "sweep.jsonl", "--no-latency"]) == 0
    assert capsys.readouterr().out.startswith("1 of 1 networks profiled (1 of them earlier), 0 with an error, in ")


def test_timm_in_worker_processes(torchvision, tmp_path):
    pytest.importorskip("timm")
    paths = [Path(__file__).parents[1] / "helpers" / "torchvision_path", Path(archprof.__file__).parents[1]]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "archprof",
            "sweep",
            "timm:resnet18*",
            "torchvision:resnet18",
            "-o",
            "sweep.jsonl",
            "--no-latency",
        ],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    rows = {entry["name"]: entry for entry in lines(tmp_path / "sweep.jsonl")[1:]}
    assert len(rows) >= 3 and not any(row["error"] for row in rows.values())
    assert rows["timm:resnet18"]["macs"] == rows["torchvision:resnet18"]["macs"] == archprof.profile("resnet18").macs
