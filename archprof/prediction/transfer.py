"""From the tables of other devices to one that nobody published, by a few networks that were measured on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

#: An array of floats.
Array = np.ndarray[Any, np.dtype[np.float64]]

#: How strongly the weights of single tables are held at zero, and the residual (log) beyond which an anchor counts
#: less: both by the mean error over the devices of the table, each predicted from the others.
_RIDGE, _FAR = 0.05, 0.08

#: The intercept is nearly free: it is how much faster the device is.
_FREE = 1e-4

_ROUNDS = 6


@dataclass(frozen=True)
class Transfer:
    """Log seconds on the new device: those on the tables like it (`alike`, weights that add up to 1), an intercept, and
    a weight for how each table parts from these."""

    alike: Array
    intercept: float
    weights: Array

    def log_seconds(self, sources: Array) -> Array:
        """Of networks whose log seconds on each source are given, (sources, networks)."""
        usual = self.alike @ sources
        found: Array = usual + self.intercept + (sources - usual).T @ self.weights
        return found


def transfer(sources: Array, measured: Array, alike: Array) -> Transfer:
    """Fitted to anchors: log seconds on each source, (sources, anchors), and on the new device.

    Ridge regression, reweighted as Huber does, so that one odd anchor does not shift all. `alike` marks the sources
    with the new device's settings; where there are none, all count.
    """
    marked = alike.astype(float) if alike.any() else np.ones(len(sources))
    share = marked / marked.sum()
    usual = share @ sources
    design = np.concatenate([np.ones((len(measured), 1)), (sources - usual).T], axis=1)
    held = np.diag([_FREE] + [_RIDGE] * len(sources))
    wanted, weight = measured - usual, np.ones(len(measured))
    for _ in range(_ROUNDS):
        found = np.linalg.solve((design.T * weight) @ design + held, (design.T * weight) @ wanted)
        weight = 1 / np.maximum(1.0, np.abs(wanted - design @ found) / _FAR)
    return Transfer(share, float(found[0]), found[1:])


def doubt(sources: Array, measured: Array, alike: Array) -> float:
    """Mean error (log, absolute) of each anchor, predicted from the others: arguments as for `transfer`."""
    off = []
    for place in range(len(measured)):
        others = np.arange(len(measured)) != place
        found = transfer(sources[:, others], measured[others], alike)
        off.append(abs(float(found.log_seconds(sources[:, [place]])[0]) - float(measured[place])))
    return float(np.mean(off))


def filled(measured: Array, predicted: Array) -> Array:
    """Log seconds, (sources, networks): measured where they are (not NaN), else predicted, and as far off as that is
    for the same network on the other sources."""
    off = np.where(np.isfinite(measured), predicted - measured, np.nan)
    there = np.isfinite(off)
    mean = np.where(there, off, 0.0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    found: Array = np.where(np.isfinite(measured), measured, predicted - mean)
    return found
