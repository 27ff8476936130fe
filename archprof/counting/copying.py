"""A copy of a network's Python structure in which every tensor is a stand-in.

What is traced is the copy, so that a cache, a counter, a queue or a plain tensor inside a network stays as it was
whatever its forward does, and an exception or Ctrl-C leaves nothing to repair. `copy.deepcopy` cannot be used as it is:
it copies the values of tensors, shares functions (whose closures then lead back to the original), and gives up where
anything cannot be copied.
"""

from __future__ import annotations

import copyreg
import threading
import types
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

#: What has no contents that a pass could change, or is not the network's own.
_SHARED = {
    int, float, bool, str, bytes, complex, type(None), type(Ellipsis), type(NotImplemented), type, range, slice,
    types.CodeType, types.ModuleType, property, torch.dtype, torch.layout, torch.memory_format, torch.device,
    torch.Size,
}  # fmt: skip

#: Where types come from whose instances are shared: threads and processes cannot be copied, graphs are only read.
_SHARED_MODULES = (
    "_thread",
    "threading",
    "concurrent.",
    "multiprocessing",
    "asyncio",
    "logging",
    "torch.fx",
)

#: The tables that every module has for itself, most of them empty: parameters, hooks.
_TABLES = frozenset(name for name, value in vars(nn.Module()).items() if isinstance(value, dict | set))

#: Types of attributes that need no guard against depth.
_SHALLOW = frozenset({Tensor, nn.Parameter, types.FunctionType, types.MethodType})

#: Numbers above this may be addresses of objects.
_IDENTITIES = 2**24

_MISSING = object()

Twin = TypeVar("Twin")


class Copier:
    """Copies objects; one `memo` for all, so that what is met twice is copied once.

    `owned` makes the stand-in of a parameter or buffer, `other` that of any other tensor; parameters without a shape
    stay so, on meta unless `real`. `uncopied` names the types of what had to be shared, `others` are the stand-ins of
    tensors that are neither parameters nor buffers.
    """

    def __init__(
        self, owned: Callable[[Tensor], Tensor], other: Callable[[Tensor], Tensor], real: bool = False
    ) -> None:
        self.owned, self.other, self.real = owned, other, real
        self.memo: dict[int, Any] = {}
        self._by_kind = dict(_COPIERS)
        self.uncopied: set[str] = set()
        self.others: list[Tensor] = []
        self._by_identity: list[dict[Any, Any]] = []
        self._kept: list[Any] = []  # what was made on the way: while it lives, nothing else has its identity

    def copy(self, value: Any) -> Any:
        """The copy of a value; the value itself where nothing in it can change."""
        kind = type(value)
        if kind in _SHARED:
            return value
        twin = self.memo.get(id(value), _MISSING)
        if twin is not _MISSING:
            return twin
        copier = self._by_kind.get(kind)
        if copier is None:
            copier = self._by_kind[kind] = _copier_of(kind)
        twin = self.memo[id(value)] = copier(self, value)
        return twin

    # Containers and modules are remembered before what is inside of them is copied: it may lead back to them.

    def _begun(self, value: Any, twin: Twin) -> Twin:
        self.memo[id(value)] = twin
        return twin

    def _module(self, module: nn.Module) -> nn.Module:
        twin = self._begun(module, object.__new__(type(module)))
        attributes = module.__dict__
        for buffer in (attributes.get("_buffers") or {}).values():
            if buffer is not None and id(buffer) not in self.memo and type(buffer) is not UninitializedBuffer:
                self._parameter(buffer)
        shared, tables = _SHARED, _TABLES
        twin_attributes = attributes.copy()
        for name, value in attributes.items():
            kind = type(value)
            if kind in shared:
                continue
            if name in tables and not value:
                twin_attributes[name] = kind()
            elif kind is not tuple or not shared.issuperset(map(type, value)):
                twin_attributes[name] = self.copy(value) if kind in _SHALLOW else self._deeply(value)
        object.__setattr__(twin, "__dict__", twin_attributes)
        self._slots(module, twin)
        return twin

    def _deeply(self, value: Any) -> Any:
        """The copy of an attribute, shared where it is nested too deeply for Python."""
        before = len(self.memo)
        try:
            return self.copy(value)
        except RecursionError:
            for identity in list(self.memo)[before:]:
                del self.memo[identity]
            return self._share(value)

    def _share(self, value: Any) -> Any:
        self.uncopied.add(f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins."))
        return value

    def settle(self) -> None:
        """Identities of what was copied become those of the copies, where they are the keys of a dict."""
        for table in self._by_identity:
            for key in [key for key in table if type(key) is int and key in self.memo]:
                table[id(self.memo[key])] = table.pop(key)

    def _attributes(self, attributes: dict[str, Any]) -> dict[str, Any]:
        return {name: self.copy(value) for name, value in attributes.items()}

    def _slots(self, value: Any, twin: Any) -> None:
        for name in copyreg._slotnames(type(value)):  # type: ignore[attr-defined]
            if hasattr(value, name):
                object.__setattr__(twin, name, self.copy(getattr(value, name)))

    def _scripted(self, module: Any) -> Any:
        """Compiled code and its tensors are one: torch copies both, and the tensors are exchanged afterwards."""
        twin = self._begun(module, module.__deepcopy__({}))
        for old, new in zip(module.modules(), twin.modules(), strict=True):
            self.memo[id(old)] = new
            for table in (new._parameters, new._buffers):
                for name, tensor in table.items():
                    table[name] = self.owned(tensor)
        return twin

    def _parameter(self, tensor: Tensor) -> Tensor:
        return self._with_attributes(tensor, self.owned(tensor))

    def _tensor(self, tensor: Tensor) -> Tensor:
        twin = self.other(tensor)
        self.others.append(twin)
        return self._with_attributes(tensor, twin)

    def _with_attributes(self, tensor: Tensor, twin: Tensor) -> Tensor:
        self.memo[id(tensor)] = twin
        if twin is not tensor and (attributes := tensor.__dict__):
            twin.__dict__.update(self._attributes(attributes))
        return twin

    def _optimized(self, module: Any) -> Any:
        """What was compiled is traced as it was written: its compiled form leads back to the original."""
        return self.copy(module._orig_mod)

    def _lazy(self, tensor: Any) -> Any:
        return type(tensor)(tensor.requires_grad, device=tensor.device if self.real else "meta", dtype=tensor.dtype)

    def _dict(self, value: dict[Any, Any]) -> dict[Any, Any]:
        twin: dict[Any, Any] = self._begun(value, {})
        for key, item in value.items():
            if type(key) is str:
                twin[key] = self.copy(item)
                continue
            if type(key) is int and key > _IDENTITIES:
                self._by_identity.append(twin)
            twin[self.copy(key)] = self.copy(item)
        return twin

    def _ordered(self, value: OrderedDict[Any, Any]) -> OrderedDict[Any, Any]:
        twin = self._begun(value, OrderedDict())
        for key, item in value.items():  # the hooks of a module, mostly none
            twin[self.copy(key)] = self.copy(item)
        return twin

    def _list(self, value: list[Any]) -> list[Any]:
        twin = self._begun(value, [])
        twin += [self.copy(item) for item in value]
        return twin

    def _deque(self, value: deque[Any]) -> deque[Any]:
        twin: deque[Any] = self._begun(value, deque(maxlen=value.maxlen))
        twin.extend([self.copy(item) for item in value])
        return twin

    def _tuple(self, value: tuple[Any, ...]) -> tuple[Any, ...]:
        items = [self.copy(item) for item in value]
        same = all([new is old for new, old in zip(items, value, strict=True)])
        return value if same else self.memo.get(id(value), tuple(items))  # it may have been reached from its inside

    def _set(self, value: set[Any]) -> set[Any]:
        return {self.copy(item) for item in value}

    def _weak(self, value: weakref.ref[Any]) -> Any:
        inside = value()
        return value if inside is None else weakref.ref(self.copy(inside))

    def _generator(self, value: torch.Generator) -> torch.Generator:
        twin = torch.Generator(value.device)
        twin.set_state(value.get_state())
        return twin

    def _local(self, value: threading.local) -> threading.local:
        twin = self._begun(value, threading.local())
        twin.__dict__.update(self._attributes(value.__dict__))
        return twin

    def _method(self, value: types.MethodType) -> types.MethodType:
        return types.MethodType(self.copy(value.__func__), self.copy(value.__self__))

    def _builtin(self, value: types.BuiltinMethodType) -> Any:
        owner = value.__self__
        if owner is None or isinstance(owner, types.ModuleType | type):
            return value
        return getattr(self.copy(owner), value.__name__)

    def _function(self, value: types.FunctionType) -> types.FunctionType:
        """A function with a copy of what it closes over, of its defaults and its attributes."""
        written = value.__dict__.get("_torchdynamo_orig_callable")
        if written is not None:  # compiled, as above
            return self.copy(written)  # type: ignore[no-any-return]
        if not (value.__closure__ or value.__defaults__ or value.__kwdefaults__ or value.__dict__) or (
            value.__module__ or ""
        ).startswith("torch."):
            return value
        cells = tuple([self.copy(cell) for cell in value.__closure__ or ()])
        twin = types.FunctionType(value.__code__, value.__globals__, value.__name__, None, cells or None)
        self._begun(value, twin)
        twin.__defaults__ = self.copy(value.__defaults__)
        twin.__kwdefaults__ = self.copy(value.__kwdefaults__)
        twin.__dict__.update(self._attributes(value.__dict__))
        twin.__qualname__, twin.__module__, twin.__doc__ = value.__qualname__, value.__module__, value.__doc__
        return twin

    def _cell(self, value: types.CellType) -> types.CellType:
        twin = self._begun(value, types.CellType())
        with suppress(ValueError):  # nothing in it yet
            twin.cell_contents = self.copy(value.cell_contents)
        return twin

    def _object(self, value: Any) -> Any:
        """Whatever else: as its class says that it is copied, else as it says that it is pickled, else shared."""
        try:
            own = getattr(type(value), "__deepcopy__", None)
            return own(value, self.memo) if own is not None else self._rebuilt(value)
        except Exception:
            self.memo.pop(id(value), None)
            return self._share(value)

    def _rebuilt(self, value: Any) -> Any:
        """As `pickle` would make it again, with everything inside copied."""
        reduce = copyreg.dispatch_table.get(type(value))
        made: Any = reduce(value) if reduce is not None else value.__reduce_ex__(4)
        if isinstance(made, str):  # the name of something global
            return value
        parts: list[Any] = [*made, None, None, None, None]
        make, args, state, items, pairs, setter = parts[:6]
        twin = make(*[self.copy(arg) for arg in args])
        self._begun(value, twin)
        self._kept.append(made)
        if state is not None:
            state = self.copy(state)
            if setter is not None:
                setter(twin, state)
            elif hasattr(twin, "__setstate__"):
                twin.__setstate__(state)
            else:
                plain, slots = state if isinstance(state, tuple) and len(state) == 2 else (state, None)
                if plain:
                    twin.__dict__.update(plain)
                for name, slot in (slots or {}).items():
                    setattr(twin, name, slot)
        for item in items or ():
            twin.append(self.copy(item))
        for key, item in pairs or ():
            twin[self.copy(key)] = self.copy(item)
        return twin


_Copying = Callable[[Copier, Any], Any]


def _same(copier: Copier, value: Any) -> Any:
    return value


_COPIERS: dict[type, _Copying] = {
    dict: Copier._dict,
    OrderedDict: Copier._ordered,
    list: Copier._list,
    deque: Copier._deque,
    tuple: Copier._tuple,
    set: Copier._set,
    weakref.ref: Copier._weak,
    torch.Generator: Copier._generator,
    threading.local: Copier._local,
    types.MethodType: Copier._method,
    types.BuiltinMethodType: Copier._builtin,
    types.FunctionType: Copier._function,
    types.CellType: Copier._cell,
    Tensor: Copier._tensor,
    nn.Parameter: Copier._parameter,
    UninitializedParameter: Copier._lazy,
    UninitializedBuffer: Copier._lazy,
}


def _copier_of(kind: type) -> _Copying:
    """How instances of a class are copied that was not met before."""
    if issubclass(kind, torch.jit.ScriptModule):
        return Copier._scripted
    if kind.__name__ == "OptimizedModule" and kind.__module__.startswith("torch._dynamo"):
        return Copier._optimized
    if issubclass(kind, nn.Module):
        return Copier._module
    if issubclass(kind, Tensor):
        return Copier._parameter if issubclass(kind, nn.Parameter) else Copier._tensor
    if issubclass(kind, type) or kind.__module__.startswith(_SHARED_MODULES):
        return _same
    return Copier._object
