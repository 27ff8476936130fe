"""What an executor runs: each network in a process of its own, whatever the executor, and one machine shared fairly."""

import os
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import pytest
from helpers import sweep_work

import archprof
from archprof.base import files
from archprof.base.errors import BadOption, Unreachable
from archprof.runs import engines, sweep
from archprof.runs.engines import keeper
from archprof.runs.engines.keeper import Job


@pytest.fixture
def threads():
    with ThreadPoolExecutor(2) as executor:
        yield executor


@pytest.fixture(autouse=True)
def own_machine(monkeypatch, tmp_path):
    """A machine that no other test shares, and workers that end with the test."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    kept = keeper._Kept()
    monkeypatch.setattr(keeper, "_KEPT", kept)
    yield
    kept.end(lambda each: True)


def run(tasks, executor, timeout=30.0, **how):
    job = Job(sweep_work.work, timeout, **how)
    return {outcome.task: outcome for outcome in engines.outcomes(job, tasks, executor)}


def test_whatever_a_task_does_to_its_process_the_executor_is_whole(threads):
    tasks = ["one", "raise it", "exit", "two", "die 9", "leave 7", "three"]
    outcomes = run(tasks, threads)
    assert set(outcomes) == set(tasks)
    assert outcomes["raise it"].error == "ValueError: refused it"
    assert outcomes["exit"].error == "it calls sys.exit(3)"
    assert outcomes["die 9"].error == "it took its process down: SIGKILL (out of memory?)"
    assert outcomes["leave 7"].error == "it ended its process with exit code 7"
    assert os.getpid() not in {outcomes[name].value for name in ("one", "two", "three")}


def test_what_hangs_is_stopped(threads):
    outcomes = run(["hang", "one"], threads, timeout=0.5)
    assert outcomes["hang"].error == "stopped after 0.5 s: it had not returned" and outcomes["one"].error is None


def test_a_worker_is_kept_for_the_next_task_and_ends_when_nobody_needs_it(threads, monkeypatch):
    monkeypatch.setattr(keeper, "IDLE_S", 0.3)
    with ThreadPoolExecutor(1) as alone:
        outcomes = run(["one", "two"], alone)
    pid = outcomes["one"].value
    assert pid == outcomes["two"].value
    assert sweep_work.ended({pid})


def test_a_worker_that_was_changed_is_not_kept(threads):
    with ThreadPoolExecutor(1) as alone:
        outcomes = run(["one", "two"], alone, watch=sweep_work.always_changed)
    assert outcomes["one"].value != outcomes["two"].value


def test_an_executor_that_breaks_is_one_line():
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        assert run(["zero", "raise it"], executor)["raise it"].error == "ValueError: refused it"
        with pytest.raises(Unreachable, match="the executor broke: BrokenProcessPool"):
            run(["end it", "one"], executor)
        with pytest.raises(Unreachable, match="the executor broke"):
            run(["one"], executor)


def test_what_is_no_executor_and_what_cannot_be_sent_are_said(threads):
    with pytest.raises(BadOption, match=r"executor is of type int; expected a concurrent\.futures\.Executor"):
        run(["one"], 3)
    with pytest.raises(BadOption, match="cannot be sent to another process"):
        list(engines.outcomes(Job(lambda task: task, 1.0), ["one"], threads))
    with pytest.raises(BadOption, match="'on' has no effect unless a cluster measures"):
        sweep.sweep(["resnet_tiny"], "unused", executor=threads, on={"a": "b"})


def test_another_version_there_is_refused(threads, monkeypatch):
    monkeypatch.setattr(engines, "here", lambda: (("torch", "9.9.9"),))
    with pytest.raises(Unreachable, match=r"torch is 2\.\d+\.\d+ there and 9\.9\.9 here"):
        run(["one"], threads)


# --- one machine -----------------------------------------------------------------------------------------------------


def test_who_is_alone_on_a_machine_is_alone(monkeypatch, tmp_path):
    inside, most, errors = [0, 0], [0], []

    def enter(alone):
        with files.node(alone):
            inside[alone] += 1
            if inside[1] > 1 or (inside[1] and inside[0]):
                errors.append(tuple(inside))
            most[0] = max(most[0], inside[0])
            time.sleep(0.05)
            inside[alone] -= 1

    threads = [threading.Thread(target=enter, args=(place % 4 == 3,)) for place in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == [] and most[0] > 1  # those who share were inside together


def test_who_waits_to_be_alone_is_not_kept_out_by_those_who_share():
    order, first = [], threading.Event()

    def enter(name, alone, hold_s):
        with files.node(alone):
            order.append(name)
            first.set()
            time.sleep(hold_s)

    begun = [threading.Thread(target=enter, args=("shares", False, 0.6))]
    begun[0].start()
    first.wait(10)
    begun += [threading.Thread(target=enter, args=("alone", True, 0.1))]
    begun[1].start()
    time.sleep(0.2)
    begun += [threading.Thread(target=enter, args=("later", False, 0.0))]
    begun[2].start()
    for thread in begun:
        thread.join(30)
    assert order == ["shares", "alone", "later"]


def test_a_link_of_somebody_else_is_not_followed(tmp_path):
    (tmp_path / f"archprof-{os.getuid()}.gate").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(archprof.ArchprofError, match="cannot be written"), files.node(False):
        pass
    assert not (tmp_path / "elsewhere").exists()
