"""archprof: choose, compare and guard neural architectures.

    archprof.load("resnet50")                        -> nn.Module
    archprof.profile("resnet50").macs                -> 4089184256
    archprof.compare(["resnet50", "mobilenetv1"])    -> Comparison

Nothing here imports torch; the functions do, when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

#: Public name -> the module that defines it.
_PUBLIC = {
    "load": "sources",
    "profile": "counting.counts",
    "compare": "comparison",
    "check": "budgets.judging",
    "Comparison": "records",
    "ArchitectureResult": "records",
    "StaticProfile": "records",
    "LayerCost": "records",
    "Accuracy": "records",
    "Latency": "timing",
    "Ratio": "timing",
    "ArchprofError": "errors",
}

__all__ = [
    "Accuracy", "ArchitectureResult", "ArchprofError", "Comparison", "Latency", "LayerCost", "Ratio", "StaticProfile",
    "__version__", "check", "compare", "costs", "load", "profile", "separable",
]

if TYPE_CHECKING:
    from . import costs, separable
    from .budgets.judging import check
    from .comparison import compare
    from .counting.counts import profile
    from .errors import ArchprofError
    from .records import Accuracy, ArchitectureResult, Comparison, LayerCost, StaticProfile
    from .sources import load
    from .timing import Latency, Ratio


#: Modules that are public as they stand.
_MODULES = ("costs", "separable")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f".{name}", __name__)
    if name not in _PUBLIC:
        raise AttributeError(f"module 'archprof' has no attribute '{name}'")
    return getattr(importlib.import_module(f".{_PUBLIC[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
