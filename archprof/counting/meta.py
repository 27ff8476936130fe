"""Running Python code on tensors without values: nothing is allocated, no arithmetic is done.

Shapes are answered on the meta device. What a network computes from small constants alone is computed for real, so
that it may look at the outcome; where values and shapes meet, the values are dropped.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from .shapes import Op, ShapeMemory, describe, fresh, key_of, op_name
from .values import EMBEDDING, INDEX, OF_SHAPE_ALONE, OVERWRITING, Values, any_real, written

#: Constants up to this many elements are computed for real beside the meta pass, so that a network may look at them
#: (`torch.linspace(...).tolist()`, a window index); larger ones are shapes like everything else.
SMALL = 2**16

_LIFT = torch.ops.aten.lift_fresh.default
_MASKED = torch.ops.aten.masked_select.default
#: Of these something follows although no values are known yet.
_FOLLOWED = frozenset(map(id, (*OF_SHAPE_ALONE, *OVERWRITING, EMBEDDING, INDEX)))
_EMPTY = torch.ops.aten.empty.memory_format
_META = torch.device("meta")
_empty, _empty_strided, _subclass = torch.empty, torch.empty_strided, Tensor._make_subclass
_function_modes = torch._C._len_torch_function_stack


class NeedsValues(RuntimeError):
    """The network looks at values that a pass without arithmetic does not have."""


class WithoutValues(TorchDispatchMode):
    """A dispatch mode that answers every operator from `memory`; None lets operators run as they are.

    `refused` is the first error that an operator raised: a network that catches it and goes on goes another way than
    with values. Threads other than the one that made the mode take turns. A subclass may look at each call in `noted`.
    """

    supports_higher_order_operators = True

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # torch would wrap our handler to shield it from its compiler, and import the compiler for that (0.56 s)
        return False

    def __init__(self, memory: ShapeMemory | None) -> None:
        super().__init__()
        self.memory = memory
        self.stand_ins: dict[int, tuple[weakref.ref[Tensor], Any, Tensor]] = {}
        self.values = Values()
        self.refused: Exception | None = None
        self.turns = threading.RLock()

    def noted(self, tensors: list[Tensor], value: Any, op: Op) -> Any:
        """Called with the input tensors, the value and the Op of each call; returns the value."""
        return value

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        # batch norm's reserve is none of the network's tensors: nothing to note
        if func is _EMPTY and args[0] == [0] and kwargs.get("dtype") is torch.uint8:
            return _empty(0, dtype=torch.uint8, device=_META)
        if _function_modes():  # compiled code calls operators past torch's functions
            with torch._C.DisableTorchFunction():
                return self._answer(func, args, kwargs)
        return self._answer(func, args, kwargs)

    def _answer(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        with self.turns:
            tensors: list[Tensor] = []
            key = key_of(func, args, kwargs, tensors)
            if key is not None and self.memory is not None:
                op = self.memory.known(key)
                if op is not None:
                    value = _again(op, args, kwargs)
                    if self.values or id(func) in _FOLLOWED:
                        self.values.follow(func, args, kwargs, tensors, value)
                    return self.noted(tensors, value, op)
            try:
                value = self._for_the_first_time(func, args, kwargs, tensors, key)
                if self.memory is not None and (
                    self.values or not tensors or not tensors[0].is_meta or id(func) in _FOLLOWED
                ):
                    self.values.follow(func, args, kwargs, tensors, value)
                return value
            except Exception as error:
                self.refused = self.refused or error
                raise

    def _for_the_first_time(self, func: Any, args: Any, kwargs: Any, tensors: list[Tensor], key: Any) -> Any:
        """A call that the memory cannot answer yet, or must not."""
        if self.memory is None:
            return self._really(func, tensors, args, kwargs)
        if isinstance(func, torch._ops.OpOverload) and func not in _OF_ONE_PIECE and _is_composite(func):
            # it arrived whole (under inference_mode): run the operators it is made of
            with self:
                decomposed = func.decompose(*args, **kwargs)
            if decomposed is not NotImplemented:
                return decomposed
        if self.values:
            found = self._from_values(func, args, kwargs, tensors)
            if found is not NotImplemented:
                return found
        if tensors and all([tensor.is_meta for tensor in tensors]):
            value, op = self.memory.answer(func, args, kwargs, key)
        elif func is _LIFT or self._may_be_real(func, tensors, args, kwargs):  # a constant, handed on as it is
            return self._really(func, tensors, args, kwargs)
        else:
            if any_real(written(func, args, kwargs)):
                raise NeedsValues(f"{op_name(func)} writes unknown values into a real tensor")
            blank, blank_kwargs = self._without_values(func, args, kwargs)
            key = key_of(func, blank, blank_kwargs, [])
            known = self.memory.known(key)
            value, op = (
                (_again(known, blank, blank_kwargs), known)
                if known is not None
                else self.memory.answer(func, blank, blank_kwargs, key)
            )
        return self.noted(tensors, value, op)

    def _from_values(self, func: Any, args: Any, kwargs: Any, tensors: list[Tensor]) -> Any:
        """The answer to a call that looks at values which are known; NotImplemented for any other."""
        if func is _MASKED:
            return self._from_values(INDEX, (args[0], [args[1]]), {}, tensors)
        if not any([tensor.is_meta for tensor in tensors]):
            return NotImplemented
        writing = self.values.writing(func, args, kwargs, tensors)
        if writing is not None:
            value = self._really(func, tensors, *writing)
            if value is None or func._schema.returns[0].alias_info is None:
                return pytree.tree_map_only(Tensor, self._on_meta, value)
            targets = written(func, args, kwargs)
            return targets[0] if isinstance(value, Tensor) else tuple(targets)
        seen = self.values.seen(func, args, kwargs, tensors)
        if seen is NotImplemented:
            places = self.values.places(args[1]) if func is INDEX else None
            if places is None:
                return NotImplemented
            with self:
                return func(args[0], [self._on_meta(place) for place in places])
        value = pytree.tree_map_only(Tensor, self._on_meta, seen)
        return self.noted(tensors, value, describe(func, args, kwargs, value))

    def _on_meta(self, real: Any) -> Any:
        """A tensor on meta with known values."""
        if not isinstance(real, Tensor) or real.is_meta:
            return real
        value = stand_in(real)
        self.values.learn(value, real)
        return value

    def _really(self, func: Any, tensors: list[Tensor], args: Any, kwargs: Any) -> Any:
        value = func(*args, **kwargs)
        return self.noted(tensors, value, describe(func, args, kwargs, value))

    def _may_be_real(self, func: Any, tensors: list[Tensor], args: Any, kwargs: Any) -> bool:
        """Whether a call without meta tensors is small enough to be computed as it stands."""
        if any([tensor.is_meta for tensor in tensors]):
            return False
        if tensors:
            # part of a large tensor, and large itself: nothing is computed, and what is written there must be seen
            if getattr(func, "is_view", False):
                return True
            if any([_elements_behind(tensor) > SMALL for tensor in written(func, args, kwargs)]):
                return False
            return bool(sum(tensor.numel() for tensor in tensors) <= SMALL)
        device = kwargs.get("device")
        if device is not None and torch.device(device).type == "meta":
            return False
        if args and type(args[0]) is list:  # zeros, ones, full: the size is the first argument
            return prod(args[0]) <= SMALL
        assert self.memory is not None
        on_meta = {"device": torch.device("meta")} if "device" in _arguments(func) else {}
        made, _ = self.memory.answer(func, args, kwargs | on_meta)
        return not isinstance(made, Tensor) or made.numel() <= SMALL

    def _without_values(self, func: Any, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """The same arguments with a stand-in for each real tensor, and for any device that is asked for."""
        args = tuple(self._stand_in(value) for value in args)
        kwargs = {name: self._stand_in(value) for name, value in kwargs.items()}
        if "device" in _arguments(func):
            kwargs["device"] = torch.device("meta")
            if kwargs.get("pin_memory"):
                kwargs["pin_memory"] = False
        return args, kwargs

    def _stand_in(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            if value.is_meta:
                return value
            layout = (
                (value.shape, value.stride(), value.dtype, value.requires_grad)
                if value.layout is torch.strided and not value.is_nested
                else None
            )
            kept = self.stand_ins.get(id(value))
            if kept is None or kept[0]() is not value or kept[1] != layout:
                kept = self.stand_ins[id(value)] = weakref.ref(value), layout, stand_in(value)
            return kept[2]
        if type(value) in (list, tuple):
            return type(value)([self._stand_in(item) for item in value])
        return value


def _elements_behind(tensor: Tensor) -> int:
    """Elements that there is room for in the storage of a tensor, of which it may show a part."""
    strided = tensor.layout is torch.strided and not tensor.is_nested
    return int(tensor.untyped_storage().nbytes() // tensor.itemsize if strided else tensor.numel())


def _again(op: Op, args: Any, kwargs: Any) -> Any:
    """What a call returns that is known."""
    fate = op.fate
    if fate == "fresh":
        return fresh(op.layouts)
    if fate == "self":
        return args[0]
    if op.seen is None:
        return op.func(*args, **kwargs)
    shape, stride, behind = op.seen
    first = args[0]
    return first.as_strided(shape, stride, first.storage_offset() + behind)


_names: dict[Any, frozenset[str]] = {}


def _arguments(func: Any) -> frozenset[str]:
    known = _names.get(func)
    if known is None:
        schema = getattr(func, "_schema", None)
        known = _names[func] = frozenset(arg.name for arg in schema.arguments) if schema is not None else frozenset()
    return known


#: Composite operators for which devices have a kernel of their own.
_OF_ONE_PIECE = frozenset({torch.ops.aten.silu_backward.default, torch.ops.aten.mish_backward.default})

_composite: dict[Any, bool] = {}


def _is_composite(func: Any) -> bool:
    known = _composite.get(func)
    if known is None:
        known = _composite[func] = torch._C._dispatch_has_kernel_for_dispatch_key(
            func.name(), "CompositeImplicitAutograd"
        )
    return known


def stand_in(tensor: Tensor) -> Tensor:
    """A meta tensor of the same class, shape, strides, type and need of gradients.

    Raises NeedsValues where more than these matters: a sparse tensor's non-zeros, which are what counts, would be lost,
    and a class that answers operators itself keeps its contents elsewhere.
    """
    kind = type(tensor)
    if kind.__torch_dispatch__ is not Tensor.__torch_dispatch__:
        raise NeedsValues(f"a tensor of class {kind.__name__} answers operators itself")
    if tensor.is_quantized:
        return tensor.to("meta")
    if tensor.layout is not torch.strided or tensor.is_nested:
        raise NeedsValues(f"the cost of a {str(tensor.layout).removeprefix('torch.')} tensor depends on its contents")
    blank = _empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=_META)
    if kind is Parameter:
        return _subclass(Parameter, blank, tensor.requires_grad)
    if kind is not Tensor:
        return blank.as_subclass(kind).requires_grad_(tensor.requires_grad)
    return blank.requires_grad_() if tensor.requires_grad else blank


def duplicate(tensor: Tensor) -> Tensor:
    """The same values in memory of their own, without gradients."""
    twin = tensor.detach().clone()
    if isinstance(tensor, Parameter) and not isinstance(twin, Parameter):
        return Parameter(twin, requires_grad=tensor.requires_grad)
    return twin.requires_grad_(tensor.requires_grad)


def constant(tensor: Tensor) -> Tensor:
    """What a tensor that is neither parameter nor buffer is traced as: its values where they may be looked at.

    Larger ones are handed on: a pass without values writes into none of them.
    """
    if tensor.is_meta:
        return stand_in(tensor)
    return duplicate(tensor) if tensor.numel() <= SMALL else tensor


def cast_to(dtype: torch.dtype | None, made: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """What makes a tensor as `made` does, floating-point ones in `dtype`, as `module.to(dtype)` leaves them."""
    if dtype is None:
        return made

    def cast(tensor: Tensor) -> Tensor:
        twin = made(tensor)
        if not twin.is_floating_point() or twin.dtype == dtype:
            return twin
        with torch.no_grad():
            other = twin.to(dtype)
        if isinstance(twin, Parameter):
            return Parameter(other, twin.requires_grad)
        return other.requires_grad_(twin.requires_grad)

    return cast
