"""Where the time of a pass goes, call by call. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from ..base import units
from .comparison import Division
from .latency import Latency
from .profile import LayerCost, StaticProfile, TypeCost

#: The type, and the operator, of what no counted call explains: views, calling from Python, waiting.
BETWEEN = "between the calls"

#: The profiler adds a few microseconds a call: half of a pass in the smallest networks. Profiled passes that take
#: more than twice as long were disturbed, and nothing tells which calls were.
MOST_OVERHEAD = 1.0


class Timed(Protocol):
    """What a row has of its calls, summed."""

    macs: int
    bytes_moved: int
    seconds: float


@dataclass(frozen=True)
class PerLayerTimes:
    """Seconds of one pass by counted call, in their order; what no call explains is `elsewhere_s`.

    They add up to the median of `latency`, the undisturbed pass. `overhead` is how much longer the profiled pass
    took, as a fraction of it.
    """

    seconds: tuple[float, ...]
    elsewhere_s: float
    overhead: float
    latency: Latency

    @property
    def sentences(self) -> tuple[str, ...]:
        """The total with its interval, how it was divided, and why it cannot be relied on where it cannot."""
        low, high = (units.milliseconds(end) for end in self.latency.ci95_s)
        said = [
            f"one pass takes {units.milliseconds(self.latency.p50_s)} ms ({low} to {high}), undisturbed by a profiler; "
            f"the profiled passes that divide it took {1 + self.overhead:.2f} times as long and are scaled to it"
        ]
        if not self.latency.reliable:
            said.append(f"the time is not reliable: {self.latency.why}")
        if self.overhead > MOST_OVERHEAD:
            said.append(
                f"its division is not reliable: the profiled passes took more than {1 + MOST_OVERHEAD:g} times as long"
            )
        return tuple(said)

    @property
    def division(self) -> Division:
        """What a comparison keeps of it beside the calls' seconds."""
        why = [] if self.latency.reliable else [str(self.latency.why)]
        if self.overhead > MOST_OVERHEAD:
            why.append(f"profiled passes took more than {1 + MOST_OVERHEAD:g} times as long")
        return Division(self.latency.p50_s, self.overhead, "; ".join(why) or None)

    def to_json(self, environment: Mapping[str, Any]) -> dict[str, Any]:
        """The undisturbed pass with its raw blocks, and how it was divided."""
        return {
            "latency": self.latency.to_json(),
            "between_calls_s": self.elsewhere_s,
            "profiler_overhead": self.overhead,
            "reliable": self.division.why is None,
            "environment": dict(environment),
        }


def with_times(profile: StaticProfile, times: PerLayerTimes) -> StaticProfile:
    """The profile with each call's seconds, and one entry for the time between the calls; its notes as they were."""
    layers = tuple(
        layer._replace(seconds=seconds) for layer, seconds in zip(profile.layers, times.seconds, strict=True)
    )
    between = LayerCost("", BETWEEN, BETWEEN, (), (), 0, seconds=times.elsewhere_s)
    return replace(profile, layers=(*layers, between), by_type=(*profile.by_type, TypeCost(BETWEEN, 0, 0, 0)))


def time_shares(profile: StaticProfile) -> dict[str, float]:
    """Share of each layer type in the time of the pass; empty where no layer was timed."""
    seconds: dict[str, float] = {}
    for layer in profile.layers:
        seconds[layer.type] = seconds.get(layer.type, 0.0) + (layer.seconds or 0.0)
    total = sum(seconds.values())
    return {type: part / total for type, part in seconds.items()} if total else {}


def value(row: Timed, key: str, total_s: float) -> Any:
    """The value of a measured column for a row; None where it says nothing (no mult-adds, nothing moved)."""
    if key == "time_share":
        return row.seconds / total_s if total_s else None
    if key == "arithmetic_intensity":
        return 2 * row.macs / row.bytes_moved if row.macs and row.bytes_moved else None
    if key == "gflops":
        return 2e-9 * row.macs / row.seconds if row.macs and row.seconds else None
    return getattr(row, key)
