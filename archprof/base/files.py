"""Writing results where the user asked for them: checked beforehand, never half-written."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from .errors import BadOutput

STDOUT = "-"

#: How a file begins that is not whole yet.
_HALF = ".archprof-"

#: Where a path names something that is open already: such a file is continued, not replaced.
_OPEN_ALREADY = ("/dev/fd/", "/dev/stdout", "/dev/stderr", "/proc/")


def check(paths: Iterable[str | None]) -> None:
    """Raise BadOutput where a path cannot be written or is named twice; None entries are passed over."""
    seen: set[str] = set()
    for path in paths:
        if path is None:
            continue
        through = path == STDOUT or _written_through(path)
        key = path if path == STDOUT else os.path.realpath(path)
        if key in seen and (path == STDOUT or not through):
            raise BadOutput(f"'{path}' is named for two outputs.", "Give each its own file.")
        seen.add(key)
        if path != STDOUT:
            _check_one(path, key, through)


def _check_one(path: str, target: str, through: bool) -> None:
    if os.path.isdir(target):
        raise BadOutput(f"'{path}' is a folder.", "Name a file in it.")
    folder = os.path.dirname(target if os.path.islink(path) else path) or "."
    if not os.path.isdir(folder):
        raise BadOutput(f"the folder '{folder}' does not exist.", f"Make it first: mkdir -p {folder}")
    if not ((through or os.access(folder, os.W_OK)) and (not os.path.exists(target) or os.access(target, os.W_OK))):
        raise BadOutput(f"'{path}' cannot be written (no permission).", "Choose another place.")


def write(path: str, content: str | bytes) -> None:
    """Write `content` to a file (first to a temporary one beside it, then renamed), or to stdout for '-'.

    A link's target is replaced, not the link; a file keeps its permissions and, where that is allowed, its owner.
    Devices and pipes are written to, for there is nothing to replace. Raises BadOutput, the old file untouched.
    """
    if path == STDOUT:
        assert isinstance(content, str)
        sys.stdout.write(content if content.endswith("\n") else content + "\n")
        return
    # names that are not UTF-8 reach Python as halves of surrogate pairs, which no UTF-8 text can hold
    data = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    through = _written_through(path)
    with _told(path):
        if through:
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOCTTY), "wb") as file:
                file.write(data)
        else:
            _replace(Path(os.path.realpath(path)), data)


@contextlib.contextmanager
def alone(path: str) -> Iterator[None]:
    """Raise BadOutput where another process is in here for the same path; a process that was killed is not."""
    if _written_through(path):
        yield
        return
    from filelock import FileLock, Timeout  # 40 ms, and most commands need none

    target = Path(os.path.realpath(path))
    beside = target.with_name(f".{target.name[:200]}.lock")
    with _told(path):
        lock = FileLock(beside)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            raise BadOutput(
                f"another archprof is writing to '{path}'.", "Wait until it has ended, or name another file."
            ) from None
    try:
        yield
    finally:
        beside.unlink(missing_ok=True)  # while it is held: whoever waits for it sees that the file is gone
        lock.release()


@contextlib.contextmanager
def node(alone: bool) -> Iterator[None]:
    """Inside, this machine is shared with others that are in here, or had alone: whoever asks for that waits for those
    that are inside, and later ones wait for it.

    A machine is where the folder for temporary files is the same, and the user is. A process that ends, however that
    is, is not in here any more. Where the system has no flock (Windows), nobody waits. Raises BadOutput where the
    locks cannot be made.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    place = os.path.join(tempfile.gettempdir(), f"archprof-{os.getuid()}")
    # through the gate one at a time: without it, new ones who share would keep out who waits to be alone
    with contextlib.ExitStack() as opened:
        with _told(place):
            gate, lock = (opened.enter_context(_lock(f"{place}.{name}")) for name in ("gate", "node"))
            fcntl.flock(gate, fcntl.LOCK_EX)
            fcntl.flock(lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
            fcntl.flock(gate, fcntl.LOCK_UN)
        yield


@contextlib.contextmanager
def _lock(path: str) -> Iterator[int]:
    """A file that belongs to this user alone, open; a link of somebody else's is not followed."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        yield file
    finally:
        os.close(file)


def remove_halves(folder: Path) -> None:
    """Remove what a process that was killed had half written there. For whoever is alone in that folder."""
    for left in folder.glob(f"{_HALF}*"):
        with contextlib.suppress(OSError):
            left.unlink()


def _replace(target: Path, data: bytes) -> None:
    # not tempfile's: its files can be read by their owner alone, and to learn the usual permissions is not thread-safe
    beside = target.with_name(f"{_HALF}{secrets.token_hex(6)}")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as file:
            file.write(data)
        with contextlib.suppress(FileNotFoundError):
            before = target.stat()
            with contextlib.suppress(OSError):  # only root may give files away
                os.chown(beside, before.st_uid, before.st_gid)
            os.chmod(beside, stat.S_IMODE(before.st_mode))
        os.replace(beside, target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _written_through(path: str) -> bool:
    """Whether `path` names a device, a pipe or something that is open already. Raises BadOutput for no name at all."""
    if not os.path.basename(path):
        raise BadOutput(f"'{path}' names no file.", "Name a file, or '-' for stdout.")
    with _told(path):
        try:
            mode = os.stat(path).st_mode
        except FileNotFoundError:
            return False
        if stat.S_ISDIR(mode):
            return False
        return not stat.S_ISREG(mode) or os.path.abspath(path).startswith(_OPEN_ALREADY)


@contextlib.contextmanager
def _told(path: str) -> Iterator[None]:
    """What the system, or a name that no file can have, raises becomes BadOutput."""
    try:
        yield
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise BadOutput(f"'{path}' cannot be written: {reason}.", "Choose another place.") from error
