"""How far a trial is, on stderr: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING

from ..base import streams
from ..base.errors import printable

if TYPE_CHECKING:
    from ..trials.progress import Tell, Told

#: Where nobody watches a bar, a line at most every so many seconds.
LINE_S = 20.0


@contextmanager
def progress() -> Iterator[Tell]:
    """Show what is told until the block ends. What a network prints meanwhile goes to stderr: stdout is for results."""
    with redirect_stdout(streams.Printable(sys.stderr)):
        if not sys.stderr.isatty():
            yield lines(time.monotonic)
            return
        yield from _bar()


def lines(clock: Callable[[], float], every_s: float = LINE_S) -> Tell:
    """Tells on stderr, not more often than that."""
    last = clock()

    def tell(told: Told) -> None:
        nonlocal last
        if clock() - last < every_s:
            return
        last = clock()
        print(f"archprof: {words(told)}", file=sys.stderr, flush=True)

    return tell


def words(told: Told) -> str:
    """'resnet18, seed 0, epoch 3 of 50; 45 % done; accuracy 81.2 %; about 12 min left'."""
    said = [printable(told.doing), f"{100 * told.done / max(told.total, 1):.0f} % done"]
    if told.accuracy is not None:
        said.append(f"accuracy {100 * told.accuracy:.1f} %")
    if told.left_s is not None:
        said.append(f"about {left(told.left_s)} left")
    return "; ".join(said)


def left(seconds: float) -> str:
    """'40 s', '12 min', '3.5 h'."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _bar() -> Iterator[Tell]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn
    from rich.text import Text

    class Doing(TextColumn):
        def render(self, task: object) -> Text:
            return Text(str(task.description))  # type: ignore[attr-defined]

    with Progress(BarColumn(bar_width=24), Doing(""), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading images", total=None)

        def tell(told: Told) -> None:
            bar.update(task, total=told.total, completed=told.done, description=words(told))

        yield tell
