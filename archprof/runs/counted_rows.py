"""Rows of a comparison counted: the static profile, memory at each batch size, published accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .. import models
from ..base import units
from ..base.errors import ArchprofError, BadOption, one_line
from ..counting import counts
from ..measure import device
from ..measure.scratch import PATIENCE_S
from ..models.published import own
from ..results.comparison import Accuracy, ArchitectureResult
from ..results.conditions import Conditions
from ..results.memory import BatchMemory
from ..results.profile import StaticProfile
from .fits import Needs, explained
from .prediction import Predictor, with_training
from .predictors import SEARCHING_S, predictor_of
from .rows import Request, RowInProgress


def count(row: RowInProgress, request: Request) -> None:
    """Fill in the static profile and memory at each batch size, or the error."""
    try:
        subject = counts.subject_of(row.model, request.input_shape, request.inputs)
        if request.conditions.dtype != Conditions.dtype:
            subject = replace(subject, dtype=device.torch_dtype(request.conditions))
        predictor = predictor_of(subject, request.conditions, SEARCHING_S if request.memory is not None else PATIENCE_S)
        profile = counts.profile_of(subject)
        sizes = (profile.batch_size,) if subject.fixed_batch and request.batch_sizes else request.batch_sizes
        memory = tuple(predictor.at(size) for size in sizes)
        if sizes != request.batch_sizes and sizes == (1,):  # of others the profile itself tells
            profile = replace(profile, notes=(*profile.notes, "exported for a batch of 1 alone"))
        optimizers = predictor.optimizers()
        same = next((entry for entry in memory if entry.batch_size == profile.batch_size), None)
        if same is not None and same.training_peak_bytes is not None:
            profile = with_training(profile, same, optimizers)
        result = replace(
            row.result,
            profile=profile,
            memory=memory,
            optimizers=optimizers,
            accuracy=_accuracy(row, profile, request),
        )
        if request.memory is not None:
            result = _with_largest_batch(result, predictor, request)
    except ArchprofError as error:
        row.result = replace(row.result, error=str(error))
        return
    except Exception as error:  # one network's failure, of whatever kind, is not the end of the others
        row.result = replace(row.result, error=f"{row.result.name}: {one_line(error)}")
        return
    row.result = result
    row.needs = {entry.batch_size: _needed(result, entry, request.conditions) for entry in memory}


def _with_largest_batch(result: ArchitectureResult, predictor: Predictor, request: Request) -> ArchitectureResult:
    """The row with the batch that fits, or with the reason why none is the largest."""
    assert request.memory is not None
    try:
        if request.explain:
            fits = explained(predictor, result, request.memory, request.tell)
        else:
            fits = Needs(predictor, result).largest(request.memory)
    except BadOption as error:
        return replace(result, error=f"{result.name}: {error}")
    return replace(result, largest_batch=fits)


def refuse_what_holds_nothing(rows: Sequence[RowInProgress], memory: int) -> None:
    """Raise BadOption for a memory that does not even hold the parameters of the smallest network."""
    counted = [row.result for row in rows if row.result.held_bytes is not None]
    least = min(counted, key=lambda result: result.held_bytes or 0, default=None)
    if least is None or (least.held_bytes or 0) <= memory:
        return
    if least.largest_batch is None:
        return
    raise BadOption(
        f"a memory of {units.size(memory)} does not hold {least.name}, whose parameters and buffers "
        f"alone take {units.size(least.held_bytes)};",
        f"the least is {units.size(least.largest_batch.least_bytes)}, for inference.",
    )


def _needed(result: ArchitectureResult, entry: BatchMemory, conditions: Conditions) -> int:
    """Bytes that a measurement holds at its peak at least: scratch space is left out."""
    entry = replace(entry, scratch_bytes=0, training_scratch_bytes=0)
    training = result.training_bytes(entry, conditions.optimizer) if conditions.mode == "train" else None
    return training or result.inference_bytes(entry) or 0


def _accuracy(row: RowInProgress, profile: StaticProfile, request: Request) -> tuple[Accuracy, ...]:
    """A user's own claims by the name shown, then published ones."""
    side = profile.input_shape[-1] if profile.input_shape else None
    known = published_as(row.found) if row.found is not None else ("", None)
    return own.of_network(row.result.name, side, *known, request.accuracies, request.dataset)


def published_as(found: models.Found) -> tuple[str, int | None]:
    """The network's name in tables of accuracies, and the resolution at which all claims are shown.

    Options change a network, so only bare names have a name there; where a resolution was asked for, only the claims
    made at it are shown.
    """
    named = found.published if not found.spec.options else ""
    return named, None if found.spec.resolution is not None else found.input_shape[-1]
