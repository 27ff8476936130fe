"""From a network to its StaticProfile: build it without weights, record one pass, aggregate what was recorded."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from .. import models
from ..base import streams, units
from ..base.errors import ArchprofError, BadOption, BuildFailed, ForwardFailed, one_line
from ..results.profile import Shape, StaticProfile
from . import lifetimes
from .aggregate import aggregate
from .building import build_on_meta
from .inputs import default_inputs, first_shape, in_dtype, real_inputs
from .shapes import ShapeMemory
from .trace import ONE_AT_A_TIME, Trace, WentOn, output_of, trace
from .values import OutOfRange

if TYPE_CHECKING:
    from ..models.spec import ModelSpec

#: Shapes seen by any profile of this process: the second ResNet of a run is answered mostly from memory.
SHARED = ShapeMemory()


#: Characters of a network's own error that are repeated: some run to pages.
SAID = 300

#: Bytes of weights at most that a network is given for a pass with real tensors.
MOST_REAL_BYTES = 2**33


@dataclass(frozen=True)
class Subject:
    """A network about to be profiled: where it came from, how it was built, and what shapes are remembered.

    `dtype` is the floating-point type that it runs in; None: its own.
    """

    module: nn.Module
    name: str
    source: str
    input_shape: Shape
    notes: tuple[str, ...] = ()
    found: models.Found | None = None
    inputs: Callable[[int], models.Arguments] | None = None
    shape_memory: ShapeMemory = SHARED
    dtype: torch.dtype | None = None

    @property
    def fixed_batch(self) -> int | None:
        """The only batch size that its inputs can be made for; None: any will do."""
        own = self.found is not None and self.inputs is self.found.inputs
        return self.found.batch_size if self.found is not None and own else None

    def given(self, batch_size: int) -> models.Arguments:
        """What forward is called with at that batch size: as described, as the source knows, or one image."""
        inputs = self.inputs or (lambda size: (default_inputs(self.module, size, self.input_shape), {}))
        given: models.Arguments = in_dtype(inputs(batch_size), self.dtype)
        return given


@dataclass(frozen=True)
class Stepped:
    """The inputs of a pass that follows another one (`models.Step`): that one runs first, without values."""

    found: models.Found
    module: nn.Module
    shape_memory: ShapeMemory
    made: dict[int, models.Arguments] = field(default_factory=dict, compare=False)

    def __call__(self, batch_size: int) -> models.Arguments:
        """The arguments, on meta: nobody writes into them, so that those of one batch size are made once."""
        if batch_size not in self.made:
            self.made[batch_size] = self._after_the_other(batch_size)
        return self.made[batch_size]

    def _after_the_other(self, batch_size: int) -> models.Arguments:
        assert self.found.step is not None and self.found.inputs is not None
        args, kwargs = self.found.inputs(batch_size)
        kwargs = {**kwargs, **self.found.step.before}
        subject = Subject(self.module, self.found.name, self.found.source, self.found.input_shape)
        try:
            with without_collection(), redirect_stdout(streams.Printable(sys.stderr)):
                output, known = output_of(self.module, args, kwargs, self.shape_memory)
        except Exception as error:
            raise _explain(subject, args, kwargs, error) from error
        return self.found.step.after(output, batch_size, known)


def own_inputs(
    found: models.Found, module: nn.Module, shape_memory: ShapeMemory = SHARED
) -> Callable[[int], models.Arguments] | None:
    """What makes the arguments that the source of a network knows of; None where they are one float tensor."""
    return found.inputs if found.step is None else Stepped(found, module, shape_memory)


def inputs_of(found: models.Found, input_shape: Shape | None = None) -> Callable[[int], models.Arguments] | None:
    """What makes the arguments of a network that a source knows, at its own input shape or a stated one; None where
    they are one float tensor."""
    if input_shape is not None:
        if found.at_shape is None:
            return None
        found = found.at_shape(tuple(input_shape))
    if found.step is None:
        return found.inputs
    return own_inputs(found, _uncompiled(_built(found, SHARED)[0]))


def at_context(subject: Subject, context: int, *, decode: bool = False) -> Subject:
    """The same network, not built again, given a prompt of `context` tokens or, to `decode`, one token after as many.

    `given(batch_size)` of the result makes the arguments. Raises BadOption where the source knows of no tokens.
    """
    found = subject.found
    if found is None or found.at_shape is None or len(found.input_shape) != 1:
        raise BadOption(
            f"{subject.name}: its source does not say how it is given tokens;", "expected hf:path/to/config.json."
        )
    found = models.find(replace(found.spec, resolution=context, decode=decode))
    inputs = own_inputs(found, subject.module, subject.shape_memory)
    return replace(subject, found=found, inputs=inputs, input_shape=found.input_shape, notes=found.notes)


def profile(
    model: str | ModelSpec | nn.Module,
    inputs: tuple[Any, ...] | None = None,
    kwargs: dict[str, Any] | None = None,
    *,
    batch_size: int | None = None,
    input_shape: Shape | None = None,
    mode: str = "eval",
    shape_memory: ShapeMemory = SHARED,
) -> StaticProfile:
    """Count what one pass of a network costs, without running it.

    `model` is a name or a module; a copy of a module is traced, the module itself and its inputs are not touched.
    `inputs` are forward's positional arguments and `kwargs` its keyword arguments; without them one float tensor of
    (batch_size, *input_shape) is assumed, where `input_shape` defaults to the network's own and `batch_size` to 1,
    or to the only one that an exported network takes. `mode` is 'eval' (one forward pass) or 'train' (forward and
    backward, `training_activation_bytes` filled in).

    Raises UnknownModel, BadOption, BuildFailed, or ForwardFailed with the module that raised.
    """
    if mode not in ("eval", "train"):
        raise BadOption(f"mode {mode!r} is unknown;", "expected 'eval' or 'train'.")
    if batch_size is not None and (type(batch_size) is not int or batch_size < 1):
        raise BadOption(
            f"batch size {batch_size!r} is not a positive whole number;", "expected a batch size such as 8."
        )
    subject = subject_of(model, input_shape, shape_memory=shape_memory)
    if inputs is None and not kwargs:
        return profile_of(subject, batch_size, mode)
    args = inputs if isinstance(inputs, tuple) else () if inputs is None else (inputs,)
    return _profiled(subject, args, kwargs or {}, mode)[0]


def profile_of(subject: Subject, batch_size: int | None = None, mode: str = "eval") -> StaticProfile:
    """The profile of a subject at its default input; for several of them, where building once is enough."""
    with without_collection():  # until the pass itself is gone, which reference counts see to
        return recorded(subject, batch_size, mode)[0]


def recorded(subject: Subject, batch_size: int | None = None, mode: str = "eval") -> tuple[StaticProfile, Trace]:
    """The profile of a subject at its default input, and the pass that it was aggregated from."""
    fixed = subject.fixed_batch if batch_size is None else None
    size = batch_size or fixed or 1
    given = subject.given(size)
    profile, found = _profiled(subject, *given, mode)
    said = (f"exported for a batch of {fixed} alone, which is what was counted",) if fixed and fixed > 1 else ()
    if isinstance(subject.inputs, Stepped) and (step := subject.inputs.found.step) is not None:
        nbytes = step.nbytes(given)
        profile, said = (
            replace(profile, cache_bytes=nbytes),
            (*said, f"the cache handed to it holds {units.size(nbytes)}"),
        )
    return replace(profile, batch_size=size, notes=(*profile.notes, *said)), found


def training_activation_bytes(subject: Subject, batch_size: int) -> int | None:
    """Predicted bytes held between forward and backward, as in StaticProfile; None where training cannot run.

    (A batch norm over a single value per channel refuses to train, for one.)
    """
    try:
        found = trace(subject.module, *subject.given(batch_size), memory=subject.shape_memory, training=True)
    except Exception:
        return None
    return lifetimes.saved_for_backward(found)


def _profiled(
    subject: Subject, args: tuple[Any, ...], kwargs: dict[str, Any], mode: str
) -> tuple[StaticProfile, Trace]:
    training = mode == "train"
    with without_collection():
        found = run(subject, args, kwargs, _scalar_of if training else None)
        shape = first_shape(args, kwargs)
        profile = aggregate(found, train=training)
    return replace(
        profile,
        name=subject.name,
        source=subject.source,
        batch_size=shape[0] if shape else 1,
        mode=mode,
        input_shape=shape[1:],
        notes=subject.notes + found.notes,
    ), found


class _Passes:
    """How many passes run in all threads, and whether Python collected garbage before the first of them."""

    lock = threading.Lock()
    running = 0
    collecting = False


@contextmanager
def without_collection() -> Iterator[None]:
    """Nothing of what a pass without values makes is garbage; to look for some takes a third of its time.

    It is off as long as any thread is inside: torch makes the tensor of a random state while it holds the generator's
    lock, and a collection that hands over to another thread there may wait for that thread's `manual_seed` for ever.
    """
    with _Passes.lock:
        if not _Passes.running:
            _Passes.collecting = gc.isenabled()
            gc.disable()
        _Passes.running += 1
    try:
        yield
    finally:
        with _Passes.lock:
            _Passes.running -= 1
            if not _Passes.running and _Passes.collecting:
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
        shape = tuple(input_shape or (3, 224, 224))
        return Subject(unwrapped, type(unwrapped).__name__, "instance", shape, inputs=inputs, shape_memory=shape_memory)
    return subject_from(models.find(model), input_shape, inputs, shape_memory)


def subject_from(
    found: models.Found,
    input_shape: Shape | None = None,
    inputs: Callable[[int], models.Arguments] | None = None,
    shape_memory: ShapeMemory = SHARED,
) -> Subject:
    """As `subject_of`, of a network that was found already; built anew unless it is somebody's own."""
    if inputs is None and input_shape is not None and found.at_shape is not None:
        found, input_shape = found.at_shape(tuple(input_shape)), None
    module, notes = (found.instance, ()) if found.instance is not None else _built(found, shape_memory)
    module = _uncompiled(module)
    own = inputs is None and input_shape is None
    if own:
        inputs = own_inputs(found, module, shape_memory)
    notes += found.notes if own else ()
    shape = tuple(input_shape or found.input_shape)
    return Subject(module, found.name, found.source, shape, notes, found, inputs, shape_memory)


def _built(found: models.Found, shape_memory: ShapeMemory) -> tuple[nn.Module, tuple[str, ...]]:
    """The network of a name without its weights, and what there is to say of how it was built."""
    try:
        with without_collection():
            module, way = build_on_meta(found.make, shape_memory)
    except ArchprofError:
        raise
    except Exception:
        found.build()  # says what is wrong, without our mode in between
        raise BuildFailed(f"{found.name}: it cannot be built.") from None
    return module, () if way == "meta" else ("built with real weights: its constructor looks at their values",)


def _uncompiled(module: nn.Module) -> nn.Module:
    """A compiled module counts as what it compiles."""
    return getattr(module, "_orig_mod", module)


def run(
    subject: Subject, args: tuple[Any, ...], kwargs: dict[str, Any], backward: Callable[[Any], Tensor] | None = None
) -> Trace:
    """One recorded pass: on meta, or with real tensors where the network looks at values.

    It is one of training where `backward` makes a scalar of the output. What the network prints meanwhile goes to
    stderr: stdout is for results.
    """
    try:
        with ONE_AT_A_TIME, redirect_stdout(streams.Printable(sys.stderr)):
            return _run(subject, args, kwargs, backward)
    except SystemExit as error:
        raise ForwardFailed(f"{subject.name}: its own forward calls sys.exit({error.code!r}).") from None


def _run(
    subject: Subject, args: tuple[Any, ...], kwargs: dict[str, Any], backward: Callable[[Any], Tensor] | None
) -> Trace:
    training = backward is not None
    try:
        return trace(
            subject.module,
            args,
            kwargs,
            memory=subject.shape_memory,
            training=training,
            backward=backward,
            dtype=subject.dtype,
        )
    except OutOfRange as error:  # with values it would be the same
        raise _explain(subject, args, kwargs, error) from error
    except Exception as on_meta:
        try:
            return _run_really(subject, args, kwargs, backward, on_meta)
        except Exception as error:
            raise _explain(subject, args, kwargs, error) from error


def _run_really(
    subject: Subject,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    backward: Callable[[Any], Tensor] | None,
    on_meta: Exception,
) -> Trace:
    """The pass with real tensors; `on_meta` is raised again where that cannot help or cannot be afforded."""
    if isinstance(on_meta, TypeError) and not hasattr(on_meta, "archprof_module"):
        raise on_meta  # forward's signature: real tensors raise the same
    reason = one_line(on_meta, kind=False, longest=120)
    module = subject.module
    if any(tensor.is_meta for tensor in [*module.parameters(), *module.buffers()]):
        if subject.found is None or subject.found.instance is not None:
            if isinstance(on_meta, WentOn):
                said = f"the network was handed over without values and goes on without ({reason}): it may differ"
                return replace(on_meta.found, notes=(*on_meta.found.notes, said))
            raise on_meta
        nbytes = sum(tensor.nbytes for tensor in module.parameters())
        if nbytes > MOST_REAL_BYTES:
            raise ForwardFailed(
                f"{subject.name}: the pass without values stops ({reason}); for one with values its weights would "
                f"take {units.size(nbytes)}, more than the {units.size(MOST_REAL_BYTES)} that are allowed.",
                "Make it smaller, or leave out what makes it look at values.",
            )
        module = subject.found.build()
    device = next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
    args, kwargs = real_inputs((args, kwargs), device)
    found = trace(
        module, args, kwargs, memory=None, training=backward is not None, backward=backward, dtype=subject.dtype
    )
    said = f"counted in a real pass, because the network looks at values ({reason})"
    return replace(found, notes=(*found.notes, said))


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


def _explain(subject: Subject, args: tuple[Any, ...], kwargs: dict[str, Any], error: Exception) -> ArchprofError:
    """One line: which module raised, what it said, and what it was given."""
    if isinstance(error, ArchprofError):
        return error
    said = one_line(error, kind=False, longest=SAID)
    path = getattr(error, "archprof_module", "")
    if isinstance(error, TypeError) and not path:
        from .inputs import signature_of

        return ForwardFailed(
            f"{subject.name}: {said}.".replace("..", "."), f"forward takes {signature_of(subject.module)}."
        )
    where = "its own forward"
    if path:
        kind = type(subject.module.get_submodule(path)).__name__
        where = f"layer '{path}' ({kind})"
    given = " and ".join(
        "x".join(map(str, tensor.shape)) for tensor in [*args, *kwargs.values()] if isinstance(tensor, Tensor)
    )
    return ForwardFailed(f"{subject.name} cannot take an input of {given}: {where} says: {said}")
