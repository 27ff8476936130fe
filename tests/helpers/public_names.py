"""Every public name of archprof in the hands of somebody who checks types strictly: checked, and run."""

from __future__ import annotations

from pathlib import Path

import archprof


def convolution_macs(x: archprof.costs.Shape, weight: archprof.costs.Shape, *, out: archprof.costs.Shape) -> int:
    return out[0] * x[-1] * weight[0]


def limits(names: list[str], folder: Path) -> list[str]:
    comparison: archprof.Comparison = archprof.compare(names, latency=False)
    rows: tuple[archprof.ArchitectureResult, ...] = comparison.architectures
    ratios: tuple[archprof.Ratio, ...] = comparison.ratios
    said = [ratio.sentence for ratio in ratios]
    for row in rows:
        claims: tuple[archprof.Accuracy, ...] = row.accuracy
        times: tuple[archprof.Latency, ...] = row.latency
        said += [claim.source for claim in claims] + [f"{cell.p50_s:.3f}" for cell in times if cell.measured]
    archprof.plot("ball", comparison, folder / "ball.svg")
    return said


def layers(name: str) -> int:
    profile: archprof.StaticProfile = archprof.profile(name)
    costs: tuple[archprof.LayerCost, ...] = profile.layers
    assert profile.flops == 2 * profile.macs
    return sum(cost.macs or 0 for cost in costs)


def held(name: str) -> bool:
    budget: archprof.Budget = archprof.Budget.of(name, parameters="< 5 M")
    return all(verdict.status == "within" for one in archprof.check([budget]) for verdict in one.verdicts)


def training(name: str) -> archprof.Trial:
    recipe: archprof.Recipe = archprof.Recipe(epochs=1)
    tried: archprof.Trial = archprof.trial([name], "digits", recipe=recipe)
    return tried or archprof.evaluate([name], "digits")


def how() -> tuple[archprof.Conditions, archprof.Sampling]:
    return archprof.Conditions(threads=1), archprof.Sampling(time_budget=1.0)


def elsewhere(name: str) -> list[float]:
    found: archprof.Prediction = archprof.predict([name], device="rtx4090")
    return [row.predicted_throughput for row in found if row.predicted_throughput is not None]


def edits(name: str) -> list[float]:
    found: archprof.WhatIf = archprof.whatif(name, ["*: kernel=1"], threads=1, time_budget=0.1)
    return [one.predicted_seconds for one in found if one.predicted_seconds is not None]


def fitting(name: str) -> int:
    return archprof.fits(name, "1 GB").inference


def main() -> None:
    module = archprof.load("resnet_tiny")
    module.eval()
    cost = archprof.separable.convolution(3, 16, 3, 32)
    print(fitting("resnet_tiny"), edits("resnet_tiny"), elsewhere("resnet18"), elsewhere("resnet_tiny"))
    print(archprof.__version__, layers("resnet_tiny"), held("resnet_tiny"), cost, how())
    try:
        archprof.choose(["no such network"], where=["parameters < 5 M"])
    except archprof.ArchprofError as error:
        print(error.message)


if __name__ == "__main__":
    main()
