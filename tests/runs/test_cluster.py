"""A dask cluster on this machine: whatever a network, a worker or the scheduler does, each result comes once."""

import contextlib
import functools
import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from helpers import sweep_work

import archprof
from archprof.base.errors import BadOption, Unreachable
from archprof.cli import main
from archprof.runs import asked, cluster, keeper, sweep
from archprof.runs.cluster import Cluster
from archprof.runs.keeper import Job
from archprof.runs.machines import Kind, Machines, wished

distributed = pytest.importorskip("distributed")

#: Where archprof and the tests' helpers are.
PATH = [str(Path(archprof.__file__).parents[1]), str(Path(sweep_work.__file__).parents[1])]

WORK = Job(sweep_work.work, 30.0)


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Two workers, a machine of their own."""
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = str(tmp_path_factory.mktemp("machine"))
    try:
        with Cluster("local:2") as there:
            yield there
    finally:
        os.environ.pop("TMPDIR") if before is None else os.environ.update(TMPDIR=before)


def named(there, **kinds):
    """Give the workers' processes their kinds: what sweep_work.kind finds there. The addresses, in that order."""
    addresses = sorted(there.workers())
    for address, kind in zip(addresses, kinds.values(), strict=True):
        there.client.run(functools.partial(os.environ.update, KIND=kind), workers=[address])
    return addresses


# --- counting --------------------------------------------------------------------------------------------------------


def test_whatever_a_task_does_the_others_are_done_once(two):
    tasks = [f"task {n}" for n in range(40)] + ["raise it", "die 9", "exit", "leave 7"]
    outcomes = list(two.run(WORK, tasks))
    assert Counter(outcome.task for outcome in outcomes) == Counter(tasks)
    found = {outcome.task: outcome for outcome in outcomes}
    assert found["raise it"].error == "ValueError: refused it"
    assert found["die 9"].error == "it took its process down: SIGKILL (out of memory?)"
    assert found["exit"].error == "it calls sys.exit(3)"
    assert found["leave 7"].error == "it ended its process with exit code 7"
    pids = {found[task].value for task in tasks[:40]}
    assert not pids & {worker["pid"] for worker in two.client.run(lambda: {"pid": os.getpid()}).values()}


def test_a_sweep_is_that_of_a_local_one(two, tmp_path):
    names = ["resnet_tiny", "no_such_net", "plain_tiny"]
    told = []
    summary = sweep.sweep(names, str(tmp_path / "there.jsonl"), executor=two, progress=told.append)
    assert (summary.asked, summary.profiled, summary.earlier, summary.machines) == (3, 2, 0, ())
    assert len(told) == 3 and told[-1].startswith("counted 3 of 3, about 0 s left: ")
    assert sweep_work.entries(tmp_path / "there.jsonl") == sweep_work.counted_here(names)
    assert sweep.sweep(names, str(tmp_path / "there.jsonl"), executor=two).earlier == 3


def test_patterns_are_looked_up_where_the_networks_are(two, capsys, tmp_path, monkeypatch):
    assert sweep.expanded(["resnet20_*", "alexnet"], two) == ["resnet20_cifar", "alexnet"]
    monkeypatch.setattr(cluster, "Cluster", lambda address, tell: two)
    monkeypatch.setattr(Cluster, "__exit__", lambda *_: None)
    file = tmp_path / "sweep.jsonl"
    assert main(["sweep", "zzz*", "-o", str(file), "--no-latency", "--cluster", "local:2"]) == 2
    assert capsys.readouterr().err.startswith("archprof: none of the ")
    assert not file.exists()


def test_other_versions_are_refused_by_name(two, monkeypatch):
    monkeypatch.setattr(keeper, "version_of", lambda package: "0.0.1")
    with pytest.raises(Unreachable, match=r"worker tcp://\S+ has archprof \S+; expected 0\.0\.1, as here\. Install"):
        two.versions(("archprof", "torch"))
    with pytest.raises(Unreachable, match=r"worker tcp://\S+ has no no-such-package; expected one, as on the other"):
        two.versions(("no-such-package",))


def test_a_worker_that_came_later_with_another_version_ends_it(two):
    job = Job(sweep_work.work, 30.0, needs=(("torch", "0.0.1"),))
    with pytest.raises(Unreachable, match=r"a worker cannot be used: torch is \S+ there and 0\.0\.1 here"):
        list(two.run(job, ["one", "two", "three"]))


# --- measuring -------------------------------------------------------------------------------------------------------


def test_each_kind_measures_all_and_nothing_runs_beside_it(two):
    named(two, a="aaaa", b="bbbb")
    machines = Machines(two, Job(sweep_work.kind, 30.0, key=""), {})
    assert [kind.name for kind in machines.kinds] == ["aaaa", "bbbb"]
    assert str(machines.kinds[0]) == "aaaa (a board, 1 of 1 CPUs)"
    tasks = [f"span {0.02 + n / 1000}" for n in range(5)]
    found = list(machines.run(Job(sweep_work.where, 30.0, alone=True), dict.fromkeys(machines.kinds, tasks)))
    assert Counter((kind.name, outcome.task) for kind, outcome in found) == Counter(
        (kind, task) for kind in ("aaaa", "bbbb") for task in tasks
    )
    assert all(outcome.value[0] == kind.name for kind, outcome in found)
    spans = sorted(outcome.value[1] for _, outcome in found)
    # two workers, but one machine: each ends before the next begins
    assert all(end <= begin for (_, end), (begin, _) in itertools.pairwise(spans))


def test_one_kind_is_chosen_and_named(two):
    named(two, a="aaaa", b="bbbb")
    probe = Job(sweep_work.kind, 30.0)
    (kind,) = Machines(two, probe, {"epyc": "bb"}).kinds
    assert (kind.name, kind.fingerprint) == ("epyc", "bbbb")
    with pytest.raises(BadOption, match=r"--on x=cc: no kind of machine is so\. There are: aaaa \(a board.*; bbbb"):
        Machines(two, probe, {"x": "cc"})
    with pytest.raises(BadOption, match="--on x=board: 2 kinds of machine are so"):
        Machines(two, probe, {"x": "board"})
    with pytest.raises(BadOption, match="two names"):
        Machines(two, probe, {"x": "aa", "y": "aaaa"})


def test_a_machine_that_cannot_measure_is_told(two):
    addresses = named(two, a="aaaa", b="none")
    # another job than before: processes that were asked before keep what they found
    machines = Machines(two, Job(sweep_work.kind, 29.0), {})
    assert [kind.name for kind in machines.kinds] == ["aaaa"]
    assert machines.why == {addresses[1]: "ValueError: no clock"}
    named(two, a="none", b="none")
    with pytest.raises(Unreachable, match=r"no worker can measure so; tcp://\S+: ValueError: no clock;"):
        Machines(two, Job(sweep_work.kind, 31.0), {})


# --- faults, each on a cluster that they may break ------------------------------------------------------------------


def test_a_network_that_kills_three_workers_is_an_entry(two):
    tasks = ["one", "end it", "two", "three"]
    found = {outcome.task: outcome for outcome in two.run(WORK, tasks)}
    assert set(found) == set(tasks)
    assert found["end it"].error == "it took down 3 workers of the cluster"
    assert all(found[task].error is None for task in ("one", "two", "three"))


def test_a_measurement_that_kills_three_workers_is_an_entry(two):
    until = time.monotonic() + 60
    while len(two.workers()) < 2 and time.monotonic() < until:
        time.sleep(0.2)
    machines = Machines(two, Job(sweep_work.board, 30.0), {})
    found = {outcome.task: outcome for _, outcome in machines.run(
        Job(sweep_work.work, 30.0, alone=True), {machines.kinds[0]: ["one", "end it", "two"]}
    )}  # fmt: skip
    assert set(found) == {"one", "end it", "two"}
    assert found["end it"].error == "it took down 3 workers of the cluster"
    assert found["one"].error is None and found["two"].error is None


class Outside:
    """A scheduler and one worker, processes of their own, as somebody else would start them."""

    def __init__(self, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder, self.begun = folder, []
        self.address = f"tcp://127.0.0.1:{self.port}"

    def start(self):
        # a worker without a nanny, which starts sooner
        self._start("dask_scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard", "--no-show")
        more = ("--no-nanny", "--nthreads", "2", "--no-dashboard", "--local-directory", str(self.folder))
        self._start("dask_worker", self.address, *more)

    def _start(self, module, *words):
        command = [sys.executable, "-m", f"distributed.cli.{module}", *words]
        # the scheduler knows nothing of archprof, and the worker's machine is nobody else's
        known = "" if module == "dask_scheduler" else os.pathsep.join(PATH)
        environment = {**os.environ, "PYTHONPATH": known, "TMPDIR": str(self.folder)}
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": self.folder}
        self.begun.append(subprocess.Popen(command, env=environment, **quiet))

    def wait(self):
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.1)

    def stop(self, how=signal.SIGKILL):
        for process in self.begun:
            process.send_signal(how)
            process.wait(30)
        self.begun.clear()


@pytest.fixture
def outside(tmp_path):
    found = Outside(tmp_path)
    found.start()
    found.wait()
    yield found
    found.stop()


def test_a_scheduler_that_comes_back_is_gone_on_with(outside):
    said, outcomes = [], []
    with Cluster(outside.address, tell=said.append) as there:
        for outcome in there.run(WORK, [f"task {n}" for n in range(30)] + ["span 1.0"]):
            outcomes.append(outcome)
            if len(outcomes) == 10:
                outside.stop()
                outside.start()
    assert Counter(outcome.task for outcome in outcomes) == Counter([*(f"task {n}" for n in range(30)), "span 1.0"])
    assert all(outcome.error is None for outcome in outcomes)
    assert f"waiting for the scheduler at {outside.address}, which is gone" in said


def test_a_scheduler_that_stays_away_is_one_line_and_what_came_is_kept(outside):
    kept = []
    with (
        pytest.raises(Unreachable, match="is gone, and did not come back within 1 s"),
        Cluster(outside.address, patience=1.0) as there,
    ):
        there.patience = 60.0  # for the first worker
        for outcome in there.run(WORK, [f"task {n}" for n in range(30)]):
            kept.append(outcome)
            there.patience = 1.0
            outside.stop()
    assert kept and len(kept) < 30


def test_nobody_at_the_address_is_one_line_within_ten_seconds(tmp_path, capsys):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    began = time.monotonic()
    file = tmp_path / "sweep.jsonl"
    assert main(["sweep", "alexnet", "-o", str(file), "--cluster", address]) == 2
    assert time.monotonic() - began < 10
    out, err = capsys.readouterr()
    assert err.startswith(f"archprof: no dask scheduler answers at '{address}': ") and err.count("\n") == 1
    assert not out and not file.exists()


# --- the command ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--cluster", "nonsense"], "cluster 'nonsense' is not an address. Expected tcp://HOST:PORT"),
        (["--cluster", "node1:8786"], "Did you mean 'tcp://node1:8786'?"),
        (["--cluster", "local:0"], "cluster 'local:0' is not an address."),
        (["--on", "a=b"], "--on has no effect without --cluster."),
        (["--cluster", "local:1", "--jobs", "2"], "--jobs has no effect with --cluster, whose workers count."),
        (["--cluster", "local:1", "--no-latency", "--on", "a=b"], "--on has no effect with --no-latency."),
        (["--cluster", "local:1", "--on", "a"], "'a' is not NAME=KIND;"),
        (["--cluster", "local:1", "--on", "../a=b"], "'../a=b' is not NAME=KIND;"),
        (["--cluster", "local:1", "--on", "a=b,a=c"], "the name 'a' is given to two kinds;"),
    ],
)
def test_bad_options_are_one_line(words, says, tmp_path, capsys):
    code = None
    try:
        code = main(["sweep", "alexnet", "-o", str(tmp_path / "s.jsonl"), *words])
    except SystemExit as ended:
        code = ended.code
    err = capsys.readouterr().err
    assert code == 2 and says in err and err.count("\n") == 1
    assert not (tmp_path / "s.jsonl").exists()


def test_without_the_package_it_says_how_to_get_it(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert main(["sweep", "alexnet", "-o", "s.jsonl", "--cluster", "local:1"]) == 2
    assert capsys.readouterr().err.endswith("Install it: pip install 'archprof[cluster]'\n")


def test_kinds_are_named():
    assert wished("epyc=3fa9, h100=H100") == {"epyc": "3fa9", "h100": "H100"}
    assert Kind("epyc", {"fingerprint": "3fa9", "device": "cuda", "device_name": "H100"}).fingerprint == "3fa9"


def test_a_comparison_is_measured_on_the_cluster(two):
    """All of it on one machine, interleaved as here; a network that cannot be counted keeps its place."""
    until = time.monotonic() + 60
    while len(two.workers()) < 2 and time.monotonic() < until:
        time.sleep(0.2)
    found = archprof.compare(
        {"a": "resnet_tiny", "b": "plain_tiny"}, batch_sizes=[1], time_budget=1.0, precision=0.9, executor=two
    )
    assert [row.name for row in found.architectures] == ["a", "b"] and found.reference == "b"
    assert all(row.latency_at(1).measured for row in found.architectures)
    assert found.environment["fingerprint"] and asked.environment_one(None, asked.SweepRequest())["fingerprint"]
