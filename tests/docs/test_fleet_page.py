"""docs/fleet.md: its commands on a scheduler and a worker of this machine, its programs, its TLS."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest

from archprof.base.version import __version__
from archprof.cli import build_parser, main
from archprof.results.comparison import Comparison

distributed = pytest.importorskip("distributed")

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "fleet.md").read_text()
COMMANDS = [line for block in re.findall(r"^```sh\n(.+?)^```", PAGE, re.S | re.M) for line in block.splitlines()]
PROGRAMS = re.findall(r"^```python\n(.+?)^```", PAGE, re.S | re.M)


@pytest.fixture(autouse=True)
def own_machine(tmp_path, monkeypatch):
    """A machine that nobody else measures on meanwhile."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """A folder, a free port instead of the page's, and what is ended with the test."""
    folder = tmp_path_factory.mktemp("reader")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    begun: list[subprocess.Popen[bytes]] = []
    yield folder, port, begun
    for process in reversed(begun):
        process.terminate()
        process.wait(60)


def test_the_commands_work_in_the_order_of_the_page(reader, monkeypatch, capsys):
    folder, port, begun = reader
    monkeypatch.chdir(folder)
    done = []
    for line in COMMANDS:
        program, *words = shlex.split(line.replace("8786", port))
        done.append(program)
        if program == "dask":
            kind, *rest = words
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *rest]
            if kind == "worker":
                command += ["--local-directory", str(folder)]
            begun.append(subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, cwd=folder))
            if kind == "scheduler":
                wait_for(int(port))
            continue
        words = [path for word in words for path in (sorted(glob.glob(word)) or [word])]
        assert main(words) == 0, capsys.readouterr().err
    assert done == ["archprof", "archprof", "dask", "dask", "archprof", "archprof"]
    counted = [Comparison.from_json((folder / name).read_text()) for name in ("laptop.jsonl", "local.jsonl")]
    counted.append(Comparison.from_json((folder / "sweep.jsonl").read_text()))
    names = {row.name for row in counted[0].architectures}
    assert names == {"squeezenet1_0", "squeezenet1_1"}
    for found in counted:
        assert {row.name: row.profile.macs for row in found.architectures} == {
            row.name: row.profile.macs for row in counted[0].architectures
        }
    (machine,) = json.loads((folder / "fleet.json").read_text())["machines"]
    assert {row["name"] for row in machine["architectures"]} == names
    assert all(row["latency"][0]["samples"] for row in machine["architectures"])
    assert list(folder.glob(f"sweep.{machine['environment']['fingerprint']}.jsonl"))


def wait_for(port: int) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)


#: What a client does with a cluster that asks for certificates.
CLIENT = """
import sys
from archprof.base.errors import Unreachable
from archprof.runs.cluster import Cluster
try:
    with Cluster(sys.argv[1]) as there:
        print(there.versions(("archprof",)))
except Unreachable as error:
    print(error)
"""


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")
def test_only_who_holds_a_certificate_is_let_in(tmp_path):
    """The configuration of the page, with certificates of one's own."""
    for words in (
        "req -x509 -newkey rsa:2048 -nodes -keyout ca-key.pem -out ca.pem -days 2 -subj /CN=ours",
        "req -newkey rsa:2048 -nodes -keyout node-key.pem -out node.csr -subj /CN=node",
        "x509 -req -in node.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -out node.pem -days 2",
    ):
        subprocess.run(["openssl", *words.split()], cwd=tmp_path, check=True, capture_output=True)
    (configuration,) = re.findall(r"^```yaml\n(.+?)^```", PAGE, re.S | re.M)
    (tmp_path / "tls.yaml").write_text(configuration)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tls://127.0.0.1:{port}"
    trusted = {**os.environ, "DASK_CONFIG": str(tmp_path), "PYTHONPATH": str(ROOT)}
    quiet = {"env": trusted, "cwd": tmp_path, "stderr": subprocess.DEVNULL}
    module = [sys.executable, "-m"]
    scheduler = ["distributed.cli.dask_scheduler", "--protocol", "tls", "--host", "127.0.0.1", "--port", str(port)]
    begun = [subprocess.Popen([*module, *scheduler, "--no-dashboard"], **quiet)]
    try:
        wait_for(port)
        worker = ["distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard", "--no-nanny"]
        begun.append(subprocess.Popen([*module, *worker], **quiet))

        def said(environment: dict[str, str], where: str) -> str:
            command = [sys.executable, "-c", CLIENT, where]
            done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120)
            return done.stdout

        assert said(trusted, address) == f"(('archprof', '{__version__}'),)\n"
        stranger = {**os.environ, "DASK_CONFIG": str(tmp_path / "nothing"), "PYTHONPATH": str(ROOT)}
        assert said(stranger, address).startswith(f"no dask scheduler answers at '{address}': ")
        assert said(stranger, f"tcp://127.0.0.1:{port}").startswith("no dask scheduler answers at 'tcp://")
    finally:
        for process in reversed(begun):
            process.terminate()
            process.wait(60)


def test_the_program_for_slurm_runs(tmp_path, monkeypatch, capsys):
    """On a cluster of this machine that takes what dask-jobqueue's takes."""
    asked = {}

    class SLURMCluster:
        def __init__(self, **words):
            asked.update(words)
            self.local = distributed.LocalCluster(
                n_workers=0, threads_per_worker=1, dashboard_address="127.0.0.1:0", resources={"measure": 1}
            )

        def scale(self, jobs):
            asked["jobs"] = jobs
            self.local.scale(1)

        def get_client(self):
            return self.local.get_client()

    stand_in = types.ModuleType("dask_jobqueue")
    stand_in.SLURMCluster = SLURMCluster
    monkeypatch.setitem(sys.modules, "dask_jobqueue", stand_in)
    monkeypatch.chdir(tmp_path)
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
