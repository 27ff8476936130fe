"""Predicted throughput against timm's published tables, with families, and for anchors devices, left out.

    python benchmarks/prediction.py [--smoke]

Everything is fitted anew from the counts and throughput that ship with archprof. Without anchors: each network's family
is left out of the fit, and its interval is made from the residuals of other families. Beside it stand two simpler
predictors, fitted and judged alike: a power of the mult-adds, and of mult-adds, activations and parameters. With ten
anchors: all tables of a device are left out; what is known of it are ten networks, which were chosen without it, and
its intervals are made from other devices. Networks are judged whose times on the other devices are at hand, and the
same with their family in no table at all. Errors are |predicted / published - 1|. Prints Markdown; exits with 1 where a
figure is beyond its bound. `--smoke` takes every fifth network and judges nothing.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

import numpy as np

from archprof.prediction import fitting, table
from archprof.prediction.calibration import Calibration
from archprof.prediction.fitting import Log, Residuals
from archprof.prediction.quantities import QUANTITIES
from archprof.prediction.table import Networks

#: Bounds: the median over tables of their median errors, and the coverage of all their intervals together.
GPUS, CPUS, ANCHORED, COVERED = 0.10, 0.12, 0.05, (0.88, 0.92)

#: The worst families that are named.
WORST = 12


def error(residual: np.ndarray) -> np.ndarray:
    """Of throughput, from log of predicted over true seconds; NaN left out."""
    return np.abs(np.expm1(-residual[np.isfinite(residual)]))


def percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def thinned(networks: Networks) -> Networks:
    """Every fifth network."""
    keep = slice(None, None, 5)
    return replace(
        networks,
        names=networks.names[keep],
        sizes=networks.sizes[keep],
        families=networks.families[keep],
        usual=networks.usual[keep],
        activations=networks.activations[keep],
        counted=networks.counted[keep],
        throughput=networks.throughput[:, keep],
    )


def power_law(terms: np.ndarray, seen: np.ndarray, families: np.ndarray) -> np.ndarray:
    """Residuals of a linear fit of log seconds to log terms, own family left out."""
    design = np.column_stack([np.log(terms), np.ones(len(terms))])
    out = np.full(len(seen), np.nan)
    run = np.isfinite(seen)
    for family in np.unique(families[run]):
        others, here = run & (families != family), run & (families == family)
        found, *_ = np.linalg.lstsq(design[others], seen[others], rcond=None)
        out[here] = design[here] @ found - seen[here]
    return out


def covered(residual: np.ndarray, distance: np.ndarray, found: Calibration) -> np.ndarray:
    score = residual / (found.floor + found.slope * distance)
    return (score >= found.low) & (score <= found.high)


def width(distance: np.ndarray, found: Calibration) -> float:
    """Half the width of the median interval, as a fraction of the prediction."""
    return float(np.median((found.high - found.low) / 2 * (found.floor + found.slope * distance)))


def without_anchors(networks: Networks, log: Log, distance: np.ndarray) -> tuple[dict[str, float], np.ndarray]:
    """Print a line for each table; returns the medians, and whether intervals held, (tables, networks)."""
    families = np.array(networks.families)
    macs = networks.counted[:, fitting.ALL_MACS].sum(axis=1)
    parameters = networks.counted[:, QUANTITIES.index("parameters")]
    several = np.column_stack([macs, networks.activations, parameters])
    held = np.full(log.published.shape, np.nan)
    medians = {}
    print("| table | networks | mult-adds alone | with activations, parameters | rates | 90th percentile | held | +- |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for place, one in enumerate(table.fitted().benchmarks):
        seen = log.published[place]
        run = np.isfinite(seen)
        residual = log.left_out[place] - seen
        for family in np.unique(families[run]):
            others, here = run & (families != family), run & (families == family)
            found = fitting.calibrated(Residuals(residual[others], distance[others], families[others]))
            held[place, here] = covered(residual[here], distance[here], found)
        found = fitting.calibrated(Residuals(residual[run], distance[run], families[run]))
        simple = [np.median(error(power_law(terms, seen, families))) for terms in (macs[:, None], several)]
        medians[one.name] = float(np.median(error(residual)))
        figures = [*simple, medians[one.name], np.quantile(error(residual), 0.9), np.nanmean(held[place])]
        shown = " | ".join(map(percent, [*figures, width(distance[run], found)]))
        print(f"| {one.shown} | {run.sum():,} | {shown} |", flush=True)
    return medians, held


def with_anchors(networks: Networks, log: Log, distance: np.ndarray) -> dict[str, tuple[float, float, float, float]]:
    """Print a line for each table; returns median errors and coverage, with other devices' times and without."""
    families = np.array(networks.families)
    every = list(table.fitted().benchmarks)
    gpus = [place for place, one in enumerate(every) if not one.on_cpu]
    residuals = []
    for place, one in enumerate(every):
        sources = fitting.sources_for(every, one)
        chosen = fitting.chosen_anchors(networks, log, gpus if one.on_cpu else sources)
        residuals.append(fitting.anchored(log, every, place, sources, chosen))
    print("\n| table | tables of others | run elsewhere | held | +- | family in no table | held | +- |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    out = {}
    for place, one in enumerate(every):
        others = fitting.sources_for(every, one)
        figures: list[float] = []
        for which, apart in ((0, np.zeros_like(distance)), (1, distance)):
            residual = residuals[place][which]
            run = np.isfinite(residual)
            seen = [
                spread([residuals[other] for other in which_ones], which, apart, families)
                for which_ones in (others, gpus)
            ]
            found = (
                fitting.calibrated(seen[0].beside(seen[1]), at_least=seen[0])
                if one.on_cpu
                else fitting.calibrated(seen[0])
            )
            here = apart[run] + residuals[place][2]
            held = covered(residual[run], here, found)
            figures += [float(np.median(error(residual))), float(held.mean()), width(here, found)]
        out[one.name] = (figures[0], figures[1], figures[3], figures[4])
        print(f"| {one.shown} | {len(others)} | {' | '.join(map(percent, figures))} |", flush=True)
    return out


def spread(
    residuals: list[tuple[np.ndarray, np.ndarray, float]], which: int, apart: np.ndarray, families: np.ndarray
) -> Residuals:
    """Those of several devices together, with the distance and each one's doubt."""
    doubts = np.array([doubt for *_, doubt in residuals])[:, None]
    return Residuals.of(np.array([one[which] for one in residuals]), apart + doubts, families)


def from_gpus_to_a_cpu(networks: Networks, log: Log) -> None:
    """Print what comes of the tables of GPUs and ten anchors on a CPU."""
    every = list(table.fitted().benchmarks)
    gpus = [place for place, one in enumerate(every) if not one.on_cpu]
    chosen = fitting.chosen_anchors(networks, log, gpus)
    print()
    for place, one in enumerate(every):
        if one.on_cpu:
            known, unseen, _ = fitting.anchored(log, every, place, gpus, chosen)
            print(
                f"- {one.shown}: from GPUs {percent(np.median(error(known)))}, "
                f"family in no table {percent(np.median(error(unseen)))}"
            )


def failures(networks: Networks, log: Log) -> None:
    """Print the families whose error is largest, over the tables of GPUs and of CPUs."""
    families, every = np.array(networks.families), table.fitted().benchmarks
    print("\n| family | networks | tables | predicted / published |\n|---|---:|---|---:|")
    rows = []
    for family in np.unique(families):
        here = families == family
        for called, wanted in (
            ("GPUs, eager", lambda one: not one.on_cpu and not one.compiled),
            ("GPUs, compiled", lambda one: not one.on_cpu and one.compiled),
            ("CPU", lambda one: one.on_cpu),
        ):
            places = [place for place, one in enumerate(every) if wanted(one)]
            off = (log.left_out - log.published)[np.ix_(places, here)]
            if np.isfinite(off).any():
                rows.append(
                    (abs(np.nanmedian(off)), family, int(here.sum()), called, float(np.exp(-np.nanmedian(off))))
                )
    for _, family, count, called, ratio in sorted(rows, reverse=True)[:WORST]:
        print(f"| {family} | {count} | {called} | {ratio:.2f} |")


def of_known_families(networks: Networks, log: Log, closest: float) -> None:
    """Print how often the intervals hold for networks whose family is in the table, and their errors."""
    places = networks.places
    squares = (places**2).sum(axis=1)
    apart = squares[:, None] + squares[None] - 2 * places @ places.T
    np.fill_diagonal(apart, np.inf)
    near = np.maximum(np.sqrt(np.maximum(apart, 0).min(axis=1)), closest)
    held, off = [], []
    for place, one in enumerate(table.fitted().rates):
        run = np.isfinite(log.published[place])
        residual = (log.fitted - log.published)[place, run]
        held += list(covered(residual, near[run], one.calibration))
        off += list(error(residual))
    print(f"\nNetworks of the table themselves: median error {percent(np.median(off))}, held {percent(np.mean(held))}.")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true")
    args = parser.parse_args()
    networks = thinned(table.networks()) if args.smoke else table.networks()
    families = np.array(networks.families)
    print(f"{len(networks.names):,} networks and image sizes, {len(set(families))} families\n", flush=True)
    apart = fitting.distances_to_others(networks.places, families)
    distance = np.maximum(apart, table.fitted().closest)
    log = fitting.logs(networks)
    medians, held = without_anchors(networks, log, distance)
    anchored = {} if args.smoke else with_anchors(networks, log, distance)
    if not args.smoke:
        from_gpus_to_a_cpu(networks, log)
    failures(networks, log)
    of_known_families(networks, log, table.fitted().closest)
    if args.smoke:
        return 0
    return verdict(medians, held, anchored)


def verdict(medians: dict[str, float], held: np.ndarray, anchored: dict[str, tuple[float, ...]]) -> int:
    """Print each figure beside its bound; 1 where one is beyond it."""
    every = table.fitted().benchmarks
    gpus, cpus = ([one.name for one in every if one.on_cpu == kind] for kind in (False, True))

    def middle(names: list[str], which: int | None = None) -> float:
        return float(np.median([medians[name] if which is None else anchored[name][which] for name in names]))

    rows = [
        ("GPUs, without anchors: median error", middle(gpus), (0, GPUS)),
        ("CPUs, without anchors: median error", middle(cpus), (0, CPUS)),
        ("intervals without anchors hold", float(np.nanmean(held)), COVERED),
        ("GPUs, ten anchors, run elsewhere: median error", middle(gpus, 0), (0, ANCHORED)),
        ("CPUs, ten anchors, run elsewhere: median error", middle(cpus, 0), (0, CPUS)),
        ("intervals with anchors hold, run elsewhere", float(np.mean([one[1] for one in anchored.values()])), COVERED),
        ("GPUs, ten anchors, family in no table: median error", middle(gpus, 2), None),
        ("CPUs, ten anchors, family in no table: median error", middle(cpus, 2), (0, CPUS)),
        (
            "intervals with anchors hold, family in no table",
            float(np.mean([one[3] for one in anchored.values()])),
            COVERED,
        ),
    ]
    print()
    failed = False
    for what, value, bound in rows:
        within = bound is None or bound[0] <= value <= bound[1]
        failed |= not within
        asked = "" if bound is None else f" ({percent(bound[0])} to {percent(bound[1])}: {'yes' if within else 'NO'})"
        print(f"- {what}: {percent(value)}{asked}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
