"""A network against the ceilings of a machine: how long it would take at best, what its layers are bound by, how near
they come. Standard library only.

The best possible time of a call is the larger of its operations over FLOP/s and its bytes over bytes/s (Williams,
Waterman and Patterson 2009), each working set at the bandwidth of its level (Ilic, Pratas and Sousa 2014), and on a CPU
the time of the call itself (`ceilings.Bound`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ..base import units
from .ceilings import CONVOLUTION, ELEMENTWISE, PRODUCT, Bound, Ceilings
from .per_layer import BETWEEN
from .profile import LayerCost, StaticProfile

#: What a call can be bound by, in the order in which sentences name it.
BY = ("compute", "memory", "calls")

#: Bytes of a learned scalar: calls are timed, and their bytes counted, in float32.
FLOAT32 = 4

#: Below so small a share of the time, a sentence does not name a part.
_SMALL = 0.005


@dataclass
class Standing:
    """Timed calls against the ceilings, added up.

    `seconds` are those of calls with a bound, by what bounds them, `best` the least that they could take;
    `between_s` is what no call explains, `unbound_s` the time of calls whose operations are not counted.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    best: dict[str, float] = field(default_factory=dict)
    between_s: float = 0.0
    unbound_s: float = 0.0
    unbound: int = 0

    @property
    def whole_s(self) -> float:
        """Seconds of everything."""
        return sum(self.seconds.values()) + self.between_s + self.unbound_s

    @property
    def best_s(self) -> float | None:
        """The best possible time; None where it is not known of any call."""
        return sum(self.best.values()) if self.best else None

    @property
    def by(self) -> str | None:
        """What bounds the calls that take most of the time; None where nothing is known."""
        return max(self.seconds, key=lambda by: self.seconds[by], default=None)

    @property
    def share(self) -> float | None:
        """Best over measured time, what lies between the calls included: 1 at the ceiling. None without a best time."""
        took = self.whole_s - self.unbound_s
        return self.best_s / took if self.best_s is not None and took else None


@dataclass(frozen=True)
class Roofline:
    """A timed network and the ceilings of the machine that timed it."""

    profile: StaticProfile
    ceilings: Ceilings
    dtype: str = "float32"

    @property
    def held_bytes(self) -> int:
        """What a whole pass goes through before it reads a weight again."""
        return self.profile.parameter_bytes + self.profile.peak_activation_bytes

    def bound(self, layer: LayerCost) -> Bound | None:
        """The best possible time of one call; None where it is not known."""
        if layer.macs is None or layer.type == BETWEEN:
            return None
        return self.ceilings.bound(
            2 * layer.macs,
            layer.bytes_moved,
            self.dtype,
            call=_call_of(layer),
            weight_bytes=FLOAT32 * layer.parameters,
            held_bytes=self.held_bytes,
            in_place=layer.op.endswith("_"),
        )

    def standing(self, layers: Iterable[LayerCost]) -> Standing:
        """These calls, added up."""
        found = Standing()
        for layer in layers:
            took = layer.seconds or 0.0
            if layer.type == BETWEEN:
                found.between_s += took
            elif (bound := self.bound(layer)) is None:
                found.unbound_s += took
                found.unbound += 1
            else:
                found.seconds[bound.by] = found.seconds.get(bound.by, 0.0) + took
                found.best[bound.by] = found.best.get(bound.by, 0.0) + bound.seconds
        return found

    @cached_property
    def whole(self) -> Standing:
        """The network."""
        return self.standing(self.profile.layers)

    @property
    def sentences(self) -> tuple[str, ...]:
        """The best possible time against the measured one, what its parts are bound by, and what to doubt."""
        whole = self.whole
        if whole.best_s is None:
            return (f"no ceiling of {self.dtype} is known of this machine",)
        return (self._at_best(whole), *self._doubts())

    def _at_best(self, whole: Standing) -> str:
        measured = f" (measured {self.ceilings.date})" if self.ceilings.date else ""
        assert whole.best_s is not None
        said = (
            f"at the ceilings of this machine{measured} the network would take {units.milliseconds(whole.best_s)} ms; "
            f"it takes {units.milliseconds(whole.whole_s - whole.unbound_s)} ms ({units.percent(whole.share, 0)})"
        )
        parts = [
            f"{_percent(whole.seconds[by], whole.whole_s)} of the time is in layers bound by {by}, "
            f"which reach {_percent(whole.best[by], whole.seconds[by])} of their ceiling"
            for by in BY
            if by in whole.seconds and whole.seconds[by] > _SMALL * whole.whole_s
        ]
        if whole.between_s > _SMALL * whole.whole_s:
            parts.append(f"{_percent(whole.between_s, whole.whole_s)} is between the calls")
        return f"{said}: {'; '.join(parts)}" if parts else said

    def _doubts(self) -> list[str]:
        said = []
        if self.whole.unbound:
            calls = "call" if self.whole.unbound == 1 else "calls"
            said.append(
                f"both times leave out {self.whole.unbound} {calls} whose mult-adds or ceilings are not known "
                f"({units.milliseconds(self.whole.unbound_s)} ms)"
            )
        if doubt := doubtful(self.ceilings):
            said.append(doubt)
        return said


def doubtful(ceilings: Ceilings) -> str | None:
    """That some cannot be relied on, with the first reason and the next step; None: all can."""
    doubts = ceilings.doubts
    if not doubts:
        return None
    one = len(doubts) == 1
    return (
        f"{len(doubts)} of the ceilings {'is' if one else 'are'} not reliable, {'' if one else 'such as '}{doubts[0]}; "
        f"'{_again(ceilings)}' measures again, best on a quieter machine"
    )


def _again(ceilings: Ceilings) -> str:
    known = ceilings.environment
    device, threads = known.get("device", "cpu"), known.get("threads")
    options = [f"--device {device}"] * (device != "cpu") + [f"--threads {threads}"] * (
        device == "cpu" and bool(threads)
    )
    return " ".join(["archprof env --roofline --again", *options])


def how_to_get(command: str) -> str:
    """What is said where no ceilings are kept; `command` measures them."""
    return f"how near each layer comes to what this machine can do is shown once '{command}' has measured that"


def unlike(environment: Mapping[str, Any]) -> str | None:
    """Why layers that were timed there cannot be set against ceilings; None: they can."""
    dtype, autocast = environment.get("dtype") or "float32", environment.get("autocast")
    if dtype == "float32" and not autocast:
        return None
    return f"bytes moved are counted in float32, and the layers were timed in {autocast or dtype};"


def _call_of(layer: LayerCost) -> str:
    if not layer.macs:
        return ELEMENTWISE
    return CONVOLUTION if "conv" in layer.op else PRODUCT


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.0f} %" if whole else units.DASH
