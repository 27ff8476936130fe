"""Standard against depthwise separable convolution: on paper, counted, rewritten and measured.

    separable.convolution(32, 64, 3, 112).ratio      1/N + 1/Dk^2, exactly (a Fraction)
    separable.rewrite(module)                        a new module with every dense KxK convolution separated
    separable.merge(module, (x,))                    the way back: depthwise + pointwise pairs made one
    separable.compare_layer(convolution)             formula beside count
    separable.compare_network("resnet50")            the same for a whole network, layer by layer
    separable.shares(profile)                        where a network's mult-adds are

Importing this imports no torch; the functions that need it do.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ..results.shares import Share, Shares, kind_of, shares
from .formula import Convolution, Cost, convolution, output_extent
from .records import (
    LayerComparison,
    LeftAlone,
    Machine,
    NetworkComparison,
    Timing,
    to_json,
)
from .styles import DIRECTIONS, STYLES, Style

#: Public names that need torch -> the module of this package that defines them.
_LAZY = {
    "rewrite": "rewriting",
    "separate": "rewriting",
    "merge": "merging",
    "standardise": "merging",
    "compare_layer": "counting",
    "compare_network": "counting",
    "rewritten": "counting",
    "measure_layer": "measuring",
    "measure_network": "measuring",
}

__all__ = [
    "DIRECTIONS",
    "STYLES",
    "Convolution",
    "Cost",
    "LayerComparison",
    "LeftAlone",
    "Machine",
    "NetworkComparison",
    "Share",
    "Shares",
    "Style",
    "Timing",
    "compare_layer",
    "compare_network",
    "convolution",
    "kind_of",
    "merge",
    "output_extent",
    "rewrite",
    "separate",
    "shares",
    "standardise",
    "to_json",
]

if TYPE_CHECKING:
    from .counting import compare_layer, compare_network
    from .merging import merge, standardise
    from .rewriting import rewrite, separate


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'archprof.separable' has no attribute '{name}'")
    return getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)
