"""Where parameters, mult-adds and time sit: shares by layer type, stacked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.patches import Patch

from ...base.errors import BadOption
from ...results import per_layer
from ...results.per_layer import BETWEEN
from ...results.shares import kind_of
from . import axes, style
from .page import Page
from .registry import draws
from .rows import Row

OTHER = "other"

#: Dense convolutions that have no colour of their own.
REST = "other dense conv"

#: As many types as there are colours to tell them apart.
_MOST = 6

#: Share below which a type, in every network shown, is folded into "other".
_SMALL = 0.02

#: The first word found in a type's name decides its colour, so that a type looks the same in every figure.
_COLOURS = (
    ("depthwise", style.ORANGE),
    ("dw", style.ORANGE),
    ("1x1", style.BLUE),
    ("other dense", style.PURPLE),
    ("3x3", style.SKY),
    ("linear", style.VERMILLION),
    ("fully", style.VERMILLION),
    ("attention", style.PURPLE),
    ("matmul", style.PURPLE),
    ("5x5", style.GREEN),
    ("7x7", style.PURPLE),
    ("norm", style.GREEN),
)
#: What is no type of layer takes none of the colours.
_GREYS = {OTHER: style.GREY, BETWEEN: style.mixed(style.GREY, "#000000", 0.35)}
_SPARE = (style.GREEN, style.PURPLE, style.ORANGE, style.SKY, style.BLUE, style.VERMILLION)


def type_colours(types: Sequence[str]) -> dict[str, str]:
    """A colour for each layer type: the usual one if it is free, paler shades when colours run out."""
    out: dict[str, str] = {}
    for type in types:
        usual = next((colour for word, colour in _COLOURS if word in type.lower()), None)
        choices = [usual, *_SPARE] if usual else list(_SPARE)
        free = [colour for colour in choices if colour not in out.values()]
        shade = len(out) // 6
        out[type] = _GREYS.get(type) or (
            free[0] if free else style.mixed(choices[len(out) % len(choices)] or style.GREY, "#ffffff", 0.3 * shade)
        )
    return out


@draws(
    "breakdown",
    "Where each network keeps its parameters and spends its mult-adds, both counted, and its time, where that was "
    "measured layer by layer, all by layer type. What to see: whether the shares of mult-adds foretell the shares of "
    "time. A type whose part is longer in time than in mult-adds costs more than counting tells; what does not "
    "multiply (normalisation, activation, pooling) has a part in time alone, and 'between the calls' is time that no "
    "layer explains. Types below 2 % everywhere are one part, 'other'; where there are many, the rarer dense "
    "convolutions are one part too.",
)
def breakdown(page: Page) -> None:
    rows = [row for row in page.rows if row.result.profile is not None and row.result.profile.by_type]
    dropped = [
        (row.label, f"failed: {row.result.error}" if row.result.error else "not counted by layer type")
        for row in page.rows
        if row not in rows
    ]
    if not rows:
        raise BadOption(
            "no network was counted by layer type:",
            "; ".join(f"{label}: {why}" for label, why in dropped) + ".",
        )
    titles = ["Params", "Mult-Adds", "time"]
    page.refuse_more_than(150, rows)
    measures = [[shares(row, field) for row in rows] for field in ("parameters", "macs")]
    times = [per_layer.time_shares(row.result.profile) for row in rows if row.result.profile]
    if any(times):
        measures.append(times)
    if len(_weighty([share for measure in measures for share in measure])) > _MOST:
        measures = _gathered(*measures)
    types = _types([share for measure in measures for share in measure])
    colours = type_colours(types)
    page.title("Shares by layer type" if len(rows) > 1 else f"{rows[0].label}: shares by layer type")
    page.legend(
        [Patch(facecolor=colours[type], edgecolor="none") for type in types],
        types,
        handlelength=0.9,
        handleheight=0.9,
    )
    number = len(measures)
    cells = [plot for line in (page.plots(number, 1) if page.narrow else page.plots(1, number)) for plot in line]
    for place, (plot, title, measure) in enumerate(zip(cells, titles, measures, strict=False)):
        _stack(page, plot, [_folded(share, types) for share in measure], types, colours)
        plot.set_xlabel(f"Share of {title} (%)")
        named = page.narrow or place == 0
        plot.set_yticks(range(len(rows)), [row.label if named else "" for row in rows])
    _tell_of_time(page, cells[-1], rows)
    page.left_out(dropped)
    page.finish((0.5 + 0.23 * max(len(rows), 2)) * (number if page.narrow else 1))


def _tell_of_time(page: Page, plot: Axes, rows: Sequence[Row]) -> None:
    """How time was measured, and where it was not: a note, and words in the place of a bar."""
    timed = [row for row in rows if row.result.profile and per_layer.time_shares(row.result.profile)]
    if not timed:
        page.note("Time by layer type was not measured.")
        return
    found = [row.result.division for row in timed if row.result.division]
    longer = [f"{1 + how.overhead:.2f}" for how in found if how.overhead is not None]
    if longer:
        least, most = min(longer, key=float), max(longer, key=float)
        page.note(
            "Time: of one pass at batch size 1, divided by a profiler whose passes took "
            f"{least if least == most else f'{least} to {most}'} times as long and are scaled to it."
        )
    for place, row in enumerate(rows):
        if row not in timed:
            plot.text(1, place, "not measured", va="center", size=page.tiny, color=page.theme.muted, gid="label")
    untimed = [(row.label, row.result.division) for row in rows if row not in timed]
    page.left_out(
        [(label, (how and how.error) or "not asked for") for label, how in untimed],
        "Time not measured by layer type",
    )
    doubted = [(row.label, row.result.division.why) for row in timed if row.result.division]
    page.left_out([(label, why) for label, why in doubted if why], "Time not reliable")


def shares(row: Row, field: str) -> dict[str, float]:
    """Share of each layer type in the network's `parameters` or `macs`; empty where the total is 0."""
    assert row.result.profile is not None
    total = sum(getattr(cost, field) for cost in row.result.profile.by_type)
    return {cost.type: getattr(cost, field) / total for cost in row.result.profile.by_type} if total else {}


def _types(all_shares: Sequence[Mapping[str, float]]) -> list[str]:
    """Types worth a colour, the weightiest first, then the time between calls, and 'other' if something is left."""
    kept = _weighty(all_shares)[:_MOST]
    kept += [BETWEEN] if any(share.get(BETWEEN, 0.0) >= _SMALL for share in all_shares) else []
    left = any(part > 0 and type not in kept for share in all_shares for type, part in share.items())
    return kept + ([OTHER] if left else [])


def _weighty(all_shares: Sequence[Mapping[str, float]]) -> list[str]:
    """Types that are not small everywhere, the weightiest first."""
    largest: dict[str, float] = {}
    weight: dict[str, float] = {}
    for share in all_shares:
        for type, part in share.items():
            largest[type] = max(largest.get(type, 0.0), part)
            weight[type] = weight.get(type, 0.0) + part
    found = [type for type in largest if largest[type] >= _SMALL and type not in _GREYS]
    return sorted(found, key=lambda type: (-weight[type], type))


def _gathered(*measures: list[dict[str, float]]) -> list[list[dict[str, float]]]:
    """The same shares, the dense convolutions but the two weightiest KxK types and 1x1 as one part."""
    dense: dict[str, float] = {}
    for share in (share for measure in measures for share in measure):
        for type, part in share.items():
            if kind_of(type) == "dense KxK":
                dense[type] = dense.get(type, 0.0) + part
    rare = set(sorted(dense, key=lambda type: (-dense[type], type))[2:])
    out: list[list[dict[str, float]]] = []
    for measure in measures:
        out.append([])
        for share in measure:
            folded = {type: part for type, part in share.items() if type not in rare}
            if gathered := sum(part for type, part in share.items() if type in rare):
                folded[REST] = gathered
            out[-1].append(folded)
    return out


def _folded(share: Mapping[str, float], types: Sequence[str]) -> dict[str, float]:
    folded = {type: share.get(type, 0.0) for type in types}
    if OTHER in folded:
        folded[OTHER] = sum(part for type, part in share.items() if type not in types or type == OTHER)
    return folded


def _stack(
    page: Page,
    plot: Axes,
    parts: Sequence[Mapping[str, float]],
    types: Sequence[str],
    colours: Mapping[str, str],
) -> None:
    starts = [0.0] * len(parts)
    for type in types:
        lengths = [100 * part[type] for part in parts]
        plot.barh(
            range(len(parts)),
            lengths,
            left=starts,
            height=0.74,
            color=colours[type],
            linewidth=0.6,
            edgecolor=page.theme.paper,
            label=type,
        )
        for place, (start, length) in enumerate(zip(starts, lengths, strict=True)):
            if length >= 11:
                plot.text(
                    start + length / 2,
                    place,
                    f"{length:.0f}",
                    ha="center",
                    va="center",
                    size=page.tiny,
                    color="#ffffff" if style.dark(colours[type]) else "#1f2328",
                    gid="label",
                )
        starts = [start + length for start, length in zip(starts, lengths, strict=True)]
    axes.linear(plot.xaxis, 0, 100)
    plot.set_ylim(len(parts) - 0.4, -0.6)
    plot.tick_params(axis="y", length=0)
    plot.grid(visible=False, axis="y")
    plot.spines["left"].set_visible(False)
