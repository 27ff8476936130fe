"""States of the machine: speeds that it is met at again and again, told by its reference work. Standard library only.

A host moves a virtual machine between cores, shares a cache with a neighbour, or lowers a clock; what runs meanwhile
takes other times, and not all of it in one proportion: the ratio of two networks moves too. So blocks are sorted by
what the reference work beside them took, and a state keeps its number from run to run.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from . import drift, statistics
from .latency import FEWEST_BLOCKS, Block

#: What blocks are in that are like no others, or beside which no reference work was timed.
NO_STATE = 0

#: A state that is met for a smaller share of a run is not told from chance.
LEAST_SHARE = 0.1

#: A new state is looked for around so many blocks at most, and each of them is held against ten times as many.
TRIED = 60


class State(NamedTuple):
    """The medians of the reference work's times, and how many blocks met it. Numbers begin at 1."""

    number: int
    times: Mapping[str, float]
    blocks: int = 0

    @property
    def words(self) -> str:
        """'products 183 us, sums 4.8 us, copies 1.7 ms'."""
        return ", ".join(
            f"{work.name} {self.times[name]:.3g} {name.rpartition('_')[2]}"
            for name, work in drift.REFERENCE_WORK.items()
            if name in self.times
        )


def states_of(blocks: Iterable[Block], known: Sequence[State] = ()) -> dict[int, int]:
    """The number of the state that each block of a run was in, by the block's order.

    That is the nearest of the `known` whose times are within what a block's may differ by (`drift.tolerances`); blocks
    that are like none of them, and LEAST_SHARE of all like one another, are in a new one.
    """
    in_order = sorted(blocks, key=lambda block: block.order)
    readings = {
        block.order: times
        for place, block in enumerate(in_order)
        if (times := drift.reference_times(in_order[max(place - 1, 0) : place + 2]))
    }
    allowed = drift.tolerances(in_order)
    fewest = max(FEWEST_BLOCKS, math.ceil(LEAST_SHARE * len(readings)))
    found = {block.order: NO_STATE for block in in_order}
    centres = {state.number: dict(state.times) for state in known}
    for order in readings:
        near = {number: distance(readings[order], centre, allowed) for number, centre in centres.items()}
        best = min(near, key=lambda number: near[number], default=NO_STATE)
        if best and near[best] <= 1:
            found[order] = best
    waiting = [order for order in readings if found[order] == NO_STATE]
    while len(waiting) >= fewest:
        centre = _densest([readings[order] for order in waiting], allowed)
        members = [order for order in waiting if distance(readings[order], centre, allowed) <= 1]
        if len(members) < fewest:
            break
        number = max(centres, default=NO_STATE) + 1
        centres[number] = centre
        found |= dict.fromkeys(members, number)
        waiting = [order for order in waiting if found[order] == NO_STATE]
    return found


def met(blocks: Iterable[Block], numbers: Mapping[int, int]) -> tuple[State, ...]:
    """The states that the blocks were in, with their times here; the one of most blocks first."""
    by_state: dict[int, list[Block]] = {}
    for block in blocks:
        by_state.setdefault(numbers.get(block.order, NO_STATE), []).append(block)
    by_state.pop(NO_STATE, None)
    states = [State(number, drift.reference_times(these), len(these)) for number, these in by_state.items()]
    return tuple(sorted(states, key=lambda state: (-state.blocks, state.number)))


def distance(times: Mapping[str, float], centre: Mapping[str, float], allowed: Mapping[str, float]) -> float:
    """How far apart two readings are, in what is allowed: up to 1 they are of one state."""
    return max(
        (
            abs(math.log(times[name]) - math.log(centre[name])) / math.log1p(allowed[name])
            for name in drift.REFERENCE_WORK
            if times.get(name, 0.0) > 0 and centre.get(name, 0.0) > 0
        ),
        default=math.inf,
    )


def _densest(readings: Sequence[Mapping[str, float]], allowed: Mapping[str, float]) -> dict[str, float]:
    """The medians of those that are near the reading with most others near it."""
    tried = readings[:: math.ceil(len(readings) / TRIED)]
    others = readings[:: math.ceil(len(readings) / (10 * TRIED))]

    def beside(reading: Mapping[str, float]) -> list[Mapping[str, float]]:
        return [other for other in others if distance(other, reading, allowed) <= 1]

    near = max(map(beside, tried), key=len)
    return {
        name: statistics.median([reading[name] for reading in near])
        for name in drift.REFERENCE_WORK
        if all(name in reading for reading in near)
    }
