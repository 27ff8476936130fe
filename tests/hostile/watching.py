"""Whether something is as it was before: a network with all that hangs on it, its inputs, and torch itself."""

from __future__ import annotations

import contextvars
import functools
import gc
import io
import random
import socket
import threading
import types
import weakref
from collections import deque
from concurrent.futures import Executor
from typing import Any

import numpy
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

_PLAIN = (int, float, complex, str, bytes, bool, type(None), torch.dtype, torch.device, torch.Size, range)

#: Not the network's own: code, and things of the operating system that nobody can copy.
_FOREIGN = (
    types.ModuleType,
    types.FrameType,
    types.CodeType,
    types.BuiltinFunctionType,
    torch._ops.OpOverload,
    torch._ops.OpOverloadPacket,
    Executor,
    threading.Thread,
    io.IOBase,
    socket.socket,
    type(threading.Lock()),
    type(threading.RLock()),
    threading.Condition,
)

_CODE = (type, types.FunctionType, types.CellType, functools._lru_cache_wrapper, contextvars.ContextVar)


def reached(root: Any, through_code: bool = False) -> list[Any]:
    """Every object that hangs on `root`; `through_code` also what the code of these tests holds.

    That is: class attributes, globals, closures, default arguments, caches and context variables.
    """
    found: dict[int, Any] = {}
    waiting = [root]
    while waiting:
        thing = waiting.pop()
        if id(thing) in found or isinstance(thing, (*_PLAIN, *_FOREIGN)):
            continue
        if isinstance(thing, _CODE) and not (through_code and _of_these_tests(thing)):
            continue
        if type(thing).__module__.startswith(("torch._dynamo", "torch._inductor", "hostile.rows")):
            continue
        found[id(thing)] = thing
        waiting += _next(thing)
    return list(found.values())


def _of_these_tests(code: Any) -> bool:
    if isinstance(code, (types.CellType, contextvars.ContextVar)):
        return True
    return str(getattr(code, "__module__", "")).startswith("hostile")


def _next(thing: Any) -> list[Any]:
    if isinstance(thing, type):
        return list(vars(thing).values())
    if isinstance(thing, types.FunctionType):
        own = [value for name, value in thing.__globals__.items() if not name.startswith("__") and name != "ROWS"]
        return [*own, thing.__closure__, thing.__defaults__, thing.__kwdefaults__, thing.__dict__]
    if isinstance(thing, contextvars.ContextVar):
        return [thing.get(None)]
    if isinstance(thing, threading.local):
        return [thing.__dict__]
    if isinstance(thing, weakref.ref):
        return [thing()]
    if isinstance(thing, Tensor):
        return [thing.__dict__, thing.grad if thing.is_leaf else None]
    return gc.get_referents(thing)


def hollow(root: Any) -> list[Tensor]:
    """The tensors without values that can be reached from a network, through its code too."""
    return [thing for thing in reached(root, through_code=True) if isinstance(thing, Tensor) and _is_hollow(thing)]


def _is_hollow(tensor: Tensor) -> bool:
    if isinstance(tensor, torch.nn.parameter.UninitializedTensorMixin):
        return False
    if tensor.is_meta:
        return True
    if tensor.layout is not torch.strided or tensor.is_nested or not tensor.numel():
        return False
    try:
        return tensor.untyped_storage().data_ptr() == 0
    except RuntimeError:  # a fake tensor has none
        return True


class Photograph:
    """Everything that hangs on something, as it is now; held, so that no id is used twice."""

    def __init__(self, root: Any) -> None:
        self.things = reached(root)
        self.seen = {id(thing): _described(thing) for thing in self.things}

    def differences(self, root: Any) -> list[str]:
        """What has changed since, in words."""
        now = Photograph(root)
        said = [
            f"{type(thing).__name__}: {_cut(self.seen[id(thing)])} is now {_cut(now.seen[id(thing)])}"
            for thing in self.things
            if id(thing) in now.seen and now.seen[id(thing)] != self.seen[id(thing)]
        ]
        return said + [
            f"{type(thing).__name__} {_cut(self.seen[id(thing)])} is gone"
            for thing in self.things
            if id(thing) not in now.seen and not isinstance(thing, (types.MethodType, dict))
        ]


def _cut(said: Any, length: int = 300) -> str:
    return str(said)[:length]


def _described(thing: Any) -> Any:
    if isinstance(thing, torch.jit.ScriptModule):
        tensors = [(name, _tensor(tensor)) for name, tensor in thing.state_dict(keep_vars=True).items()]
        return tensors, getattr(thing, "training", None)
    if isinstance(thing, Tensor):
        return _tensor(thing)
    if isinstance(thing, numpy.ndarray):
        return thing.tobytes()
    if isinstance(thing, torch.Generator):
        return thing.get_state().numpy().tobytes()
    if isinstance(thing, random.Random):
        return thing.getstate()
    if isinstance(thing, types.GeneratorType):
        return thing.gi_frame and thing.gi_frame.f_lasti
    if isinstance(thing, dict):
        return [(_name(key), _name(value)) for key, value in dict.items(thing)]
    if isinstance(thing, (list, tuple, deque)):
        return [_name(item) for item in thing]
    if isinstance(thing, (set, frozenset)):
        return sorted(map(_name, thing))
    try:
        attributes = object.__getattribute__(thing, "__dict__")
    except AttributeError:
        attributes = {}
    slots = [name for kind in type(thing).__mro__ for name in _slots(kind)]
    slotted = {name: object.__getattribute__(thing, name) for name in slots if _has(thing, name)}
    return [(_name(key), _name(value)) for key, value in {**attributes, **slotted}.items()]


def _slots(kind: type) -> list[str]:
    slots = vars(kind).get("__slots__", ())
    names = [slots] if isinstance(slots, str) else [*slots]
    return [name for name in names if not name.startswith("__")]


def _has(thing: Any, name: str) -> bool:
    try:
        object.__getattribute__(thing, name)
    except AttributeError:
        return False
    return True


def _name(value: Any) -> str:
    """Plain values by themselves; bound methods are made anew whenever they are asked for; others by identity."""
    if isinstance(value, _PLAIN):
        return repr(value)
    if isinstance(value, types.MethodType):
        return f"{id(value.__func__)} of {id(value.__self__)}"
    return f"{type(value).__name__} at {id(value)}"


def _tensor(tensor: Tensor) -> Any:
    if isinstance(tensor, torch.nn.parameter.UninitializedTensorMixin):
        return (type(tensor), tensor.dtype, tensor.device, tensor.requires_grad)
    about = (type(tensor), tensor.shape, tensor.dtype, tensor.device, tensor.requires_grad, _name(tensor.grad))
    if tensor.is_meta or tensor.is_nested:
        return about
    with torch._C.DisableTorchFunctionSubclass():
        plain = tensor.detach()
        if plain.layout is not torch.strided:
            plain = plain.to_dense()
        if plain.is_quantized:
            plain = plain.int_repr()
        if type(plain) is Tensor:
            return (*about, tensor._version, bytes(plain.contiguous().flatten().view(torch.uint8).numpy()))
    return about


def world() -> dict[str, Any]:
    """What belongs to everybody in this process."""
    return {
        "default dtype": torch.get_default_dtype(),
        "default device": torch.get_default_device(),
        "function modes": torch._C._len_torch_function_stack(),
        "deterministic": (torch.are_deterministic_algorithms_enabled(), torch.get_deterministic_debug_mode()),
        "cudnn": (torch.backends.cudnn.enabled, torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic),
        "mkldnn": torch.backends.mkldnn.enabled,
        "matmul precision": torch.get_float32_matmul_precision(),
        "attention": (torch.backends.cuda.flash_sdp_enabled(), torch.backends.mha.get_fastpath_enabled()),
        "grad": (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_anomaly_enabled()),
        "autocast": (
            torch.is_autocast_enabled("cpu"),
            torch.get_autocast_dtype("cpu"),
            torch.is_autocast_cache_enabled(),
        ),
        "torch's random numbers": torch.get_rng_state().numpy().tobytes(),
        "Python's random numbers": random.getstate(),
        "numpy's random numbers": numpy.random.get_state()[1].tobytes(),  # type: ignore[index]
        "hooks": [
            (name, list(hooks))
            for name, hooks in vars(torch.nn.modules.module).items()
            if name.startswith("_global_") and isinstance(hooks, dict)
        ],
        "threads": torch.get_num_threads(),
        "collecting": gc.isenabled(),
        "modes": (torch._C._len_torch_dispatch_stack(), torch._C._len_torch_function_stack()),
        "patched": [
            torch.nn.Module.__call__,
            torch.nn.Module.__getattr__,
            torch.nn.Module.__setattr__,
            *(vars(torch.nn.functional)[name] for name in sorted(vars(torch.nn.functional))),
            *(vars(torch.nn.init)[name] for name in sorted(vars(torch.nn.init))),
        ],
        "tensor": {name: value for name, value in vars(Tensor).items() if callable(value)},
    }


def put_back(before: dict[str, Any]) -> None:
    """A real pass of a row may change what a profile must not."""
    torch.set_default_dtype(before["default dtype"])
    torch.set_default_device(None)
    if torch.are_deterministic_algorithms_enabled() != before["deterministic"][0]:
        torch.use_deterministic_algorithms(before["deterministic"][0])
    torch.set_float32_matmul_precision(before["matmul precision"])
    torch.backends.cudnn.benchmark = before["cudnn"][1]
    torch.set_num_threads(before["threads"])
    for name in vars(torch.nn.modules.module):
        hooks = vars(torch.nn.modules.module)[name]
        if name.startswith("_global_") and isinstance(hooks, dict):
            hooks.clear()


def seed() -> None:
    torch.manual_seed(0)
    random.seed(0)
    numpy.random.seed(0)


def same(one: Any, other: Any) -> bool:
    """Whether two networks returned the same."""
    ones, others = pytree.tree_leaves(one), pytree.tree_leaves(other)
    return len(ones) == len(others) and all(map(_same, ones, others))


def _same(one: Any, other: Any) -> bool:
    if not isinstance(one, Tensor):
        return type(one) is type(other) and (not isinstance(one, _PLAIN) or one == other)
    if one.is_nested:
        return all(map(_same, one.unbind(), other.unbind()))
    return one.dtype == other.dtype and one.device == other.device and torch.equal(one, other)
