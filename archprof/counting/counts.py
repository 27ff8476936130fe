"""From a network to its StaticProfile: build it without weights, record one pass, fold what was recorded."""

from __future__ import annotations

import gc
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from .. import models
from ..base import streams
from ..base.errors import ArchprofError, BadOption, BuildFailed, ForwardFailed
from ..results.profile import Shape, StaticProfile
from . import memory
from .building import build_on_meta, settled
from .fold import fold
from .inputs import default_inputs, first_shape, without_values
from .modules import StillLazy
from .shapes import ShapeMemory
from .trace import Trace, trace

if TYPE_CHECKING:
    from ..models.spec import ModelSpec

#: Shapes seen by any profile of this process: the second ResNet of a run is answered mostly from memory.
SHARED = ShapeMemory()


#: Characters of a network's own error that are repeated: some run to pages.
SAID = 300


@dataclass(frozen=True)
class Subject:
    """A network about to be profiled: where it came from, and how it was built."""

    module: nn.Module
    name: str
    source: str
    input_shape: Shape
    notes: tuple[str, ...] = ()
    found: models.Found | None = None
    inputs: Callable[[int], models.Arguments] | None = None

    def given(self, batch_size: int) -> models.Arguments:
        """What forward is called with at that batch size: as described, as the source knows, or one image."""
        if self.inputs is not None:
            return self.inputs(batch_size)
        return default_inputs(self.module, batch_size, self.input_shape), {}


def profile(
    model: str | ModelSpec | nn.Module,
    inputs: tuple | None = None,
    kwargs: dict[str, Any] | None = None,
    *,
    batch_size: int = 1,
    input_shape: Shape | None = None,
    mode: str = "eval",
    shape_memory: ShapeMemory = SHARED,
) -> StaticProfile:
    """Count what one pass of a network costs, without running it.

    `model` is a name or a module; a module comes back untouched. `inputs` are forward's positional arguments and
    `kwargs` its keyword arguments; without them one float tensor of (batch_size, *input_shape) is assumed, where
    `input_shape` defaults to the network's own. `mode` is 'eval' (one forward pass) or 'train' (forward and
    backward, `training_activation_bytes` filled in).

    Raises UnknownModel, BadOption, BuildFailed, or ForwardFailed with the module that raised.
    """
    if mode not in ("eval", "train"):
        raise BadOption(f"mode {mode!r} is unknown;", "wanted: 'eval' or 'train'.")
    if type(batch_size) is not int or batch_size < 1:
        raise BadOption(f"batch size {batch_size!r} is not a positive whole number;", "wanted: such as 8.")
    subject = subject_of(model, input_shape, shape_memory=shape_memory)
    if inputs is None and not kwargs:
        return profile_of(subject, batch_size, mode, shape_memory)
    args = inputs if isinstance(inputs, tuple) else () if inputs is None else (inputs,)
    with _no_collection():
        return _recorded(subject, args, kwargs or {}, mode, shape_memory)[0]


def profile_of(
    subject: Subject, batch_size: int = 1, mode: str = "eval", shape_memory: ShapeMemory = SHARED
) -> StaticProfile:
    """The profile of a subject at its default input; for several of them, where building once is enough."""
    with _no_collection():
        return recorded(subject, batch_size, mode, shape_memory)[0]


def recorded(
    subject: Subject, batch_size: int = 1, mode: str = "eval", shape_memory: ShapeMemory = SHARED
) -> tuple[StaticProfile, Trace]:
    """The profile of a subject at its default input, and the pass that it was folded from."""
    profile, found = _recorded(subject, *subject.given(batch_size), mode, shape_memory)
    return replace(profile, batch_size=batch_size), found


def training_activation_bytes(subject: Subject, batch_size: int, shape_memory: ShapeMemory = SHARED) -> int | None:
    """Predicted bytes held between forward and backward, as in StaticProfile; None where training cannot run.

    (A batch norm over a single value per channel refuses to train, for one.)
    """
    try:
        args, kwargs = without_values(subject.given(batch_size))
        found = trace(subject.module, args, kwargs, memory=shape_memory, training=True)
    except Exception:
        return None
    return memory.saved_for_backward(found)


def _recorded(
    subject: Subject, args: tuple, kwargs: dict[str, Any], mode: str, shape_memory: ShapeMemory
) -> tuple[StaticProfile, Trace]:
    with _no_collection():
        found, notes = run(subject, args, kwargs, mode == "train", shape_memory)
        shape = first_shape(args, kwargs)
        return replace(
            fold(found, train=mode == "train"),
            name=subject.name,
            source=subject.source,
            batch_size=shape[0] if shape else 1,
            mode=mode,
            input_shape=shape[1:],
            notes=subject.notes + notes,
        ), found


@contextmanager
def _no_collection() -> Iterator[None]:
    """Nothing of what a pass without values makes is garbage; to look for some takes a third of its time, and a tenth
    where it begins before the trace is let go."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def subject_of(
    model: str | ModelSpec | nn.Module,
    input_shape: Shape | None = None,
    inputs: Callable[[int], models.Arguments] | None = None,
    shape_memory: ShapeMemory = SHARED,
) -> Subject:
    """The module to profile, on the meta device where it was built from a name.

    `inputs` makes forward's arguments for a batch size; without it one tensor of `input_shape`, by default the
    network's own, is assumed.
    """
    if isinstance(model, nn.Module):
        unwrapped = _uncompiled(model)
        return Subject(
            unwrapped, type(unwrapped).__name__, "instance", tuple(input_shape or (3, 224, 224)), inputs=inputs
        )
    found = models.find(model)
    shape = tuple(input_shape or found.input_shape)
    if inputs is None and input_shape is None:
        inputs = found.inputs
    if found.instance is not None:
        return Subject(_uncompiled(found.instance), found.name, found.source, shape, (), found, inputs)
    try:
        module, way = build_on_meta(found.make, shape_memory)
    except ArchprofError:
        raise
    except Exception:
        found.build()  # says what is wrong, without our mode in between
        raise BuildFailed(f"{found.name}: it cannot be built.") from None
    notes = () if way == "meta" else ("built with real weights: its constructor looks at their values",)
    return Subject(module, found.name, found.source, shape, notes, found, inputs)


def _uncompiled(module: nn.Module) -> nn.Module:
    """A compiled module counts as what it compiles."""
    return getattr(module, "_orig_mod", module)


def run(
    subject: Subject, args: tuple, kwargs: dict[str, Any], training: bool, shape_memory: ShapeMemory
) -> tuple[Trace, tuple[str, ...]]:
    """One recorded pass: on meta, or with real tensors where the network looks at values.

    What the network prints meanwhile goes to stderr: stdout is for results.
    """
    try:
        with redirect_stdout(streams.Printable(sys.stderr)):
            return _run(subject, args, kwargs, training, shape_memory)
    except SystemExit as error:
        raise ForwardFailed(f"{subject.name}: its own forward calls sys.exit({error.code!r}).") from None


def _run(
    subject: Subject, args: tuple, kwargs: dict[str, Any], training: bool, shape_memory: ShapeMemory
) -> tuple[Trace, tuple[str, ...]]:
    backward = _scalar_of if training else None
    try:
        blank_args, blank_kwargs = without_values((args, kwargs))
        try:
            return trace(
                subject.module, blank_args, blank_kwargs, memory=shape_memory, training=training, backward=backward
            ), ()
        except StillLazy:
            subject = replace(subject, module=settled(subject.module, blank_args, blank_kwargs))
            return trace(
                subject.module, blank_args, blank_kwargs, memory=shape_memory, training=training, backward=backward
            ), ()
    except Exception as on_meta:
        try:
            return _run_really(subject, args, kwargs, training, on_meta)
        except Exception as error:
            raise _explain(subject, args, kwargs, error) from error


def _run_really(
    subject: Subject, args: tuple, kwargs: dict[str, Any], training: bool, on_meta: Exception
) -> tuple[Trace, tuple[str, ...]]:
    """The pass with real tensors; `on_meta` is raised again where that cannot help or cannot be afforded."""
    from .inputs import real_inputs

    if isinstance(on_meta, TypeError):  # forward's signature: real tensors raise the same
        raise on_meta
    module = subject.module
    if any(tensor.is_meta for tensor in [*module.parameters(), *module.buffers()]):
        if subject.found is None or subject.found.instance is not None:
            raise on_meta
        module = subject.found.build()
    device = next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
    args, kwargs = real_inputs((args, kwargs), device)
    found = trace(module, args, kwargs, memory=None, training=training, backward=_scalar_of if training else None)
    reason = " ".join(str(on_meta).split())
    return found, (f"counted in a real pass, because the network looks at values ({reason[:120]})",)


def _scalar_of(output: Any) -> Tensor:
    """A scalar to call backward on: the sum of every floating-point tensor that the network returns."""
    from torch.utils._pytree import tree_leaves

    tensors = [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor) and leaf.requires_grad]
    if not tensors:
        raise ForwardFailed(
            "nothing that the network returns depends on a trainable parameter.", "Training cannot be counted."
        )
    total = tensors[0].sum()
    for tensor in tensors[1:]:
        total = total + tensor.sum()
    return total


def _explain(subject: Subject, args: tuple, kwargs: dict[str, Any], error: Exception) -> ArchprofError:
    """One line: which module raised, what it said, and what it was given."""
    if isinstance(error, ArchprofError):
        return error
    said = textwrap.shorten(str(error), SAID, placeholder=" ...") or type(error).__name__
    path = getattr(error, "archprof_module", "")
    if isinstance(error, TypeError) and not path:
        from .inputs import signature_of

        return ForwardFailed(
            f"{subject.name}: {said}.".replace("..", "."), f"forward wants {signature_of(subject.module)}."
        )
    where = "its own forward"
    if path:
        kind = type(subject.module.get_submodule(path)).__name__
        where = f"layer '{path}' ({kind})"
    given = " and ".join(
        "x".join(map(str, tensor.shape)) for tensor in [*args, *kwargs.values()] if isinstance(tensor, Tensor)
    )
    return ForwardFailed(f"{subject.name} cannot take an input of {given}: {where} says: {said}")
