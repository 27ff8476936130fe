"""The same networks on several machines: ratios in one colour a machine, and ranks with a line a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...base.errors import BadOption
from ...results.machines import Fleet
from . import axes, style

#: Up to so many networks each has its row and its name.
NAMED = 40

#: Networks that have a colour of their own: those whose place differs most.
COLOURED = 6

_TEXT, _SMALL, _TINY = 9.0, 8.0, 6.5
_NAMES = 1.7  # inches for the names of networks beside a plot


def draw(fleet: Fleet, reference: str | None = None, batch_size: int | None = None) -> Figure:
    """Time relative to `reference` (up to NAMED networks), and each network's place on every machine.

    At `batch_size`, by default the one at which most networks were measured everywhere. Raises BadOption for a single
    machine, and where fewer than two networks were measured on all.
    """
    if len(fleet.machines) < 2:
        raise BadOption("a figure of machines needs at least two;", "merge files of several machines.")
    size = batch_size or max(fleet.batch_sizes, key=lambda size: (len(fleet.common(size)), -size))
    names = fleet.common(size)
    if len(names) < 2:
        raise BadOption(
            "fewer than two networks were measured on every machine;", "measure the same networks on each of them."
        )
    ranks = fleet.ranks(size)
    first = fleet.machines[0].name
    names = tuple(sorted(names, key=lambda name: ranks[name][first]))
    with_ratios = reference in names and len(names) <= NAMED
    with style.pinned_settings():
        height = max(3.2, 1.5 + 0.2 * min(len(names), NAMED))
        wide = 1.15 * len(fleet.machines) + 0.8
        left, between = 0.1 + _NAMES, 0.35 + _NAMES
        ratios_wide = 3.2 if with_ratios else 0.0
        width = left + (ratios_wide + between if with_ratios else 0) + wide + _NAMES + 0.1
        figure = Figure(figsize=(width, height), facecolor=style.LIGHT.paper)
        low, high = 0.95 / height, 1 - 1.05 / height
        figure.text(0.1 / width, 1 - 0.14 / height, _title(fleet), size=_TEXT + 2, weight="bold", va="top")
        below = f"Batch {size}, {len(names)} networks measured on every machine"
        figure.text(0.1 / width, 1 - 0.42 / height, below, size=_SMALL, color=style.LIGHT.muted, va="top")
        if with_ratios:
            assert reference is not None
            plot = figure.add_axes((left / width, low, ratios_wide / width, high - low))
            _ratios(plot, fleet, names, size, reference)
            left += ratios_wide + between
        plot = figure.add_axes((left / width, low, wide / width, high - low))
        _ranks(plot, fleet, names, ranks, size)
        note = "Times of different machines are not compared, only their ratios and order. Hollow: not reliable."
        figure.text(0.1 / width, 0.1 / height, note, size=_TINY, color=style.LIGHT.muted, va="bottom")
        return figure


def _title(fleet: Fleet) -> str:
    return "The same networks on " + ", ".join(machine.name for machine in fleet.machines)


def _ratios(plot: Axes, fleet: Fleet, names: Sequence[str], size: int, reference: str) -> None:
    """A row a network, a mark a machine."""
    _dress(plot)
    seen = []
    looks = style.styles_apart([machine.name for machine in fleet.machines])
    for machine in fleet.machines:
        base = machine.time(reference, size)
        assert base is not None
        look = looks[machine.name]
        for place, name in enumerate(names):
            cell = machine.time(name, size)
            assert cell is not None
            ratio = cell.p50_s / base.p50_s
            seen.append(ratio)
            plot.plot(
                [ratio],
                [place],
                look.marker,
                markersize=5,
                color=look.colour,
                markerfacecolor=look.colour if cell.reliable and base.reliable else style.LIGHT.paper,
                label=machine.name if place == 0 else None,
                zorder=3,
            )
    axes.logarithmic(plot.xaxis, seen)
    plot.axvline(1.0, color=style.LIGHT.muted, linewidth=0.8, linestyle=(0, (4, 2)), zorder=1)
    plot.set_ylim(len(names) - 0.4, -0.6)
    plot.set_yticks(range(len(names)), list(names))
    plot.tick_params(axis="y", length=0, labelsize=_SMALL)
    plot.set_xlabel(f"Times as long as {reference} on the same machine", size=_SMALL)
    plot.legend(
        loc="lower left", bbox_to_anchor=(0, 1.0), ncols=len(fleet.machines), frameon=False, fontsize=_SMALL,
        borderpad=0.2, handletextpad=0.2, columnspacing=1.0,
    )  # fmt: skip


def _ranks(plot: Axes, fleet: Fleet, names: Sequence[str], ranks: Mapping[str, Mapping[str, int]], size: int) -> None:
    """A line a network over the machines, those that change their place most in colour."""
    _dress(plot)
    machines = [machine.name for machine in fleet.machines]
    span = {name: max(ranks[name].values()) - min(ranks[name].values()) for name in names}
    moving = sorted((name for name in names if span[name]), key=lambda name: (-span[name], name))[:COLOURED]
    looks = style.styles_apart(moving)
    for name in names:
        look = looks.get(name)
        colour = look.colour if look else style.LIGHT.muted
        plot.plot(
            range(len(machines)),
            [ranks[name][machine] for machine in machines],
            color=colour,
            linewidth=1.8 if look else 0.7,
            alpha=1.0 if look else 0.6,
            marker="o",
            markersize=3.5 if look else 2.0,
            zorder=3 if look else 2,
        )
    named = [name for name in names if len(names) <= NAMED or name in looks]
    for side, place, align in ((machines[0], -0.06, "right"), (machines[-1], len(machines) - 0.94, "left")):
        heights = _apart({name: ranks[name][side] for name in named}, len(names) / NAMED)
        for name, height in heights.items():
            ink = looks[name].colour if name in looks else style.LIGHT.ink
            plot.text(place, height, name, size=_SMALL, color=ink, ha=align, va="center", clip_on=False)
    plot.set_xlim(-0.02, len(machines) - 0.98)
    plot.set_ylim(len(names) + 0.6, 0.4)
    plot.set_xticks(range(len(machines)), [_wrapped(name) for name in machines])
    plot.tick_params(axis="x", labelsize=_SMALL)
    plot.set_yticks([])
    plot.grid(False)
    plot.spines["bottom"].set_visible(False)
    for place in range(len(machines)):
        plot.axvline(place, color=style.LIGHT.grid, linewidth=1.0, zorder=1)
    rho = {each.machines: each for each in fleet.correlations(size)}
    for place in range(len(machines) - 1):
        each = rho[machines[place], machines[place + 1]]
        said = "rank correlation\n" + ("—" if each.rho is None else f"{each.rho:.3f}")
        plot.annotate(
            said, (place + 0.5, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 3), textcoords="offset points",
            ha="center", va="bottom", size=_SMALL, color=style.LIGHT.ink, annotation_clip=False,
        )  # fmt: skip


def _apart(places: Mapping[str, float], least: float) -> dict[str, float]:
    """The places, upwards from the last, moved so that neighbours are `least` apart."""
    found: dict[str, float] = {}
    limit = float("inf")
    for name, place in sorted(places.items(), key=lambda item: -item[1]):
        found[name] = min(place, limit)
        limit = found[name] - least
    return found


def _wrapped(name: str) -> str:
    return name.replace(", ", ",\n")


def _dress(plot: Axes) -> None:
    for side in ("top", "right", "left"):
        plot.spines[side].set_visible(False)
    plot.spines["bottom"].set_color(style.LIGHT.grid)
    plot.tick_params(colors=style.LIGHT.ink, labelsize=_SMALL)
    plot.grid(axis="x", color=style.LIGHT.grid, linewidth=0.6)
    plot.set_axisbelow(True)
