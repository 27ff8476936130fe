"""Several processes measure one after the other, and what they found is one run."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import shifting

import archprof
from archprof.base import cache
from archprof.base.errors import BadOption, Unreachable
from archprof.cli import main
from archprof.results import entries
from archprof.results.comparison import Comparison
from archprof.results.conditions import Sampling
from archprof.results.latency import Latency
from archprof.results.quotients import quotients, ratio_of
from archprof.runs import fresh
from archprof.runs.compare import ComparisonInterrupted
from archprof.runs.engines.processes import Outcome


def test_blocks_of_several_processes_are_numbered_on_and_judged_together():
    draw = random.Random(0)
    parts = [shifting.run("a" * 4, draw) for _ in range(3)]
    cells, control = fresh.merged(parts, 0.02)
    slow, fast = cells["slow", 1], cells["fast", 1]
    assert len(slow.blocks) == 12 and {block.process for block in slow.blocks} == {1, 2, 3}
    orders = [block.order for cell in (slow, fast, *control) for block in cell.blocks]
    assert len(orders) == len({*orders})
    for each in quotients(slow, fast):
        assert {block.process for block in each.beside} == {each.block.process}
    assert len(quotients(slow, fast)) == 12 and slow.reliable


def test_processes_that_differ_widen_the_interval():
    """Each process is off by 3 % for all of its blocks, which do not vary: only the processes know."""
    draw = random.Random(2)
    parts = [shifting.run("a" * 8, draw, between=0.03, within=0.0) for _ in range(5)]
    cells, _ = fresh.merged(parts, 0.02)
    alone = [ratio_of(*(row.latency[0] for row in part.architectures)) for part in parts]
    assert all(estimate.ci95[1] / estimate.ci95[0] < 1.001 for estimate in alone)
    ratio, (low, high) = ratio_of(cells["slow", 1], cells["fast", 1])
    assert low < 5.0 < high and high / low > 1.03 and low < ratio < high


def test_a_process_that_could_not_measure_leaves_a_note():
    one, other = (shifting.run("a" * 6, random.Random(seed)) for seed in (1, 2))
    failed = replace(one.architectures[0], latency=(Latency(1, error="out of memory: 3 GiB"),))
    cells, _ = fresh.merged([replace(one, architectures=(failed, one.architectures[1])), other], 0.02)
    assert cells["slow", 1].measured and cells["slow", 1].error is None
    assert "1 of 2 processes could not measure it: out of memory: 3 GiB" in (cells["slow", 1].note or "")


def test_what_no_process_had_time_for_says_what_would_help():
    late = Latency(1, error="not measured (about 12 s a pass): the time budget of 15 s was used up")
    parts = [shifting.run("a" * 6, random.Random(seed)) for seed in (1, 2)]
    parts = [
        replace(part, architectures=(replace(part.architectures[0], latency=(late,)), part.architectures[1]))
        for part in parts
    ]
    cells, _ = fresh.merged(parts, 0.02)
    assert (cells["slow", 1].error or "").endswith("used up; '--runs 1' gives one process the budgets of all 2")


def test_how_many_processes_measure(monkeypatch: pytest.MonkeyPatch):
    def wanted(seconds: float, runs: int | None = None, models: tuple = ("a", "b")) -> int:
        return fresh.wanted(runs, models, Sampling(time_budget=seconds))

    assert wanted(600.0) == 1  # in a caller's process
    monkeypatch.setattr(cache, "may_keep", True)
    assert [wanted(seconds) for seconds in (8.0, 22.0, 30.0, 60.0, 600.0)] == [1, 1, 2, 4, 8]
    assert wanted(8.0, 3) == 3 and wanted(600.0, models=("a", object())) == 1
    for wrong in (0, -1, 1.5, True):
        with pytest.raises(BadOption, match="whole number above 0"):
            wanted(8.0, wrong)


def test_runs_without_effect_are_refused(capsys):
    with pytest.raises(BadOption, match="no effect"):
        archprof.compare(["resnet_tiny"], latency=False, runs=2)
    for option in (["--runs", "2"], ["--no-logbook"]):
        assert main(["compare", "resnet_tiny", "--no-latency", *option]) == 2
        assert f"{option[0]} has no effect with --no-latency" in capsys.readouterr().err


def test_the_next_run_knows(tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch):
    """Two commands, one after the other: in two processes each, and the second has the logbook of the first."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    saved = tmp_path / "seen.json"
    command = ["compare", "resnet20_cifar", "resnet_tiny", "--batch-sizes", "1", "--json", str(saved)]
    found = []
    for budget, runs in (("1.5", "2"), ("0.8", "1")):
        assert main([*command, "--runs", runs, "--time-budget", budget]) == 0
        found.append(Comparison.from_json(saved.read_text()))
    first, second = found
    assert {block.process for block in first["resnet_tiny"].latency[0].blocks} == {1, 2}
    assert first.logbook is not None and first.logbook.runs == 0 and first.ratios[0].runs == 1
    kept = [entries.entry(one) is not None for one in found]  # not where a busy machine left too few blocks
    assert second.logbook is not None and second.logbook.runs == kept[0]
    capsys.readouterr()
    assert main(["env", "--history", "--seconds", "0.1"]) == 0
    shown = capsys.readouterr().out
    assert not any(kept) or ("Runs in the logbook" in shown and "States of the machine" in shown)
    if all(one.ratios[0].reliable for one in found):  # a busy machine leaves too few blocks for a ratio to be kept
        assert "resnet20_cifar / resnet_tiny at 1" in shown
    assert main(["env", "--history", "--seconds", "0.1", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["logbook"]["runs"]) == sum(kept)
    assert main([*command, "--no-logbook", "--time-budget", "0.5"]) == 0
    assert Comparison.from_json(saved.read_text()).logbook is None
    assert main(["env", "--history", "--seconds", "0.1", "--dtype", "bfloat16"]) == 0
    assert "no run with these conditions yet" in capsys.readouterr().out


def test_ctrl_c_keeps_what_whole_processes_found(monkeypatch: pytest.MonkeyPatch):
    """The first process answers; while the second measures, somebody has waited long enough."""
    draw = random.Random(3)

    class Interrupted(fresh.Processes):
        def run(self, tasks):
            assert len(tasks) == 3
            seen = shifting.run("a" * 6, draw)
            slow, fast = seen.architectures
            named = (replace(slow, name="resnet20_cifar"), replace(fast, name="resnet_tiny"))
            yield Outcome(tasks[0], replace(seen, architectures=named))
            raise KeyboardInterrupt

    monkeypatch.setattr(fresh, "Processes", Interrupted)
    with pytest.raises(ComparisonInterrupted) as stopped:
        archprof.compare(["resnet20_cifar", "resnet_tiny"], batch_sizes=[1], runs=3)
    found = stopped.value.comparison
    assert [row.latency[0].measured for row in found.architectures] == [True, True]
    assert found.ratios[0].ratio == pytest.approx(5.0, rel=0.05)


def test_a_process_that_ends_takes_nothing_of_the_others_with_it(monkeypatch: pytest.MonkeyPatch):
    draw = random.Random(3)

    class HalfKilled(fresh.Processes):
        def run(self, tasks):
            yield Outcome(tasks[0], None, "it took its process down: SIGKILL (out of memory?)")
            slow, fast = (seen := shifting.run("a" * 6, draw)).architectures
            named = (replace(slow, name="resnet20_cifar"), replace(fast, name="resnet_tiny"))
            yield Outcome(tasks[1], replace(seen, architectures=named))

    monkeypatch.setattr(fresh, "Processes", HalfKilled)
    found = archprof.compare(["resnet20_cifar", "resnet_tiny"], batch_sizes=[1], runs=2)
    assert found.ratios[0].ratio == pytest.approx(5.0, rel=0.05)
    said = "1 of 2 processes that measured gave no answer: it took its process down: SIGKILL (out of memory?)"
    assert said in found.warnings


def test_a_process_that_ends_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch):
    class Killed(fresh.Processes):
        def run(self, tasks):
            yield Outcome(tasks[0], None, "it took its process down: SIGKILL (out of memory?)")

    monkeypatch.setattr(fresh, "Processes", Killed)
    with pytest.raises(Unreachable, match=r"SIGKILL .*; try '--runs 1'"):
        archprof.compare(["resnet20_cifar", "resnet_tiny"], batch_sizes=[1], runs=2)


def test_a_folder_that_cannot_be_written_is_told_once_and_measuring_goes_on(tmp_path: Path, capsys, monkeypatch):
    (tmp_path / "state").write_text("mine")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    command = ["compare", "resnet20_cifar", "resnet_tiny", "--batch-sizes", "1", "--time-budget", "0.5"]
    assert main([*command, "--dtype", "bfloat16"]) == 0
    told = [line for line in capsys.readouterr().err.splitlines() if "not kept" in line]
    assert len(told) == 1 and "not kept for another time in" in told[0] and "Not a directory" in told[0]
    assert (tmp_path / "state").read_text() == "mine"


def test_a_network_that_changes_the_directory(tmp_path: Path, capsys, monkeypatch):
    """Counting it moves this process; the fresh ones start where the command did."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "mine.py").write_text(
        "import os\nfrom torch import nn\n"
        "class Moves(nn.Conv2d):\n"
        "    input_shape = (3, 8, 8)\n"
        "    def __init__(self):\n        super().__init__(3, 8, 3)\n"
        "    def forward(self, x):\n        os.chdir('/')\n        return super().forward(x)\n"
    )
    command = ["compare", "mine.py:Moves", "resnet_tiny", "--batch-sizes", "1", "--time-budget", "1", "--runs", "2"]
    assert main([*command, "--json", str(tmp_path / "seen.json")]) == 0
    assert Comparison.from_json((tmp_path / "seen.json").read_text())["mine.py:Moves"].latency[0].measured


@pytest.mark.parametrize("option", [["--runs", "2"], ["--no-logbook"]], ids=" ".join)
def test_a_figure_of_counts_refuses_them(option, tmp_path, capsys):
    assert main(["plot", "ball", "resnet18", "alexnet", *option, "-o", str(tmp_path / "a.svg")]) == 2
    assert f"{option[0]} has no effect on 'ball', which shows counts" in capsys.readouterr().err


def test_a_working_directory_that_was_removed(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    found = archprof.compare(["resnet_tiny"], batch_sizes=[1], latency=False)
    monkeypatch.chdir(tmp_path)
    assert found["resnet_tiny"].profile is not None
