"""What a check asks of a network: its counts on the meta device, and its time over a reference's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.errors import ForwardFailed
from ..models.input_spec import InputSpec
from ..models.spec import parse
from ..results.profile import Shape, StaticProfile
from ..results.quotients import ratio_of
from ..results.ratios import beyond

if TYPE_CHECKING:
    from ..models import Arguments
    from ..runs.known import Kept


@dataclass(frozen=True)
class Feed:
    """What a network is given: one tensor of `input_shape` (its own by default), or the arguments `inputs`."""

    batch_size: int = 1
    input_shape: Shape | None = None
    inputs: tuple[InputSpec, ...] = ()

    @property
    def stated(self) -> bool:
        """Whether it is more than the network's own input."""
        return self.input_shape is not None or bool(self.inputs)


#: One sample of what the network itself takes.
OWN_INPUT = Feed()


@dataclass(frozen=True)
class Relative:
    """A measured latency over the reference's: the ratio, its 95 % interval, and why not to rely on it."""

    ratio: float
    ci95: tuple[float, float]
    why: str | None = None


#: Counts a network at a feed; the flag asks for a training pass too.
Profiler = Callable[[Any, Feed, bool], StaticProfile]

#: Times a network and a reference at a feed.
Measurer = Callable[[Any, str, Feed], Relative]


def count_model(model: Any, feed: Feed, training: bool) -> StaticProfile:
    """As `count`; a network of the zoo or a library is recalled where it was counted before."""
    from ..runs.known import Kept

    with Kept() as kept:
        return recalling(kept)(model, feed, training)


def recalling(kept: Kept, whole: bool = True) -> Profiler:
    """Counts what is not among the `kept`, and keeps it; without its layers and modules unless `whole`."""

    def counted(model: Any, feed: Feed, training: bool) -> StaticProfile:
        if not isinstance(model, str):
            return count(model, feed, training)
        how = {"feed": repr(feed), "training": training, "whole": whole}
        found = kept.profile(model, how)
        if found is None:
            found = count(model, feed, training)
            if not whole:
                found = replace(found, layers=(), modules=(), by_type=())
            kept.remember_profile(model, how, found)
        return found

    return counted


def count(model: Any, feed: Feed, training: bool) -> StaticProfile:
    """Count on the meta device: an inference pass, and where asked for the memory of a training step."""
    counted = _profile(model, feed, "eval")
    if counted.source == "exported":
        counted = replace(counted, saved_bytes=Path(parse(model).target).stat().st_size)
    if not training:
        return counted
    trained = _step(model, feed, counted)
    if trained is None:
        _profile(model, feed, "train")  # says what is wrong
        raise ForwardFailed(f"{counted.name}: a training step of batch {counted.batch_size} cannot be traced.")
    return trained


def _step(model: Any, feed: Feed, counted: StaticProfile) -> StaticProfile | None:
    """The profile with the memory of a training step; None where that cannot be traced."""
    from ..counting.counts import subject_of
    from ..runs.prediction import Predictor, with_training

    inputs = (lambda batch_size: _given(feed, batch_size)) if feed.inputs else None
    predictor = Predictor(subject_of(model, feed.input_shape, inputs))
    entry = predictor.training_at(feed.batch_size)
    return None if entry is None else with_training(counted, entry, predictor.optimizers())


def measure_ratio(model: Any, reference: str, feed: Feed) -> Relative:
    """Time the model and the reference in turn, in one run."""
    from ..runs.compare import compare

    seen = compare(
        [model, reference],
        batch_sizes=(feed.batch_size,),
        input_shape=feed.input_shape,
        inputs=(lambda batch_size: _given(feed, batch_size)) if feed.inputs else None,
    )
    cells = []
    for row in seen.architectures:
        cell = row.latency_at(feed.batch_size)
        if cell is None or not cell.measured:
            reason = row.error or (cell.error if cell else None) or "nothing was measured"
            raise ForwardFailed(f"{row.name} was not measured: {reason.rstrip('.')}.")
        cells.append(cell)
    ours, theirs = cells
    doubts = [cell.why.rstrip(".") for cell in cells if cell.why]
    control = seen.controls.get(feed.batch_size)
    doubts += [control.sentence] if control and control.apart else []
    why = f"The measurement is not reliable: {doubts[0]}." if doubts else None
    ratio, interval = ratio_of(ours, theirs)
    return Relative(ratio, beyond(interval, control), why)


def _profile(model: Any, feed: Feed, mode: str) -> StaticProfile:
    from ..counting.counts import profile

    if not feed.inputs:
        return profile(model, input_shape=feed.input_shape, batch_size=feed.batch_size, mode=mode)
    args, kwargs = _given(feed, feed.batch_size)
    return replace(profile(model, args, kwargs, mode=mode), batch_size=feed.batch_size)


def _given(feed: Feed, batch_size: int) -> Arguments:
    from ..counting.inputs import given_inputs

    try:
        return given_inputs(feed.inputs, batch_size)
    except RuntimeError as error:  # indices are real numbers, and there may be more of them than memory
        stated = ", ".join(map(str, feed.inputs))
        raise ForwardFailed(f"inputs {stated} cannot be made at batch size {batch_size}: {error}.") from None
