"""Tasks for worker processes: importing this imports no torch, so that a process starts quickly."""

from __future__ import annotations

import os
import sys
import time

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
    if verb == "hang":
        time.sleep(600)
    if verb == "grow":
        _kept.append(b"x" * int(what))
    return os.getpid()


def prepare() -> None:
    """Runs once in every process."""
    time.sleep(float(os.environ.get("SWEEP_STARTS_IN", "0")))


def pid_after(model: str, request: object) -> int:
    """Count the network as a sweep does; the process that did."""
    from archprof.runs import sweep

    sweep.count_one(model, request)
    return os.getpid()
