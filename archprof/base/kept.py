"""What was measured on this machine and takes long to measure again: JSON lines by key, a file a kind."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import cache, files
from .errors import BadOutput

#: Bytes of a file: a larger one is nobody's of ours, and is not read. Half as many lines stay when it grows beyond.
LARGEST = 8 << 20


#: Seconds that another process may take to write.
PATIENCE_S = 2.0


def folder() -> Path:
    """archprof/ in the user's state folder, as the platform has it."""
    from platformdirs import user_state_path

    return user_state_path("archprof", appauthor=False)


class Store:
    """Values of one kind for one machine, by key; a later value of a key replaces an earlier one.

    Written only by the command's own process (`cache.may_keep`): a caller's may have changed anything. Others have
    them for as long as they live. A line that cannot be read is passed over; `unwritten` tells why none is written.
    """

    def __init__(self, kind: str, machine: str) -> None:
        """`kind` names the file ('ceilings'), `machine` (a fingerprint) its folder."""
        self.path = folder() / machine / f"{kind}.jsonl"
        self.unwritten: str | None = None
        self.unread: str | None = None
        self._values: dict[str, Any] = {}
        if cache.may_keep:
            try:
                self._values, strange = _read(self.path)
                self.unread = f"{strange} of its lines cannot be read" if strange else None
            except OSError as reason:
                self.unread = f"it cannot be read: {reason.strerror or reason}"

    def get(self, key: str) -> Any:
        """The value of that key as JSON has it; None where there is none."""
        return self._values.get(key)

    def put(self, key: str, value: Any) -> None:
        """Keep a JSON value."""
        self._values[key] = value
        if not cache.may_keep or self.unwritten:
            return
        try:
            _append(self.path, json.dumps({"key": key, "value": value}, allow_nan=False))
        except (OSError, BadOutput) as reason:
            why = getattr(reason, "strerror", None) or reason
            self.unwritten = f"what was measured is not kept for another time in {folder()}: {why}"

    def values(self) -> list[Any]:
        """Every value, in the order in which their keys were first put."""
        return list(self._values.values())

    def __len__(self) -> int:
        return len(self._values)


def store(kind: str, machine: str) -> Store:
    """The store of that kind, read once in a process."""
    return _opened(kind, machine, folder(), cache.may_keep)


@functools.cache
def _opened(kind: str, machine: str, _folder: Path, _may_keep: bool) -> Store:
    return Store(kind, machine)


def _read(path: Path) -> tuple[dict[str, Any], int]:
    """What the file holds, and how many lines are not of ours. Raises OSError for a file that cannot be read."""
    if path.is_symlink():
        raise OSError("it is a link")
    if not path.exists():
        return {}, 0
    if not path.is_file() or path.stat().st_size > LARGEST:
        raise OSError(f"it is no file of at most {LARGEST >> 20} MiB")
    found: dict[str, Any] = {}
    strange = 0
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            entry = json.loads(line)
            found[entry["key"]] = entry["value"]
        except (ValueError, TypeError, KeyError, RecursionError):
            strange += bool(line)
    return found, strange


def _append(path: Path, line: str) -> None:
    """One write at the end, which no other process divides; a last line that was cut off is ended first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path.parent):
        if path.exists() and path.stat().st_size > LARGEST - len(line) - 2:
            _halve(path)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0), 0o644)
        with os.fdopen(descriptor, "rb+", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - 1, 0))
            start = "" if not size or file.read(1) == b"\n" else "\n"
            file.write(f"{start}{line}\n".encode())


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time: who halves a file would lose what another appends meanwhile. Windows has no such lock.

    Raises BadOutput where another process holds it for longer than PATIENCE_S.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise BadOutput("another process is writing there", "") from None
                time.sleep(0.02)
        yield
    finally:
        os.close(descriptor)


def _halve(path: Path) -> None:
    newest = list(_read(path)[0].items())
    kept = newest[len(newest) // 2 :]
    lines = [json.dumps({"key": key, "value": value}) for key, value in kept]
    files.write(str(path), "".join(f"{line}\n" for line in lines))
