"""What is written to stdout and stderr, whatever they are. Standard library only."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterator
from typing import TextIO

from .errors import printable

#: Reasons for which the system refuses what is written, wherever stdout leads.
_CANNOT_WRITE = {errno.ENOSPC, errno.EBADF, errno.EIO, errno.EFBIG, errno.EDQUOT, errno.EROFS}


class Printable(io.TextIOBase):
    """Passes on what others print, without the control characters that would act on a terminal."""

    def __init__(self, to: TextIO) -> None:
        self.to = to

    def write(self, text: str) -> int:
        lines = (printable(line, max(len(line), 1) * 10) for line in text.split("\n"))
        self.to.write("\n".join(lines))
        return len(text)

    def flush(self) -> None:
        self.to.flush()

    def writable(self) -> bool:
        return True


class _Closed(io.TextIOBase):
    """A stdout that was closed before the process began: an error once something is written, as for any program."""

    def write(self, text: str) -> int:
        raise OSError(errno.EBADF, "it is closed")

    def writable(self) -> bool:
        return True


class _WhileRead(io.TextIOBase):
    """A stream whose reader may go away (head, less): what would follow is dropped, and the command goes on.

    Its files are then written all the same, and its exit code is its own.
    """

    def __init__(self, to: TextIO) -> None:
        self.to = to

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self.to.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return self.to.errors

    def write(self, text: str) -> int:
        try:
            return self.to.write(text)
        except BrokenPipeError:
            give_up(self.to)
            return len(text)

    def flush(self) -> None:
        try:
            self.to.flush()
        except BrokenPipeError:
            give_up(self.to)

    def fileno(self) -> int:
        return self.to.fileno()

    def isatty(self) -> bool:
        return self.to.isatty()

    def writable(self) -> bool:
        return True


@contextlib.contextmanager
def usable() -> Iterator[None]:
    """Within, stdout and stderr take any text, also where nobody reads it any more.

    Letters that their encoding lacks are written as escapes.
    """
    before = sys.stdout, sys.stderr
    if None in before:
        # Python has no stream for a descriptor that is closed, and the next file that is opened would get its number
        while (descriptor := os.open(os.devnull, os.O_RDWR)) < 3:
            pass
        os.close(descriptor)
        sys.stdout = sys.stdout or _Closed()
        sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    strict = [stream for stream in (sys.stdout, sys.stderr) if getattr(stream, "errors", None) == "strict"]
    for stream in strict:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.stdout, sys.stderr = _WhileRead(sys.stdout), _WhileRead(sys.stderr)
    try:
        yield
    finally:
        for stream in strict:
            if isinstance(stream, io.TextIOWrapper) and not stream.closed:
                stream.reconfigure(errors="strict")
        sys.stdout, sys.stderr = before


def why_not(error: OSError) -> str | None:
    """Why stdout cannot be written, where that is what the error says."""
    if error.filename is None and error.errno in _CANNOT_WRITE:
        return f"stdout cannot be written: {error.strerror}."
    return None


def give_up(stream: TextIO) -> None:
    """Nothing that is left in the stream's buffer can be written; without this Python tries again at its end."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
