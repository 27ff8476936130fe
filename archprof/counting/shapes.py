"""Output shapes of operators, without arithmetic: remembered, in closed form, or as torch's meta kernels say.

Networks repeat themselves, so most operator calls have been answered before: a shape memory maps
(operator, input shapes, arguments) to the outputs' shapes. torch answers the rest, except for the commonest
operators, whose shapes are written down here: torch's Python meta kernels take about 0.3 ms a call, and the
first of them imports half of torch's compiler.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from ..costs import Shape
from .closed_forms import CLOSED, CORRECTED, Layout

aten = torch.ops.aten

#: Distinct (operator, shapes, arguments) kept before the memory is emptied: about 100 MB.
MEMORY_LIMIT = 50_000

#: Operators whose schema promises a fresh tensor, but which hand on their input's storage.
_SECRET_VIEWS = {aten._unsafe_view.default, aten._reshape_alias.default, aten.lift_fresh.default}

#: Views that say themselves where in the storage they begin.
_ABSOLUTE = {aten.as_strided.default}

_META = torch.device("meta")
_STRIDED = torch.strided
_empty = torch.empty_strided


class Op:
    """One distinct call: an operator with its arguments, every tensor replaced by its Shape.

    Calls that repeat it share this object. `fate` says how an output comes about: 'fresh' (new storage,
    as in `layouts`, of `sizes` bytes each), 'self' (the first argument, written in place), 'view' (a view of
    the first argument: `seen` is its shape, its strides and how far behind the argument it begins, None
    where torch must be asked), 'torch' (torch must be asked for anything unusual).
    """

    __slots__ = ("__weakref__", "args", "fate", "func", "kwargs", "layouts", "out", "seen", "sizes")

    def __init__(
        self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any, fate: str, layouts: Any
    ) -> None:
        self.func, self.args, self.kwargs, self.out = func, args, kwargs, out
        self.fate, self.layouts = fate, layouts
        self.seen: tuple[Any, Any, int] | None = None
        made = layouts if type(layouts) is list else [layouts] if layouts else ()
        self.sizes = tuple([nbytes_of(layout) for layout in made])

    @property
    def name(self) -> str:
        """'aten.convolution', 'mylib.fused_act': namespace and name, no overload."""
        return op_name(self.func)


class ShapeMemory:
    """Answers operator calls on meta tensors and remembers the answers.

    `remember=False` asks torch each time and uses no closed form that torch agrees with: slow, the yardstick for
    tests.
    """

    def __init__(self, remember: bool = True) -> None:
        self.remember = remember
        self._known: dict[tuple[Any, ...], Op] = {}

    def __len__(self) -> int:
        return len(self._known)

    def known(self, key: tuple[Any, ...] | None) -> Op | None:
        """The Op that was remembered under this key."""
        if key is None or not self.remember:
            return None
        try:
            return self._known.get(key)
        except TypeError:  # an argument that cannot be hashed
            return None

    def answer(
        self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], key: tuple[Any, ...] | None = None
    ) -> tuple[Any, Op]:
        """What `func(*args, **kwargs)` returns, tensors on the meta device, and the Op that describes the call.

        It is remembered under `key`, as `read` makes it, where one is given.
        """
        if key is None or not (self.remember or func in CORRECTED):
            return _ask_torch(func, args, kwargs)
        return self.foretell(func, args, kwargs, key) or self._remembered(key, _ask_torch(func, args, kwargs))

    def foretell(
        self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], key: tuple[Any, ...]
    ) -> tuple[Any, Op] | None:
        """The answer where it follows from what is written down here, remembered; None where torch must be asked."""
        if _writes_only_self(func) and _fits_into_self(args):
            return self._remembered(key, (args[0], describe(func, args, kwargs, args[0], "self")))
        closed = CLOSED.get(func)
        if closed is None or any([type(part) is torch.dtype and part.is_complex for part in key]):
            return None  # conjugation is lazy: torch knows who is whose view
        layouts = closed(*args, **kwargs)
        if layouts is None:
            return None
        value = fresh(layouts)
        return self._remembered(key, (value, describe(func, args, kwargs, value, "fresh", layouts)))

    def _remembered(self, key: tuple[Any, ...], answer: tuple[Any, Op]) -> tuple[Any, Op]:
        if self.remember:
            if len(self._known) >= MEMORY_LIMIT:
                self._known.clear()
            with suppress(TypeError):
                self._known[key] = answer[1]
        return answer


def fresh(layouts: Any) -> Any:
    """New tensors of these layouts: one, or a tuple for a list, in which None stays None."""
    if type(layouts) is list:
        return tuple(
            [
                None if layout is None else _empty(layout[0], layout[1], dtype=layout[2], device=_META)
                for layout in layouts
            ]
        )
    shape, stride, dtype = layouts
    return _empty(shape, stride, dtype=dtype, device=_META)


def _ask_torch(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Op]:
    if _makes_fresh_tensors(func):
        # the kernel gets and makes tensors of its own: torch's Python kernels leave some in reference cycles, and
        # those that the network made must die when the network lets go of them
        layouts = _layouts(_called(func, _blank(args), {name: _blank(value) for name, value in kwargs.items()}))
        if layouts is not None:
            value = fresh(layouts)
            return value, describe(func, args, kwargs, value, "fresh", layouts)
    value = _called(func, args, kwargs)
    fate = "torch"
    if args and value is args[0] and _writes_only_self(func):
        fate = "self"
    elif type(value) is Tensor and args and type(args[0]) in (Tensor, Parameter) and _share(value, args[0]):
        op = describe(func, args, kwargs, value, "view")
        itself = value is args[0]  # squeeze_: the argument's own shape changes
        plain = not itself and func not in _ABSOLUTE and value.dtype is args[0].dtype
        if plain and not value.dtype.is_complex and not value.is_neg():
            op.seen = tuple(value.shape), value.stride(), value.storage_offset() - args[0].storage_offset()
        return value, op
    return value, describe(func, args, kwargs, value, fate)


class _Witness:
    """Lives as long as the frame whose local it is."""

    __slots__ = ("__weakref__",)


def _called(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """What the operator returns.

    An error that torch catches on the way, such as that of an import in the first of its Python kernels, may leave its
    frames in a reference cycle, and with them those of all callers and the network's tensors. They must not outlive the
    call, or memory would depend on who asked first.
    """

    def call() -> tuple[Any, weakref.ref[_Witness]]:
        witness = _Witness()
        return func(*args, **kwargs), weakref.ref(witness)

    value, witness = call()
    if witness() is not None:
        gc.collect(0)
    return value


def _share(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are views of the same storage."""
    if one.layout is not _STRIDED or other.layout is not _STRIDED or one.is_nested or other.is_nested:
        return False
    return bool(one.untyped_storage()._cdata == other.untyped_storage()._cdata)


def _blank(value: Any) -> Any:
    """The same structure with a new tensor for each plain one."""
    if type(value) in (Tensor, Parameter) and value.is_meta and value.layout is _STRIDED:
        return _empty(value.shape, value.stride(), dtype=value.dtype, device=_META)
    return type(value)([_blank(item) for item in value]) if type(value) in (list, tuple) else value


def nbytes_of(layout: Layout | None) -> int:
    """Bytes of the storage of a new tensor of that layout."""
    if layout is None:
        return 0
    shape, stride, dtype = layout
    if 0 in shape:
        return 0
    return int((1 + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))) * dtype.itemsize)


def describe(
    func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], value: Any, fate: str = "torch", layouts: Any = None
) -> Op:
    """The Op of a call whose outputs are known."""
    given = {key: shapes_of(item) for key, item in kwargs.items()}
    # one by one: a list that begins with a whole number holds nothing else, arguments may (`10000 ** x`)
    return Op(func, tuple([shapes_of(arg) for arg in args]), given, shapes_of(value), fate, layouts)


def shapes_of(value: Any) -> Any:
    """The same structure of lists and tuples with each tensor replaced by its Shape."""
    kind = type(value)
    if kind is int or value is None:
        return value
    if kind is Tensor or kind is Parameter:
        strided = value.layout is torch.strided and not value.is_nested
        return Shape(value.shape, value.dtype, None, value.device.type) if strided else Shape.of(value)
    if isinstance(value, Tensor):
        return Shape.of(value)
    if kind is list or kind is tuple:
        return value if value and type(value[0]) is int else kind([shapes_of(item) for item in value])
    if isinstance(value, list | tuple):
        return tuple(shapes_of(item) for item in value)
    return value


def shapes_in(values: Iterable[Any]) -> Iterator[Shape]:
    """Every tensor's Shape in nested lists and tuples."""
    for value in values:
        if isinstance(value, Shape):
            yield value
        elif isinstance(value, list | tuple):
            yield from shapes_in(value)


@lru_cache(maxsize=4096)  # of a few hundred operators, asked for with every distinct call
def op_name(func: Any) -> str:
    """'aten.convolution' for torch.ops.aten.convolution.default; a higher-order operator by its own name."""
    schema = getattr(func, "_schema", None)
    return str(schema.name.replace("::", ".") if schema is not None else func.name())


def key_of(func: Any, args: Any, kwargs: dict[str, Any], tensors: list[Tensor]) -> tuple[Any, ...] | None:
    """What determines the outputs' layouts; None where the call is not one for the memory.

    That is so for real tensors, subclasses, tensors without strides. Every tensor is put into `tensors`.
    """
    parts: list[Any] = [id(func)]  # OpOverload hashes itself in Python; the Op that is remembered keeps it alive
    try:
        plain = _read(args, parts, tensors)
        for name, value in kwargs.items():
            parts.append(name)
            plain = _read((value,), parts, tensors) and plain
        return tuple(parts) if plain and tensors else None
    except (TypeError, RuntimeError):  # sparse and nested tensors have no strides
        tensors.clear()
        collect_tensors([*args, *kwargs.values()], tensors)
        return None


def _read(values: Any, key: list[Any], tensors: list[Tensor]) -> bool:
    """Whether only plain tensors on meta are among the values, written into `key` and `tensors` in one walk."""
    plain = True
    for value in values:
        kind = type(value)
        if kind is Tensor or kind is Parameter:
            tensors.append(value)
            if value.is_meta and value.layout is _STRIDED:
                key += (value.shape, value.stride(), value.dtype)
            else:
                plain = False
        elif kind is list or kind is tuple:
            if value and type(value[0]) is int:  # strides, sizes: the schema allows nothing but whole numbers
                key.append(tuple(value))
            else:
                key.append(len(value))
                plain = _read(value, key, tensors) and plain
        elif kind is bool or kind is float or kind is complex:
            key += (kind, value)  # 1, 1.0 and True are equal, but not to a dtype
        elif isinstance(value, Tensor):
            tensors.append(value)
            plain = False
        else:
            key.append(value)
    return plain


def collect_tensors(values: Any, into: list[Tensor]) -> None:
    """Append every tensor in nested lists and tuples."""
    for value in values:
        kind = type(value)
        if kind is Tensor or kind is Parameter:
            into.append(value)
        elif kind is list or kind is tuple:
            collect_tensors(value, into)
        elif isinstance(value, Tensor):
            into.append(value)


def _layouts(value: Any) -> Any:
    """(shape, strides, dtype) of a plain strided tensor, a list of them for a tuple of such, else None."""
    if isinstance(value, tuple | list):
        found = [_layouts(item) for item in value]
        return (
            found
            if type(value) is tuple
            and all(old is None or type(new) is tuple for old, new in zip(value, found, strict=True))
            else None
        )
    if type(value) is not Tensor or not value.is_meta or value.layout is not torch.strided or value.dtype.is_complex:
        return None
    return tuple(value.shape), value.stride(), value.dtype


_fresh_by_schema: dict[Any, bool] = {}


def _makes_fresh_tensors(func: Any) -> bool:
    """Whether the schema promises outputs that share nothing with the inputs, and a layout fixed by them."""
    known = _fresh_by_schema.get(func)
    if known is None:
        schema = getattr(func, "_schema", None)
        known = (
            schema is not None
            and func not in _SECRET_VIEWS
            and not schema.is_mutable
            and all(value.alias_info is None for value in [*schema.arguments, *schema.returns])
            and torch.Tag.data_dependent_output not in func.tags
            and torch.Tag.dynamic_output_shape not in func.tags
        )
        _fresh_by_schema[func] = known
    return known


_in_place: dict[Any, bool] = {}


def _writes_only_self(func: Any) -> bool:
    """Whether the operator writes its first argument, returns it and leaves its shape: relu_, add_."""
    known = _in_place.get(func)
    if known is None:
        schema = getattr(func, "_schema", None)
        if schema is None or torch.Tag.inplace_view in func.tags or func in (aten.resize_.default, aten.set_.default):
            known = False
        else:
            written = [arg.alias_info is not None and arg.alias_info.is_write for arg in schema.arguments]
            known = written[:1] == [True] and not any(written[1:])
        _in_place[func] = known
    return known


def _fits_into_self(args: tuple[Any, ...]) -> bool:
    """Whether writing into the first argument plainly works: one dtype, the other tensors expand to its shape."""
    first = args[0]
    if not isinstance(first, Tensor):  # a list of them, for one of torch's operators over many
        return False
    for other in args[1:]:
        if isinstance(other, Tensor):
            if other.dtype != first.dtype or other.dim() > first.dim():
                return False
            if any([n not in (1, m) for n, m in zip(reversed(other.shape), reversed(first.shape), strict=False)]):
                return False
        elif isinstance(other, list | tuple) or (type(other) is float and not first.is_floating_point()):
            return False
    return True
