"""archprof: choose, compare and guard neural architectures.

    archprof.load("resnet50")                        -> nn.Module
    archprof.profile("resnet50").macs                -> 4089184256
    archprof.compare(["resnet50", "mobilenetv1"])    -> Comparison
    archprof.fits("resnet50", "24 GB").training      -> the largest batch to train with
    archprof.plot("ball", comparison, "ball.svg")    -> matplotlib's Figure
    archprof.choose(where=["macs < 600 M"])          -> DataFrame, most accurate first
    archprof.predict("resnet50", device="rtx4090")   -> Prediction: images a second, with an interval
    archprof.whatif("resnet50", ["@160"])            -> WhatIf: what an edit would cost
    archprof.trial(["resnet_tiny", Net], "digits")   -> Trial: accuracy, measured

Nothing here imports torch; the functions do, when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .base.version import __version__
from .results import presentation

#: Public name -> the module that defines it.
_PUBLIC = {
    "load": "models",
    "profile": "counting.counts",
    "compare": "runs.compare",
    "fits": "runs.compare",
    "plot": "render.plotting",
    "choose": "runs.choose",
    "predict": "prediction.predicting",
    "whatif": "editing.predicting",
    "trial": "trials.trial",
    "evaluate": "trials.trial",
    "check": "budgets.judging",
    "Budget": "budgets.budget",
    "Comparison": "results.comparison",
    "Conditions": "results.conditions",
    "Sampling": "results.conditions",
    "ArchitectureResult": "results.comparison",
    "StaticProfile": "results.profile",
    "LayerCost": "results.profile",
    "Accuracy": "results.comparison",
    "Latency": "results.latency",
    "Ratio": "results.ratios",
    "Recipe": "results.recipe",
    "Trial": "results.trials",
    "Prediction": "results.predictions",
    "WhatIf": "results.whatif",
    "ArchprofError": "base.errors",
}

__all__ = [
    "Accuracy",
    "ArchitectureResult",
    "ArchprofError",
    "Budget",
    "Comparison",
    "Conditions",
    "Latency",
    "LayerCost",
    "Prediction",
    "Ratio",
    "Recipe",
    "Sampling",
    "StaticProfile",
    "Trial",
    "WhatIf",
    "__version__",
    "check",
    "choose",
    "compare",
    "costs",
    "evaluate",
    "fits",
    "load",
    "plot",
    "predict",
    "profile",
    "separable",
    "trial",
    "whatif",
]

if TYPE_CHECKING:
    from . import costs, separable
    from .base.errors import ArchprofError
    from .budgets.budget import Budget
    from .budgets.judging import check
    from .counting.counts import profile
    from .editing.predicting import whatif
    from .models import load
    from .prediction.predicting import predict
    from .render.plotting import plot
    from .results.comparison import Accuracy, ArchitectureResult, Comparison
    from .results.conditions import Conditions, Sampling
    from .results.latency import Latency
    from .results.predictions import Prediction
    from .results.profile import LayerCost, StaticProfile
    from .results.ratios import Ratio
    from .results.recipe import Recipe
    from .results.trials import Trial
    from .results.whatif import WhatIf
    from .runs.choose import choose
    from .runs.compare import compare, fits
    from .trials.trial import evaluate, trial


#: Modules that are public as they stand.
_MODULES = ("costs", "separable")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f".{name}", __name__)
    if name not in _PUBLIC:
        raise AttributeError(f"module 'archprof' has no attribute '{name}'")
    return getattr(importlib.import_module(f".{_PUBLIC[name]}", __name__), name)


def _render(record: Any, format: str) -> Any:
    from .render.records import render

    return render(record, format)


presentation.register(_render)


def __dir__() -> list[str]:
    return sorted(__all__)
