"""A measurement in several processes, one after the other: each loads its networks to other places in memory.

Where things lie is drawn once for a process, and no number of blocks within it averages that out (Mytkowicz et al.
2009; Kalibera and Jones 2013).
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..base import cache
from ..base.errors import BadOption, Unreachable
from ..measure.reliability import judged
from ..results import drift
from ..results.comparison import Comparison
from ..results.conditions import Conditions, Sampling
from ..results.latency import Latency
from ..results.ratios import Stopping
from .asked import TIMEOUT_S
from .elsewhere import compare_packed, packed
from .engines.processes import Processes
from .measured_rows import CONTROL, Measured, own_needs
from .rows import Request, RowInProgress

#: Seconds of the time budget for each process where their number is left to us, and how many at most.
EACH_S, MOST = 15.0, 8


def wanted(runs: int | None, models: Sequence[Any], sampling: Sampling, conditions: Conditions = Conditions()) -> int:
    """How many processes measure: as many as were asked for; of themselves several where there is time, what is
    measured goes by its name, and nothing has to be compiled. Raises BadOption for a number that makes no sense."""
    if runs is not None:
        if type(runs) is not int or runs < 1:
            raise BadOption(f"runs is {runs!r};", "expected a whole number above 0.")
        return runs
    if conditions.compile or not cache.may_keep or not all(isinstance(model, str) for model in models):
        return 1
    return max(1, min(int(sampling.time_budget // EACH_S), MOST))


def measure(
    models: Mapping[str, Any],
    rows: Sequence[RowInProgress],
    request: Request,
    reference: str | None,
    runs: int,
    compare: Callable[..., Comparison],
    place: str | None,
) -> Measured:
    """Measure every network that was counted in `runs` fresh processes, which share the time budget and start in the
    working directory `place`: a network that was counted may have left it.

    A process that ends before its answer is told, and the others count; raises Unreachable where all of them do.
    """
    needed, refused = own_needs(rows, request)
    began = time.perf_counter()
    each = replace(request.sampling, time_budget=request.sampling.time_budget / runs)
    asked = replace(request, sampling=each, progress=None, accuracies=(), memory=None, explain=False)
    how = {"reference": reference, "logbook": False, "runs": 1}
    task: Any = packed(({name: models[name] for name in needed}, asked, how))
    work = functools.partial(compare_packed, compare=compare)
    engine = Processes(work, timeout=each.time_budget + TIMEOUT_S * len(needed), most_bytes=0)
    found: list[Comparison] = []
    ended: list[str] = []

    def keep() -> Measured:
        cells, control = merged(found, request.sampling.precision)
        for row in rows:
            sizes = [cells.get((row.result.name, size)) or refused.get((row.result.name, size)) for size in row.needs]
            row.result = replace(row.result, latency=tuple(cell for cell in sizes if cell is not None))
        stopping = Stopping(request.sampling.precision, request.sampling.time_budget, time.perf_counter() - began)
        warnings = [f"{len(ended)} of {runs} processes that measured gave no answer: {ended[0]}"] if ended else []
        return Measured(stopping if cells or refused else None, control, tuple(warnings))

    if not needed:
        return keep()
    request.tell(f"measuring in a process of its own, 1 of {runs}", request.sampling.time_budget)
    if place:
        os.chdir(place)
    try:
        for outcome in engine.run([task] * runs):
            if isinstance(outcome.value, Exception):
                raise outcome.value
            if outcome.error is not None:
                ended.append(outcome.error)
            else:
                found.append(outcome.value)
            done = len(found) + len(ended)
            request.tell(
                f"measuring in a process of its own, {min(done + 1, runs)} of {runs}", (runs - done) * each.time_budget
            )
    except KeyboardInterrupt:
        keep()  # what whole processes found is not lost
        raise
    if not found:
        raise Unreachable(f"measuring in a process of its own: {ended[0]};", "try '--runs 1'.")
    return keep()


def merged(found: Sequence[Comparison], precision: float) -> tuple[dict[tuple[str, int], Latency], tuple[Latency, ...]]:
    """The cells of several processes as those of one run, and its control: blocks are numbered on, and drift is looked
    for in all of them together."""
    joined: dict[tuple[str, int], list[Latency]] = {}
    order = round_ = 0
    for process, each in enumerate(found, 1):
        cells = {(row.name, cell.batch_size): cell for row in each.architectures for cell in row.latency}
        cells |= {(CONTROL, cell.batch_size): cell for cell in each.control}
        for key, cell in cells.items():
            blocks = tuple(
                replace(block, order=block.order + order, round=block.round + round_, process=process)
                for block in cell.blocks
            )
            joined.setdefault(key, []).append(replace(cell, blocks=blocks))
        every = [block for parts in joined.values() for part in parts for block in part.blocks]
        order = max((block.order for block in every), default=0) + 1
        round_ = max((block.round for block in every), default=0) + 2  # no round begins with another process's block
    marked = {
        block.order: block
        for block in drift.marked(block for parts in joined.values() for part in parts for block in part.blocks)
    }
    whole = {key: _whole(parts, marked, precision) for key, parts in joined.items()}
    control = tuple(cell for (name, _), cell in whole.items() if name == CONTROL)
    return {key: cell for key, cell in whole.items() if key[0] != CONTROL}, control


def _whole(parts: Sequence[Latency], marked: Mapping[int, Any], precision: float) -> Latency:
    """One cell of several processes. A process that could not measure it leaves a note."""
    blocks = tuple(marked[block.order] for part in parts for block in part.blocks)
    errors = [part.error for part in parts if part.error]
    if not blocks:
        hint = f"; '--runs 1' gives one process the budgets of all {len(parts)}" if len(parts) > 1 else ""
        late = (parts[0].error or "").startswith("not measured")
        return replace(parts[0], error=f"{parts[0].error}{hint}") if late else parts[0]
    peak = max((part.measured_peak_bytes for part in parts if part.measured_peak_bytes is not None), default=None)
    first = replace(parts[0], blocks=blocks, measured_peak_bytes=peak, why=None, note=None, error=None)
    cut = f"{len(errors)} of {len(parts)} processes could not measure it: {errors[0]}" if errors else ""
    return judged(first, precision, cut)
