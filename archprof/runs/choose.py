"""The best network under limits: static limits judged first, then survivors measured until the answer is certain."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.errors import BadOption
from ..base.options import from_keywords
from ..models import published
from ..results import choice, columns, where
from ..results import conditions as asked
from ..results.bounds import Bound
from ..results.choice import Choice, Option
from ..results.comparison import Accuracy
from ..results.conditions import Conditions, Sampling
from ..results.latency import Latency
from ..results.where import Where
from . import tasks
from .asked import TIMEOUT_S, Measuring, SweepRequest, watched
from .engines.processes import Engine, Outcome, Processes
from .index import Index, Progress
from .options import options, with_facts

if TYPE_CHECKING:
    import pandas

#: By how many times a network may beat a matrix product's mult-adds a second: the fastest way to compute a 3x3
#: convolution (Winograd's F(4x4, 3x3): Lavin and Gray 2015, section 4.1) spares three of four.
FASTEST = 4.0

#: So many measurements may leave open whether a network is within: on a machine that is not quiet all of them would.
MOST_UNSURE = 3

#: Called with a sentence for the reader.
Say = Callable[[str], None]


def choose(patterns: str | Sequence[str] = (), where: str | Sequence[str] = (), **settings: Any) -> pandas.DataFrame:
    """The networks within every limit, best first, as a frame: `choice_of`, whose keywords these are.

    A row a network, in base units; `front` marks those that no other one beats. What is missing, or is counted again,
    is a warning.
    """
    settings.setdefault("tell", lambda sentence: warnings.warn(sentence, stacklevel=2))
    return choice_of(patterns, where, **settings).to_frame()


def choice_of(
    patterns: str | Sequence[str] = (),
    limits: str | Sequence[str] = (),
    *,
    sort: str = "top1",
    dataset: str = "imagenet-1k",
    accuracies: Sequence[Accuracy] = (),
    batch_size: int = 1,
    conditions: Conditions | None = None,
    sampling: Sampling | None = None,
    progress: Progress = lambda done, total, last: None,
    tell: Say = lambda sentence: None,
    index: Path | None = None,
    executor: Engine | None = None,
    **settings: Any,
) -> Choice:
    """The networks that `patterns` mean (all of the zoo, torchvision and timm without one) within every limit.

    `limits` are written as in a budget: `["parameters < 5 M", "macs < 600 M", "top1 > 75"]`. Costs are those of
    one image at the resolution that the accuracy was measured at. With a limit on latency or memory those within the
    static limits are measured at `batch_size`, best first, until one holds it; fields of Conditions and Sampling can
    be given as keywords. `sort` is a column; `accuracies` are your own claims. Raises BadOption, BadSpec and
    UnknownModel for what cannot be meant.
    """
    parsed = _limits([limits] if isinstance(limits, str) else limits)
    by = columns.column(sort, "sort")
    measured = any(limit.column.measured for limit in parsed)
    if by.measured:
        raise BadOption(f"sort: {by.name} is known of measured networks only;", "limit it instead, and sort by top1.")
    if not measured and (settings or conditions or sampling):
        raise BadOption("conditions of a measurement have no effect without a limit on latency or memory.", "")
    conditions, sampling = from_keywords(
        "choose", settings, conditions=conditions or asked.Conditions, sampling=sampling or asked.Sampling
    )
    if plainly_unknown(dataset, accuracies):
        published.claims("", dataset=dataset, extra=accuracies)  # says which datasets there are
    asked_for = [patterns] if isinstance(patterns, str) else list(patterns)
    with Index(index) as opened:
        everyone = options(asked_for, opened, dataset=dataset, own=accuracies, progress=progress, tell=tell)
    by_name = {option.name: option.facts for option in everyone}
    parsed = where.resolved(parsed, by_name.get)
    static = tuple(limit for limit in parsed if not limit.column.measured)
    found = judged(everyone, static, by, dataset)
    if measured and found.options:
        how = Measuring((batch_size,), conditions, sampling)
        found = _measured(found, [limit for limit in parsed if limit.column.measured], how, progress, executor)
    best = found.best
    step = choice.next_step(best, everyone, static) if best and by.name == "top1" else None
    return replace(found, limits=parsed, next_step=step, batch_size=batch_size)


def plainly_unknown(dataset: str, accuracies: Iterable[Accuracy]) -> bool:
    """Whether nobody claims anything on that dataset."""
    return dataset not in published.datasets(accuracies)


def judged(everyone: Sequence[Option], limits: Sequence[Where], by: columns.Column, dataset: str) -> Choice:
    """Those within the static limits, best first, and why nothing is left where that is so."""
    facts = [option.facts for option in everyone]
    left = choice.ordered(where.within(everyone, facts, limits), by)
    emptied = where.emptied(facts, limits)
    nearest = everyone[emptied.nearest].name if emptied and emptied.nearest is not None else ""
    costs = choice.costs_of(limits)
    return Choice(
        tuple(left),
        tuple(limits),
        by,
        dataset,
        len(everyone),
        costs,
        choice.front(left, costs),
        emptied=emptied,
        nearest=nearest,
    )


def _limits(texts: Sequence[str]) -> tuple[Where, ...]:
    limits = where.parse_all(texts)
    for limit in limits:
        if limit.column.measured and isinstance(limit.bound, Bound) and limit.bound.reference is not None:
            raise BadOption(
                f"limit '{limit.shown}' is relative to another network's time;",
                "write a number: archprof compare measures two networks side by side.",
            )
    return limits


# --- measured limits ------------------------------------------------------------------------------------------------


def _measured(
    found: Choice, limits: Sequence[Where], how: Measuring, progress: Progress, executor: Engine | None
) -> Choice:
    """The choice once its networks were measured, best first, until one is certain to hold the limits."""
    request = SweepRequest(measuring=how)
    engine = executor or Processes(functools.partial(_task, request=request), 1, TIMEOUT_S, watch=watched)
    size = how.batch_sizes[0]
    todo, skipped = list(found.options), []
    fastest = _mult_adds_a_second(engine, limits)
    if fastest is not None:
        before = len(todo)
        todo = [option for option in todo if not _too_slow(option, limits, size, fastest)]
        if before > len(todo):
            why = f"{FASTEST:g} times the mult-adds a second of a large matrix product would be too slow for them"
            skipped.append((before - len(todo), why))
    before = len(todo)
    todo = [option for option in todo if not _too_large(option, limits)]
    if before > len(todo):
        skipped.append((before - len(todo), "their parameters and buffers alone are beyond the limit"))
    seen: list[Option] = []
    unsure: list[str] = []
    notes: list[str] = []
    outcomes = engine.run([option.name for option in todo]) if todo else iter(())
    for option, outcome in zip(todo, outcomes, strict=False):
        cell = _cell(outcome, size)
        option = replace(option, measured=cell)
        if cell.measured:
            option = with_facts(option, latency=cell.p50_s, memory=cell.measured_peak_bytes)
        seen.append(option)
        verdicts = [_holds(limit, cell) for limit in limits]
        if all(verdict is True for verdict in verdicts):
            break
        progress(len(seen), len(todo), f"{option.name}, measured")
        if False not in verdicts:
            unsure.append(option.name)
        if len(unsure) == MOST_UNSURE:
            notes = [f"after {MOST_UNSURE} measurements that do not tell, no more were taken: try a quieter machine"]
            break
    if len(todo) > len(seen):
        why = "the machine is not quiet enough" if notes else f"they are less good by {found.sort.name}"
        skipped.append((len(todo) - len(seen), why))
    held = [option for option in seen if all([limit.holds(option.facts) for limit in limits])]
    emptied, nearest = None, ""
    if not held:
        facts = [option.facts for option in seen]
        emptied = where.emptied(facts, limits)
        nearest = seen[emptied.nearest].name if emptied and emptied.nearest is not None else ""
    costs = tuple(dict.fromkeys((*found.costs, *(limit.column.name for limit in limits))))
    ranked = choice.ordered(held, found.sort)
    certain = [option for option in ranked if option.name not in unsure]
    return replace(
        found,
        options=tuple(certain + [option for option in ranked if option.name in unsure]),
        costs=costs,
        front=choice.front(held, costs),
        emptied=emptied,
        nearest=nearest,
        skipped=tuple(skipped),
        unsure=tuple(unsure),
        notes=(
            *notes,
            *(
                f"{one.name} was not measured: {one.measured.error}"
                for one in seen
                if one.measured and one.measured.error
            ),
        ),
    )


def _task(task: str, request: SweepRequest) -> Any:
    if task == _PRODUCT:
        return _product(request)
    return tasks.measure_one(task, request)


#: The task that measures what the machine can do at most.
_PRODUCT = "a matrix product"


def _product(request: SweepRequest) -> float:
    """Mult-adds a second of a product of two square matrices, the best of several sizes and repetitions."""
    import time

    import torch

    from ..measure import device

    conditions = (request.measuring or Measuring()).conditions
    sync, best = device.sync_for(conditions), 0.0
    with device.applied(conditions), torch.inference_mode():
        for side in (512, 1024, 2048):
            made = torch.randn(side, side, device=conditions.device, dtype=device.torch_dtype(conditions))
            for _ in range(6):
                sync()
                began = time.perf_counter()
                made @ made
                sync()
                best = max(best, side**3 / (time.perf_counter() - began))
    return best


def _mult_adds_a_second(engine: Engine, limits: Sequence[Where]) -> float | None:
    """What the machine can do at most, where a limit caps the time of a pass; None where it cannot be measured."""
    if not any(limit.column.name == "latency" and choice.caps(limit) for limit in limits):
        return None
    outcome = next(iter(engine.run([_PRODUCT])))
    return outcome.value if isinstance(outcome.value, float) and outcome.value > 0 else None


def _too_slow(option: Option, limits: Iterable[Where], batch_size: int, fastest: float) -> bool:
    least = option.facts["macs"] * batch_size / (FASTEST * fastest)
    return any(limit.column.name == "latency" and choice.caps(limit) and least > limit.amount for limit in limits)


def _too_large(option: Option, limits: Iterable[Where]) -> bool:
    least = option.facts["parameter_bytes"] + option.facts["buffer_bytes"]
    return any(limit.column.name == "memory" and choice.caps(limit) and least > limit.amount for limit in limits)


def _cell(outcome: Outcome, batch_size: int) -> Latency:
    """The measurement that the process sent, or why there is none."""
    from ..results.comparison import Comparison

    if outcome.error is not None:
        return Latency(batch_size, error=outcome.error)
    entry = outcome.value
    saved = {"schema_version": 1, "environment": {}, "architectures": [entry]}
    row = Comparison.checked(saved).architectures[0]
    return row.latency_at(batch_size) or Latency(batch_size, error=row.error or "it was not measured")


def _holds(limit: Where, cell: Latency) -> bool | None:
    """Whether the measurement is within the limit; None where its 95 % interval holds both answers, or cannot be
    relied on."""
    assert limit.amount is not None and isinstance(limit.bound, Bound)
    if not cell.measured:
        return False
    if limit.column.name == "memory":
        held = cell.measured_peak_bytes
        return None if held is None else limit.bound.allows(held, limit.amount)
    answers = {limit.bound.allows(seconds, limit.amount) for seconds in cell.ci95_s}
    if len(answers) > 1:
        return None
    within = answers.pop()
    return None if within and not cell.reliable else within
