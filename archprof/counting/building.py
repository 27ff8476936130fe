"""Building a network without its weights: a short ladder of ways, the one taken kept beside the network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .meta import WithoutValues, stand_in
from .recording import walk
from .shapes import ShapeMemory

aten = torch.ops.aten

#: Nobody looks at these values before training, so they need not exist.
_NEVER_REAL = {aten.empty, aten.rand, aten.randn, aten.empty_strided, aten.randint, aten.randperm}

#: In-place operators that only set values: an initialiser's business, skipped.
_INITIALISERS = {
    aten.uniform_,
    aten.normal_,
    aten.fill_,
    aten.zero_,
    aten.copy_,
    aten.mul_,
    aten.add_,
    aten.clamp_,
    aten.erfinv_,
    aten.div_,
    aten.sub_,
    aten.bernoulli_,
    aten.exponential_,
    aten.log_normal_,
}


class Unmade(WithoutValues):
    """While this mode is on, weights are created without storage and initialisers do nothing."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        packet = getattr(func, "overloadpacket", None)
        if packet in _INITIALISERS and args[0].is_meta:
            return args[0]
        if packet in _NEVER_REAL:
            return func(*args, **{**(kwargs or {}), "device": torch.device("meta"), "pin_memory": False})
        return super().__torch_dispatch__(func, types, args, kwargs)

    def _really(self, func: Any, tensors: list[Tensor], args: Any, kwargs: Any) -> Any:
        return func(*args, **kwargs)  # nobody asks what it was


def build_on_meta(make: Callable[[], nn.Module], memory: ShapeMemory) -> tuple[nn.Module, str]:
    """The network that `make` builds, parameters and buffers on the meta device, and the way it was built.

    First without values at all; a constructor that looks at its own weights raises there, and is run for real
    instead, its weights dropped afterwards. Raises what `make` raises. torch's random state stays as it was.
    """
    random_state = torch.get_rng_state()
    try:
        try:
            with Unmade(memory):
                module, way = make(), "meta"
        except Exception:
            module, way = make(), "real"
        replace_tensors(module, stand_in)
    finally:
        torch.set_rng_state(random_state)
    return module, way


def replace_tensors(module: nn.Module, other: Callable[[Tensor], Tensor], on_meta: bool = False) -> None:
    """Put `other` of each parameter and buffer that has values (`on_meta`: that has none) in its places."""
    made: dict[int, Tensor] = {}
    for _, part in walk(module):
        for table in (part._parameters, part._buffers):
            for name, tensor in table.items():
                if tensor is not None and tensor.is_meta is on_meta:
                    if id(tensor) not in made:
                        made[id(tensor)] = other(tensor)
                    table[name] = made[id(tensor)]
        for name, value in part.__dict__.items():  # a recurrent layer keeps a list of its own weights
            if made and isinstance(value, list) and any([id(item) in made for item in value]):
                part.__dict__[name] = [made.get(id(item), item) for item in value]
