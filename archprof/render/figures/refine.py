"""Move labels to where nobody can take them for another mark's. Plain geometry in points (1/72 inch).

Each label has places around its own mark, each place a cost, and labels take turns in choosing the cheapest one until
none wants to move (coordinate descent: every move lowers the sum, so it ends).

The library textalloc alone ties every label and leaves labels on marks: of 25 networks on a figure 3.4 inches wide 3
pairs of labels overlapped and labels covered marks 14 times, of 60 networks 15 pairs and 55 times. After refining what
it found it was no label of the 25, and 5 pairs of the 60; refining without it left 1 pair of the 25 and 7 of the 60.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Rows of four numbers: x0, y0, x1, y1 of a rectangle, or of a segment's two ends.
Rows = NDArray[np.float64]

Point = tuple[float, float]
Segment = tuple[Point, Point]

#: Points between mark and label from which on a hairline ties them.
TIED = 5.0

_DISTANCES = np.array([1.5, 4.0, 9.0, 15.0, 22.0, 31.0, 42.0, 56.0])
_ANGLES = 2 * math.pi / 24 * np.arange(24)
_KEPT = 60  # places of each label that take part, the cheapest ones

# Costs, in points of distance that a label would go to avoid each.
_COLLISION = 1000.0  # on another label or on a mark
_OUTSIDE = 1000.0  # beyond the plot
_ON_LINE = 120.0  # across a line, or across another label's hairline
_AMBIGUOUS = 90.0  # hardly nearer to its own mark than to a stranger's, and not tied
_TIE_ON_MARK = 60.0  # its hairline runs through a stranger's mark or another hairline
_TIE_ON_LINE = 12.0  # its hairline crosses a line
_TIE = 8.0  # needs a hairline at all
_CLOSE = 6.0  # within 20 points of being as near to a stranger's mark


@dataclass(frozen=True)
class Box:
    """A rectangle by its edges."""

    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True)
class Mark:
    """A disc that a label belongs to."""

    centre: Point
    radius: float


@dataclass(frozen=True)
class Place:
    """Somewhere for a label to be: its box, and the hairline if it needs one."""

    box: Box
    tie: Segment | None


@dataclass(frozen=True)
class _Choices:
    """Where one label may go: its boxes, their hairlines (not a number where none is needed), their costs alone."""

    boxes: Rows
    ties: Rows
    costs: NDArray[np.float64]

    def at(self, chosen: int) -> tuple[Rows, Rows]:
        return self.boxes[chosen : chosen + 1], self.ties[chosen : chosen + 1]


def refine(marks: Sequence[Mark], starts: Sequence[Box], inside: Box, lines: Sequence[Segment]) -> list[Place]:
    """A place for each label, near its mark and clear of everything, `starts` being where they are now."""
    centres = np.array([mark.centre for mark in marks]).reshape(-1, 2)
    radii = np.array([mark.radius for mark in marks])
    drawn = np.array([[*a, *b] for a, b in lines]).reshape(-1, 4)
    labels = [_choices(i, centres, radii, start, inside, drawn) for i, start in enumerate(starts)]
    chosen = [0] * len(labels)
    for _ in range(30):
        moved = False
        for i, label in enumerate(labels):
            others = [labels[j].at(chosen[j]) for j in range(len(labels)) if j != i]
            costs = label.costs + _crowding(label, others)
            best = int(np.argmin(costs))
            if costs[best] < costs[chosen[i]] - 1e-9:
                chosen[i], moved = best, True
        if not moved:
            break
    return [_place(label, at) for label, at in zip(labels, chosen, strict=True)]


def _place(label: _Choices, at: int) -> Place:
    x0, y0, x1, y1 = (float(value) for value in label.ties[at])
    return Place(Box(*map(float, label.boxes[at])), None if math.isnan(x0) else ((x0, y0), (x1, y1)))


def _choices(i: int, centres: Rows, radii: NDArray[np.float64], start: Box, inside: Box, lines: Rows) -> _Choices:
    """Where label `i` may go: where it is now first, then around its mark, the cheapest first."""
    half = np.array([start.x1 - start.x0, start.y1 - start.y0]) / 2
    away, angle = (grid.ravel() for grid in np.meshgrid(radii[i] + _DISTANCES, _ANGLES, indexing="ij"))
    towards = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    middle = centres[i] + away[:, None] * towards + half * np.clip(1.5 * towards, -1, 1)
    boxes = np.concatenate([middle - half, middle + half], axis=1)
    # a place outside, or on its own mark, is never worth pricing
    boxes = boxes[_within(boxes, inside) & (_gaps(boxes, centres[i : i + 1], radii[i : i + 1])[:, 0] > 0.5)]
    boxes = np.concatenate([[[start.x0, start.y0, start.x1, start.y1]], boxes])
    ties, costs = _priced(i, boxes, centres, radii, inside, lines)
    kept = [0, *(1 + np.argsort(costs[1:], kind="stable")[:_KEPT])]
    return _Choices(boxes[kept], ties[kept], costs[kept])


def _priced(
    i: int, boxes: Rows, centres: Rows, radii: NDArray[np.float64], inside: Box, lines: Rows
) -> tuple[Rows, NDArray[np.float64]]:
    """The hairline of each box of label `i`, and what the box costs, other labels apart."""
    gaps = _gaps(boxes, centres, radii)
    own, strangers = gaps[:, i], np.delete(gaps, i, axis=1)
    ties = np.where(own[:, None] >= TIED, _ties(centres[i], radii[i], boxes), np.nan)
    tied = ~np.isnan(ties[:, 0])
    costs = np.abs(own - 1.5) + _COLLISION * (gaps < 0.5).sum(1) + _OUTSIDE * ~_within(boxes, inside)
    costs += _ON_LINE * _crosses(lines, boxes).sum(0)
    if strangers.size:
        lead = strangers.min(1) - own  # how much nearer the own mark is than a stranger's
        costs += (lead < 3) * np.where(tied, _TIE, _AMBIGUOUS)
        costs += _CLOSE * np.maximum(0.0, 1 - lead / 20)
        met = _distances(np.delete(centres, i, axis=0), ties) < np.delete(radii, i) + 0.5
        costs += _TIE_ON_MARK * met.sum(1)
    costs += tied * _TIE + _TIE_ON_LINE * _intersect(ties, lines).sum(1)
    return ties, costs


def _crowding(label: _Choices, others: Sequence[tuple[Rows, Rows]]) -> NDArray[np.float64]:
    """What each place of a label costs because of where the other labels are."""
    if not others:
        return np.zeros(len(label.costs))
    boxes, ties = (np.concatenate(part) for part in zip(*others, strict=True))
    cost: NDArray[np.float64] = _COLLISION * _meet(label.boxes, boxes, room=1.0).sum(1)
    cost += _ON_LINE * (_crosses(label.ties, boxes).sum(1) + _crosses(ties, label.boxes).sum(0))
    cost += _TIE_ON_MARK * _intersect(label.ties, ties).sum(1)
    return cost


# -- geometry of many at once: one row a box, segment or point; what is not a number meets nothing ---------------


def _within(boxes: Rows, inside: Box) -> NDArray[np.bool_]:
    low, high = np.array([inside.x0, inside.y0]), np.array([inside.x1, inside.y1])
    return np.asarray(((boxes[:, :2] >= low) & (boxes[:, 2:] <= high)).all(1))


def _meet(one: Rows, other: Rows, room: float) -> NDArray[np.bool_]:
    """(a, b) whether boxes overlap, or come nearer than `room`."""
    a, b = one[:, None], other[None]
    return np.asarray(((a[..., :2] < b[..., 2:] + room) & (b[..., :2] < a[..., 2:] + room)).all(-1))


def _gaps(boxes: Rows, centres: Rows, radii: NDArray[np.float64]) -> Rows:
    """(box, disc) distance between the disc's edge and the box; negative where they overlap."""
    nearest = np.clip(centres[None], boxes[:, None, :2], boxes[:, None, 2:])
    return np.asarray(np.hypot(*np.moveaxis(nearest - centres[None], -1, 0)) - radii)


def _ties(centre: Rows, radius: float, boxes: Rows) -> Rows:
    """From the edge of the disc to the nearest point of each box."""
    ends = np.clip(centre, boxes[:, :2], boxes[:, 2:])
    away = np.hypot(*(ends - centre).T)[:, None]
    starts = centre + (ends - centre) * radius / np.maximum(away, 1e-9)
    return np.concatenate([starts, ends], axis=1)


def _crosses(segments: Rows, boxes: Rows) -> NDArray[np.bool_]:
    """(segment, box) whether they meet: no axis separates them (Ericson 2005, section 5.3.3)."""
    middle, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    along = (segments[:, None, 2:] - segments[:, None, :2]) / 2
    offset = segments[:, None, :2] + along - middle[None]
    reach = np.abs(along)
    across = np.abs(offset[..., 0] * along[..., 1] - offset[..., 1] * along[..., 0])
    return np.asarray(
        (np.abs(offset) <= half[None] + reach).all(-1)
        & (across <= half[None, :, 0] * reach[..., 1] + half[None, :, 1] * reach[..., 0])
    )


def _intersect(one: Rows, other: Rows) -> NDArray[np.bool_]:
    """(a, b) whether segments cross: each one's ends lie on different sides of the other."""
    a, b = one[:, None], other[None]
    return np.asarray(
        (_side(a, b[..., :2]) * _side(a, b[..., 2:]) < 0) & (_side(b, a[..., :2]) * _side(b, a[..., 2:]) < 0)
    )


def _side(line: Rows, point: Rows) -> Rows:
    along, off = line[..., 2:] - line[..., :2], point - line[..., :2]
    return np.asarray(along[..., 0] * off[..., 1] - along[..., 1] * off[..., 0])


def _distances(points: Rows, segments: Rows) -> Rows:
    """(segment, point) how far apart they are."""
    start, along = segments[:, None, :2], (segments[:, 2:] - segments[:, :2])[:, None]
    length = np.maximum((along**2).sum(-1), 1e-12)
    share = np.clip(((points[None] - start) * along).sum(-1) / length, 0, 1)
    return np.asarray(np.hypot(*np.moveaxis(start + share[..., None] * along - points[None], -1, 0)))
