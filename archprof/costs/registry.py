"""Formulas by operator name, and the one question asked of them: `macs`.

Operators are known by name ("aten::mm"), not by object, so that a formula can stand for an operator
that this torch lacks or that a package defines later, and importing formulas imports no torch.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from ..base.errors import BadOption
from .free import is_free

if TYPE_CHECKING:
    import torch

Formula = Callable[..., "int | None"]
F = TypeVar("F", bound=Formula)


class Shape(tuple[int, ...]):
    """A tensor's sizes, with the little else that a cost depends on.

    `nnz` is the number of stored non-zeros of a sparse tensor (None: dense). `parts` are the shapes
    that a nested tensor holds (None: not nested); its own sizes are then their number and their maxima.
    Equality and hash are the tuple's: they see the sizes alone.
    """

    dtype: torch.dtype | None
    nnz: int | None
    device: str
    parts: tuple[tuple[int, ...], ...] | None

    def __new__(
        cls,
        sizes: Any = (),
        dtype: torch.dtype | None = None,
        nnz: int | None = None,
        device: str = "meta",
        parts: tuple[tuple[int, ...], ...] | None = None,
    ) -> Shape:
        shape = super().__new__(cls, sizes)
        shape.dtype, shape.nnz, shape.device, shape.parts = dtype, nnz, device, parts
        return shape

    @classmethod
    def of(cls, tensor: torch.Tensor) -> Shape:
        """The shape of a tensor: strided, sparse or nested; () for a lazy parameter that has none yet."""
        if hasattr(tensor, "cls_to_become"):
            return cls((), tensor.dtype, None, tensor.device.type)
        if tensor.is_nested:
            parts = tuple(tuple(part.shape) for part in tensor.unbind())
            largest = tuple(map(max, zip(*parts, strict=True)))
            return cls((len(parts), *largest), tensor.dtype, None, tensor.device.type, parts)
        return cls(tensor.shape, tensor.dtype, _stored(tensor), tensor.device.type)

    @property
    def shape(self) -> Shape:
        """Itself: a formula that was written for tensors works on shapes."""
        return self


def _stored(tensor: torch.Tensor) -> int | None:
    """Stored values of a sparse tensor, those of its dense dimensions included."""
    layout = str(tensor.layout)
    if not layout.startswith("torch.sparse"):
        return None
    return int((tensor._values() if layout == "torch.sparse_coo" else tensor.values()).numel())


class Namespace:
    """`aten.mm` spells "aten::mm", whether or not this torch has the operator."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, operator: str) -> str:
        return f"{self._name}::{operator}"


aten = Namespace("aten")


@dataclass(frozen=True)
class _Registered:
    """A formula and which of an operator's arguments it takes."""

    formula: Formula
    positional: tuple[str, ...]
    keywords: frozenset[str]
    any_positional: bool
    any_keyword: bool

    @classmethod
    def of(cls, formula: Formula) -> _Registered:
        parameters = inspect.signature(formula).parameters.values()
        kinds = {parameter.kind for parameter in parameters}
        return cls(
            formula,
            tuple(p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)),
            frozenset(p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)),
            inspect.Parameter.VAR_POSITIONAL in kinds,
            inspect.Parameter.VAR_KEYWORD in kinds,
        )

    def __call__(self, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> int | None:
        if not self.any_positional:
            args = args[: len(self.positional)]
        filled = self.positional[: len(args)]
        offered = {**kwargs, "out": out}
        named = {
            name: value
            for name, value in offered.items()
            if name not in filled and (self.any_keyword or name in self.keywords)
        }
        return self.formula(*args, **named)


#: By operator ('aten::convolution', or with its overload), each formula with what it can be called with.
FORMULAS: dict[str, _Registered] = {}

#: Goes up with every registration, so that remembered costs can be told from outdated ones.
generation = 0

#: What it is when archprof's own formulas are there.
own_generation = 0


def macs_of(*operators: Any, replace: bool = False) -> Callable[[F], F]:
    """Register the decorated function as the cost, in MACs, of one or several operators.

    An operator is `torch.ops.mylib.op` (all its overloads), one overload of it, what
    `torch.library.custom_op` returned, a higher-order operator, or a name, "mylib::op".

    The formula is called with the operator's arguments in the order of its schema, as many as it has
    parameters for; keyword-only arguments arrive where it names them, and so does `out`, the result.
    Every tensor is a `Shape`. It returns an int, or None where shapes alone cannot tell (uncounted).
    It counts as if all numbers were real: the factor for complex ones is applied to its result.

    Raises BadOption for what is no operator, and for a second formula without `replace=True`.
    """
    names = [_name_of(operator) for operator in operators]
    if not names:
        raise BadOption("macs_of() names no operator.", "Write @macs_of(torch.ops.mylib.op).")

    def register(formula: F) -> F:
        if not callable(formula):
            raise BadOption(f"macs_of decorates a function, not {formula!r}.")
        taken = [name for name in names if name in FORMULAS]
        if taken and not replace:
            raise BadOption(f"{taken[0]} has a formula already.", "replace=True puts this one in its place.")
        global generation
        generation += 1
        FORMULAS.update(dict.fromkeys(names, _Registered.of(formula)))
        return formula

    return register


def macs(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None, out: Any = None) -> int | None:
    """Multiply-accumulates of one operator call; 0 where it is free, None where it is uncounted.

    `func` is an OpOverload or HigherOrderOperator. Every tensor in `args`, `kwargs` and `out` is a
    `Shape`; everything else is as the operator got it. Raises BadOption where a formula cannot take
    the call, or returns anything else than a count.
    """
    kwargs = kwargs or {}
    name = _name(func)
    registered = FORMULAS.get(name) or FORMULAS.get(name.partition(".")[0])
    if registered is None:
        if is_free(func, name):
            return 0
        registered = _torchs_own(func)
        if registered is None:
            return None
    pieces = _pieces((args, kwargs, out))
    if pieces:
        # a call on nested tensors is the calls on what they hold, one after the other
        counts = [macs(func, *_piece((args, kwargs, out), index)) for index in range(pieces)]
        return None if None in counts else sum(filter(None, counts))
    try:
        count = registered(args, kwargs, out)
    except Exception as reason:
        what = f"{type(reason).__name__}: {reason}"
        raise BadOption(f"the formula of {name} cannot take this call: {what}.") from reason
    if count is None:
        return None
    if not isinstance(count, int) or count < 0:
        raise BadOption(f"the formula of {name} returned {count!r}.", "Wanted: an int, 0 or more, or None.")
    return count * _real_macs(args)


def _name_of(operator: Any) -> str:
    """ "aten::mm", "aten::lstm.data", "higher_order::flex_attention"; an overload 'default' goes unsaid."""
    name: Any = operator
    if not isinstance(operator, str):
        # an OpOverloadPacket, or a torch.library.custom_op
        name = getattr(operator, "_qualified_op_name", None) or getattr(operator, "_qualname", None)
        if name is None and hasattr(operator, "namespace") and callable(getattr(operator, "name", None)):
            name = operator.name()  # an OpOverload, or a HigherOrderOperator
            name = name if "::" in name else f"{operator.namespace}::{name}"
    if not isinstance(name, str) or "::" not in name:
        raise BadOption(f"{operator!r} is no operator.", "Wanted: torch.ops.mylib.op, or 'mylib::op'.")
    return name.removesuffix(".default")


_name = lru_cache(maxsize=4096)(_name_of)  # of what was called: operators, which can be hashed


def _pieces(values: Any) -> int:
    """How many tensors the nested tensors among the values hold; 0 where none is nested."""
    most = 0
    for value in values:
        kind = type(value)
        if kind is Shape:
            if value.parts:
                most = max(most, len(value.parts))
        elif kind is dict:
            most = max(most, _pieces(value.values()))
        elif (kind is list or kind is tuple) and value and type(value[0]) is not int:
            most = max(most, _pieces(value))
    return most


def _piece(values: Any, index: int) -> Any:
    """The same values with each nested tensor replaced by the one that it holds at `index`."""
    if isinstance(values, Shape):
        if values.parts is None:
            return values
        return Shape(values.parts[index], values.dtype, None, values.device)
    if isinstance(values, dict):
        return {name: _piece(value, index) for name, value in values.items()}
    if isinstance(values, (list, tuple)):
        return tuple(_piece(value, index) for value in values)
    return values


def _real_macs(args: Any) -> int:
    """Real MACs in one MAC of these operands: 4 where all are complex, 2 where some are, else 1.

    (a + bi)(c + di) takes four products, (a + bi)c two. Integer operands (indices, lengths) don't count.
    """
    kinds = {dtype.is_complex for dtype in set(_dtypes(args)) if dtype.is_complex or dtype.is_floating_point}
    return {True: 4, False: 1}[kinds.pop()] if len(kinds) == 1 else (2 if kinds else 1)


def _dtypes(args: Any) -> list[torch.dtype]:
    found: list[torch.dtype] = []
    for arg in args:
        kind = type(arg)
        if kind is Shape:
            if arg.dtype is not None:
                found.append(arg.dtype)
        elif kind is list or kind is tuple:
            found += _dtypes(arg)
    return found


def _torchs_own(func: Any) -> _Registered | None:
    """A formula that somebody gave to torch's own counter (`register_flop_formula`), as MACs.

    Looked for only where that module is loaded already: nobody can have registered anything before.
    """
    counter = sys.modules.get("torch.utils.flop_counter")
    flops = counter and counter.flop_registry.get(getattr(func, "overloadpacket", func))
    if not flops:
        return None
    return _Registered.of(lambda *args, out, **kwargs: flops(*args, **kwargs, out_val=out) // 2)
