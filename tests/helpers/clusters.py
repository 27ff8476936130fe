"""dask clusters for tests: in this process where a process is not the point, and as somebody else would start them.

All listen on 127.0.0.1 alone, at ports that the system chooses.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import archprof
from archprof.runs.engines import keeper
from archprof.runs.engines.cluster import MEASURE, Cluster

#: Where archprof and the tests' helpers are.
PATH = [str(Path(archprof.__file__).parents[1]), str(Path(__file__).parents[1])]


@contextlib.contextmanager
def workers(count: int, **how: Any) -> Iterator[Any]:
    """A dask cluster whose workers are threads of this process, each able to measure."""
    import distributed

    how = {"protocol": "tcp", "resources": {MEASURE: 1}, "dashboard_address": "127.0.0.1:0", **how}
    with distributed.LocalCluster(n_workers=count, threads_per_worker=1, processes=False, **how) as local:
        yield local


@contextlib.contextmanager
def machine(folder: Path) -> Iterator[None]:
    """This process is a machine of its own: its lock lies in `folder`, and what its workers keep ends with it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(folder))
        patch.setattr("tempfile.tempdir", str(folder))
        yield
        keeper._KEPT.end(lambda kept: True)


@contextlib.contextmanager
def inside(count: int) -> Iterator[Cluster]:
    """The same, as archprof sees it."""
    with workers(count) as local, local.get_client() as client, Cluster(client=client) as there:
        yield there


class Outside:
    """A scheduler that knows nothing of archprof, and a worker with two threads, each a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.begun: list[subprocess.Popen[bytes]] = []
        self.port = "0"
        self.start()

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    def start(self) -> None:
        """At the port that it had before, if it had one."""
        told = self.folder / "scheduler.json"
        told.unlink(missing_ok=True)
        self._begin("scheduler", "--port", self.port, "--scheduler-file", str(told), known="")
        self.port = port_of(told)
        # without a nanny, which starts sooner
        self._begin("worker", self.address, "--no-nanny", "--nthreads", "2", known=os.pathsep.join(PATH))

    def _begin(self, what: str, *words: str, known: str) -> None:
        self.begun.append(begin(what, [*words], self.folder, PYTHONPATH=known, TMPDIR=str(self.folder)))

    def stop(self) -> None:
        """Without a word, as a machine does whose power fails."""
        for process in self.begun:
            process.send_signal(signal.SIGKILL)
            process.wait(30)
        self.begun.clear()


def begin(what: str, words: list[str], folder: Path, **variables: str) -> subprocess.Popen[bytes]:
    """`dask scheduler` or `dask worker` in a folder."""
    command = [sys.executable, "-m", f"distributed.cli.dask_{what}", *words, "--host", "127.0.0.1", "--no-dashboard"]
    if what == "worker":
        command += ["--local-directory", str(folder)]
    environment = {**os.environ, **variables}
    return subprocess.Popen(command, env=environment, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def port_of(scheduler_file: Path) -> str:
    """The port that a scheduler says it has, when it is there."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with contextlib.suppress(OSError, ValueError):
            return str(json.loads(scheduler_file.read_text())["address"].rpartition(":")[2])
        time.sleep(0.05)
    raise TimeoutError(scheduler_file)
