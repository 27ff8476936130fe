"""Weights that are good enough to be timed: random at a realistic scale, made quickly.

Time depends on values: products with zeros draw less power, and a chip that draws less may clock higher;
uninitialised memory may hold denormals or NaN. So weights are random, scaled by fan-in, with biases that
keep activations away from zero. Nobody trains with them, so nobody's initialisers need to run.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import prod
from typing import Any

import torch
from torch import nn

from ..base.errors import BuildFailed
from ..counting.building import replace_tensors
from ..counting.meta import duplicate
from ..results.conditions import Conditions

#: Length of the pool of normal values that weights are cut from: copying is several times faster than
#: drawing, and a prime length keeps the pool's period from lining up with rows of a power of two.
POOL = 1_048_583

#: Standard deviation of biases: the size that trained networks have, which keeps activations from fading to
#: zero in deep networks whose norm layers carry no statistics.
BIAS = 0.1

#: Scale of norm layers, as trained residual networks have it: with 1, and statistics that normalise nothing,
#: a hundred residual sums would grow beyond what float16 can hold.
NORM_SCALE = 0.25

#: Buffers that are statistics of a norm layer, with the value that leaves its input as it is.
STATISTICS = {"running_mean": 0.0, "running_var": 1.0, "num_batches_tracked": 0.0}


@contextmanager
def fast_init() -> Iterator[None]:
    """Inside, the functions of torch.nn.init leave tensors as they are: `fill` the network afterwards."""
    functions = {
        name: value
        for name, value in vars(nn.init).items()
        if name.endswith("_") and not name.startswith("_") and callable(value)
    }

    def leave(tensor: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        return tensor

    for name in functions:
        setattr(nn.init, name, leave)
    try:
        yield
    finally:
        for name, function in functions.items():
            setattr(nn.init, name, function)


def realistic(build: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    """The network that `build` makes, its initialisers skipped and its parameters filled by `fill`."""
    with fast_init():
        module = build()
    return fill(module, seed)


def fill(module: nn.Module, seed: int = 0) -> nn.Module:
    """Overwrite parameters and norm statistics with realistic values; other buffers stay. Returns `module`.

    Weights of two and more dimensions are normal with variance 1/fan-in (half of what He et al. 2015 take for
    training); one-dimensional weights are scales of norm layers; the rest are biases.
    """
    pool = torch.randn(POOL, generator=torch.Generator().manual_seed(seed))
    start = 0
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if parameter.dim() == 1 and name.rpartition(".")[2] == "weight":
                parameter.fill_(NORM_SCALE)
                continue
            fan_in = prod(parameter.shape[1:]) if parameter.dim() > 1 else 0
            start = _cut(pool, start, parameter, fan_in**-0.5 if fan_in else BIAS)
        for name, buffer in module.named_buffers():
            if (value := STATISTICS.get(name.rpartition(".")[2])) is not None:
                buffer.fill_(value)
    return module


def _cut(pool: torch.Tensor, start: int, out: torch.Tensor, scale: float) -> int:
    """Fill `out` with the pool's values from `start` on, times `scale`, going round; returns the end."""
    if not out.is_floating_point():
        out.zero_()
        return start
    count = out.numel()
    flat = out.view(-1) if out.is_contiguous() else torch.empty(count, dtype=out.dtype, device=out.device)
    done = 0
    while done < count:
        take = min(count - done, POOL - start)
        flat[done : done + take].copy_(pool[start : start + take]).mul_(scale)
        done, start = done + take, (start + take) % POOL
    if not out.is_contiguous():
        out.copy_(flat.view(out.shape))
    return start


def unknown_buffers(module: nn.Module) -> list[str]:
    """Buffers on the meta device whose values cannot be made up (position indices and the like)."""
    return [
        name for name, buffer in module.named_buffers() if buffer.is_meta and name.rpartition(".")[2] not in STATISTICS
    ]


def materialise(module: nn.Module, conditions: Conditions, keep: bool = False) -> nn.Module:
    """`module` on the device, in the dtype and layout, in eval or train mode.

    A module on the meta device gets memory and realistic weights (`fill`), shared parameters staying shared;
    BuildFailed where it has buffers that cannot be made up: build it for real with `realistic` instead. A
    module with real weights keeps them. With `keep` the module given stays untouched and a copy is returned.
    """
    if lost := unknown_buffers(module):
        raise BuildFailed(
            f"buffer '{lost[0]}' has no values on the meta device and they cannot be made up.",
            "Build the network with its weights.",
        )
    if keep:
        module = copy.deepcopy(module)
    if any(tensor.is_meta for tensor in (*module.parameters(), *module.buffers())):
        replace_tensors(module, _in_memory, on_meta=True)
        fill(module)
    module = _cast(module, getattr(torch, conditions.dtype)).to(conditions.device)
    if conditions.channels_last:
        module = module.to(memory_format=torch.channels_last)
    return module.train(conditions.mode == "train")


def _cast(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """The module in that type, its complex tensors as they are; in float32 one of several types is left as it is.

    That is how it is counted, and such a network converts between its types itself.
    """
    tensors = (*module.parameters(), *module.buffers())
    own = {tensor.dtype for tensor in tensors if tensor.is_floating_point() or tensor.is_complex()}
    if dtype == torch.float32 and len(own) > 1:
        return module
    return module._apply(lambda tensor: tensor.to(dtype) if tensor.is_floating_point() else tensor)


def _in_memory(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor like one on meta, with memory on the CPU."""
    return duplicate(torch.empty_like(tensor, device="cpu"))
