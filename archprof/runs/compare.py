"""Several architectures side by side: counted, and measured where asked for."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

from torch import nn

from ..base import cache, units
from ..base.errors import ArchprofError, BadOption, ForwardFailed
from ..base.options import from_keywords, options_of
from ..base.version import __version__
from ..measure import device, operator_times
from ..models import given
from ..models.published import own
from ..models.spec import ModelSpec
from ..results import ceilings, entries
from ..results import conditions as asked
from ..results import logbook as logbooks
from ..results.comparison import Accuracy, ArchitectureResult, Comparison
from ..results.conditions import BATCH_SIZES, Conditions, Sampling
from ..results.memory import LargestBatch
from ..results.profile import Shape
from . import counted_rows, elsewhere, fresh, measured_rows, predictors
from .engines.cluster import Cluster
from .rows import Inputs, Request, RowInProgress, Tell, row_of
from .tried import verify


class ComparisonInterrupted(KeyboardInterrupt):
    """Ctrl-C: `comparison` holds everything that was counted and measured until then."""

    def __init__(self, comparison: Comparison) -> None:
        super().__init__("interrupted")
        self.comparison = comparison


def compare(
    models: Sequence[Any] | Mapping[str, Any],
    *,
    batch_sizes: Sequence[int] = BATCH_SIZES,
    conditions: Conditions | None = None,
    sampling: Sampling | None = None,
    input_shape: Shape | None = None,
    inputs: Inputs | None = None,
    latency: bool = True,
    divide: bool = False,
    reference: str | None = None,
    accuracies: Sequence[Accuracy] = (),
    dataset: str = "imagenet-1k",
    memory: int | None = None,
    fits: int | None = None,
    executor: Executor | None = None,
    on: Mapping[str, str] | None = None,
    logbook: bool = True,
    runs: int | None = None,
    progress: Tell | None = None,
    **options: Any,
) -> Comparison:
    """Count, and unless `latency` is False measure, several networks under the same conditions.

    `models` are names, modules (which come back untouched), or classes and functions that build one without
    arguments; a dict gives each the name to show. Static figures are for batch size 1. Ratios are
    taken to `reference`, the last model by default. Every network is given one tensor of `input_shape` (its own by
    default), or what `inputs` makes for a batch size: forward's arguments and keyword arguments. `divide` then measures
    which part of a pass each of a profile's layers takes (their `seconds`), in a few seconds more for each network:
    eager forward passes on the CPU only. With `memory` (bytes) each result has the largest batch that is predicted to
    fit into it, in inference and in training with the conditions' optimizer; with `fits` (bytes) instead also what
    limits them, and what would help.

    `executor`, any concurrent.futures.Executor, counts instead of this process, each network in a process of its own. A
    `Cluster` measures too: all networks on one of its machines, of the kind that `on` names ({'epyc': '3fa9'}) where
    several measure. Modules, classes and `inputs` are sent to it. `progress` is called with what is being
    done and the seconds that are left at most.

    Several processes, `runs` of them, can measure one after the other and share the time budget: what is drawn once for
    a process, such as where things lie in memory, is then in the intervals. The command itself also asks the
    machine's logbook what earlier runs found, unless `logbook` is False; a caller's process has none.

    Instead of `conditions` and `sampling`, their fields can be given as keywords: `device="cuda", time_budget=10`.

    A name that cannot be resolved raises before anything is built; a network that cannot be built or run keeps its
    row, with the reason. Raises BadOption for impossible conditions and for options that have no effect,
    ComparisonInterrupted on Ctrl-C with the results so far.
    """
    conditions, sampling = from_keywords(
        "compare",
        options,
        conditions=conditions or asked.Conditions,
        sampling=sampling or asked.Sampling,
    )
    if runs is not None and (not latency or isinstance(executor, Cluster)):
        raise BadOption("'runs' has no effect unless this machine measures;", "leave it out.")
    if memory is not None and fits is not None:
        raise BadOption(
            "both 'memory' and 'fits' are given;", "'fits' says what 'memory' does, and why: give it alone."
        )
    explain, memory = fits is not None, memory if fits is None else fits
    _refuse_without_effect(conditions, latency, divide, memory, options)
    cluster = executor if isinstance(executor, Cluster) else None
    if on and not (cluster and latency):
        raise BadOption("'on' has no effect unless a cluster measures;", "leave it out.")
    if cluster is None:
        device.check_available(conditions)
    if divide:
        operator_times.check_divisible(conditions)
    if memory is not None and memory < 1:
        raise BadOption(f"memory is {memory} bytes;", "expected a size such as 8 GiB.")
    sizes = checked_batch_sizes(batch_sizes)
    if conditions.mode == "train":
        for size in sizes:
            conditions.part_of(size)
    request = Request(
        conditions,
        sampling,
        sizes,
        input_shape,
        inputs,
        accuracies,
        dataset,
        memory,
        explain,
        progress,
    )
    named = list(given.named(models))
    rows = [row_of(model, name) for name, model in named]
    names = [row.result.name for row in rows]
    began_in = _working_directory()
    processes = (
        fresh.wanted(runs, [model for _, model in named], sampling, conditions) if latency and cluster is None else 1
    )
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise BadOption(
            f"'{twice}' is named twice.", "Name each network once; a dict gives names: {'a': net, 'b': other}."
        )
    reference = _reference(reference, names)
    measured = measured_rows.Measured()
    try:
        if executor is not None:
            elsewhere.count([model for _, model in named], rows, request, executor)
        for row in rows if executor is None else ():
            request.tell(f"counting {row.result.name}")
            counted_rows.count(row, request)
        if memory is not None:
            counted_rows.refuse_what_holds_nothing(rows, memory)
        if latency and cluster is not None:
            models = {row.result.name: model for (_, model), row in zip(named, rows, strict=True) if row.result.profile}
            if models:
                there = elsewhere.measured(models, cluster, on or {}, request, compare, divide=divide)
                return _joined(there, rows, reference)
        elif latency:
            measured_rows.refuse_what_cannot_fit(rows, request)
            if processes > 1:
                models = {row.result.name: model for (_, model), row in zip(named, rows, strict=True)}
                measured = fresh.measure(models, rows, request, reference, processes, compare, began_in)
            else:
                measured = measured_rows.measure(rows, request, reference)
        if latency and explain:
            for row in rows:
                verify(row, request)
        if divide:
            measured_rows.divide(rows, request)
    except KeyboardInterrupt:
        for row in rows:
            if row.result.profile is None and row.result.error is None:
                row.result = replace(row.result, error=f"{row.result.name}: interrupted before it was counted")
        warning = "interrupted: what was not reached is missing"
        raise ComparisonInterrupted(_comparison(rows, request, reference, measured, warning)) from None
    found = _comparison(rows, request, reference, measured, *measured.warnings)
    if latency and logbook and cache.may_keep:
        found = _remembered(found)
    unkept = [text for text in (predictors.unkept(conditions),) if text]
    said = dict.fromkeys((*found.warnings, *own.unused(found, accuracies, dataset), *unkept))
    return replace(found, warnings=tuple(said))


def _working_directory() -> str | None:
    """Where this process is; None for a folder that has been removed."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return None


def _remembered(found: Comparison) -> Comparison:
    """The comparison with what the logbook of this machine says, in which it becomes an entry."""
    fingerprint = str(found.environment.get("fingerprint") or "")
    runs, doubt = logbooks.read(fingerprint)
    names = {logbooks.identity(row.profile): row.name for row in found.architectures if row.profile}
    found = replace(found, logbook=logbooks.opened(runs, names, doubt))
    entry = entries.entry(found)
    unwritten = logbooks.write(fingerprint, entry) if entry else None
    said = [text for text in (doubt, unwritten) if text]
    return replace(found, warnings=(*found.warnings, *said))


def _joined(there: Comparison, rows: Sequence[RowInProgress], reference: str | None) -> Comparison:
    """What was measured elsewhere, with the rows of networks that could not even be counted in their places."""
    measured = {row.name: row for row in there.architectures}
    every = tuple(measured.get(row.result.name, row.result) for row in rows)
    return replace(there, architectures=every, reference=reference)


def _signature() -> inspect.Signature:
    """What `help(compare)` shows: the fields of Conditions and Sampling stand for **options."""
    shown = inspect.signature(compare)
    named = [known for kind in (asked.Conditions, asked.Sampling) for known in options_of(kind)]
    keywords = [inspect.Parameter(known.name, inspect.Parameter.KEYWORD_ONLY, default=known.default) for known in named]
    usual = [each for each in shown.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
    return shown.replace(parameters=[*usual, *keywords])


compare.__signature__ = _signature()  # type: ignore[attr-defined]


def counted(
    model: str | ModelSpec | nn.Module,
    *,
    input_shape: Shape | None = None,
    inputs: Inputs | None = None,
    accuracies: Sequence[Accuracy] = (),
    dataset: str = "imagenet-1k",
) -> ArchitectureResult:
    """One row of a comparison without measuring, at batch size 1, in a single pass: the cheapest that there is.

    Unlike in `compare`, `memory` at several batch sizes is left out, and a name that cannot be resolved is the row's
    error like any other.
    """
    try:
        row = row_of(model)
    except ArchprofError as error:
        name = str(getattr(model, "text", model))
        return ArchitectureResult(name, name.partition(":")[0] if ":" in name else "zoo", error=str(error))
    request = Request(input_shape=input_shape, inputs=inputs, accuracies=accuracies, dataset=dataset)
    counted_rows.count(row, request)
    return row.result


def fits(
    model: Any,
    memory: int | str,
    *,
    conditions: Conditions | None = None,
    input_shape: Shape | None = None,
    inputs: Inputs | None = None,
    tried: bool = False,
    progress: Tell | None = None,
    **options: Any,
) -> LargestBatch:
    """The largest batches of a network that fit into a memory, what limits them, and what would help.

    `memory` is in bytes, or text with a unit such as '24 GB'. The network (as in `compare`) is predicted, not run;
    with `tried` both batches and one more are run, where this machine can. Fields of Conditions can be given as
    keywords: `optimizer="adamw", dtype="bfloat16"`.

    Raises UnknownModel, BadOption, and ForwardFailed for a network that cannot be counted.
    """
    limit = units.parse_size(memory, "memory") if isinstance(memory, str) else memory
    (asked_for,) = from_keywords("fits", options, conditions=conditions or asked.Conditions)
    device.check_available(asked_for)
    if type(limit) is not int or limit < 1:
        raise BadOption(f"memory is {memory!r};", "expected bytes, or a size such as '24 GB'.")
    request = Request(asked_for, input_shape=input_shape, inputs=inputs, memory=limit, explain=True, progress=progress)
    row = row_of(model)
    counted_rows.count(row, request)
    if row.result.largest_batch is None:
        raise ForwardFailed(row.result.error or f"{row.result.name} cannot be counted.")
    if tried:
        verify(row, request)
    assert row.result.largest_batch is not None
    return row.result.largest_batch


def checked_batch_sizes(batch_sizes: Sequence[int]) -> tuple[int, ...]:
    """Ascending, without repeats. Raises BadOption for anything below 1, or none at all."""
    if not batch_sizes:
        raise BadOption("no batch size is given;", "expected one or more, such as 1,8,32.")
    for size in batch_sizes:
        if type(size) is not int or size < 1:
            raise BadOption(f"batch size {size!r} is not a positive whole number;", "expected sizes such as 1,8,32.")
    return tuple(sorted(set(batch_sizes)))


def _refuse_without_effect(
    conditions: Conditions, latency: bool, divide: bool, memory: int | None, options: dict[str, Any]
) -> None:
    """Raise BadOption for what is given and would change nothing."""
    if divide and not latency:
        raise BadOption("'divide' has no effect without latency;", "leave it out, or measure.")
    if not latency:
        for named in options_of(asked.Sampling):
            if named.name in options:
                raise BadOption(f"'{named.name}' has no effect without latency;", "leave it out, or measure.")
    conditions.refuse_unused(for_largest_batch=memory is not None)


def _reference(reference: str | None, names: list[str]) -> str | None:
    if reference is None:
        return names[-1] if len(names) > 1 else None
    if reference not in names:
        raise BadOption(
            f"reference '{reference}' is not among the networks compared;", f"expected one of {', '.join(names)}."
        )
    return reference


def _comparison(
    rows: Sequence[RowInProgress],
    request: Request,
    reference: str | None,
    measured: measured_rows.Measured,
    *warnings: str,
) -> Comparison:
    environment = device.environment(request.conditions)
    timed = any(row.result.division and row.result.division.seconds for row in rows)
    return Comparison(
        environment=environment,
        architectures=tuple(row.result for row in rows),
        reference=reference,
        warnings=warnings,
        archprof=__version__,
        stopping=measured.stopping,
        control=measured.control,
        ceilings=ceilings.known(environment) if timed else None,
    )
