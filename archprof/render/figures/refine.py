"""Move labels to where nobody can take them for another mark's. Plain geometry in points (1/72 inch).

A library that only avoids collisions leaves a name beside a stranger's mark, or a hairline through one. Here
each label has places around its own mark, each place a cost, and labels take turns in choosing the cheapest
one until none wants to move (coordinate descent: every move lowers the sum, so it ends).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Point = tuple[float, float]
Segment = tuple[Point, Point]

#: Points between mark and label from which on a hairline ties them.
TIED = 5.0

_DISTANCES = (1.5, 4.0, 9.0, 15.0, 22.0, 31.0, 42.0, 56.0)
_ANGLES = tuple(2 * math.pi * step / 24 for step in range(24))
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

    def meets(self, other: Box, room: float = 0.0) -> bool:
        return (
            self.x0 < other.x1 + room
            and other.x0 < self.x1 + room
            and self.y0 < other.y1 + room
            and other.y0 < self.y1 + room
        )

    def within(self, other: Box) -> bool:
        return self.x0 >= other.x0 and self.x1 <= other.x1 and self.y0 >= other.y0 and self.y1 <= other.y1

    def nearest(self, point: Point) -> Point:
        return min(max(point[0], self.x0), self.x1), min(max(point[1], self.y0), self.y1)

    @property
    def sides(self) -> tuple[Segment, ...]:
        a, b, c, d = (self.x0, self.y0), (self.x1, self.y0), (self.x1, self.y1), (self.x0, self.y1)
        return (a, b), (b, c), (c, d), (d, a)


@dataclass(frozen=True)
class Mark:
    """A disc that a label belongs to."""

    centre: Point
    radius: float

    def gap(self, box: Box) -> float:
        """Distance between the disc's edge and the box; negative where they overlap."""
        return math.dist(self.centre, box.nearest(self.centre)) - self.radius


@dataclass(frozen=True)
class Place:
    """Somewhere for a label to be: its box, the hairline if it needs one, and what it costs on its own."""

    box: Box
    tie: Segment | None
    cost: float


def refine(
    marks: Sequence[Mark], starts: Sequence[Box], inside: Box, lines: Sequence[Segment]
) -> list[Place]:
    """A place for each label, near its mark and clear of everything, `starts` being where they are now."""
    choices = [_places(i, marks, start, inside, lines) for i, start in enumerate(starts)]
    chosen = [places[0] for places in choices]
    for _ in range(30):
        moved = False
        for i, places in enumerate(choices):
            others = chosen[:i] + chosen[i + 1 :]
            best = min(places, key=lambda place: place.cost + _crowding(place, others))
            if best.cost + _crowding(best, others) < chosen[i].cost + _crowding(chosen[i], others) - 1e-9:
                chosen[i], moved = best, True
        if not moved:
            break
    return chosen


def _places(i: int, marks: Sequence[Mark], start: Box, inside: Box, lines: Sequence[Segment]) -> list[Place]:
    """Where label `i` may go: where it is now first, then around its mark, the cheapest first."""
    mark, wide, tall = marks[i], start.x1 - start.x0, start.y1 - start.y0
    boxes = []
    for distance in _DISTANCES:
        for angle in _ANGLES:
            across, up = math.cos(angle), math.sin(angle)
            x = mark.centre[0] + (mark.radius + distance) * across + wide / 2 * min(max(1.5 * across, -1), 1)
            y = mark.centre[1] + (mark.radius + distance) * up + tall / 2 * min(max(1.5 * up, -1), 1)
            boxes.append(Box(x - wide / 2, y - tall / 2, x + wide / 2, y + tall / 2))
    # a place outside, or on its own mark, is never worth pricing
    open_boxes = [box for box in boxes if box.within(inside) and mark.gap(box) > 0.5]
    around = sorted(
        (_place(i, marks, box, inside, lines) for box in open_boxes), key=lambda place: place.cost
    )
    return [_place(i, marks, start, inside, lines), *around[:_KEPT]]


def _place(i: int, marks: Sequence[Mark], box: Box, inside: Box, lines: Sequence[Segment]) -> Place:
    gaps = [mark.gap(box) for mark in marks]
    own, others = gaps[i], gaps[:i] + gaps[i + 1 :]
    tie = _tie(marks[i], box) if own >= TIED else None
    cost = abs(own - 1.5) + _COLLISION * sum(gap < 0.5 for gap in gaps) + _OUTSIDE * (not box.within(inside))
    cost += _ON_LINE * sum(crosses(line, box) for line in lines)
    if others:
        lead = min(others) - own  # how much nearer the own mark is than a stranger's
        if lead < 3:
            cost += _AMBIGUOUS if tie is None else _TIE
        cost += _CLOSE * max(0.0, 1 - lead / 20)
    if tie is not None:
        cost += _TIE + _TIE_ON_LINE * sum(_intersect(tie, line) for line in lines)
        cost += _TIE_ON_MARK * sum(
            _distance(mark.centre, tie) < mark.radius + 0.5 for j, mark in enumerate(marks) if j != i
        )
    return Place(box, tie, cost)


def _crowding(place: Place, others: Sequence[Place]) -> float:
    """What a place costs because of where the other labels are."""
    cost = 0.0
    for other in others:
        if place.box.meets(other.box, room=1.0):
            cost += _COLLISION
        if place.tie is not None and crosses(place.tie, other.box):
            cost += _ON_LINE
        if other.tie is not None:
            cost += _ON_LINE * crosses(other.tie, place.box)
            cost += _TIE_ON_MARK * (place.tie is not None and _intersect(place.tie, other.tie))
    return cost


def _tie(mark: Mark, box: Box) -> Segment:
    """From the edge of the disc to the nearest point of the box."""
    end = box.nearest(mark.centre)
    away = math.dist(mark.centre, end)
    share = mark.radius / away
    start = tuple(c + (e - c) * share for c, e in zip(mark.centre, end, strict=True))
    return (start[0], start[1]), end


def crosses(line: Segment, box: Box) -> bool:
    """Whether a segment meets a box."""
    (x0, y0), (x1, y1) = line
    if max(x0, x1) < box.x0 or min(x0, x1) > box.x1 or max(y0, y1) < box.y0 or min(y0, y1) > box.y1:
        return False
    if box.x0 <= x0 <= box.x1 and box.y0 <= y0 <= box.y1:
        return True
    return any(_intersect(line, side) for side in box.sides)


def _intersect(a: Segment, b: Segment) -> bool:
    """Whether two segments cross: each one's ends lie on different sides of the other."""
    return (_side(a, b[0]) * _side(a, b[1]) < 0) and (_side(b, a[0]) * _side(b, a[1]) < 0)


def _side(line: Segment, point: Point) -> float:
    (x0, y0), (x1, y1) = line
    return (x1 - x0) * (point[1] - y0) - (y1 - y0) * (point[0] - x0)


def _distance(point: Point, line: Segment) -> float:
    (x0, y0), (x1, y1) = line
    length = (x1 - x0) ** 2 + (y1 - y0) ** 2
    share = 0.0 if length == 0 else ((point[0] - x0) * (x1 - x0) + (point[1] - y0) * (y1 - y0)) / length
    share = min(max(share, 0.0), 1.0)
    return math.dist(point, (x0 + share * (x1 - x0), y0 + share * (y1 - y0)))
