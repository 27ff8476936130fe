"""A comparison as an entry of the logbook. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping

from .comparison import Comparison
from .latency import Latency
from .logbook import LoggedRun, PastRatio, identity
from .ratios import by_state
from .states import NO_STATE, states_of


def entry(comparison: Comparison) -> LoggedRun | None:
    """What is worth remembering of a run; None where nothing was measured."""
    rows = {identity(row.profile): row for row in comparison.architectures if row.profile}
    cells = [cell for row in rows.values() for cell in row.latency if cell.measured]
    if not cells:
        return None
    blocks = [block for cell in (*cells, *comparison.control) for block in cell.blocks]
    numbers = states_of(blocks, comparison.logbook.states if comparison.logbook else ())
    states = comparison.states
    main = states[0].number if states else NO_STATE
    reference = next((key for key, row in rows.items() if row.name == comparison.reference), None)
    eras = {(ratio.architecture, ratio.batch_size): ratio.era for ratio in comparison.ratios}
    ratios: list[PastRatio] = []
    control: list[PastRatio] = []
    for key, row in rows.items():
        for cell in row.latency:
            below = rows[reference].latency_at(cell.batch_size) if reference else None
            if reference and key != reference and below is not None and below.measured and cell.measured:
                ratios += _by_state(
                    key, reference, cell, below, numbers, main, eras.get((row.name, cell.batch_size), 1)
                )
    for copy in comparison.control if reference else ():
        below = rows[reference].latency_at(copy.batch_size) if reference else None
        if reference and below is not None and below.measured:
            control += _by_state(reference, reference, copy, below, numbers, main)
    if not (states or ratios):
        return None
    times = [(key, cell.batch_size, cell.p50_s) for key, row in rows.items() for cell in row.latency if cell.reliable]
    return LoggedRun(
        str(comparison.environment.get("date") or ""),
        states,
        {key: row.name for key, row in rows.items()},
        tuple(times),
        tuple(ratios),
        tuple(control),
    )


def _by_state(
    above: str, below: str, one: Latency, other: Latency, numbers: Mapping[int, int], main: int, era: int = 1
) -> list[PastRatio]:
    """The ratio of the whole run, and that of each state in which both ran often enough."""
    found = by_state(one, other, numbers)
    return [
        PastRatio(above, below, one.batch_size, state, *found[state], main=NO_STATE if state else main, era=era)
        for state in sorted(found)
    ]
