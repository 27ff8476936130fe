"""An index of networks made by hand: what each source offers, and what counting each of them gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from archprof.runs import index, survey
from archprof.runs.engines.processes import Outcome
from archprof.runs.survey import Listed

#: Spec -> (family, input side, parameters, mult-adds). Names of timm's that have published accuracies are as they are.
COSTS: dict[str, tuple[str, int, int, int]] = {
    "mobilenetv1": ("mobilenetv1", 224, 4_231_976, 568_740_352),
    "mobilenetv1@192": ("mobilenetv1", 192, 4_231_976, 418_000_000),
    "resnet50": ("resnet", 224, 25_557_032, 4_089_184_256),
    "resnet110_cifar": ("resnet_cifar", 32, 1_730_714, 253_000_000),
    "secret": ("secret", 224, 950, 1_000),
    "torchvision:resnet50": ("resnet", 224, 25_557_032, 4_089_184_256),
    "torchvision:regnet_y_400mf": ("regnet", 224, 4_344_144, 402_600_000),
    "timm:resnet50": ("resnet", 224, 25_557_032, 4_089_184_256),
    "timm:resnet50@288": ("resnet", 288, 25_557_032, 6_771_000_000),
    "timm:mobilenetv3_large_100": ("mobilenetv3", 224, 5_483_032, 215_300_000),
    "timm:efficientnet_b0": ("efficientnet", 224, 5_288_548, 385_900_000),
    "timm:efficientnet_b0@256": ("efficientnet", 256, 5_288_548, 504_000_000),
    "timm:broken": ("broken", 224, 0, 0),
}


class Counter:
    """Stands for the processes that count, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def run(self, tasks: Sequence[str]) -> Iterator[Outcome]:
        for task in tasks:
            self.asked.append(task)
            yield outcome(task)


def outcome(spec: str) -> Outcome:
    """What counting that network gives; 'broken' fails."""
    if spec.endswith("broken"):
        return Outcome(spec, None, "ValueError: it is broken", 0.1)
    family, side, parameters, macs = COSTS[spec]
    entry: dict[str, Any] = dict.fromkeys(index.FIGURES, 0) | {
        "name": spec,
        "family": family,
        "year": 2017 if spec.startswith("mobilenetv1") else None,
        "input_shape": [3, side, side],
        "parameters": parameters,
        "trainable_parameters": parameters,
        "parameter_bytes": 4 * parameters,
        "saved_bytes": 4 * parameters,
        "macs": macs,
        "uncounted": [{"op": "mylib::op", "calls": 2}] if spec == "secret" else [],
    }
    return Outcome(spec, entry, None, 0.1)


def offered(source: str) -> list[Listed]:
    """What the source offers."""
    found = [spec for spec in COSTS if (spec.partition(":")[0] if ":" in spec else "zoo") == source]
    return [Listed(spec, spec.rpartition(":")[2].partition("@")[0]) for spec in found]


def installed(monkeypatch: Any, folder: Path) -> Counter:
    """Make the cache folder one of the test's own, and every source and counter those of this file."""
    counter = Counter()
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    monkeypatch.setattr(survey, "networks", offered)
    monkeypatch.setattr(index, "versions", lambda source: f"format 1; archprof 0.1.0 2.13.0 digest; {source} 1.0")
    monkeypatch.setattr(index, "counting", lambda networks, executor=None: (executor or counter).run(networks))
    return counter
