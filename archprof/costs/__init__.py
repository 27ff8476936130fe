"""What an operator costs: multiply-accumulates (MACs) as a function of shapes.

Counted: convolutions, linear layers, matrix products, attention and recurrent cells, forward and
backward. Free (0): bias, normalisation, pooling, activation, softmax, embedding, interpolation, and all
else that `free.py` lists with its reason. Whatever is neither is *uncounted* (None), so that it can be said.

The conventions, each argued where its formula stands:

- a MAC is one product added to a sum; a plain product (`mul`, `outer`, `addr`) accumulates nothing: 0;
- complex times complex is 4 real MACs, real times complex 2;
- attention counts every (query, key) pair, masked or not;
- sparse products count the stored non-zeros;
- a backward pass counts one product per gradient that is asked for: fused kernels that recompute what
  the forward pass knew count like those that kept it, so that all backends agree.

An operator of one's own gets its formula so:

    from archprof import costs

    @costs.macs_of(torch.ops.mylib.fused_linear)
    def fused_linear(x, weight, *, out):
        return prod(out) * x[-1]
"""

from __future__ import annotations

from typing import Any

from . import attention, convolutions, products, recurrent, registry
from .registry import Formula, Shape, macs, macs_of

registry.own_generation = registry.generation

__all__ = ["Formula", "Shape", "attention", "convolutions", "macs", "macs_of", "products", "recurrent"]


def __getattr__(name: str) -> Any:
    if name == "generation":  # a number that changes: always the registry's own
        return registry.generation
    raise AttributeError(f"module 'archprof.costs' has no attribute '{name}'")
