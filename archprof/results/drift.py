"""Drift: whether the machine was slower or faster than usual while it measured. Standard library only.

A host may move a virtual machine, lower its clock or give its cache to a neighbour; nothing inside counts that. So
reference work, short calculations that never change, is timed beside each block. A block that ran while the machine had
drifted from what was usual in its run is left out, and two runs are not told apart by less than the drift between them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from . import statistics
from .latency import Block


@dataclass(frozen=True)
class ReferenceWork:
    """A calculation that never changes: what it is called, and by which share its time may differ before that is called
    drift, at one block and between the medians of two runs."""

    name: str
    in_a_block: float
    in_a_run: float


class Drift(NamedTuple):
    """By which factor (above 1) the machine drifted, and in words: 'products took 9 % longer'."""

    factor: float
    text: str


#: By the name of the reading. On a machine that stood still, one reading in ten was 4 % (products), 2 % (sums) or 13 %
#: (copies) above the median, and medians of 60 readings lay within 3, 3 and 16 % of one another; the ratio of two
#: networks moved with the copies, by 3 % where they took 14 % longer, so that runs may differ by less. Where its host
#: moved it, products took up to 70 % longer, sums 25 to 120 % longer, and copies 40 % less.
REFERENCE_WORK = {
    "product_us": ReferenceWork("products", 0.08, 0.03),
    "sum_us": ReferenceWork("sums", 0.10, 0.04),
    "copy_ms": ReferenceWork("copies", 0.30, 0.05),
}

#: A block's time is the median of three readings, which varies 0.67 times as much as one (normal distribution): so much
#: times a reading's standard deviation is three of its own. STEP is the median of the distance between two readings, in
#: standard deviations of one; of fewer than FEWEST_STEPS it is not known.
NOISE = 2.0
STEP = 0.954

#: Readings of one state differ by a factor of two at most, whatever the noise.
WIDEST_STATE = math.log(2)

FEWEST_STEPS = 5

#: How the cause begins of a block that ran while the machine had drifted.
CAUSE = "drift"


def reference_times(blocks: Iterable[Block]) -> dict[str, float]:
    """The median of each reading that the blocks carry."""
    carried = [block.evidence for block in blocks if block.evidence]
    readings = {name: [each[name] for each in carried if each.get(name, 0.0) > 0] for name in REFERENCE_WORK}
    return {name: statistics.median(values) for name, values in readings.items() if values}


def tolerances(in_order: Sequence[Block]) -> dict[str, float]:
    """By which share the reference work's times beside a block may differ from others of the same state, by reading.

    That is `ReferenceWork.in_a_block`, or NOISE times what neighbours differ by if that is more: on a machine that does
    not stand still for a moment, a slow reading is no other state. States change seldom, so that most neighbours are of
    the same one.
    """
    found = {}
    for name, work in REFERENCE_WORK.items():
        readings = [block.evidence[name] for block in in_order if block.evidence and block.evidence.get(name, 0.0) > 0]
        steps = [abs(math.log(after) - math.log(before)) for before, after in itertools.pairwise(readings)]
        noise = statistics.median(steps) / STEP if len(steps) >= FEWEST_STEPS else 0.0
        found[name] = max(work.in_a_block, math.expm1(min(NOISE * noise, WIDEST_STATE)))
    return found


def marked(blocks: Iterable[Block]) -> list[Block]:
    """The blocks of a run in the order in which they ran; those that ran while the machine had drifted
    from the usual are disturbed.

    Blocks may be marked again when others have joined them: earlier marks do not count. The usual is the median of the
    undisturbed ones. A block's own times are the median of its readings and its neighbours': one that met
    something by chance says nothing, and drift lasts for seconds at least.
    """
    in_order = sorted(unmarked(blocks), key=lambda block: block.order)
    usual = reference_times([block for block in in_order if block.disturbed is None])
    allowed = tolerances(in_order)
    found = []
    for place, block in enumerate(in_order):
        seen = drifts(usual, reference_times(in_order[max(place - 1, 0) : place + 2]), allowed)
        if seen and block.disturbed is None:
            block = replace(block, disturbed=f"{CAUSE} ({seen[0].text} than usual)")
        found.append(block)
    return found


def unmarked(blocks: Iterable[Block]) -> list[Block]:
    """The same blocks, undisturbed where all that was said of them is that the machine had drifted."""
    return [replace(block, disturbed=None) if (block.disturbed or "").startswith(CAUSE) else block for block in blocks]


def drifts(
    usual: Mapping[str, float], seen: Mapping[str, float], allowed: Mapping[str, float] | None = None
) -> list[Drift]:
    """Where the times of the reference work differ by more than is allowed (of two runs), the most first."""
    changes = {
        name: change
        for name in REFERENCE_WORK
        if name in seen and usual.get(name) and 0 < (change := seen[name] / usual[name]) < math.inf
    }
    found = [
        Drift(max(change, 1 / change), f"{REFERENCE_WORK[name].name} took {_words(change)}")
        for name, change in changes.items()
        if max(change, 1 / change) > 1 + (allowed or {}).get(name, REFERENCE_WORK[name].in_a_run)
    ]
    return sorted(found, reverse=True)


def _words(change: float) -> str:
    return f"{100 * (change - 1):.0f} % longer" if change > 1 else f"{100 * (1 - change):.0f} % less time"
