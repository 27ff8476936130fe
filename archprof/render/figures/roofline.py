"""Each layer's rate against what its machine can do: the roofline of Williams, Waterman and Patterson (2009)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from ...base import units
from ...base.errors import BadOption
from ...results import roofline as standings
from ...results.ceilings import MEMORY, Ceilings, Figure
from ...results.per_layer import BETWEEN
from ...results.profile import LayerCost, StaticProfile
from ...results.roofline import Roofline
from ...results.shares import KINDS, kind_of
from . import axes, labels, style
from .page import Page
from .registry import draws
from .rows import Row

#: Kinds of layer by colour, those of the figures of layers where a kind is a type.
COLOURS = {
    "dense KxK": style.SKY,
    "1x1": style.BLUE,
    "depthwise": style.ORANGE,
    "fully connected": style.VERMILLION,
    "other": style.PURPLE,
}

#: Networks that a figure has room for, and panels beside one another.
MOST, COLUMNS = 6, 3

#: Names beside discs, of those with the largest shares of the time, in one panel and in each of several.
NAMED, NAMED_EACH = 6, 3

#: Square points (1/72 inch) of the disc of a layer that takes all of the time, and of the smallest.
_AREA, _LEAST = 2400.0, 12.0

#: The slope of a cache is drawn where its bandwidth is so many times that of the level behind it, and a type has a name
#: of its own where its rate is so much lower than the one before.
_APART = 1.5


@dataclass(frozen=True)
class Spot:
    """Layers of one type and the same shapes as one disc: `share` is of the network's time, `name` the first's."""

    kind: str
    name: str
    calls: int
    intensity: float
    gflops: float
    share: float

    @property
    def label(self) -> str:
        """Its name, and how many there are."""
        return f"{self.name} x{self.calls}" if self.calls > 1 else self.name


@dataclass(frozen=True)
class Box:
    """The ranges of both axes, the same in every panel."""

    left: float
    right: float
    low: float
    high: float


@draws(
    "roofline",
    "Each layer's rate against its operations per byte moved, below what the machine can do at best: the slopes are "
    "the bandwidths of memory and caches, the level line is arithmetic. What to see: a layer below a slope waits for "
    "data, one below the level line computes, and the distance to the line is what a better implementation could gain. "
    "Discs are layers, those of equal shapes as one; their area is their share of the network's time. A layer may lie "
    "above the slope of memory: its data were still in a cache.",
)
def roofline(page: Page) -> None:
    ceilings = _ceilings(page)
    page.measured = True
    rows = [row for row in page.rows if row.result.profile and _is_timed(row.result.profile)]
    if not rows:
        raise BadOption("no network here has layers that were timed;", "give their names: archprof plot roofline MODEL")
    if len(rows) > MOST:
        raise BadOption(
            f"{len(rows)} networks are too many for a figure with a panel for each (at most {MOST});",
            "--only keeps some.",
        )
    profiles = [row.result.profile for row in rows if row.result.profile]
    spots = [spots_of(profile) for profile in profiles]
    at_best = [_at_best(Roofline(profile, ceilings)) for profile in profiles]
    _head(page, rows, spots, at_best)
    columns = 1 if page.narrow else min(len(rows), COLUMNS)
    lines = -(-len(rows) // columns)
    cells = [plot for line in page.plots(lines, columns) for plot in line]
    box = _box(ceilings, [spot for each in spots for spot in each])
    for place, plot in enumerate(cells):
        if place >= len(rows):
            plot.set_visible(False)
            continue
        _scale(plot, box, first=place % columns == 0, last=place + columns >= len(rows))
        _roofs(page, plot, ceilings, box, others=len(rows) == 1)
        _discs(page, plot, spots[place], len(rows))
        if len(rows) > 1:
            plot.set_title(f"{rows[place].label}\n{at_best[place]}", loc="left", size=page.small, color=page.theme.ink)
    _small_print(page, ceilings, rows)
    tall = page.options.width * (0.9 if page.narrow else (0.62, 0.5, 0.42)[columns - 1])
    page.finish(tall * lines, lambda: _write(page, cells, spots, ceilings, box))


def _ceilings(page: Page) -> Ceilings:
    """The machine's. Raises BadOption where the record has none, or none that its layers can be set against."""
    found = page.comparison.ceilings
    if found is None:
        raise BadOption(
            "the comparison holds no ceilings of its machine, which layers are set against;",
            "archprof env --roofline measures them, then archprof plot roofline MODEL the layers.",
        )
    if why := standings.unlike(page.comparison.environment):
        raise BadOption(why, "Measure the layers in float32.")
    if not found.complete:
        raise BadOption("the ceilings lack float32, or memory;", "archprof env --roofline --again measures them.")
    return found


def _is_timed(profile: StaticProfile) -> bool:
    return any(layer.macs and layer.seconds for layer in profile.layers)


def spots_of(profile: StaticProfile) -> list[Spot]:
    """The layers that do operations, those that are alike as one, the longest first."""
    whole = sum(layer.seconds or 0.0 for layer in profile.layers)
    alike: dict[tuple[object, ...], list[LayerCost]] = {}
    for layer in profile.layers:
        if layer.macs and layer.seconds and layer.bytes_moved:
            key = (layer.type, layer.input_shape, layer.output_shape, layer.kernel, layer.stride, layer.macs)
            alike.setdefault(key, []).append(layer)
    found = []
    for layers in alike.values():
        macs, seconds = sum(layer.macs or 0 for layer in layers), sum(layer.seconds or 0.0 for layer in layers)
        intensity = 2 * macs / sum(layer.bytes_moved for layer in layers)
        name = layers[0].module or profile.name
        found.append(
            Spot(kind_of(layers[0].type), name, len(layers), intensity, 2e-9 * macs / seconds, seconds / whole)
        )
    return sorted(found, key=lambda spot: -spot.share)


def _at_best(seen: Roofline) -> str:
    """'6.10 of 9.80 ms at best (62 %)'."""
    whole = seen.whole
    took = whole.whole_s - whole.unbound_s
    best = f"{units.milliseconds(whole.best_s)} of {units.milliseconds(took)} ms at best"
    return f"{best} ({units.percent(whole.share, 0)})"


def _head(page: Page, rows: Sequence[Row], spots: Sequence[Sequence[Spot]], at_best: Sequence[str]) -> None:
    if len(rows) == 1:
        page.title(f"{rows[0].label} against the ceilings of its machine", at_best[0])
    else:
        page.title("Layers against the ceilings of their machine")
    kinds = [kind for kind, _ in KINDS if any(spot.kind == kind for each in spots for spot in each)]
    handles = [
        Line2D([], [], linestyle="", marker="o", markersize=6, color=COLOURS[kind], markeredgecolor="none")
        for kind in kinds
    ]
    page.legend(handles, kinds, handlelength=0.9)


def _box(ceilings: Ceilings, spots: Iterable[Spot]) -> Box:
    """Room for every disc, and for the corner of every slope."""
    known = list(spots)
    peak = _peak(ceilings)
    ridges = [peak / (figure.value * 1e-9) for figure in slopes(ceilings).values()]
    xs, ys = [spot.intensity for spot in known], [spot.gflops for spot in known]
    return Box(
        min([*xs, *ridges, 1.0]) / 2, max([*xs, *(4 * ridge for ridge in ridges)]) * 2, min([*ys, peak]) / 2.5,
        max([*ys, peak]) * 2,
    )  # fmt: skip


def _peak(ceilings: Ceilings) -> float:
    """GFLOP/s in float32."""
    figure = ceilings.compute("float32")
    assert figure is not None
    return figure.value * 1e-9


def slopes(ceilings: Ceilings) -> dict[str, Figure]:
    """The levels whose slopes can be told apart, memory's always."""
    known = list(ceilings.levels.items())
    if not known:
        return {MEMORY: ceilings.memory[-1].figure}
    kept = [known[-1]]
    for level, figure in reversed(known[:-1]):
        if figure.value > _APART * kept[0][1].value:
            kept.insert(0, (level, figure))
    return dict(kept)


def _scale(plot: Axes, box: Box, first: bool, last: bool) -> None:
    axes.logarithmic(plot.xaxis, (box.left, box.right), 1.0, 1.0)
    axes.logarithmic(plot.yaxis, (box.low, box.high), 1.0, 1.0)
    if first:
        plot.set_ylabel("GFLOP/s")
    if last:
        plot.set_xlabel("FLOP per byte moved")
    plot.tick_params(labelleft=first, labelbottom=last)


def _roofs(page: Page, plot: Axes, ceilings: Ceilings, box: Box, others: bool) -> None:
    """The slopes up to the level line; that of float32, and thin ones of other types where there is room."""
    peak = _peak(ceilings)
    named = slopes(ceilings)
    for level, figure in named.items():
        (x0, y0), (x1, y1) = _slope(figure.value * 1e-9, peak, box)
        width = 1.4 if level == list(named)[-1] else 0.8
        plot.plot([x0, x1], [y0, y1], color=page.theme.ink, linewidth=width, zorder=2, gid="slope")
    start = peak / max(figure.value * 1e-9 for figure in named.values())
    plot.plot([start, box.right], [peak, peak], color=page.theme.ink, linewidth=1.4, zorder=2, gid="peak")
    for _, rate in _other_types(ceilings, box) if others else ():
        start = rate / max(figure.value * 1e-9 for figure in named.values())
        plot.plot(
            [max(start, box.left), box.right],
            [rate, rate],
            color=page.theme.muted,
            linewidth=0.7,
            linestyle=(0, (4, 3)),
            zorder=1.5,
            gid="type",
        )


def _slope(gb_per_s: float, peak: float, box: Box) -> tuple[tuple[float, float], tuple[float, float]]:
    """Both ends of a bandwidth's line within the box."""
    left = max(box.left, box.low / gb_per_s)
    return (left, left * gb_per_s), (peak / gb_per_s, peak)


def _other_types(ceilings: Ceilings, box: Box) -> list[tuple[str, float]]:
    """Types beside float32 with their GFLOP/s, those within the box."""
    rates = [(dtype, figure.value * 1e-9) for dtype in ceilings.dtypes if (figure := ceilings.compute(dtype))]
    return [(dtype, rate) for dtype, rate in rates if dtype != "float32" and box.low < rate < box.high]


def _discs(page: Page, plot: Axes, spots: Sequence[Spot], panels: int) -> None:
    colours = [COLOURS[spot.kind] for spot in spots]
    plot.scatter(
        [spot.intensity for spot in spots],
        [spot.gflops for spot in spots],
        s=[(2 * radius) ** 2 for radius in _radii(page, spots, panels)],
        facecolor=colours,
        edgecolor=[page.edge(colour) for colour in colours],
        linewidth=0.5,
        alpha=0.85,
        zorder=4,
        gid="discs",
    )


def _radii(page: Page, spots: Sequence[Spot], panels: int) -> list[float]:
    """In points (1/72 inch)."""
    area = _AREA * (0.35 if page.narrow or panels >= COLUMNS else 0.6 if panels > 1 else 1.0)
    return [math.sqrt(max(area * spot.share, _LEAST)) / 2 for spot in spots]


def _write(page: Page, cells: Sequence[Axes], spots: Sequence[Sequence[Spot]], ceilings: Ceilings, box: Box) -> None:
    """Names of roofs and of the discs with most of the time, when positions are final."""
    for plot, each in zip(cells, spots, strict=False):
        taken, lines = _name_roofs(page, plot, ceilings, box, others=len(spots) == 1)
        most = NAMED if len(spots) == 1 else NAMED_EACH
        named = {place: spot.label for place, spot in enumerate(each[:most])}
        points = [(spot.intensity, spot.gflops) for spot in each] + taken
        radii = _radii(page, each, len(spots)) + [page.small / 2] * len(taken)
        labels.beside_points(page, plot, points, named, radii, lines)


Points = list[tuple[float, float]]


def _name_roofs(
    page: Page, plot: Axes, ceilings: Ceilings, box: Box, others: bool
) -> tuple[Points, list[tuple[list[float], list[float]]]]:
    """Write along each line what it is; returns places that are taken by it, and the lines, for other labels."""
    peak = _peak(ceilings)
    taken: Points = []
    lines: list[tuple[list[float], list[float]]] = []
    for level, figure in slopes(ceilings).items():
        start, end = _slope(figure.value * 1e-9, peak, box)
        lines.append(([start[0], end[0]], [start[1], end[1]]))
        text = f"{level} {units.significant(figure.value * 1e-9, 2)} GB/s"
        taken += _along(page, plot, start, end, text)
    flat = [("float32", peak), *(_other_types(ceilings, box) if others else ())]
    lines += [([box.left, box.right], [rate, rate]) for _, rate in flat]
    for group in _near(flat):
        text = ", ".join(f"{dtype} {units.significant(rate, 3)}" for dtype, rate in group)
        highest = group[0][1]
        taken += _along(page, plot, (box.right, highest), (box.left, highest), f"{text} GFLOP/s")
    return taken, lines


def _near(rates: Sequence[tuple[str, float]]) -> list[list[tuple[str, float]]]:
    """Types whose lines are too near for a name each are named together, the fastest first."""
    groups: list[list[tuple[str, float]]] = []
    for dtype, rate in sorted(rates, key=lambda one: -one[1]):
        if groups and groups[-1][0][1] < _APART * rate:
            groups[-1].append((dtype, rate))
        else:
            groups.append([(dtype, rate)])
    return groups


def _along(page: Page, plot: Axes, start: tuple[float, float], end: tuple[float, float], text: str) -> Points:
    """Write `text` above a line, at the upper end of a slope or at the right one of a level line.

    Returns points along the text, none where the line is too short for it.
    """
    scale = 72 / page.figure.dpi
    (x0, y0), (x1, y1) = plot.transData.transform([start, end]) * scale
    long = math.hypot(x1 - x0, y1 - y0)
    towards = ((x1 - x0) / long, (y1 - y0) / long)
    size = page.tiny if page.narrow or len(page.rows) > 1 else page.small
    wide = page.text_width(text, size) * 72
    inset = 1.2 * size if towards[0] > 0 else 0.3 * size
    if wide + 2 * inset > long:
        return []
    normal = (-abs(towards[1]), abs(towards[0]))
    middle = long - inset - wide / 2 if towards[0] > 0 else inset + wide / 2  # low on a slope are the layers of weights
    x = x0 + middle * towards[0] + 0.75 * size * normal[0]
    y = y0 + middle * towards[1] + 0.75 * size * normal[1]
    angle = math.degrees(math.atan2(towards[1], towards[0])) if towards[0] > 0 else 0.0
    back = plot.transData.inverted()
    at = back.transform((x / scale, y / scale))
    plot.text(
        at[0],
        at[1],
        text,
        size=size,
        color=page.theme.muted,
        rotation=angle,
        rotation_mode="anchor",
        ha="center",
        va="center",
        zorder=3,
        gid="roof",
    )
    steps = max(int(wide / size), 1)
    along = [wide * (step / steps - 0.5) for step in range(steps + 1)]
    places = back.transform([((x + part * towards[0]) / scale, (y + part * towards[1]) / scale) for part in along])
    return [(float(one), float(other)) for one, other in places]


def _small_print(page: Page, ceilings: Ceilings, rows: Sequence[Row]) -> None:
    page.note("Area of a disc: share of the network's time, at batch size 1; x4: four layers of equal shapes.")
    speeds = [f"{level} {units.significant(one.value * 1e-9, 2)} GB/s" for level, one in slopes(ceilings).items()]
    when = f", measured {ceilings.date}" if ceilings.date else ""
    page.note(f"Slopes: {', '.join(speeds)}{when}.")
    lacking = [f"{row.label} {_without_operations(row.result.profile)}" for row in rows if row.result.profile]
    page.note(f"Time without operations, which has no disc: {', '.join(lacking)}.")
    if doubts := ceilings.doubts:
        one = len(doubts) == 1
        told = "One ceiling is not reliable: " if one else f"{len(doubts)} ceilings are not reliable, such as "
        page.note(f"{told}{doubts[0]}.")
    doubted = [(row.label, row.result.division.why) for row in rows if row.result.division]
    page.left_out([(label, why) for label, why in doubted if why], "Times not reliable")
    page.left_out(
        [(row.label, _why_not(row)) for row in page.rows if row not in rows], "Left out, its layers were not timed"
    )


def _without_operations(profile: StaticProfile) -> str:
    """'31 % (17 % between the calls)'."""
    whole = sum(layer.seconds or 0.0 for layer in profile.layers)
    rest = sum(layer.seconds or 0.0 for layer in profile.layers if not layer.macs)
    between = sum(layer.seconds or 0.0 for layer in profile.layers if layer.type == BETWEEN)
    return f"{units.percent(rest / whole, 0)} ({units.percent(between / whole, 0)} between the calls)"


def _why_not(row: Row) -> str:
    division = row.result.division
    return row.result.error or (division.error if division else None) or "not asked for"
