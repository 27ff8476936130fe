"""Tasks for worker processes: importing this imports no torch, so that a process starts quickly."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from pathlib import Path

_kept: list[bytes] = []


def work(task: str) -> object:
    """Do as the task says."""
    verb, _, what = task.partition(" ")
    if verb == "raise":
        raise ValueError(f"refused\n{what}")
    if verb == "exit":
        sys.exit(3)
    if verb == "die":
        os.kill(os.getpid(), int(what))
    if verb == "leave":
        os._exit(int(what))
    if verb == "end":  # whatever runs this process: a cluster's worker, or an executor's
        os.kill(os.getppid(), 9)
        time.sleep(600)
    if verb == "span":
        began = time.monotonic()
        time.sleep(float(what))
        return began, time.monotonic()
    if verb == "hang":
        time.sleep(600)
    if verb == "grow":
        _kept.append(b"x" * int(what))
    return os.getpid()


def kind(address: str) -> object:
    """What a worker's machine is: what the variable KINDS says of its address."""
    fingerprint = json.loads(os.environ["KINDS"])[address]
    if fingerprint == "none":
        raise ValueError("no clock")
    return {"fingerprint": fingerprint, "device_name": "a board", "device": "cpu", "threads": 1, "cpus": 1}


def board(address: str) -> object:
    """The same machine for every worker."""
    return {"fingerprint": "cccc", "device_name": "a board", "device": "cpu", "threads": 1, "cpus": 1}


def prepare() -> None:
    """Runs once in every process."""
    time.sleep(float(os.environ.get("SWEEP_STARTS_IN", "0")))


def pid_after(model: str, request: object) -> int:
    """Count the network as a sweep does; the process that did."""
    from archprof.runs import tasks

    tasks.count_one(model, request)
    return os.getpid()


def always_changed() -> object:
    """A watch that finds every task to have changed its process."""
    return _changed


def _changed() -> str:
    return "something"


def entries(path: Path) -> dict[str, object]:
    """The networks of a sweep's file by name, each there once, without the time that they took."""
    found: dict[str, object] = {}
    for line in path.read_text().splitlines()[1:]:
        entry = json.loads(line)
        del entry["seconds"]
        assert entry["name"] not in found
        found[entry["name"]] = entry
    return found


def counted_here(names: list[str]) -> dict[str, object]:
    """What a sweep's file holds of these networks, counted in this process."""
    from archprof.runs import asked, tasks

    return {name: json.loads(json.dumps(tasks.count_one(name, asked.SweepRequest()))) for name in names}


def ended(pids: set[int]) -> bool:
    """Whether these processes end, and soon."""
    until = time.monotonic() + 20
    while pids and time.monotonic() < until:
        for pid in set(pids):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 0)
                continue
            pids.remove(pid)
        time.sleep(0.05)
    return not pids
