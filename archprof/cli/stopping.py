"""What asks a command to stop, other than Ctrl-C: it ends as after Ctrl-C, workers included, with the signal's code."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


@contextmanager
def signals() -> Iterator[list[int]]:
    """Until the block ends, SIGTERM and SIGHUP raise KeyboardInterrupt once; the list then holds the number."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return

    def stop(number: int, frame: FrameType | None) -> None:
        if not received:  # what it sets off, such as ending workers, is not to be stopped again
            received.append(number)
            raise KeyboardInterrupt

    # a signal that is ignored (nohup) stays ignored
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    ours = [number for number, handler in before.items() if handler == signal.SIG_DFL]
    for number in ours:
        signal.signal(number, stop)
    try:
        yield received
    finally:
        for number in ours:
            signal.signal(number, before[number])
