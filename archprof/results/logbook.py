"""The logbook of a machine: what earlier runs found there, and what follows for this one. Standard library only.

Within a run everything may be steady and the next run give another ratio: the machine is in another state, or the
loader put things elsewhere (Kalibera and Jones 2013; Mytkowicz et al. 2009). An interval of one run does not know that;
it takes several runs to tell.
"""

from __future__ import annotations

import hashlib
import json
import math
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..base import kept
from ..base.errors import BadFile
from .between import SPREAD, SPREAD_RUNS, Z, variance_between
from .drift import REFERENCE_WORK
from .saved import as_json
from .states import NO_STATE, State, distance

if TYPE_CHECKING:
    from .profile import StaticProfile

#: Runs that a logbook keeps.
MOST_RUNS = 400

KIND = "logbook"

#: States that are kept apart, those that most blocks met, and numbers that one may have.
MOST_STATES, LARGEST_NUMBER = 64, 10**6

#: A state's times in two runs differ by less than this, by reading: several times what a block's may, since on a
#: machine that is never still states are wide.
APART = {name: 4 * work.in_a_block for name, work in REFERENCE_WORK.items()}


class PastRatio(NamedTuple):
    """A ratio that one run found in one state of the machine, with its interval in that run.

    In state NO_STATE it is that of the whole run, most of which was in the state `main`. A new `era` begins with a run
    that the ones before did not lead to expect.
    """

    architecture: str
    reference: str
    batch_size: int
    state: int
    ratio: float
    ci95: tuple[float, float]
    date: str = ""
    main: int = NO_STATE
    era: int = 1

    @property
    def error(self) -> float:
        """The standard error of the logarithm."""
        return math.log(self.ci95[1] / self.ci95[0]) / (2 * Z)


@dataclass(frozen=True)
class LoggedRun:
    """One run: when it was, the states that it met, its times (p50 in seconds, by network and batch size) and ratios.

    Networks go by their `identity`: a name may come to mean another network. `control` are the ratios of the
    reference's second copy to it.
    """

    date: str
    states: tuple[State, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    times: tuple[tuple[str, int, float], ...] = ()
    ratios: tuple[PastRatio, ...] = ()
    control: tuple[PastRatio, ...] = ()


@dataclass(frozen=True)
class Logbook:
    """What earlier runs on this machine under these conditions say of the networks of a comparison.

    `runs` is how many there were, `states` those that they met, by falling number of blocks: the first is the usual
    one. `ratios` are those of the comparison's own pairs. `spread` is how the ratios of all pairs varied from run to
    run in one state (the standard deviation of the logarithm), known with `spread_runs` degrees of freedom. `doubt`
    says what is wrong with the file.
    """

    runs: int = 0
    states: tuple[State, ...] = ()
    ratios: tuple[PastRatio, ...] = ()
    spread: float = SPREAD
    spread_runs: int = SPREAD_RUNS
    doubt: str = ""

    def usual_with(self, seen: Sequence[State]) -> int:
        """The state that most blocks met, with those of this run: that to which a machine comes back."""
        blocks: dict[int, int] = {}
        for state in (*self.states, *seen):
            blocks[state.number] = blocks.get(state.number, 0) + state.blocks
        return max(blocks, key=lambda number: (blocks[number], -number), default=NO_STATE)

    def ratios_of(
        self, architecture: str, reference: str, batch_size: int, state: int | None = None
    ) -> tuple[PastRatio, ...]:
        """What earlier runs found of that pair, in that state or in any."""
        pair = (architecture, reference, batch_size)
        return tuple(past for past in self.ratios if past[:3] == pair and state in (None, past.state))


def pooled(ratios: Iterable[PastRatio]) -> tuple[float, int]:
    """How ratios vary between runs in one state, over all pairs (standard deviation of the logarithm), and with how
    many degrees of freedom that is known; SPREAD counts among them as SPREAD_RUNS."""
    by_pair: dict[tuple[Any, ...], list[PastRatio]] = {}
    for past in ratios:
        by_pair.setdefault((*past[:4], past.era), []).append(past)
    variance, degrees = SPREAD_RUNS * SPREAD**2, SPREAD_RUNS
    for pasts in by_pair.values():
        if len(pasts) < 2:
            continue
        own = variance_between([math.log(past.ratio) for past in pasts], [max(past.error, 1e-6) for past in pasts])
        variance += (len(pasts) - 1) * own
        degrees += len(pasts) - 1
    # what other pairs do says something of this one, not everything
    return math.sqrt(variance / degrees), min(degrees, 2 * SPREAD_RUNS)


def identity(profile: StaticProfile) -> str:
    """What tells a network from others, also of the same name: name, calls, their shapes and costs, as hexadecimal
    digits."""
    calls = [layer._replace(module="", seconds=None) for layer in profile.layers]
    counts = (profile.parameters, profile.trainable_parameters, profile.macs, profile.activations, profile.input_shape)
    return hashlib.sha256(json.dumps([profile.name, counts, calls], default=str).encode()).hexdigest()[:16]


# --- kept on disk ---------------------------------------------------------------------------------------------------


def read(fingerprint: str) -> tuple[list[LoggedRun], str]:
    """The runs of a machine under some conditions, in their order, and what is wrong with the file ('': nothing)."""
    store = kept.Store(KIND, fingerprint)
    runs, strange = [], 0
    for value in store.values():
        try:
            runs.append(_run(value))
        except BadFile:  # written by another version, or by nobody of ours
            strange += 1
    runs.sort(key=lambda run: run.date)
    doubts = [f"{strange} of its runs cannot be read"] if strange else []
    doubts += [store.unread] if store.unread else []
    return runs[-MOST_RUNS:], f"the logbook {store.path}: {'; '.join(doubts)}" if doubts else ""


def path(fingerprint: str) -> Path:
    """The file of a machine under some conditions."""
    return kept.Store(KIND, fingerprint).path


def write(fingerprint: str, run: LoggedRun) -> str | None:
    """Add a run; says why that did not work, None: it did, or it is not ours to do (a caller's own process)."""
    store = kept.Store(KIND, fingerprint)
    store.put(f"{run.date} {uuid.uuid4().hex[:8]}", as_json(run) | {"states": [as_json(state) for state in run.states]})
    return store.unwritten


def checked(saved: Any) -> Logbook:
    """The logbook that a comparison's JSON holds. Raises BadFile, which names the key, where it holds none."""
    from . import reading  # it is slow to import

    found: Logbook = reading.checked(Logbook, saved, KIND)
    if not (0 < found.spread < 10 and found.spread_runs > 0):
        raise BadFile(f"{KIND}: {found.spread:g} with {found.spread_runs} degrees of freedom is no spread.")
    _refuse_what_is_no_ratio(found.ratios)
    _refuse_states(found.states)
    return found


def _run(saved: Any) -> LoggedRun:
    from . import reading

    found: LoggedRun = reading.checked(LoggedRun, saved, KIND)
    _refuse_what_is_no_ratio((*found.ratios, *found.control))
    _refuse_states(found.states)
    return found


def _refuse_states(states: Sequence[State]) -> None:
    if len(states) > MOST_STATES or any(state.number > LARGEST_NUMBER for state in states):
        raise BadFile(f"{KIND}: {len(states)} states; at most {MOST_STATES} are told apart.")


def _refuse_what_is_no_ratio(ratios: Iterable[PastRatio]) -> None:
    for past in ratios:
        low, high = past.ci95
        if not 1e-9 < low <= past.ratio <= high < 1e9:
            raise BadFile(f"{KIND}: {past.ratio:g} ({low:g} to {high:g}) is no ratio with its interval.")


def opened(runs: Sequence[LoggedRun], names: Mapping[str, str], doubt: str = "") -> Logbook:
    """What the runs say of networks; `names` are theirs by identity."""
    known: list[State] = []
    every = []
    for run in runs:
        numbers = {NO_STATE: NO_STATE}
        for state in run.states:
            numbers[state.number] = _joined(state, known)
        every += [
            past._replace(date=run.date, state=numbers.get(past.state, NO_STATE), main=numbers.get(past.main, NO_STATE))
            for past in run.ratios
            if past.state in numbers
        ]
    states = sorted(known, key=lambda state: (-state.blocks, state.number))[:MOST_STATES]
    spread, spread_runs = pooled(every)
    own = [
        past._replace(architecture=names[past.architecture], reference=names[past.reference])
        for past in every
        if past.architecture in names and past.reference in names
    ]
    return Logbook(len(runs), tuple(states), tuple(own), spread, spread_runs, doubt)


def _joined(state: State, known: list[State]) -> int:
    """The number that a run's state has among those `known`, to which it is added.

    It is its own, unless another state has that: two runs at once may each give it to one of theirs.
    """
    for place, other in enumerate(known):
        if other.number == state.number and distance(state.times, other.times, APART) <= 1:
            known[place] = other._replace(blocks=other.blocks + state.blocks)
            return other.number
    taken = {other.number for other in known}
    number = state.number if state.number not in taken else max(taken) + 1
    known.append(state._replace(number=number))
    return number
