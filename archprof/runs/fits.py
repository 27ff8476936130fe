"""The largest batch that fits into a memory, what limits it, and what would help. Nothing is run or measured here."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import nn

from ..base.errors import ArchprofError, BadOption
from ..counting import counts, lifetimes
from ..counting.copying import Copier
from ..counting.meta import constant, stand_in
from ..counting.recording import walk
from ..measure.device import torch_dtype
from ..memory.scratch import CHANGES
from ..results.comparison import ArchitectureResult
from ..results.memory import FARTHEST_TOKENS, BatchMemory, Help, LargestBatch, Limiting
from ..results.optimizers import chosen
from .prediction import Predictor
from .predictors import TRYING_S, predictor_of

#: Bytes of a step that no prediction has: the loss, and factors of torch's own.
SCALARS = 64

#: A batch size beyond which nobody asks whether memory grows.
FARTHEST = 2**30


class Needs:
    """Bytes that a network needs by batch size; each size is asked once. `row` is its result with its profile.

    What another's passes have shown holds for these as far as they are `shared`: 'inference' or 'training'.
    """

    def __init__(
        self, predictor: Predictor, row: ArchitectureResult, other: Needs | None = None, shared: tuple[str, ...] = ()
    ) -> None:
        self.predictor, self.row = predictor, row
        self.optimizer = predictor.conditions.optimizer
        self._forward: dict[int, BatchMemory] = {entry.batch_size: entry for entry in row.memory}
        self._step: dict[int, BatchMemory | None] = dict(self._forward)
        if other is not None:
            self._forward = other._forward if "inference" in shared else {}
            self._step = other._step if "training" in shared else {}

    def inference(self, batch_size: int) -> int:
        """Everything that a forward pass holds at its peak."""
        if batch_size not in self._forward:
            self._forward[batch_size] = self.predictor.inference_at(batch_size)
        return self.row.inference_bytes(self._forward[batch_size]) or 0

    def training(self, batch_size: int) -> int | None:
        """Everything that a training step holds at its peak; None where it cannot be traced."""
        if batch_size not in self._step:
            self._step[batch_size] = self.predictor.training_at(batch_size)
        entry = self._step[batch_size]
        nbytes = None if entry is None else self.row.training_bytes(entry, self.optimizer)
        return None if nbytes is None else nbytes + SCALARS

    @property
    def least(self) -> int:
        """The smallest batch that it can be given."""
        return self.predictor.subject.fixed_batch or 1

    @property
    def least_training(self) -> int:
        """The smallest batch that it can be trained on: a single sample may be too few (batch norm)."""
        parts = self.predictor.conditions.accumulate
        return self.predictor.subject.fixed_batch or parts * (1 if self.training(parts) is not None else 2)

    def largest(self, limit: int) -> LargestBatch:
        """The largest batches that fit into `limit` bytes, in inference and in training."""
        if only := self.predictor.subject.fixed_batch:
            trained = self.training(only)
            found = LargestBatch(
                limit,
                self.optimizer,
                only * (self.inference(only) <= limit),
                None if trained is None else only * (trained <= limit),
                self.inference(only),
                trained,
            )
            return found._replace(scratch_known=self._known(only, only))
        parts = self.predictor.conditions.accumulate

        def training(part: int) -> int:
            return self.training(part * parts) or 0

        # a single sample may be too few to train on (batch norm): then the count starts at two
        least = next((part for part in (1, 2) if self.training(part * parts) is not None), None)
        found = LargestBatch(
            limit,
            self.optimizer,
            largest_batch(self.inference, limit),
            None if least is None else parts * largest_batch(training, limit, least),
            min(self.inference(1), self.inference(2)),
            None if least is None else min(training(least), training(2)),
        )
        return found._replace(
            scratch_known=self._known(found.inference or 1, found.training or parts * (least or 1)),
        )

    def _known(self, inference: int, training: int) -> bool:
        """Whether what operators take for themselves is known at these batch sizes."""
        forward, step = self._forward.get(inference), self._step.get(training)
        return (forward is None or forward.scratch_bytes is not None) and (
            step is None or step.training_peak_bytes is None or step.training_scratch_bytes is not None
        )


def explained(predictor: Predictor, row: ArchitectureResult, limit: int, tell: Callable[[str], None]) -> LargestBatch:
    """The largest batches with what limits them, and what would help.

    `tell` is called with what is being looked at.
    """
    needs = Needs(predictor, row)
    found = needs.largest(limit)
    limited = [_limiting(needs, "inference", found.inference or needs.least)]
    if found.training is not None:
        limited.append(_limiting(needs, "training", found.training or needs.least_training))
    helps = []
    for change in _changes(needs):
        tell(f"whether {row.name} fits better with {change.said}")
        helped = _help(needs, found, change)
        if helped is not None:
            helps.append(helped)
    found = found._replace(limited=tuple(limited), helps=tuple(helps))
    kept = predictor.subject.found
    if kept is None or kept.at_shape is None or len(kept.input_shape) != 1:
        return found
    tell(f"the longest context of {row.name}")
    return found._replace(
        longest_prompt=_longest(predictor, row, limit, decode=False),
        longest_context=_longest(predictor, row, limit, decode=True),
    )


def _longest(predictor: Predictor, row: ArchitectureResult, limit: int, decode: bool) -> int | None:
    """The most tokens that fit at batch 1; None where not even one does, or the network decodes none."""

    @functools.cache
    def needs(tokens: int) -> int:
        try:
            subject = counts.at_context(predictor.subject, tokens, decode=decode)
            return row.inference_bytes(replace(predictor, subject=subject).inference_at(1)) or 0
        except ArchprofError:  # no decoding, or more tokens than it has positions
            return limit + tokens

    if needs(1) > limit:
        return None
    return _largest_between(needs, limit, 1, FARTHEST_TOKENS + 1)


def _limiting(needs: Needs, mode: str, batch_size: int) -> Limiting:
    """Where a pass at that batch size is highest."""
    predictor, row = needs.predictor, needs.row
    if mode == "inference":
        found, nbytes = predictor.inference(batch_size), needs.inference(batch_size)
    else:
        step, trained = predictor.training(batch_size), needs.training(batch_size)
        assert step is not None and trained is not None and row.profile is not None
        found, nbytes = step, trained
        state = next(each for each in row.optimizers if each.optimizer == needs.optimizer)
        update = row.profile.gradient_bytes + state.update_bytes + lifetimes.input_bytes(step)
        if update > predictor.peak(step).nbytes:
            return Limiting(mode, batch_size, nbytes, "update")
    call = found.calls[predictor.peak(found).call]
    return Limiting(mode, batch_size, nbytes, "backward" if call.backward else "forward", call.module, call.op.name)


class Change(NamedTuple):
    """What may be changed: in words, the option that does it ('' where none does), and the needs that it leads to."""

    said: str
    option: str
    make: Callable[[], Needs]


def _changes(needs: Needs) -> Iterator[Change]:
    conditions, subject = needs.predictor.conditions, needs.predictor.subject
    under, on = partial(partial, _under, needs), partial(partial, _on, needs)
    if conditions.dtype == "float32" and conditions.autocast is None:
        yield Change("bfloat16 throughout", "--dtype bfloat16", under((), dtype="bfloat16"))
        yield Change("bfloat16 by autocast", "--autocast bfloat16", under((), autocast="bfloat16"))
    lean = "sgd(momentum=0)" if chosen(conditions.optimizer).name == "sgd" else "sgd"
    if lean != conditions.optimizer:
        option = f"--optimizer '{lean}'" if "(" in lean else f"--optimizer {lean}"
        yield Change(f"optimizer {lean}", option, under(("inference", "training"), optimizer=lean))
    if conditions.accumulate == 1 and subject.fixed_batch is None:
        yield Change("gradients of 4 parts added up", "--accumulate 4", under(("inference",), accumulate=4))
    blocks = _blocks(subject.module)
    if blocks:
        said = f"checkpointing of {len(blocks)} blocks"
        yield Change(said, "", on(partial(_checkpointed, blocks=blocks), ("inference",)))
    shape = subject.input_shape
    if subject.inputs is None and len(shape) == 3 and shape[1] == shape[2] >= 64:
        side = shape[1] * 3 // 4 // 32 * 32
        smaller = (shape[0], side, side)
        option = f"--input-shape {','.join(map(str, smaller))}"
        yield Change(f"an input of {side} x {side}", option, on(partial(replace, input_shape=smaller)))


def _under(needs: Needs, shared: tuple[str, ...], **changed: Any) -> Needs:
    """The same network under other conditions."""
    before, row = needs.predictor, needs.row
    conditions = replace(before.conditions, **changed)
    subject = replace(before.subject, dtype=torch_dtype(conditions)) if "dtype" in changed else before.subject
    computes = ("dtype", "autocast")  # what changes neither takes the same operators
    made = (
        predictor_of(subject, conditions, TRYING_S)
        if before.scratch is not None and any(name in changed for name in computes)
        else replace(before, conditions=conditions)
    )
    profile = counts.profile_of(subject) if "dtype" in changed else row.profile
    return Needs(made, replace(row, profile=profile, optimizers=made.optimizers(), memory=()), needs, shared)


def _on(needs: Needs, change: Callable[[counts.Subject], counts.Subject], shared: tuple[str, ...] = ()) -> Needs:
    """The changed network under the same conditions."""
    changed = replace(needs.predictor, subject=change(needs.predictor.subject))
    return Needs(changed, replace(needs.row, memory=()), needs, shared)


def _checkpointed(subject: counts.Subject, blocks: tuple[str, ...]) -> counts.Subject:
    """A copy of the network whose blocks are computed again in the backward pass, instead of keeping what they made."""
    from torch.utils.checkpoint import checkpoint

    with torch.no_grad():
        copier = Copier(stand_in, constant)
        module = copier.copy(subject.module)
        copier.settle()
    for path, part in walk(module):
        if path in blocks:
            part.__dict__["forward"] = partial(_again, checkpoint, part.forward)
    return replace(subject, module=module)


def _again(checkpoint: Any, forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return (
        checkpoint(forward, *args, use_reentrant=False, **kwargs)
        if torch.is_grad_enabled()
        else forward(*args, **kwargs)
    )


def _blocks(module: nn.Module) -> tuple[str, ...]:
    """Paths of the blocks that a network is stacked of: what its outermost lists hold, where that has parts itself."""
    found: list[str] = []
    for path, part in walk(module):
        inside = any(path.startswith(f"{block}.") for block in found)
        if inside or not isinstance(part, nn.Sequential | nn.ModuleList):
            continue
        stacked = [name for name, child in part._modules.items() if child is not None and child._modules]
        if len(stacked) > 1:
            found += [f"{path}.{name}" if path else name for name in stacked]
    return tuple(found)


def _help(needs: Needs, found: LargestBatch, change: Change) -> Help | None:
    """What a change would save, and the batches that would fit; None where it cannot be made or saves nothing."""
    try:
        helped = change.make()
        fits = helped.largest(found.limit_bytes)
        before = after = None
        if found.training is not None:
            parts = helped.predictor.conditions.accumulate
            at = -(-(found.training or needs.least_training) // parts) * parts
            before, after = needs.training(at), helped.training(at)
        inference = found.inference or needs.least
        saved = needs.inference(inference) - helped.inference(inference)
    except Exception:  # a network that cannot take the change
        return None
    trained = None if before is None or after is None else before - after
    if saved <= 0 and (trained or 0) <= 0:
        return None
    return Help(
        change.said,
        change.option,
        fits.inference,
        fits.training,
        saved,
        trained,
        fits.scratch_known or not found.scratch_known,
    )


def largest_batch(needs: Callable[[int], int], limit: int, least: int = 1) -> int:
    """The largest batch size from `least` on for which `needs(batch_size)` bytes are within `limit`; 0: none is.

    Sizes beyond FARTHEST are not asked for.

    Needs grow between the sizes at which the device changes its kernels, and may fall there. So the last stretch in
    which a batch fits is looked for, and the place within it.
    Raises BadOption where they do not grow.
    """
    starts = sorted({least, *(size for size in CHANGES if size > least)})
    for start, end in reversed([*zip(starts, [*starts[1:], FARTHEST + 1], strict=True)]):
        if needs(start) <= limit:
            return _largest_between(needs, limit, start, end)
    return 0


def _largest_between(needs: Callable[[int], int], limit: int, fits: int, end: int) -> int:
    """The largest batch size from `fits`, which does, to below `end`.

    Needs grow along straight lines, so that few questions find the place where they cross the limit: the chord
    between a batch that fits and one that does not says where to ask next, in turn with the middle between them,
    because chords alone creep along where the lines meet at a sharp angle.
    """
    low, high = fits, fits + 1
    while high < end:
        if needs(high) > limit:
            break
        growth = needs(high) - needs(low)
        # what does not grow yet may be a constant that outweighs the rest
        further = (limit - needs(high)) * (high - low) // growth if growth > 0 else high
        low, high = high, high + max(further, 1)
        if high < end and needs(high) <= limit:  # on a straight line the next is the first too many
            low, high = high, high + 1
    if high >= end:
        if needs(end - 1) <= limit:
            if end > FARTHEST and needs(end - 1) == needs(fits):
                raise BadOption("memory does not grow with the batch size,", "so no batch is the largest that fits.")
            return end - 1
        high = end - 1
    by_chord = False
    while high - low > 1:
        by_chord = not by_chord
        chord = low + (limit - needs(low)) * (high - low) // (needs(high) - needs(low))
        middle = min(max(chord if by_chord else (low + high) // 2, low + 1), high - 1)
        if needs(middle) > limit:
            high = middle
        elif needs(middle + 1) > limit:
            return middle
        else:
            low = middle + 1
    return low
