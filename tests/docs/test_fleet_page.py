"""docs/fleet.md: its commands on a scheduler and a worker of this machine, its programs, its TLS."""

from __future__ import annotations

import contextlib
import copy
import glob
import json
import re
import shlex
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest
from helpers import clusters

from archprof.base.errors import Unreachable
from archprof.base.version import __version__
from archprof.cli import build_parser, main
from archprof.results.comparison import Comparison
from archprof.runs.engines.cluster import Cluster
from archprof.runs.engines.processes import Outcome

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "fleet.md").read_text()
COMMANDS = [line for block in re.findall(r"^```sh\n(.+?)^```", PAGE, re.S | re.M) for line in block.splitlines()]
PROGRAMS = re.findall(r"^```python\n(.+?)^```", PAGE, re.S | re.M)


@pytest.fixture(scope="module", autouse=True)
def own_machine(tmp_path_factory):
    """A machine that nobody else measures on meanwhile."""
    with clusters.machine(tmp_path_factory.mktemp("machine")):
        yield


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


class Here:
    """Counts in this process instead of one of its own, which would import torch again."""

    def __init__(self, work, *_, **__):
        self.work = work

    def run(self, tasks):
        return [Outcome(task, self.work(task)) for task in tasks]


def started_here(cluster, workers):
    """Workers for local:N that are threads of this process: what they keep serves the next test too."""
    cluster.ending = contextlib.ExitStack()  # held: a context that nobody holds ends
    cluster._local = cluster.ending.enter_context(clusters.workers(workers))
    return cluster._local.get_client()


def test_the_commands_work_in_the_order_of_the_page(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("archprof.runs.engines.Processes", Here)
    monkeypatch.setattr(Cluster, "_started", started_here)
    begun, done, port = [], [], "8786"
    try:
        for line in COMMANDS:
            program, *words = shlex.split(line.replace("8786", port))
            done.append(program)
            if program != "dask":
                words = [path for word in words for path in (sorted(glob.glob(word)) or [word])]
                assert main(words) == 0, capsys.readouterr().err
                continue
            what, *words = words
            told = tmp_path / "scheduler.json"
            if what == "scheduler":  # at a port that is free, and which it tells
                words = ["0" if word == port else word for word in words] + ["--scheduler-file", str(told)]
            begun.append(clusters.begin(what, words, tmp_path, PYTHONPATH=str(ROOT)))
            port = clusters.port_of(told)
    finally:
        for process in reversed(begun):
            process.terminate()
            process.wait(60)
    assert done == ["archprof", "archprof", "dask", "dask", "archprof", "archprof"]
    counted = [Comparison.from_json(Path(name).read_text()) for name in ("laptop.jsonl", "local.jsonl", "sweep.jsonl")]
    names = {row.name for row in counted[0].architectures}
    assert names == {"plain_tiny", "resnet_tiny"}
    for found in counted:
        assert {row.name: row.profile.macs for row in found.architectures} == {
            row.name: row.profile.macs for row in counted[0].architectures
        }
    (machine,) = json.loads(Path("fleet.json").read_text())["machines"]
    assert {row["name"] for row in machine["architectures"]} == names
    assert all(row["latency"][0]["samples"] for row in machine["architectures"])
    assert Path(f"sweep.{machine['environment']['fingerprint']}.jsonl").exists()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")
def test_only_who_holds_a_certificate_is_let_in(tmp_path):
    """The configuration of the page, with certificates of one's own."""
    for words in (
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca-key.pem -out ca.pem -subj /CN=o",
        "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout node-key.pem -out node.csr -subj /CN=node",
        "x509 -req -in node.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -out node.pem -days 2",
    ):
        subprocess.run(["openssl", *words.split()], cwd=tmp_path, check=True, capture_output=True)
    (configuration,) = re.findall(r"^```yaml\n(.+?)^```", PAGE, re.S | re.M)
    (tmp_path / "tls.yaml").write_text(configuration)
    plain = copy.deepcopy(dask.config.config)
    trusted = dask.config.merge(plain, *dask.config.collect_yaml([str(tmp_path / "tls.yaml")]))
    with dask.config.set(trusted), clusters.workers(1, protocol="tls", security=distributed.Security()) as local:
        address = local.scheduler_address
        with Cluster(address) as there:
            assert there.versions(("archprof",)) == (("archprof", __version__),)
        for stranger in (address, address.replace("tls://", "tcp://")):
            with dask.config.set(plain), pytest.raises(Unreachable, match=f"answers at '{stranger}'"):
                Cluster(stranger)


def test_the_program_for_slurm_runs(tmp_path, monkeypatch, capsys):
    """On a cluster of this machine that takes what dask-jobqueue's takes."""
    asked = {}
    with contextlib.ExitStack() as ending:

        class SLURMCluster:
            def __init__(self, **words):
                asked.update(words)
                self.local = ending.enter_context(clusters.workers(0))

            def scale(self, jobs):
                asked["jobs"] = jobs
                self.local.scale(1)

            def get_client(self):
                return ending.enter_context(self.local.get_client())

        stand_in = types.ModuleType("dask_jobqueue")
        stand_in.SLURMCluster = SLURMCluster
        monkeypatch.setitem(sys.modules, "dask_jobqueue", stand_in)
        program = next(text for text in PROGRAMS if "slurm.py" in text)
        exec(compile(program, "slurm.py", "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out == "2 of 2\n"
    assert asked["jobs"] == 10 and asked["worker_extra_args"] == ["--resources", "measure=1"]
    assert len((tmp_path / "slurm.jsonl").read_text().splitlines()) == 3


def test_other_commands_of_the_page_are_well_formed():
    (command,) = re.findall(r"^    archprof (.+)$", PAGE, re.M)
    args = build_parser().parse_args(shlex.split(command))
    assert args.on == {"epyc": "3fa9", "xeon": "Xeon"}
    for program in PROGRAMS:
        compile(program, "fleet.md", "exec")
