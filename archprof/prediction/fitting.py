"""How the shipped rates come about, and what is claimed of them: fitted to a table, with families left out.

Used by the script that makes the data and by the benchmark; needs scipy (it comes with scikit-learn), which a
prediction does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .benchmarks import Benchmark, alike
from .calibration import LEVEL, Calibration
from .quantities import KIND_OF, QUANTITIES
from .table import Networks
from .transfer import Anchors, doubt, filled, parts, transfer

#: An array of floats.
Array = np.ndarray[Any, np.dtype[np.float64]]

#: Rounds of reweighting, and residuals (log) beyond which a network counts less, in robust standard deviations.
_ROUNDS, _FAR = 3, 2.0


def rates(counted: Array, seconds: Array) -> Array:
    """The rate of each quantity, none negative: `counted` (networks, quantities) @ rates is about `seconds` for each.

    Least squares of relative errors (Lawson and Hanson 1974), reweighted as for Cauchy's distribution: a few networks
    run ten times as long as their counts say, and would bend the rates of all.
    """
    from scipy.optimize import nnls

    relative = counted / seconds[:, None]
    scale = relative.mean(axis=0)
    scale[scale == 0] = 1.0
    weight = np.ones(len(seconds))
    for _ in range(_ROUNDS):
        scaled, _ = nnls(relative / scale * weight[:, None], weight, maxiter=100 * counted.shape[1])
        found: Array = scaled / scale
        residual = np.log(np.maximum(relative @ found, 1e-9))
        spread = 1.4826 * np.median(np.abs(residual)) + 1e-9
        weight = 1 / np.sqrt(1 + (residual / (_FAR * spread)) ** 2)
    return found


def left_out(counted: Array, seconds: Array, families: Array, everyone: Array, of: Array) -> Array:
    """Log seconds of `everyone` (networks, quantities), each fitted without its family; `of` names their families."""
    out = np.full(len(everyone), np.nan)
    shared = None
    for family in np.unique(of):
        here, others = of == family, families != family
        if others.all() and shared is not None:
            fitted = shared
        else:
            fitted = rates(counted[others], seconds[others])
            shared = fitted if others.all() else shared
        out[here] = np.log(np.maximum(everyone[here] @ fitted, 1e-12))
    return out


def distances_to_others(places: Array, families: Array) -> Array:
    """Of each network, the distance to the nearest one of another family."""
    squares = (places**2).sum(axis=1)
    apart = np.sqrt(np.maximum(squares[:, None] + squares[None] - 2 * places @ places.T, 0.0))
    apart[families[:, None] == families[None]] = np.inf
    found: Array = apart.min(axis=1)
    return found


@dataclass(frozen=True)
class Residuals:
    """Log of predicted over true seconds of networks, what the width of an interval follows, and their families."""

    residual: Array
    distance: Array
    families: Array

    @classmethod
    def of(cls, residual: Array, distance: Array, families: Array) -> Residuals:
        """Those of `residual` that are no NaN, of any shape that the others broadcast to."""
        run = np.isfinite(residual)
        whole = [np.broadcast_to(values, residual.shape)[run] for values in (distance, families)]
        return cls(residual[run], *whole)

    def beside(self, other: Residuals) -> Residuals:
        """Both together."""
        pairs = ((getattr(self, name), getattr(other, name)) for name in ("residual", "distance", "families"))
        return Residuals(*(np.concatenate(pair) for pair in pairs))


def calibrated(seen: Residuals, at_least: Residuals | None = None) -> Calibration:
    """What residuals of families (or devices) left out say of the next network.

    Split conformal (Lei et al. 2018): the residuals over a width that grows with the distance, and their quantiles, a
    share of 1 - LEVEL left out in halves; no nearer to 0 than those of `at_least`.
    """
    from scipy.optimize import nnls

    width, _ = nnls(np.stack([np.ones_like(seen.distance), seen.distance], axis=1), np.abs(seen.residual))
    floor, slope = max(float(width[0]), 0.005), float(width[1])
    tail = (1 - LEVEL) / 2
    ends = []
    for one in (seen, at_least or seen):
        score, weight = one.residual / (floor + slope * one.distance), family_weights(one.families)
        ends.append([_quantile(score, weight, share) for share in (tail, 1 - tail)])
    return Calibration(floor, slope, min(low for low, _ in ends), max(high for _, high in ends))


def family_weights(families: Array) -> Array:
    """A weight for each network: families count by the square root of their size, between once each and by heads."""
    _, place, size = np.unique(families, return_inverse=True, return_counts=True)
    found: Array = 1 / np.sqrt(size[place])
    return found


def _quantile(values: Array, weight: Array, share: float) -> float:
    """Weighted, one more value at either end: the finite-sample correction."""
    order = np.argsort(values)
    mass = np.cumsum(weight[order])
    total = mass[-1] + weight.mean()
    place = np.searchsorted(mass, share * total) if share > 0.5 else np.searchsorted(mass, share * total, "right") - 1
    return float(values[order][min(max(int(place), 0), len(values) - 1)])


#: Anchors: how many there are; the largest error (log) that the rates of any table may make of one whose family is left
#: out; and so small that ten of them are measured in minutes on a CPU.
COUNT, WITHIN, MACS, SIDE = 10, 0.15, 6e9, 256

ALL_MACS = [place for place, name in enumerate(QUANTITIES) if name.startswith("macs.") and KIND_OF[name]]


def chosen_anchors(networks: Networks, log: Log, benchmarks: Sequence[int]) -> list[int]:
    """The COUNT rows that tell most of these benchmarks: at their own size, small, and as fast as their counts say."""
    residual = np.abs(log.left_out - log.published).max(axis=0)  # NaN where a table lacks it
    macs = networks.counted[:, ALL_MACS].sum(axis=1)
    pool = np.flatnonzero(
        (residual < WITHIN) & (macs < MACS) & np.array(networks.usual) & (np.array(networks.sizes) <= SIDE)
    )
    return choose_anchors(log.published[benchmarks], [int(place) for place in pool], COUNT)


def choose_anchors(
    log_seconds: Array, pool: Sequence[int], count: int, rank: int = 4, noise: float = 0.01
) -> list[int]:
    """The networks of `pool` (places in the columns of `log_seconds`, benchmarks x networks) that tell most.

    Devices differ along a few directions (the principal components of log seconds); each step takes the network that
    lowers the mean variance of the others' predictions most (Cohn 1996, greedy).
    """
    table = log_seconds[:, pool].T
    table = table - table.mean(axis=1, keepdims=True)
    left, size, _ = np.linalg.svd(table - table.mean(axis=0), full_matrices=False)
    rank = min(rank, len(size) - 1)
    basis = np.concatenate([np.ones((len(pool), 1)), 3 * left[:, :rank] * size[:rank] / size[0]], axis=1)
    known = np.eye(rank + 1)
    known[0, 0] = 0.01
    wanted = basis.T @ basis / len(pool)
    chosen: list[int] = []
    for _ in range(count):
        towards = basis @ np.linalg.inv(known)
        gain = np.einsum("ij,jk,ik->i", towards, wanted, towards) / (noise + (towards * basis).sum(axis=1))
        gain[chosen] = -1
        chosen.append(int(gain.argmax()))
        known += np.outer(basis[chosen[-1]], basis[chosen[-1]]) / noise
    return [pool[place] for place in chosen]


def sources_for(benchmarks: Sequence[Benchmark], target: Benchmark) -> list[int]:
    """The tables that may stand for those of others when `target` is taken for a device that nobody published.

    The same kind of machine and another device; of CPUs there is one, whose other tables stand in.
    """
    return [
        place
        for place, one in enumerate(benchmarks)
        if one.on_cpu == target.on_cpu and (one.name != target.name if one.on_cpu else one.device != target.device)
    ]


@dataclass(frozen=True)
class Log:
    """Log seconds of each network on each benchmark, (benchmarks, networks).

    As published (NaN: not run), as the rates of all networks say, and as they say with the network's family left out.
    Beside them these rates, (benchmarks, quantities), and what was counted, (networks, quantities).
    """

    published: Array
    fitted: Array
    left_out: Array
    rates: Array
    counted: Array


def anchored(
    log: Log, benchmarks: Sequence[Benchmark], target: int, sources: Sequence[int], anchors: Sequence[int]
) -> tuple[Array, Array, float]:
    """Residuals (log of predicted over true seconds) on a benchmark that is known by its anchors alone; its doubt.

    Of every network with the tables of the sources at hand, and with its family in no table; NaN where it was not run,
    is an anchor, or, in the first, was run on no source.
    """
    machine = benchmarks[target]
    marked = alike([benchmarks[one] for one in sources], channels_last=machine.channels_last, compiled=machine.compiled)
    share = np.array(marked, float)
    published = log.published[sources]
    taken = parts(share @ log.rates[sources] / share.sum(), log.counted)
    given = Anchors(published[:, anchors], log.published[target, anchors], taken[:, anchors], share)
    moved = transfer(given)
    truth = log.published[target].copy()
    truth[list(anchors)] = np.nan
    known = moved.log_seconds(filled(published, log.fitted[sources]), taken) - truth
    known[~np.isfinite(published).any(axis=0)] = np.nan
    return known, moved.log_seconds(log.left_out[sources], taken) - truth, doubt(given)


def logs(networks: Networks) -> Log:
    """What every benchmark publishes, and what rates say of every network."""
    families = np.array(networks.families)
    published = -np.log(networks.throughput)
    found, left = [], []
    for seen in published:
        run = np.isfinite(seen)
        counted, seconds = networks.counted[run], np.exp(seen[run])
        found.append(rates(counted, seconds))
        left.append(left_out(counted, seconds, families[run], networks.counted, families))
    everyone = np.log(np.maximum(np.array(found) @ networks.counted.T, 1e-12))
    return Log(published, everyone, np.array(left), np.array(found), networks.counted)
