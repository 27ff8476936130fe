"""A scripted machine: its clock moves only when a pass runs."""

from __future__ import annotations

from collections.abc import Callable

from archprof.measure import disturbance, sampling
from archprof.measure.sampling import Workload
from archprof.results.conditions import Sampling


def sampling_of(options: dict) -> Sampling:
    """What is said in `options` of when to end, taken out of them."""
    return Sampling(**{name: options.pop(name) for name in ("time_budget", "precision") if name in options})


class Machine:
    """A clock, networks whose passes take what they are told, and a neighbour."""

    def __init__(self) -> None:
        self.now = self.waited = 0.0
        self.passes: list[str] = []
        self.slowed: Callable[[float], float] = lambda now: 1.0  # how many times as long a pass takes
        self.sampling = False

    def clock(self) -> float:
        return self.now

    def step(self, name: str, seconds: float | list[float]) -> Callable[[], None]:
        script = iter(seconds) if isinstance(seconds, list) else None

        def run() -> None:
            own = next(script) if script else seconds
            took = own * self.slowed(self.now)
            self.waited += took - own
            self.now += took
            self.passes.append(name)

        return run

    def workload(self, name: str, batch_size: int, seconds: float | list[float]) -> Workload:
        return Workload(name, batch_size, lambda: self.step(f"{name}@{batch_size}", seconds))

    def look(self) -> dict[str, float]:
        return {"wall": self.now, "own": self.now, "switches": 0, "waiting": self.waited}

    def measure(self, workloads, **options):
        options.setdefault("witness", disturbance.Witness(threads=1, cpus=1, look=self.look))
        return sampling.measure(workloads, sampling_of(options), clock=self.clock, **options)
