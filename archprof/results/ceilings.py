"""What a machine can do at best: arithmetic by type, memory by working set, calls. Standard library only.

The ceilings of the roofline model (Williams, Waterman and Patterson 2009), one of memory for each size of working set
as in the cache-aware model (Ilic, Pratas and Sousa 2014). What is kept are the times of small calculations, the probes;
each ceiling follows from the fastest of its kind.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

from ..base import units
from ..base.errors import BadFile
from ..base.kept import Store
from .conditions import machine
from .saved import as_json

#: What probes do: arithmetic, moving data, being called with next to nothing to do.
ARITHMETIC = ("product", "convolution")
STREAMS = ("copy", "read", "in place")
APART = STREAMS[:2]  # from one place to another, or to the processor
CALLS = ("call of an elementwise operator", "call of a product", "call of a convolution")
ELEMENTWISE, PRODUCT, CONVOLUTION = CALLS

#: The level behind all caches.
MEMORY = "memory"

#: A probe of memory whose time is not so many times that of a call says more of the call than of the memory.
LEAST_CALLS = 2.0

#: The fastest block is believed where a second one came so near: what happened once may be a state of the machine that
#: does not last.
CONFIRMED = 0.05

#: Fewest undisturbed blocks that say anything, as of a latency.
FEWEST = 3


class Cache(NamedTuple):
    """A level of cache, and the bytes that it holds for all threads that measure together."""

    level: str
    size_bytes: int


@dataclass(frozen=True)
class Probe:
    """A calculation that was done over and over, and what one of it amounts to.

    `work` is one of ARITHMETIC, STREAMS and CALLS, `what` says it in detail. `flops` and `moved_bytes` (read and
    written) are of one calculation, `working_set_bytes` what it touches. `seconds` are those of one calculation in each
    undisturbed block, in their order; `disturbed_seconds` in each other, with the commonest `cause`.
    """

    work: str
    what: str
    dtype: str
    flops: int
    moved_bytes: int
    working_set_bytes: int
    seconds: tuple[float, ...] = ()
    disturbed_seconds: tuple[float, ...] = ()
    cause: str | None = None

    @property
    def identity(self) -> tuple[str, str, str, int, int]:
        """What is the same in two measurements of one calculation."""
        return self.work, self.what, self.dtype, self.flops, self.working_set_bytes

    @property
    def best_s(self) -> float:
        """Seconds of the fastest undisturbed block (of any, where all were disturbed)."""
        return min(self.seconds or self.disturbed_seconds)

    @property
    def measured(self) -> bool:
        """Whether there is any observation."""
        return bool(self.seconds or self.disturbed_seconds)

    @property
    def why(self) -> str | None:
        """Why the fastest block cannot be relied on; None: it can."""
        if len(self.seconds) < FEWEST:
            every = len(self.seconds) + len(self.disturbed_seconds)
            if not self.disturbed_seconds:
                return f"there was time for {every} block{'s' if every > 1 else ''}, {FEWEST} are needed"
            return f"{len(self.disturbed_seconds)} of {every} blocks were disturbed ({self.cause})"
        best, second = sorted(self.seconds)[:2]
        if second > best * (1 + CONFIRMED):
            return f"no other block came within {100 * CONFIRMED:g} % of the fastest"
        return None


class Lacking(NamedTuple):
    """A type that the device was not measured in, and why."""

    dtype: str
    why: str


class Figure(NamedTuple):
    """A ceiling in base units, the probe that reached it, and whether it can be relied on."""

    value: float
    probe: Probe

    @property
    def reliable(self) -> bool:
        """Whether its probe was undisturbed often enough."""
        return self.probe.why is None


class Bandwidth(NamedTuple):
    """Bytes/s that a working set can be moved at."""

    working_set_bytes: int
    figure: Figure


class Bound(NamedTuple):
    """The least seconds that some work can take: for its arithmetic, for its bytes, for its calls.

    `level` is where most of the time for the bytes goes: 'L2', 'memory'. A CPU makes a call before it computes; a GPU
    (`overlapping`) computes while the next call is made. Within a call, arithmetic and bytes overlap at best.
    """

    compute_s: float
    memory_s: float
    call_s: float
    level: str = MEMORY
    overlapping: bool = False

    @property
    def seconds(self) -> float:
        """The best possible time."""
        work = max(self.compute_s, self.memory_s)
        return max(work, self.call_s) if self.overlapping else self.call_s + work

    @property
    def by(self) -> str:
        """What takes most of it: 'compute', 'memory' or 'calls'."""
        parts = {"compute": self.compute_s, "memory": self.memory_s, "calls": self.call_s}
        return max(parts, key=lambda part: parts[part])


@dataclass(frozen=True)
class Ceilings:
    """The probes of one machine, and what follows from them.

    `environment` is that of the measurement, its `date` included. Where no probe of a group can be relied on, its
    ceiling is taken from the others, and `doubts` says so.
    """

    environment: Mapping[str, Any]
    probes: tuple[Probe, ...]
    caches: tuple[Cache, ...] = ()
    lacking: tuple[Lacking, ...] = ()

    @property
    def date(self) -> str:
        """When they were measured: '2026-01-31 12:00 UTC'; '' where that is not stated."""
        said = str(self.environment.get("date") or "")
        return f"{said[:10]} {said[11:16]} UTC" if len(said) >= 16 else said

    @property
    def overlapping(self) -> bool:
        """Whether calls are made while the device still computes."""
        return not str(self.environment.get("device", "cpu")).startswith("cpu")

    @property
    def complete(self) -> bool:
        """Whether there is anything that a layer can be set against: arithmetic in float32, and memory."""
        return self.compute("float32") is not None and bool(self.memory)

    # -- the ceilings ----------------------------------------------------------------------------

    @property
    def dtypes(self) -> tuple[str, ...]:
        """The types whose arithmetic was measured, in the order of the probes."""
        return tuple(dict.fromkeys(probe.dtype for probe in self._of(ARITHMETIC) if probe.flops))

    def compute(self, dtype: str, works: Sequence[str] = ARITHMETIC) -> Figure | None:
        """FLOP/s: the highest rate of any product or convolution in that type; None: there is none."""
        return _highest(Figure(p.flops / p.best_s, p) for p in self._of(works) if p.dtype == dtype and p.flops)

    def call(self, kind: str) -> Figure | None:
        """Seconds of the fastest call of that kind, one of CALLS; None: not measured."""
        found = [Figure(probe.best_s, probe) for probe in self._of((kind,))]
        return min(found, default=None, key=lambda figure: (not figure.reliable, figure.value))

    def stream(self, probe: Probe) -> float | None:
        """Bytes/s of a copy or its like without the time of its call; None where the call takes too much of it."""
        call = self.call(ELEMENTWISE)
        call_s = call.value if call else 0.0
        if probe.best_s < LEAST_CALLS * call_s:
            return None
        return probe.moved_bytes / (probe.best_s - (0.0 if self.overlapping else call_s))

    @cached_property
    def memory(self) -> tuple[Bandwidth, ...]:
        """Bytes/s of each working set, ascending: the highest rate of a copy or of reading.

        What was measured of a larger working set holds for a smaller one too: that has a nearer place.
        """
        return self._curve(APART)

    @cached_property
    def in_place(self) -> tuple[Bandwidth, ...]:
        """The same for operators that change their input: hardware need not make room for what is written."""
        return self._curve(STREAMS)

    def _curve(self, works: Sequence[str]) -> tuple[Bandwidth, ...]:
        by_size: dict[int, list[Figure]] = {}
        for probe in self._of(works):
            if probe.working_set_bytes and (rate := self.stream(probe)):
                by_size.setdefault(probe.working_set_bytes, []).append(Figure(rate, probe))
        found: list[Bandwidth] = []
        best: Figure | None = None
        for size in sorted(by_size, reverse=True):
            best = _highest([*by_size[size], *([best] if best else [])])
            assert best is not None
            found.append(Bandwidth(size, best))
        return tuple(reversed(found))

    def bytes_per_s(self, working_set_bytes: float, in_place: bool = False) -> float | None:
        """Bytes/s of a working set, between two that were measured along the line in logarithms; None: none was."""
        known = [(one.working_set_bytes, one.figure.value) for one in (self.in_place if in_place else self.memory)]
        if not known:
            return None
        for (low, faster), (high, slower) in pairwise(known):
            if low < working_set_bytes < high:
                part = math.log(working_set_bytes / low) / math.log(high / low)
                return math.exp((1 - part) * math.log(faster) + part * math.log(slower))
        return next((rate for size, rate in known if working_set_bytes <= size), known[-1][1])

    def level(self, working_set_bytes: float) -> str:
        """The nearest cache that holds so many bytes: 'L2', 'L3'; 'memory' where none does."""
        return next((cache.level for cache in self.caches if working_set_bytes <= cache.size_bytes), MEMORY)

    @property
    def levels(self) -> dict[str, Figure]:
        """Each level with its bandwidth, the nearest first: that of the largest working set that half fills it.

        Beyond half, other data of the process and of neighbours push it out. Memory's is that of the largest working
        set, where no cache holds it; levels in which no working set was measured are left out.
        """
        found: dict[str, Figure] = {}
        for cache in self.caches:
            within = [one for one in self.memory if one.working_set_bytes <= cache.size_bytes / 2]
            if within and self.level(within[-1].working_set_bytes) == cache.level:
                found[cache.level] = within[-1].figure
        if self.memory and self.level(self.memory[-1].working_set_bytes) == MEMORY:
            found[MEMORY] = self.memory[-1].figure
        return found

    # -- what they mean for some work --------------------------------------------------------------

    def bound(
        self,
        flops: float,
        moved_bytes: float,
        dtype: str = "float32",
        *,
        call: str = ELEMENTWISE,
        weight_bytes: float = 0.0,
        held_bytes: float = 0.0,
        in_place: bool = False,
    ) -> Bound | None:
        """The best possible time of one call: flops over FLOP/s, bytes over bytes/s, and the call itself.

        Of the `moved_bytes`, `weight_bytes` were last read a pass ago and come from the level that holds the
        `held_bytes` of a whole pass; the others from the one that holds them alone, where operators `in_place` change
        them. None where the machine has no ceiling for it: arithmetic in that type, or memory, was not measured.
        """
        arithmetic = self.compute(dtype) if flops else None
        if flops and arithmetic is None:
            return None
        weights = min(weight_bytes, moved_bytes)
        others = moved_bytes - weights
        touched = others / 2 if in_place else others  # what is read and written back moves twice
        parts = []
        for nbytes, working_set, changed in ((weights, max(held_bytes, weights), False), (others, touched, in_place)):
            if nbytes > 0:
                rate = self.bytes_per_s(working_set, changed)
                if rate is None:
                    return None
                parts.append((nbytes / rate, self.level(working_set)))
        called = self.call(call)
        return Bound(
            compute_s=flops / arithmetic.value if arithmetic else 0.0,
            memory_s=sum(seconds for seconds, _ in parts),
            call_s=called.value if called else 0.0,
            level=max(parts, default=(0.0, MEMORY))[1],
            overlapping=self.overlapping,
        )

    # -- what to think of them -----------------------------------------------------------------------

    @property
    def doubts(self) -> tuple[str, ...]:
        """A phrase for each ceiling that cannot be relied on: 'float32: 4 of 6 blocks were disturbed (...)'."""
        named = [(dtype, self.compute(dtype)) for dtype in self.dtypes]
        named += [(f"memory, {units.size(one.working_set_bytes)}", one.figure) for one in self.memory]
        in_place = [one for one in self.in_place if one.figure.probe.work not in APART]
        named += [(f"in place, {units.size(one.working_set_bytes)}", one.figure) for one in in_place]
        named += [(kind, self.call(kind)) for kind in CALLS]
        return tuple(f"{name}: {figure.probe.why}" for name, figure in named if figure and not figure.reliable)

    def with_earlier(self, earlier: Ceilings) -> Ceilings:
        """The same with the blocks of an earlier measurement of this machine, probe by probe.

        What disturbs makes a block slower, never faster, so that two measurements know more than either.
        """
        before = {probe.identity: probe for probe in earlier.probes}
        joined = tuple(
            replace(
                probe,
                seconds=(*then.seconds, *probe.seconds),
                disturbed_seconds=(*then.disturbed_seconds, *probe.disturbed_seconds),
                cause=probe.cause or then.cause,
            )
            if (then := before.pop(probe.identity, None))
            else probe
            for probe in self.probes
        )
        found = replace(self, probes=(*joined, *before.values()))
        return replace(found, lacking=tuple(one for one in self.lacking if one.dtype not in found.dtypes))

    def to_json(self) -> dict[str, Any]:
        """The probes as they were observed; `reading.checked(Ceilings, ...)` is the way back."""
        return as_json(self) | {"probes": [as_json(p) for p in self.probes], "environment": dict(self.environment)}

    def _of(self, works: Sequence[str]) -> list[Probe]:
        return [probe for probe in self.probes if probe.work in works and probe.measured]


def _highest(figures: Iterable[Figure]) -> Figure | None:
    """The highest of those that can be relied on, or of all where none can."""
    return max(figures, default=None, key=lambda figure: (figure.reliable, figure.value))


# -- kept for another time -----------------------------------------------------------------------------------------

#: The kind of what is kept, and its key there: raised whenever other probes are measured.
KIND, KEY = "ceilings", "probes 1"


def known(environment: Mapping[str, Any]) -> Ceilings | None:
    """The ceilings that are kept of the machine with that environment, or None."""
    saved = Store(KIND, machine(environment)).get(KEY)
    try:
        found = None if saved is None else read(saved)
    except BadFile:  # written by another version, or by nobody of ours
        return None
    return found if found and found.complete else None


def keep(found: Ceilings) -> str | None:
    """Keep them for their machine; says why that did not work, None: it did."""
    kept = Store(KIND, machine(found.environment))
    kept.put(KEY, found.to_json())
    return kept.unwritten


def read(saved: Any, where: str = "ceilings") -> Ceilings:
    """The ceilings that `to_json` wrote. Raises BadFile, which names the key, for anything else."""
    from . import reading  # it is slow to import

    found = reading.checked(Ceilings, saved, where)
    assert isinstance(found, Ceilings)
    reading.environment(found.environment)
    return found
