"""Progress of long work, on stderr: a live line on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Protocol

from ..base import streams


class Tell(Protocol):
    """Called with what is being done and the seconds that are left at most (0: unknown)."""

    def __call__(self, doing: str, left_s: float = 0.0) -> None: ...


@contextmanager
def progress() -> Iterator[Tell]:
    """Show what is told until the block ends. What a network prints meanwhile goes to stderr: stdout is for results."""
    with redirect_stdout(streams.Printable(sys.stderr)):
        if not sys.stderr.isatty():
            yield _plain_lines()
            return
        yield from _live_line()


def _live_line() -> Iterator[Tell]:
    from rich.console import Console

    with Console(stderr=True).status("starting") as status:

        def tell(doing: str, left_s: float = 0.0) -> None:
            status.update(doing + (f", at most {left_s:.0f} s left" if left_s > 0 else ""))

        yield tell


def _plain_lines() -> Tell:
    told: set[str] = set()

    def tell(doing: str, left_s: float = 0.0) -> None:
        # a line when measuring begins, and one for the profiler; the rest would only fill a log
        if left_s > 0 and "measuring" not in told:
            told.add("measuring")
            beside = "first passes, compiling and one block of each come on top where they take longer"
            print(f"archprof: measuring, at most {left_s:.{0 if left_s >= 10 else 1}f} s; {beside}", file=sys.stderr)
        elif doing.startswith("profiling") and "profiling" not in told:
            told.add("profiling")
            print("archprof: profiling, a few seconds for each network", file=sys.stderr)

    return tell
