"""One forward pass of a copy of a network, recorded operator by operator.

The pass runs on the meta device with stand-ins for the weights: nothing is allocated, no arithmetic is done. Every
module's forward runs, every time. Where a network looks at values (`.item()`, boolean indexing), the pass is repeated
with real tensors, and the trace says so.
"""

from __future__ import annotations

import contextvars
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from .copying import Copier
from .functions import Functions
from .meta import NeedsValues, WithoutValues, cast_to, constant, duplicate, stand_in
from .recording import ModuleCall, OpCall, Owned, Parts, Recorder, Sizes, Storage, sizes_of, walk
from .shapes import ShapeMemory
from .surroundings import surroundings

#: One pass at a time: it exchanges functions of torch, and random numbers, for all threads.
ONE_AT_A_TIME = threading.RLock()


@dataclass(frozen=True)
class Trace:
    """What one pass did: the operator calls and the modules' calls, each in their order.

    `storages` are all but those of parameters and buffers, by number; `parts` are those of the copy
    that ran, `sizes` what they owned before it did. `forward_calls` operators ran before backward began. `notes` say
    what a reader of the counts must know.
    """

    calls: list[OpCall]
    module_calls: list[ModuleCall]
    storages: list[Storage]
    parts: Parts
    sizes: list[Sizes]
    owned: Owned
    forward_calls: int
    notes: tuple[str, ...] = ()


def trace(
    module: nn.Module,
    args: tuple[Any, ...] = (),
    kwargs: dict[str, Any] | None = None,
    *,
    memory: ShapeMemory | None,
    training: bool = False,
    backward: Callable[[Any], Tensor] | None = None,
    dtype: torch.dtype | None = None,
    gradients: bool = False,
) -> Trace:
    """Record one forward pass of a copy of `module`, and its backward pass where `backward` makes the output a scalar.

    `memory` answers on meta; None runs the pass for real. `training`, without `backward`, records the forward pass of a
    training step. The copy's weights are of `dtype` where one is given, and have gradients of an earlier pass where
    `gradients` says so. Neither the module nor its inputs are touched.
    Raises whatever forward raises, with the path of the module as `error.archprof_module`, and WentOn where the network
    caught an error that it would not meet with values.
    """
    with ONE_AT_A_TIME, _deeper():
        return contextvars.copy_context().run(
            _trace, module, args, kwargs or {}, memory, training or backward is not None, backward, dtype, gradients
        )


def _trace(
    module: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    memory: ShapeMemory | None,
    training: bool,
    backward: Callable[[Any], Tensor] | None,
    dtype: torch.dtype | None,
    gradients: bool,
) -> Trace:
    real = memory is None
    originals = walk(module)
    device = _device_of(originals)
    owned_as = cast_to(dtype, duplicate if real else stand_in)
    copier = Copier(owned_as, duplicate, real) if real else Copier(owned_as, constant)
    with surroundings(originals), torch.no_grad(), _uncompiled(), torch.jit.optimized_execution(False):
        module = copier.copy(module)
        constants = copier.others
        copier.other, copier.others = duplicate if real else _input, []
        args, kwargs = copier.copy(args), copier.copy(kwargs)
        copier.settle()
        parts = walk(module)
        owned = Owned(parts)
        if owned.lazy:
            set_mode(parts, False)
            with WithoutValues(memory):
                module(*args, **kwargs)
            owned = Owned(parts)
        sizes = sizes_of(parts)
        set_mode(parts, training)
        recorder = Recorder(memory, owned, follow_gradients=training)
        for owner, tensors in (("input", copier.others), ("constant", constants)):
            for tensor in tensors:
                recorder.number(tensor, owner)
        if gradients:
            for parameter in owned.parameters:
                if parameter.requires_grad:
                    parameter.grad = torch.zeros_like(parameter)
                    recorder.number(parameter.grad, "activation")
        complex_ = any([tensor.dtype.is_complex for tensor in [*owned.parameters, *copier.others]])
        functions = Functions(device, complex_, recorder.values)
        modes = [recorder, functions] if complex_ or not real else [recorder]
        with _watched(parts, recorder, modes, training), _entered(modes, training):
            output = module(*args, **kwargs)
            with torch._C.DisableTorchFunction():
                recorder.look_for_strangers(output)
            forward_calls = recorder.moment
            if backward is not None:
                loss, output = backward(output), None  # as in training, it lives only as long as it is needed
                loss.backward()
        recorder.open = False
    notes = _notes(recorder, functions, copier, parts)
    found = Trace(recorder.calls, recorder.module_calls, recorder.storages, parts, sizes, owned, forward_calls, notes)
    refused = recorder.refused or functions.refused
    if refused is not None and not real:
        raise WentOn(str(refused), found) from refused
    return found


def output_of(
    module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], memory: ShapeMemory
) -> tuple[Any, Callable[[Tensor], Tensor | None]]:
    """What a pass of a copy of `module` without values returns, for another pass that follows it; and what answers with
    the values of a tensor in it, or None."""

    def output() -> tuple[Any, Callable[[Tensor], Tensor | None]]:
        originals = walk(module)
        copier = Copier(stand_in, constant)
        with surroundings(originals), torch.no_grad(), _uncompiled(), torch.jit.optimized_execution(False):
            twin = copier.copy(module)
            copier.other = _input
            given, named = copier.copy(args), copier.copy(kwargs)
            copier.settle()
            set_mode(walk(twin), False)
            mode = WithoutValues(memory)
            with _entered([mode, Functions(_device_of(originals), False, mode.values)], False):
                return twin(*given, **named), mode.values.of

    with ONE_AT_A_TIME, _deeper():
        return contextvars.copy_context().run(output)


def _device_of(parts: Parts) -> torch.device:
    """The device of the first parameter that has values, else the CPU."""
    for _, part in parts:
        for parameter in part._parameters.values():
            if parameter is not None and not parameter.is_meta:
                return parameter.device
    return torch.device("cpu")


class WentOn(NeedsValues):
    """A network was refused values, caught the error, and went on, maybe another way; `found` is what it did."""

    def __init__(self, refused: str, found: Trace) -> None:
        super().__init__(refused)
        self.found = found


@contextmanager
def _deeper() -> Iterator[None]:
    """A copy and a watched call take more of Python's stack than the network's own calls do."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(3 * limit)
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


def _input(tensor: Tensor) -> Tensor:
    """Whole numbers and truth values keep their values: networks use them as indices and masks, and look at them."""
    return (
        stand_in(tensor) if tensor.is_meta or tensor.is_floating_point() or tensor.is_complex() else duplicate(tensor)
    )


def set_mode(parts: Parts, training: bool) -> None:
    """Set each module's mode by itself: what `train()` was overridden to do besides must not happen."""
    for _, part in parts:
        if isinstance(part, torch.jit.ScriptModule):
            part.train(training)
        elif "training" in part.__dict__:
            part.__dict__["training"] = training


@contextmanager
def _entered(modes: Sequence[Any], training: bool) -> Iterator[None]:
    with ExitStack() as stack:
        stack.enter_context(torch.set_grad_enabled(training))
        for mode in modes:
            stack.enter_context(mode)
        yield


@contextmanager
def _watched(parts: Parts, recorder: Recorder, modes: Sequence[Any], training: bool) -> Iterator[None]:
    """Inside, modules tell the recorder when they run, and an error which of them it left first.

    Each is given the attribute that torch looks for before it runs a module, a compiled form of it. Global forward
    hooks would send every call down a path that takes longer than its operators do here, and a class's method replaced
    makes Python forget what it knows of all subclasses. In a thread of the network's own the modes are entered anew,
    for they belong to threads.
    """
    done, place, thread = recorder.module_calls, recorder.place, threading.get_ident()

    def noting_call(module: Any, path: str, *args: Any, **kwargs: Any) -> Any:
        if not place.depth and threading.get_ident() != thread:
            place.depth += 1
            try:
                with _entered(modes, training):
                    return noting_call(module, path, *args, **kwargs)
            finally:
                place.depth -= 1
        outer, place.module = place.module, path
        place.depth += 1
        try:
            value = module._call_impl(*args, **kwargs)
            with torch._C.DisableTorchFunction():  # it is not the network that asks
                returned = value if type(value) is Tensor else _first_tensor(value)
                if returned is None or returned.is_nested:
                    done.append(ModuleCall(path))
                else:
                    elements = returned.numel()
                    done.append(ModuleCall(path, returned.shape, elements, elements * returned.itemsize))
            return value
        except Exception as error:
            if not hasattr(error, "archprof_module"):
                error.archprof_module = path  # type: ignore[attr-defined]
            raise
        finally:
            place.module = outer
            place.depth -= 1

    for path, part in parts:
        part.__dict__["_compiled_call_impl"] = partial(noting_call, part, path)
    try:
        yield
    finally:
        for _, part in parts:  # they would keep each other alive
            part.__dict__.pop("_compiled_call_impl", None)


def _first_tensor(value: Any) -> Tensor | None:
    """The tensor by which others know a module's output: the first of a list or tuple, the last of a dict."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, dict) and value:
        return _first_tensor(list(value.values())[-1])
    if isinstance(value, list | tuple) and value:
        return _first_tensor(value[0])
    return None


@contextmanager
def _uncompiled() -> Iterator[None]:
    """Compiled functions run as they are written: a compiler would trace our mode instead of the network.

    Flexible attention compiles itself and refuses meta tensors; neither matters to its shapes.
    """
    flexible = sys.modules.get("torch.nn.attention.flex_attention")
    if flexible is None and "torch._dynamo" not in sys.modules:  # nothing compiled can be there
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        check = getattr(flexible, "_validate_device", None)
        if check is not None:
            flexible._validate_device = lambda *_: None  # type: ignore[union-attr]
        try:
            yield
        finally:
            if check is not None:
                flexible._validate_device = check  # type: ignore[union-attr]


def _notes(recorder: Recorder, functions: Functions, copier: Copier, parts: Parts) -> tuple[str, ...]:
    notes = []
    if copier.uncopied:
        notes.append(f"traced with the network's own {', '.join(sorted(copier.uncopied))}, which cannot be copied")
    if functions.left_out:
        notes.append(f"not counted: {functions.left_out}")
    scripted = [part for _, part in parts if isinstance(part, torch.jit.ScriptModule)]
    if any(["mkldnn" in str(part.inlined_graph) for part in scripted if hasattr(part, "forward")]):
        notes.append("not everything was seen: TorchScript optimized for inference computes below torch's dispatcher")
    if recorder.strange:
        notes.append(
            f"not everything was seen: {recorder.strange} reads what was made in another thread, or below torch's "
            "dispatcher; what ran there is not counted"
        )
    return tuple(notes)
