"""A dask cluster: each network in a process of its own, each kind of machine by itself, what is wrong in one line."""

import contextlib
import itertools
import json
import os
import pickle
import re
import socket
import sys
import threading
import time
from collections import Counter
from concurrent.futures import Executor, Future

import pytest
from helpers import clusters, sweep_work
from torch import nn

import archprof
from archprof.base import files
from archprof.base.errors import ArchprofError, BadFile, BadOption, Unreachable
from archprof.cli import main
from archprof.results.conditions import Sampling
from archprof.runs import asked, counted_rows, elsewhere, sweep
from archprof.runs.engines import address, cluster, keeper
from archprof.runs.engines.cluster import Cluster
from archprof.runs.engines.keeper import Job
from archprof.runs.engines.machines import Kind, Machines, wished
from archprof.runs.engines.processes import Outcome

distributed = pytest.importorskip("distributed")

WORK = Job(sweep_work.work, 30.0)


@pytest.fixture(scope="module", autouse=True)
def own_machine(tmp_path_factory):
    """A machine that nobody else measures on meanwhile."""
    with clusters.machine(tmp_path_factory.mktemp("machine")):
        yield


@pytest.fixture(scope="module")
def two(own_machine):
    """Two workers, which share their processes with all tests here: importing torch is what takes the time."""
    with clusters.inside(2) as there:
        yield there


def named(there, monkeypatch, *kinds):
    """Give the workers their kinds, which sweep_work.kind tells. The addresses, in that order."""
    addresses = sorted(there.workers())
    monkeypatch.setenv("KINDS", json.dumps(dict(zip(addresses, kinds, strict=True))))
    return addresses


def probe(*kinds):
    """Asks each worker for its kind, in processes that know the present ones."""
    return Job(sweep_work.kind, 30.0, apart=str(kinds))


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
    assert os.getpid() not in {found[task].value for task in tasks[:40]}


@pytest.fixture
def one_at_a_time(monkeypatch):
    """A single process for all networks: each imports torch."""
    monkeypatch.setattr(Cluster, "threads", 1)


def test_a_sweep_is_that_of_a_local_one(two, one_at_a_time, tmp_path):
    names, told = ["resnet_tiny", "no_such_net"], []
    summary = sweep.sweep(names, str(tmp_path / "there.jsonl"), executor=two, progress=told.append)
    assert (summary.asked, summary.profiled, summary.earlier, summary.machines) == (2, 1, 0, ())
    assert len(told) == 2 and told[-1].startswith("counted 2 of 2, about 0 s left: ")
    assert sweep_work.entries(tmp_path / "there.jsonl") == sweep_work.counted_here(names)
    assert sweep.sweep(names, str(tmp_path / "there.jsonl"), executor=two).earlier == 2


def test_patterns_are_looked_up_where_the_networks_are(two, capsys, tmp_path, monkeypatch):
    assert sweep.expanded(["resnet20_*", "alexnet"], two) == ["resnet20_cifar", "alexnet"]
    monkeypatch.setattr("archprof.cli.sweep._cluster", lambda args: contextlib.nullcontext(two))
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


def test_workers_that_all_went_away_are_waited_for_and_then_it_ends(monkeypatch):
    monkeypatch.setattr(cluster, "HEAL_S", 0.2)
    with clusters.workers(1) as local, local.get_client() as client, Cluster(client=client) as there:
        outcomes = there.run(WORK, ["one", "two", "three"])
        assert next(outcomes).error is None
        there._local = local  # as with local:1, whose workers this process starts
        local.scale(0)
        assert {outcome.error for outcome in outcomes} == {None}
        there._local, there.patience = None, 0.5
        local.scale(0)
        with pytest.raises(Unreachable, match=r"has had no workers for 0\.5 s\. The same command goes on"):
            list(there.run(WORK, ["one"]))


# --- measuring -------------------------------------------------------------------------------------------------------
#
# What runs real networks comes first, for whoever measures ends the processes of those that count, and with them torch.


def test_a_sweep_measures_into_a_file_of_each_kind_and_mixes_with_no_other(two, one_at_a_time, tmp_path):
    request = sweep.SweepRequest(measuring=sweep.Measuring(sampling=Sampling(0.1)))
    path, own = tmp_path / "s.jsonl", tmp_path / "s.here.jsonl"
    how = {"executor": two, "on": {"here": asked.environment_one(None, request)["device_name"]}}
    own.write_text("hello\n")
    with pytest.raises(BadFile, match=r"s\.here\.jsonl' exists and is not a sweep"):
        sweep.sweep(["resnet_tiny"], str(path), request, **how)
    assert own.read_text() == "hello\n" and set(sweep_work.entries(path)) == {"resnet_tiny"}
    own.unlink()
    (measured,) = sweep.sweep(["resnet_tiny", "resnet_tiny"], str(path), request, **how).machines
    assert (measured.kind, measured.path, measured.asked, measured.measured) == ("here", str(own), 1, 1)
    assert set(sweep_work.entries(path)) == set(sweep_work.entries(own)) == {"resnet_tiny"}
    with files.alone(str(path)), pytest.raises(ArchprofError, match="another archprof is writing to"):
        sweep.sweep(["resnet_tiny"], str(path), request, **how)


def test_a_comparison_is_measured_on_the_cluster(two, monkeypatch):
    """All of it on one machine, interleaved as here."""

    def count(models, rows, request, executor):
        for row in rows:
            counted_rows.count(row, request)

    monkeypatch.setattr(elsewhere, "count", count)  # which is another test's
    found = archprof.compare(
        {"a": "resnet_tiny", "b": "plain_tiny"}, batch_sizes=[1], time_budget=10, precision=0.9, executor=two
    )
    assert [row.name for row in found.architectures] == ["a", "b"] and found.reference == "b"
    assert all(row.latency_at(1).measured for row in found.architectures)
    assert found.environment["fingerprint"]


def test_each_kind_measures_all_and_nothing_runs_beside_it(two, monkeypatch):
    addresses = named(two, monkeypatch, "aaaa", "bbbb")
    machines = Machines(two, probe("aaaa", "bbbb"), {})
    assert [kind.name for kind in machines.kinds] == ["aaaa", "bbbb"]
    assert str(machines.kinds[0]) == "aaaa (a board, 1 of 1 CPUs)"
    sent, submit = [], two.submit

    def noted(function, parcel, **how):
        sent.append((*how["workers"], pickle.loads(parcel)[2]))
        return submit(function, parcel, **how)

    monkeypatch.setattr(two, "submit", noted)
    tasks = [f"span {0.02 + n / 1000}" for n in range(5)]
    found = list(machines.run(Job(sweep_work.work, 30.0, alone=True), dict.fromkeys(machines.kinds, tasks)))
    each = Counter((kind, task) for kind in ("aaaa", "bbbb") for task in tasks)
    assert Counter((kind.name, outcome.task) for kind, outcome in found) == each
    assert Counter((dict(zip(addresses, ("aaaa", "bbbb"), strict=True))[to], task) for to, task in sent) == each
    spans = sorted(outcome.value for _, outcome in found)
    # two workers, but one machine: each ends before the next begins
    assert all(end <= begin for (_, end), (begin, _) in itertools.pairwise(spans))


def test_one_kind_is_chosen_and_named(two, monkeypatch):
    named(two, monkeypatch, "aaaa", "bbbb")
    asked = probe("aaaa", "bbbb")
    (kind,) = Machines(two, asked, {"epyc": "bb"}).kinds
    assert (kind.name, kind.fingerprint) == ("epyc", "bbbb")
    with pytest.raises(BadOption, match=r"--on x=cc: no kind of machine is so\. There are: aaaa \(a board.*; bbbb"):
        Machines(two, asked, {"x": "cc"})
    with pytest.raises(BadOption, match="--on x=board: 2 kinds of machine are so"):
        Machines(two, asked, {"x": "board"})
    with pytest.raises(BadOption, match="two names"):
        Machines(two, asked, {"x": "aa", "y": "aaaa"})


def test_a_machine_that_cannot_measure_is_told(two, monkeypatch):
    addresses = named(two, monkeypatch, "aaaa", "none")
    machines = Machines(two, probe("aaaa", "none"), {})
    assert [kind.name for kind in machines.kinds] == ["aaaa"]
    assert machines.why == {addresses[1]: "ValueError: no clock"}
    named(two, monkeypatch, "../../etc", "bbbb")
    machines = Machines(two, probe("../../etc", "bbbb"), {})
    assert machines.why == {addresses[0]: "its fingerprint is '../../etc'"}
    named(two, monkeypatch, "none", "none")
    with pytest.raises(Unreachable, match=r"no worker can measure so; tcp://\S+: ValueError: no clock;"):
        Machines(two, probe("none", "none"), {})


def test_processes_that_ran_own_code_serve_no_other_run():
    """A process that is kept would still know the file as it was, and may be changed in ways that nobody watches."""

    def key(*models):
        return keeper.keyed(Job(sweep_work.work, 30.0, apart=asked.apart(models))).key

    assert key("resnet18", "timm:vit*") == key("torchvision:alexnet@128", "mobilenetv1(width=0.5)") == key()
    for own in ("mynets:Net", "nets.py:Net", nn.Linear(2, 3)):
        assert len({key(), key(own), key(own), key("resnet18", own)}) == 4


# --- comparing -------------------------------------------------------------------------------------------------------


def test_a_comparison_is_counted_by_an_executor():
    """Also a network of a script, which is sent as it is."""

    class Here(Executor):
        """Does each task here, as it was sent: what a process of its own is good for is not the point."""

        def submit(self, do, job, task):
            future = Future()
            future.set_result(Outcome(task, pickle.loads(pickle.dumps(job)).work(task)))
            return future

    models = {"tiny": "resnet_tiny", "mine": nn.Sequential(nn.Flatten(), nn.Linear(12, 5))}
    with pytest.raises(archprof.ArchprofError):
        archprof.compare({**models, "dies": "no_such_module:net"}, latency=False, executor=Here())
    there = archprof.compare(models, latency=False, input_shape=(3, 2, 2), executor=Here())
    here = archprof.compare(models, latency=False, input_shape=(3, 2, 2))
    assert there.architectures == here.architectures
    assert there.architectures[1].profile.macs == 12 * 5


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


def test_ctrl_c_while_it_connects(monkeypatch, capsys, tmp_path):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(socket, "create_connection", interrupted)
    file = tmp_path / "s.jsonl"
    assert main(["sweep", "alexnet", "-o", str(file), "--cluster", "tcp://127.0.0.1:8786"]) == 130
    assert capsys.readouterr() == ("", f"archprof: interrupted; the same command goes on from {file}\n")
    assert not file.exists()


def test_a_cluster_without_workers_is_one_line(tmp_path):
    with clusters.inside(0) as there:
        there.patience = 0.0
        with pytest.raises(Unreachable, match=r"has no workers after 0 s\. Start some: dask worker tcp://127"):
            sweep.sweep(["resnet_tiny"], tmp_path / "unused.jsonl", executor=there)


def test_kinds_are_named():
    assert wished("epyc=3fa9, h100=H100") == {"epyc": "3fa9", "h100": "H100"}
    assert Kind("epyc", {"fingerprint": "3fa9", "device": "cuda", "device_name": "H100"}).fingerprint == "3fa9"


@contextlib.contextmanager
def listening(*says):
    """A port of this machine that is no scheduler's: it says something to whoever comes, None: nothing, and waits."""
    with socket.create_server(("127.0.0.1", 0)) as server, contextlib.ExitStack() as open_:

        def answer():
            for text in says:
                there = open_.enter_context(server.accept()[0])
                if text is not None:
                    there.sendall(text)
                    there.close()

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
        thread.join(10)


@pytest.mark.parametrize(
    ("says", "why"),
    [
        (None, r"nothing came within 0\.2 s"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "what answers is no dask scheduler"),
        (b"", "the connection was closed at once"),
    ],
)
def test_who_is_no_scheduler_is_told(says, why, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(address, "ANSWER_S", 0.2)
    with listening(says) as there:
        assert main(["sweep", "alexnet", "-o", str(tmp_path / "s.jsonl"), "--cluster", there]) == 2
    err = capsys.readouterr().err
    assert re.fullmatch(f"archprof: no dask scheduler answers at '{there}': {why}\\. Is it running .*\n", err)
    assert not (tmp_path / "s.jsonl").exists()


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
