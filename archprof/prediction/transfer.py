"""From the tables of other devices to one that nobody published, by a few networks that were measured on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .quantities import QUANTITIES

#: An array of floats.
Array = np.ndarray[Any, np.dtype[np.float64]]

#: How strongly the weights of single tables and of resources are held at zero, and the residual (log) beyond which an
#: anchor counts less: by the mean error over the devices of the table, each predicted from the others.
_TABLES, _RESOURCES, _FAR = 0.05, 0.1, 0.08

#: The intercept is nearly free: it is how much faster the device is.
_FREE = 1e-4

_ROUNDS = 6

#: What a device may have more or less of than others: the beginnings of the quantities that need it.
RESOURCES = (("macs.", "tiles"), ("moved.", "bound."), ("calls.",), ("weights.", "parameters"))

_NEEDS = np.array([[name.startswith(starts) for name in QUANTITIES] for starts in RESOURCES], float)


def parts(rates: Array, counted: Array) -> Array:
    """Which part of a network's time each resource takes, (resources, networks): arithmetic, memory, calls, weights.

    To the first order, log seconds change by these, times the log of how much scarcer each resource is.
    """
    seconds = (_NEEDS * rates) @ counted.T
    found: Array = seconds / np.maximum(seconds.sum(axis=0), 1e-30)
    return found


@dataclass(frozen=True)
class Anchors:
    """What is known of the anchors: log seconds on each source, (sources, anchors), and on the new device; their parts,
    (resources, anchors); and which sources have the new device's settings, of which there is one at least."""

    sources: Array
    measured: Array
    parts: Array
    alike: Array

    def without(self, place: int) -> Anchors:
        """All but one."""
        others = np.arange(len(self.measured)) != place
        return Anchors(self.sources[:, others], self.measured[others], self.parts[:, others], self.alike)


@dataclass(frozen=True)
class Transfer:
    """Log seconds on the new device: those on the tables like it (`alike`, weights that add up to 1), an intercept, a
    weight for how each table parts from these, and one for each resource's part beyond the anchors' mean (`usual`)."""

    alike: Array
    intercept: float
    tables: Array
    resources: Array
    usual: Array

    def log_seconds(self, sources: Array, parts: Array) -> Array:
        """Of networks whose log seconds on each source, and parts, are given: (sources or resources, networks)."""
        middle = self.alike @ sources
        found: Array = middle + self.intercept + self.tables @ (sources - middle)
        return found + self.resources @ (parts - self.usual[:, None])


def transfer(anchors: Anchors) -> Transfer:
    """Ridge regression, reweighted as Huber does, so that one odd anchor does not shift all."""
    share = anchors.alike / anchors.alike.sum()
    middle, usual = share @ anchors.sources, anchors.parts.mean(axis=1)
    tables, resources = (anchors.sources - middle).T, (anchors.parts - usual[:, None]).T
    design = np.concatenate([np.ones((len(middle), 1)), tables, resources], axis=1)
    count = tables.shape[1]
    held = np.diag([_FREE] + [_TABLES] * count + [_RESOURCES] * resources.shape[1])
    wanted, weight = anchors.measured - middle, np.ones(len(middle))
    for _ in range(_ROUNDS):
        found = np.linalg.solve((design.T * weight) @ design + held, (design.T * weight) @ wanted)
        weight = 1 / np.maximum(1.0, np.abs(wanted - design @ found) / _FAR)
    return Transfer(share, float(found[0]), found[1 : count + 1], found[count + 1 :], usual)


def doubt(anchors: Anchors) -> float:
    """Mean error (log, absolute) of each anchor, predicted from the others."""
    off = []
    for place, truth in enumerate(anchors.measured):
        found = transfer(anchors.without(place)).log_seconds(anchors.sources[:, [place]], anchors.parts[:, [place]])
        off.append(abs(float(found[0]) - float(truth)))
    return float(np.mean(off))


def filled(measured: Array, predicted: Array) -> Array:
    """Log seconds, (sources, networks): measured where they are (not NaN), else predicted, and as far off as that is
    for the same network on the other sources."""
    off = np.where(np.isfinite(measured), predicted - measured, np.nan)
    there = np.isfinite(off)
    mean = np.where(there, off, 0.0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    found: Array = np.where(np.isfinite(measured), measured, predicted - mean)
    return found
