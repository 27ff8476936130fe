"""What a network computes from constants alone, computed for real beside a pass without values.

The positions of tokens and the masks made from them are known before any input is: `torch.arange(n, device=x.device)`,
its differences, comparisons of them. They lie on the meta device, like everything of the pass; each has a twin here
that holds its values, so that a network may look at the outcome (`if mask.all()`, `.item()`, `x[mask]`).
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor

#: Elements that a call may read and make, to be computed for real: a mask of 1,024 x 1,024 takes about a millisecond.
MOST = 2**20

aten = torch.ops.aten

EMBEDDING, INDEX = aten.embedding.default, aten.index.Tensor

#: What these make says nothing of the values of the tensor whose shape they take.
OF_SHAPE_ALONE = frozenset(
    {
        aten.zeros_like.default,
        aten.ones_like.default,
        aten.full_like.default,
        aten.new_zeros.default,
        aten.new_ones.default,
        aten.new_full.default,
    }
)

#: These replace every value of their first argument, whatever it was.
OVERWRITING = frozenset({aten.fill_.Scalar, aten.fill_.Tensor, aten.zero_.default, aten.copy_.default})


#: These exchange the memory of their first argument, or its size.
_REPLACING = frozenset({aten.resize_.default, aten.resize_as_.default})

_BATCH_NORM = aten.native_batch_norm.default


class _Kind:
    """What follows from an operator's schema: whether it computes the same from the same, which memory that is left as
    it was is not, and which arguments it writes into; `looks` where its result, or the shape of it, depends on values,
    `moves` where it writes no values, but another shape."""

    __slots__ = ("computes", "in_training", "looks", "moves", "overwrites", "shape_alone", "writes")

    def __init__(self, func: Any) -> None:
        schema = func._schema if isinstance(func, torch._ops.OpOverload) else None
        tags = func.tags if schema is not None else ()
        self.moves = torch.Tag.inplace_view in tags
        self.computes = (
            schema is not None
            and not self.moves
            and func.namespace in ("aten", "prims")
            and "empty" not in schema.name
            and torch.Tag.nondeterministic_seeded not in tags
        )
        self.looks = torch.Tag.data_dependent_output in tags or torch.Tag.dynamic_output_shape in tags
        self.writes = [
            (place, arg.name)
            for place, arg in enumerate(schema.arguments if schema is not None else ())
            if arg.alias_info is not None and arg.alias_info.is_write
        ]
        self.in_training = func is _BATCH_NORM  # its schema does not say that it writes
        if self.in_training:
            self.writes = [(3, "running_mean"), (4, "running_var")]
        self.overwrites = func in OVERWRITING
        self.shape_alone = func in OF_SHAPE_ALONE


_kinds: dict[Any, tuple[Any, _Kind]] = {}


def _kind_of(func: Any) -> _Kind:
    known = _kinds.get(id(func))  # OpOverload hashes itself in Python
    if known is None:
        known = _kinds[id(func)] = func, _Kind(func)
    return known[1]


class OutOfRange(IndexError):
    """An index that no device would find in its table."""


class _Unknown(Exception):
    """The values of a tensor are not known, or there are too many of them."""


class WrittenElsewhere(RuntimeError):
    """Unknown values are written into memory that something with values looks into too."""


class _Twin(weakref.ref[Any]):
    """The end of a storage on meta, and until then a storage with its values, from byte `offset` on."""

    __slots__ = ("identity", "offset", "storage")

    identity: int
    offset: int
    storage: Any


class Values:
    """The known values among the tensors of a pass, by storage: a view sees what is written into another one."""

    def __init__(self) -> None:
        self._twins: dict[int, _Twin] = {}

    def __bool__(self) -> bool:
        return bool(self._twins)

    def of(self, tensor: Tensor) -> Tensor | None:
        """A real tensor with the values of `tensor`; None where they are not known."""
        try:
            return self._real(tensor) if isinstance(tensor, Tensor) else None
        except _Unknown:
            return None

    def seen(self, func: Any, args: Any, kwargs: Any, tensors: Sequence[Tensor]) -> Any:
        """What an operator returns that looks at values, as real tensors or numbers, where it looks at known ones;
        NotImplemented where it is another operator, or they are not known."""
        if not _kind_of(func).looks or not all([self._knows(tensor) for tensor in tensors]):
            return NotImplemented
        try:
            return self._called(func, args, kwargs, tensors)
        except _Unknown:
            return NotImplemented

    def writing(self, func: Any, args: Any, kwargs: Any, tensors: Sequence[Tensor]) -> Any:
        """The arguments as real tensors, where a real one is written and the others are known; None elsewhere."""
        if not all([self._knows(tensor) for tensor in tensors]) or not any_real(written(func, args, kwargs)):
            return None
        try:
            return tuple([self._real(arg) for arg in args]), {name: self._real(arg) for name, arg in kwargs.items()}
        except _Unknown:
            return None

    def places(self, indices: Sequence[Any]) -> list[Any] | None:
        """Indices with whole numbers in place of truth values, where each of these is known; None without any."""
        found: list[Any] = []
        for index in indices:
            if not isinstance(index, Tensor) or index.dtype not in (torch.bool, torch.uint8):
                found.append(index)
                continue
            known = self.of(index)
            if known is None:
                return None
            found += known.nonzero().unbind(1)
        return found if len(found) and any([new is not old for new, old in zip(found, indices, strict=False)]) else None

    def follow(self, func: Any, args: Any, kwargs: Any, tensors: Sequence[Tensor], value: Any) -> None:
        """Learn the values of what a call returned, or wrote, where they follow from known ones; else forget them."""
        if func is EMBEDDING or func is INDEX:
            self.check_rows(func, args)
        kind = _kind_of(func)
        if kind.moves and func not in _REPLACING:
            return
        if kind.writes:
            if any([tensor.is_meta for tensor in tensors]):
                self._written(func, kind, args, kwargs, tensors)
        elif (
            (kind.shape_alone or not tensors or all([self._knows(tensor) for tensor in tensors]))
            and kind.computes
            and _may_hold(value)
        ):
            self._learn(func, kind, args, kwargs, tensors, value)

    def check_rows(self, func: Any, args: Any) -> None:
        """Raise OutOfRange where a lookup's index is known, and no row of its table."""
        if func is EMBEDDING:
            self._check(args[1], args[0].shape[0], 0)
        elif not any([index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1]]):
            for rows, index in zip(args[0].shape, args[1], strict=False):
                if index is not None:
                    self._check(index, rows, -rows)

    def _check(self, indices: Tensor, rows: int, first: int) -> None:
        known = self.of(indices)
        if known is None or not 0 < known.numel() <= MOST:
            return
        least, most = (int(end) for end in torch.aminmax(known))
        if least < first or most >= rows:
            wrong = most if most >= rows else least
            raise OutOfRange(f"index {wrong:,} is out of range: there are {rows:,} rows")

    def learn(self, value: Tensor, real: Tensor) -> None:
        """From now on a tensor on meta has those values."""
        nbytes = value.untyped_storage().nbytes()
        if nbytes <= 16 * MOST and self._identity(value) not in self._twins:
            self._remember(value, torch.UntypedStorage(nbytes))
            try:
                self._real(value).copy_(real)
            except BaseException:
                self._twins.pop(self._identity(value), None)
                raise

    def share(self, value: Tensor, real: Tensor) -> None:
        """From now on a tensor on meta has the memory of a real one: what is written into either is seen in both.

        Nothing happens where the one is not the other in the same order, but a copy of it in another type.
        """
        if value.dtype is not real.dtype or value.layout is not torch.strided or real.layout is not torch.strided:
            return
        self._twins.pop(self._identity(value), None)
        if value.stride() == real.stride() and _fills_its_storage(value) and not (real.is_conj() or real.is_neg()):
            self._remember(value, real.untyped_storage(), real.storage_offset() * real.itemsize)

    def _learn(self, func: Any, kind: _Kind, args: Any, kwargs: Any, tensors: Sequence[Tensor], value: Any) -> None:
        outputs = value if isinstance(value, tuple | list) else [value]
        fresh = [isinstance(one, Tensor) and one.is_meta and self._identity(one) not in self._twins for one in outputs]
        if not any(fresh) or sum([one.numel() for one in outputs if isinstance(one, Tensor)]) > MOST:
            return
        with suppress(Exception):  # what torch cannot compute stays unknown
            if kind.shape_alone:
                args, tensors = (torch.empty(args[0].shape, dtype=args[0].dtype), *args[1:]), ()
            real = self._called(func, args, kwargs, tensors)
            for one, twin, new in zip(outputs, real if isinstance(value, tuple | list) else [real], fresh, strict=True):
                if new:
                    self.learn(one, twin)

    def _written(self, func: Any, kind: _Kind, args: Any, kwargs: Any, tensors: Sequence[Tensor]) -> None:
        targets = written(func, args, kwargs)
        if any_real(targets):  # it has been done
            return
        read = tensors[1:] if kind.overwrites else tensors
        computed = False
        if kind.computes and all([self._knows(tensor) for tensor in read]):
            with suppress(Exception):
                first = args[0]
                if kind.overwrites and not self._knows(first):
                    if first.numel() > MOST or not _fills_its_storage(first):
                        return
                    self._remember(first, torch.UntypedStorage(first.untyped_storage().nbytes()))
                self._called(func, args, kwargs, tensors)
                computed = True
        if not computed:
            for target in targets:
                self._forget(target)

    def _forget(self, tensor: Tensor) -> None:
        """Raise WrittenElsewhere where what is forgotten here is still looked at from elsewhere."""
        twin = self._twins.pop(self._identity(tensor), None)
        # numpy's arrays are not among those who use a storage, but they keep its size as it is
        if twin is not None and (torch._C._storage_Use_Count(twin.storage._cdata) > 1 or not twin.storage.resizable()):
            raise WrittenElsewhere("unknown values are written into memory that is looked at with values")

    def _called(self, func: Any, args: Any, kwargs: Any, tensors: Sequence[Tensor]) -> Any:
        """The operator on real tensors, on the CPU. Raises _Unknown."""
        if sum([tensor.numel() for tensor in tensors]) > MOST:
            raise _Unknown
        args = tuple([self._real(arg) for arg in args])
        kwargs = {name: self._real(arg) for name, arg in kwargs.items()}
        if kwargs.get("device") is not None:
            kwargs["device"] = torch.device("cpu")
        with torch.no_grad():
            return func(*args, **kwargs)

    def _real(self, value: Any) -> Any:
        """The same structure with real tensors."""
        if isinstance(value, Tensor):
            if not value.is_meta:
                return value.detach()
            twin = self._twins.get(self._identity(value))
            if twin is None or value.is_conj() or value.is_neg():
                raise _Unknown
            view = torch.empty(0, dtype=value.dtype)
            offset = twin.offset // value.itemsize + value.storage_offset()
            return view.set_(twin.storage, offset, value.shape, value.stride())
        return type(value)([self._real(one) for one in value]) if type(value) in (list, tuple) else value

    def _remember(self, tensor: Tensor, storage: Any, offset: int = 0) -> None:
        twin = _Twin(tensor.untyped_storage(), self._died)
        twin.identity, twin.storage, twin.offset = self._identity(tensor), storage, offset
        self._twins[twin.identity] = twin

    def _died(self, twin: _Twin) -> None:
        if self._twins.get(twin.identity) is twin:
            del self._twins[twin.identity]

    def _knows(self, tensor: Tensor) -> bool:
        return not tensor.is_meta or self._identity(tensor) in self._twins

    @staticmethod
    def _identity(tensor: Tensor) -> int:
        try:
            return int(tensor.untyped_storage()._cdata)
        except (NotImplementedError, RuntimeError):  # sparse tensors and some subclasses have none
            return 0


def written(func: Any, args: Any, kwargs: Any) -> list[Tensor]:
    """The tensors that a call writes into."""
    kind = _kind_of(func)
    found: list[Tensor] = []
    if kind.in_training and not args[5]:
        return found
    for place, name in kind.writes:
        target = args[place] if place < len(args) else kwargs.get(name)
        found += [one for one in (target if isinstance(target, list | tuple) else [target]) if isinstance(one, Tensor)]
    return found


def any_real(tensors: Sequence[Tensor]) -> bool:
    return any([not tensor.is_meta for tensor in tensors])


def _fills_its_storage(tensor: Tensor) -> bool:
    """Whether each place of a tensor's storage is one of its elements."""
    whole = tensor.numel() * tensor.itemsize == tensor.untyped_storage().nbytes()
    return whole and bool(torch._debug_has_internal_overlap(tensor) == 0)


def _may_hold(value: Any) -> bool:
    """Whether there is a plain tensor on meta, of a bearable size, among what a call returned."""
    if isinstance(value, tuple | list):
        return any([_may_hold(one) for one in value])
    return type(value) is Tensor and value.is_meta and value.layout is torch.strided and value.numel() <= MOST
