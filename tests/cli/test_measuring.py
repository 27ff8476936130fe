"""Measuring as a user does it: every condition by its option, every bad value in one line."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from torch import nn

from archprof.cli import main
from archprof.results.comparison import Comparison
from archprof.results.environment import fingerprint
from archprof.runs.compare import compare

#: Small enough that blocks are short, and a precision that any machine reaches.
QUICK = ("--time-budget", "1", "--precision", "0.9")


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    try:
        code = main(list(arguments))
    except SystemExit as stopped:
        code = int(stopped.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize(
    ("options", "environment", "titled"),
    [
        (("--dtype", "bfloat16", "--channels-last"), {"dtype": "bfloat16", "channels_last": True}, "channels last"),
        (("--no-keep-memory",), {"keep_memory": False}, "freed was left to"),
        (("--threads", "1"), {"threads": 1, "device": "cpu"}, "1 thread,"),
        (("--mode", "train", "--optimizer", "adamax"), {"mode": "train", "optimizer": "adamax"},
         "Training step (adamax) of 3x"),
    ],
)  # fmt: skip
def test_conditions_reach_the_measurement(options, environment, titled, capsys, tmp_path):
    file = tmp_path / "seen.json"
    code, out, err = run(capsys, "compare", "resnet_tiny", "--batch-sizes", "2", "--json", str(file), *QUICK, *options)
    assert code == 0, err
    assert titled in " ".join(out.split())
    seen = Comparison.from_json(file.read_text())
    assert {key: seen.environment[key] for key in environment} == environment
    (cell,) = seen.architectures[0].latency
    assert cell.measured, cell.error
    trained = environment.get("mode") == "train"
    assert bool(cell.optimizer_state_bytes) == trained and ("Optimizer state" in " ".join(out.split())) == trained
    assert seen.stopping is not None and seen.stopping.time_budget_s == 1.0


def test_a_range_of_batch_sizes_is_powers_of_two(capsys, tmp_path):
    file = tmp_path / "seen.json"
    code, _, _ = run(capsys, "compare", "resnet_tiny", "--batch-sizes", "1..4", "--json", str(file), *QUICK)
    assert code == 0
    assert [cell.batch_size for cell in Comparison.from_json(file.read_text()).architectures[0].latency] == [1, 2, 4]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--optimizer", "adan"), "Accepted: sgd, adam, adamw, adadelta, adamax, asgd, and options as in"),
        (("--dtype", "float8"), "Accepted: float32, bfloat16, float16."),
        (("--device", "gpu"), "Accepted: cpu, cuda, cuda:N, mps."),
        (("--mode", "training"), "Did you mean 'train'?"),
        (("--compile", "fast"), "unknown compile mode 'fast'"),
        (("--cuda-graph",), "Add '--device cuda' or leave out '--cuda-graph'."),
        (("--precision=-0.02",), "'-0.02' is not a positive number"),
        (("--precision", "2"), "expected a fraction between 0 and 1"),
        (("--time-budget", "0"), "'0' is not a positive number"),
        (("--time-budget=-3",), "'-3' is not a positive number"),
        (("--threads", "0"), "'0' is not a positive whole number"),
        (("--batch-sizes", "64..1"), "expected a range such as 1..64"),
    ],
)
def test_what_makes_no_sense_is_one_line(options, said, capsys):
    code, out, err = run(capsys, "compare", "resnet_tiny", *options)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err


@pytest.mark.parametrize("command", [("compare", "resnet_tiny"), ("env",), ("separable", "resnet_tiny", "--measure")])
def test_a_dtype_that_the_device_cannot_compute_in_is_one_line(command, monkeypatch, capsys):
    def refuse(*_, **__):
        raise RuntimeError("not implemented for 'Half'")

    monkeypatch.setattr(torch.nn.functional, "conv2d", refuse)
    code, out, err = run(capsys, *command, "--dtype", "float16")
    assert (code, out) == (2, "")
    assert err == (
        "archprof: device 'cpu' cannot compute in float16: not implemented for 'Half' Use '--dtype float32'.\n"
    )


def test_compile_without_a_compiler_is_one_line_and_measures_nothing(monkeypatch, capsys):
    monkeypatch.setattr(shutil, "which", lambda tool: None)
    code, out, err = run(capsys, "compare", "resnet_tiny", "--compile")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "no C++ compiler was found" in err and "Leave out '--compile' to measure without it." in err


@pytest.fixture
def saved(tmp_path, capsys):
    """A measurement in a file, and a way to save a changed copy."""
    file = tmp_path / "before.json"
    assert run(capsys, "compare", "resnet_tiny", "--batch-sizes", "1", "--json", str(file), *QUICK)[0] == 0

    def changed(**keys) -> str:
        content = json.loads(file.read_text())
        for key, value in keys.items():
            where = content["environment"] if key in content["environment"] else content
            where[key] = value
        content["environment"]["fingerprint"] = fingerprint(content["environment"])
        (tmp_path / "after.json").write_text(json.dumps(content))
        return str(tmp_path / "after.json")

    return str(file), changed


def test_what_was_saved_can_be_held_against_another_day(saved, capsys):
    before, changed = saved
    code, out, _ = run(capsys, "diff", before, changed(date="2027-01-01T00:00:00+00:00"))
    assert (
        code == 0
        and out.splitlines()[1].startswith("resnet_tiny, batch 1: ")
        and out.endswith("0 slower, 0 faster, 1 can't tell\n")
    )


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"threads": 99}, "different conditions (threads: "),
        ({"mode": "train", "dtype": "bfloat16"}, "dtype: float32 against bfloat16; mode: eval against train"),
        ({"schema_version": 2}, "schema_version is 2; this archprof reads 1"),
    ],
)
def test_files_that_cannot_be_compared_are_refused_in_one_line(saved, keys, said, capsys):
    before, changed = saved
    code, out, err = run(capsys, "diff", before, changed(**keys))
    # counts are exact under any conditions, and come first; a file that cannot be read has none
    shown = "" if "schema_version" in keys else "0 counts grew, 0 shrank, 6 unchanged\n"
    assert (code, out, err.count("\n")) == (2, shown, 1)
    assert said in err


class Hungry(nn.Module):
    """Needs more memory than there is from batch 4 on, where it is run for real."""

    def __init__(self, says: BaseException) -> None:
        super().__init__()
        self.conv, self.says = nn.Conv2d(3, 4, 3), says

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if len(x) >= 4 and not torch._C._len_torch_dispatch_stack():  # not while it is counted
            raise self.says
        return self.conv(x)


@pytest.mark.parametrize(
    "says",
    [MemoryError(), RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 9 bytes")],
)
def test_running_out_of_memory_is_an_entry_and_the_rest_stays(says):
    seen = compare([Hungry(says), "resnet_tiny"], batch_sizes=(1, 4, 8), input_shape=(3, 64, 64), time_budget=5.0,
                   precision=0.9)  # fmt: skip
    hungry, tiny = seen.architectures
    assert hungry.latency_at(1).measured
    assert hungry.latency_at(4).error.startswith("out of memory") and hungry.profile is not None
    assert hungry.latency_at(8).error == "not tried: out of memory already at batch 4"
    assert tiny.latency_at(1).measured


def test_show_divides_the_time_of_a_pass(capsys, tmp_path):
    file = tmp_path / "times.json"
    code, out, _ = run(capsys, "show", "resnet_tiny", "--by", "type", "--measure", "--json", str(file), *QUICK)
    assert code == 0
    assert "between the calls" in out and "undisturbed by a profiler" in " ".join(out.split())
    shown = json.loads(file.read_text())
    assert sum(row["seconds"] for row in shown["rows"]) == pytest.approx(shown["time"]["latency"]["p50_s"])
    assert sum(row["time_share"] for row in shown["rows"]) == pytest.approx(1)
    convolutions = [row for row in shown["rows"] if row["type"].startswith("conv")]
    assert convolutions and all(row["seconds"] > 0 and row["gflops"] > 0 for row in convolutions)
    assert shown["time"]["environment"]["threads"] == torch.get_num_threads()


def test_show_sorts_by_time_only_where_it_was_measured(capsys):
    code, _, err = run(capsys, "show", "resnet_tiny", "--by", "type", "--sort", "seconds")
    assert code == 2 and "has no column 'seconds'" in err
