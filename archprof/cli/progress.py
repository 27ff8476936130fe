"""Progress of long work, on stderr: a live line on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, Protocol

from ..base import streams
from ..base.errors import printable


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


class Counted(Protocol):
    """Shows how many of several networks are done, and prints sentences."""

    def progress(self, done: int, total: int, last: str) -> None: ...

    def sentence(self, text: str) -> None: ...


@contextmanager
def counted() -> Iterator[Counted]:
    """A bar on a terminal while networks are counted, a line at each tenth of them elsewhere."""
    shown = _Tenths()
    if sys.stderr.isatty():
        shown = _Bar()
    try:
        yield shown
    finally:
        shown.close()


class _Tenths:
    def __init__(self) -> None:
        self.told = -1

    def progress(self, done: int, total: int, last: str) -> None:
        if total >= 10 and 10 * done // total > self.told:
            self.told = 10 * done // total
            self.sentence(f"{done:,} of {total:,} networks: {last}")

    def sentence(self, text: str) -> None:
        print(f"archprof: {printable(text)}", file=sys.stderr)

    def close(self) -> None:
        """Nothing is open."""


class _Bar(_Tenths):
    """rich's bar, made when there is something to show: importing it takes longer than looking up."""

    def __init__(self) -> None:
        super().__init__()
        self.bar: Any = None

    def progress(self, done: int, total: int, last: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        if self.bar is None:
            columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
            self.bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self.bar.start()
            self.task = self.bar.add_task("", total=total)
        self.bar.update(self.task, completed=done, total=total, description=printable(last, 40))

    def close(self) -> None:
        if self.bar is not None:
            self.bar.stop()


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
