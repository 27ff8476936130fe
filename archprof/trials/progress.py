"""How far a trial is, and how long the rest will take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol


class Told(NamedTuple):
    """How far a trial is. `done` and `total` are epochs of all runs, `accuracy` the last share that was right."""

    doing: str
    done: float
    total: int
    left_s: float | None
    accuracy: float | None


Tell = Callable[[Told], None]


class CallersError(Exception):
    """What the caller's own function raised, which is no fault of the network."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class Trained(Protocol):
    """One network under one recipe, as a clock knows it."""

    @property
    def name(self) -> str: ...

    @property
    def epochs(self) -> int: ...


class Clock:
    """Tells how far the trial is. The time left follows from what epochs of the same entry took, or of others."""

    def __init__(self, runs: Sequence[tuple[Trained, int]], tell: Tell | None) -> None:
        self.tell = tell
        self.left = {(id(each), seed): each.epochs for each, seed in runs}
        self.total = sum(self.left.values())
        self.seconds: dict[int, list[float]] = {}
        self.accuracy: float | None = None

    def step(self, each: Trained, seed: int, number: int, part: float) -> None:
        """Within an epoch."""
        self._tell(each, seed, number, part)

    def epoch(self, each: Trained, seed: int, number: int, seconds: float, accuracy: float) -> None:
        """An epoch has ended."""
        self.seconds.setdefault(id(each), []).append(seconds)
        self.left[id(each), seed] = each.epochs - number - 1
        self.accuracy = accuracy
        self._tell(each, seed, number, 0.0)

    def resumed(self, each: Trained, seed: int, epochs: int) -> None:
        """A run goes on after so many epochs."""
        self.left[id(each), seed] = each.epochs - epochs

    def passed(self, each: Trained, seed: int) -> None:
        """A run has ended, whether all its epochs were made or not."""
        self.left[id(each), seed] = 0

    def _tell(self, each: Trained, seed: int, number: int, part: float) -> None:
        if self.tell is None:
            return
        every = [second for seconds in self.seconds.values() for second in seconds]
        usual = sum(every) / len(every) if every else None
        left = None
        if usual is not None:
            means = {key: sum(seconds) / len(seconds) for key, seconds in self.seconds.items()}
            left = sum(count * means.get(key, usual) for (key, _), count in self.left.items())
        done = self.total - sum(self.left.values()) + part
        doing = f"{each.name}, seed {seed}, epoch {min(number + 1, each.epochs)} of {each.epochs}"
        try:
            self.tell(Told(doing, done, self.total, left, self.accuracy))
        except Exception as error:
            raise CallersError(error) from None
