"""Machines that change their state between runs and within them: saved comparisons as they would be measured there.

No time passes: a block takes what its state and the draws say. Two networks, 'slow' over 'fast', whose ratio is another
in each state; and a second copy of 'fast'.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from archprof.measure.reliability import judged
from archprof.results import drift, entries, logbook
from archprof.results.comparison import ArchitectureResult, Comparison
from archprof.results.latency import Block, Latency
from archprof.results.profile import StaticProfile
from archprof.results.ratios import Stopping

#: What the reference work takes, and the ratio of 'slow' to 'fast', by the machine's state.
STATES = {
    "a": ({"product_us": 183.0, "sum_us": 4.8, "copy_ms": 1.7}, 5.0),
    "b": ({"product_us": 190.0, "sum_us": 6.5, "copy_ms": 1.0}, 4.5),
    "c": ({"product_us": 260.0, "sum_us": 9.0, "copy_ms": 2.6}, 5.6),
}


def profile(name: str, macs: int) -> StaticProfile:
    return StaticProfile(name, "zoo", (3, 8, 8), 1, 10, 10, 0, macs, 5, 40, 0, 20, None)


def run(
    states: Sequence[str],
    draw: random.Random,
    *,
    between: float = 0.01,
    within: float = 0.01,
    apart: float = 1.0,
    day: int = 1,
    book: logbook.Logbook | None = None,
) -> Comparison:
    """One run that meets a state in each of its rounds. `between` is how its ratio is off for all of it, `within` how a
    block is (standard deviations of the logarithm); the second copy takes `apart` times as long."""
    own = draw.lognormvariate(0.0, between)
    blocks: dict[str, list[Block]] = {"slow": [], "fast": [], "": []}
    order = 0
    for round_, state in enumerate(states):
        times, ratio = STATES[state]
        seconds = {"fast": 0.01, "slow": 0.01 * ratio * own, "": 0.01 * apart}
        for name in ("fast", "slow", "fast", "", "fast") if not round_ else ("slow", "fast", "", "fast"):
            order += 1
            took = seconds[name] * draw.lognormvariate(0.0, within)
            blocks[name].append(Block(took, 5, round_, order, None, times))
    marked = {block.order: block for block in drift.marked([block for these in blocks.values() for block in these])}
    cells = {
        name: judged(Latency(1, tuple(marked[block.order] for block in these)), 0.02) for name, these in blocks.items()
    }
    rows = tuple(
        ArchitectureResult(name, "zoo", profile=profile(name, macs), latency=(cells[name],))
        for name, macs in (("slow", 500), ("fast", 100))
    )
    environment = {"date": f"2026-11-{day:02d}T10:00:00+00:00", "fingerprint": "0123456789ab"}
    return Comparison(environment, rows, "fast", stopping=Stopping(0.02, 8.0, 8.0), control=(cells[""],), logbook=book)


def opened(runs: Sequence[logbook.LoggedRun]) -> logbook.Logbook:
    """The logbook of such runs, for these two networks."""
    return logbook.opened(runs, {logbook.identity(profile(n, m)): n for n, m in (("slow", 500), ("fast", 100))})


def series(states: Sequence[Sequence[str]], seed: int = 0, **how: float) -> list[Comparison]:
    """Runs one after the other, each with the logbook of those before it."""
    draw, before, found = random.Random(seed), [], []
    for day, met in enumerate(states, 1):
        one = replace(run(met, draw, day=min(day, 30), **how), logbook=opened(before))
        entry = entries.entry(one)
        assert entry is not None
        before.append(entry)
        found.append(one)
    return found
