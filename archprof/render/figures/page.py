"""A sheet with a title, a legend, one or more plots and small print, laid out in inches.

A kind draws its marks, then calls `finish`; only then are sizes final and labels placed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, lru_cache
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.legend import Legend
from matplotlib.lines import Line2D

from ...base.errors import BadOption
from ...results.comparison import Comparison
from ...results.families import family_of
from . import style
from .conditions import LISTED, brief, conditions, some
from .options import FigureOptions
from .rows import Row, rows_of

#: What hollow marks mean, and why, for all of them in one line; the table of times has each one's reason.
HOLLOW = "Hollow marks are not reliable"
DOUBTED = "disturbed, or of a wide interval"

_EDGE = 0.10  # inches of paper around everything
_GAP = 0.07  # inches between title, legend, plots and small print


class Page:
    """One figure in the making.

    `rows` are the architectures to show, already filtered and labelled; `text`, `small` and `tiny` are font
    sizes in points that fit the width.
    """

    def __init__(self, comparison: Comparison, options: FigureOptions) -> None:
        self.comparison = comparison
        self.options = options
        self.theme = style.DARK if options.dark else style.LIGHT
        self.rows: list[Row] = rows_of(comparison, options)
        self.narrow = options.width < 4.5
        self.text, self.small, self.tiny = (7.0, 6.2, 5.2) if self.narrow else (9.0, 8.0, 6.5)
        self.figure = Figure(figsize=(options.width, options.width), dpi=options.dpi, facecolor=self.theme.paper)
        self._canvas = FigureCanvasAgg(self.figure)
        self.renderer: Any = self._canvas.get_renderer()
        self._title: tuple[str, str] = ("", "")
        self._legends: list[Legend] = []
        self._strips: list[tuple[Axes, float, float]] = []
        self._notes: list[str] = []
        self._missing: dict[tuple[str, str], tuple[list[str], dict[str, list[int]]]] = {}
        self.measured = False  # whether anything shown depends on the machine
        self._grid: list[list[Axes]] = []
        if lacking := style.letters_lacking([options.title or "", *(row.label + row.family for row in self.rows)]):
            one = len(lacking) == 1
            drawn = "is drawn as a box" if one else "are drawn as boxes"
            self.note(f"{len(lacking)} letter{'s' * (not one)} that the font lacks {drawn}.")
        self.right_margin = 0.0  # inches kept free right of the plots, for labels at line ends

    # -- content ---------------------------------------------------------------------------------

    def plots(self, rows: int = 1, columns: int = 1) -> list[list[Axes]]:
        """Empty plots in a grid; one call a page."""
        self._grid = [
            [self.figure.add_axes((0.1, 0.1, 0.8, 0.8), label=f"plot {r} {c}") for c in range(columns)]
            for r in range(rows)
        ]
        for plot in (plot for row in self._grid for plot in row):
            self._dress(plot)
        return self._grid

    def plot(self) -> Axes:
        """The one plot of a page that has one."""
        return self.plots()[0][0]

    def title(self, title: str, below: str = "") -> None:
        """The heading, unless the user chose another, and a quieter line below it."""
        self._title = (self.options.title if self.options.title is not None else title, below)

    def note(self, sentence: str) -> None:
        """A sentence of the small print."""
        if sentence not in self._notes:
            self._notes.append(sentence)

    def missing(self, what: str, why: str, label: str, batch_size: int) -> None:
        """A value of a curve that is not there, or not reliable.

        Told reason by reason, network by network; reasons that differ in their numbers alone are one.
        """
        why = brief(why).rstrip(".")
        whys, sizes = self._missing.setdefault((what, _numberless(why)), ([], {}))
        whys.append(why)
        sizes.setdefault(label, []).append(batch_size)

    def refuse_more_than(self, most: int, rows: Sequence[Row]) -> None:
        """Raise BadOption where a line for each network would make a figure that nobody can look at."""
        if len(rows) > most:
            raise BadOption(
                f"{len(rows):,} networks are too many for a figure with a line for each (at most {most});",
                "--only keeps some.",
            )

    def doubt(self, rows: Sequence[Row], trusted: Sequence[bool], more: str = "") -> None:
        """Explain hollow marks, those of the rows that are not trusted, in one line."""
        doubtful = [row.label for row, sure in zip(rows, trusted, strict=True) if not sure]
        if doubtful:
            self.note(f"{HOLLOW}{more} ({DOUBTED}): {some(doubtful)}.")

    def left_out(self, reasons: Iterable[tuple[str, str]], what: str = "Left out") -> None:
        """Name the (label, reason) of what the figure could not show, reason by reason.

        Reasons that differ in their numbers alone are one.
        """
        grouped: dict[str, list[tuple[str, str]]] = {}
        for label, reason in reasons:
            reason = brief(reason).rstrip(".")
            grouped.setdefault(_numberless(reason), []).append((label, reason))
        for group in grouped.values():
            labels, whys = zip(*group, strict=True)
            listed = some(labels) if len(labels) <= LISTED else f"{len(labels):,} networks"
            self.note(f"{what} ({_one_for_all(whys)}): {listed}.")

    def legend(self, handles: Sequence[Artist], labels: Sequence[str], title: str = "", **more: Any) -> Legend:
        """A row of keys between title and plots, in as many columns as fit."""
        room = self.options.width - 2 * _EDGE
        for columns in range(self._columns_that_may_fit(labels, room), 0, -1):
            legend = Legend(
                self.figure,
                list(handles),
                list(labels),
                ncols=columns,
                loc="upper left",
                frameon=False,
                borderpad=0,
                borderaxespad=0,
                fontsize=self.small,
                labelcolor=self.theme.ink,
                **({"handletextpad": 0.35, "columnspacing": 1.1, "handlelength": 1.2} | more),
            )
            if title:
                legend.set_title(title, prop=FontProperties(family=style.FONT, size=self.small))
                legend.get_title().set_color(self.theme.muted)
                legend._legend_box.align = "left"  # type: ignore[attr-defined]
            legend.set_figure(self.figure)
            if self._width_of(legend) <= room:
                break
        self.figure.legends.append(legend)
        self._legends.append(legend)
        return legend

    def _columns_that_may_fit(self, labels: Sequence[str], room: float) -> int:
        """At most this many columns of keys: their texts alone take the room. Building a legend to see is slow."""
        widths = [self.text_width(label, self.small) for label in labels]
        for columns in range(len(labels), 1, -1):
            tall = -(-len(labels) // columns)
            if sum(max(widths[at : at + tall]) for at in range(0, len(labels), tall)) <= room:
                return columns
        return 1

    def strip(self, width: float, height: float) -> Axes:
        """An empty strip for a key, its coordinates in inches; beside the title where there is room, else
        below.
        """
        strip = self.figure.add_axes((0, 0, width / self.options.width, 0.1), label=f"strip {len(self._strips)}")
        strip.set_axis_off()
        strip.set_xlim(0, width)
        strip.set_ylim(0, height)
        self._strips.append((strip, width, height))
        return strip

    @cached_property
    def styles(self) -> dict[str, style.FamilyStyle]:
        """Style by family. Judged over the whole comparison, so that --only recolours nothing."""
        return style.styles_for([family_of(r.name, r.family) for r in self.comparison.architectures])

    def key(self, rows: Sequence[Row], markers: bool = False) -> None:
        """A key of the families of `rows`, the largest first; none where each network is of its own, or all of one.

        Families that share OTHER's colour are one entry. Discs are told by colour alone, other points by `markers` too.
        """
        count = Counter(row.family for row in rows)
        if len(count) < 2 or max(count.values()) < 2:
            return
        named = sorted(count, key=lambda family: (-count[family], family))
        entries = {family: self.styles[family] for family in named if self.styles[family] != style.OTHER}
        others = len(count) - len(entries)
        if others:
            entries[f"{others} other {'families' if others > 1 else 'family'}"] = style.OTHER
        handles = [
            Line2D(
                [],
                [],
                linestyle="",
                marker=look.marker if markers else "o",
                markersize=5,
                markerfacecolor=look.colour,
                markeredgecolor=self.edge(look.colour),
                markeredgewidth=0.6,
            )
            for look in entries.values()
        ]
        self.legend(handles, list(entries), handlelength=0.9).set_gid("families")

    def colour(self, row: Row) -> str:
        return self.styles[row.family].colour

    @cached_property
    def looks(self) -> dict[str, style.FamilyStyle]:
        """Style by name, for figures that must tell the members of a family apart: shades of its colour.

        Where there is one family alone, colours of their own. Judged over the whole comparison too.
        """
        families: dict[str, list[str]] = {}
        for row in self.comparison.architectures:
            families.setdefault(family_of(row.name, row.family), []).append(row.name)
        if len(families) == 1:
            return style.styles_apart([row.name for row in self.comparison.architectures])
        return {
            name: style.shaded(self.styles[family], place, len(names))
            for family, names in families.items()
            for place, name in enumerate(names)
        }

    def look(self, row: Row) -> style.FamilyStyle:
        return self.looks[row.name]

    def edge(self, colour: str) -> str:
        """An outline for `colour` that stands out from the paper."""
        return style.mixed(colour, self.theme.ink, 0.4)

    # -- layout ----------------------------------------------------------------------------------

    def finish(self, height: float, place: Callable[[], object] | None = None) -> None:
        """Lay everything out; `height` is that of the plots in inches, together with their axes' labels.

        An explicit height of the whole figure takes precedence. `place` runs when positions are final.
        """
        width = self.options.width
        heading, beside = self._heading()
        small_print = self._small_print()
        top = _EDGE + max(sum(h + _GAP for _, h in heading), *(tall + _GAP for _, _, tall in beside), 0)
        bottom = _EDGE + (self._height_of(small_print) + _GAP if small_print else 0)
        total = self.options.height or height + top + bottom
        if total - top - bottom < 0.8:
            raise BadOption(
                f"height {total:g} inches leaves no room for the plot;",
                f"wanted: at least {top + bottom + 1:.1f} at this width.",
            )
        self.figure.set_size_inches(width, total)
        at = total - _EDGE
        for artist, tall in heading:
            self._move(artist, _EDGE, at, total)
            at -= tall + _GAP
        for strip, wide, tall in beside:
            strip.set_position(
                ((width - _EDGE - wide) / width, (total - _EDGE - tall) / total, wide / width, tall / total)
            )
        if small_print:
            small_print.set_position((_EDGE / width, _EDGE / total))
        box = (_EDGE, bottom, width - _EDGE - self.right_margin, total - top)
        for _ in range(2):  # ticks depend on the size that they help to decide
            self._arrange(box, total)
        if place is not None:
            place()

    def _heading(self) -> tuple[list[tuple[Any, float]], list[tuple[Axes, float, float]]]:
        """(artist, height in inches) of title, line below it, strips and legends; and the strips beside
        them.
        """
        room = self.options.width - 2 * _EDGE
        out: list[tuple[Any, float]] = []
        for text, size, weight, colour in (
            (self._title[0], self.text + 1.5, "bold", self.theme.ink),
            (self._title[1], self.small, "normal", self.theme.muted),
        ):
            if text:
                artist = self.figure.text(
                    0,
                    0,
                    self._wrapped(text, size, room, weight),
                    size=size,
                    weight=weight,
                    color=colour,
                    ha="left",
                    va="top",
                    linespacing=1.25,
                )
                out.append((artist, self._height_of(artist)))
        free = room - max((self._width_of(artist) for artist, _ in out), default=0) - 0.2
        beside = [strip for strip in self._strips if strip[1] <= free] if len(self._strips) == 1 else []
        out += [(strip, tall) for strip, _, tall in self._strips if not beside]
        return out + [(legend, self._height_of(legend)) for legend in self._legends], beside

    def _small_print(self) -> Any:
        for (what, _), (whys, labels) in self._missing.items():
            told = some([f"{label} at {', '.join(map(str, sizes))}" for label, sizes in labels.items()])
            self.note(f"{what} ({_one_for_all(whys)}): {told}.")
        text = " ".join([*self._notes, *conditions(self.comparison, self.measured)])
        if not text or not self.options.notes:
            return None
        wrapped = self._wrapped(text, self.tiny, self.options.width - 2 * _EDGE)
        return self.figure.text(
            0, 0, wrapped, size=self.tiny, color=self.theme.muted, ha="left", va="bottom", linespacing=1.35
        )

    def _move(self, artist: Any, left: float, top: float, total: float) -> None:
        at = (left / self.options.width, top / total)
        strip = next((found for found in self._strips if found[0] is artist), None)
        if strip is not None:
            _, wide, tall = strip
            artist.set_position((at[0], at[1] - tall / total, wide / self.options.width, tall / total))
        elif isinstance(artist, Legend):
            artist.set_bbox_to_anchor(at, transform=self.figure.transFigure)
        else:
            artist.set_position(at)

    def _arrange(self, box: tuple[float, float, float, float], total: float) -> None:
        """Share the box (left, bottom, right, top in inches) among the plots, room for their labels
        included.
        """
        left, bottom, right, top = box
        width = self.options.width
        around = [[self._surroundings(plot) for plot in row] for row in self._grid]
        columns, rows = len(self._grid[0]), len(self._grid)
        lefts = [max(row[c][0] for row in around) for c in range(columns)]
        rights = [max(row[c][2] for row in around) for c in range(columns)]
        bottoms = [max(cell[1] for cell in row) for row in around]
        tops = [max(cell[3] for cell in row) for row in around]
        gap = 0.12
        wide = (right - left - sum(lefts) - sum(rights) - gap * (columns - 1)) / columns
        tall = (top - bottom - sum(bottoms) - sum(tops) - gap * (rows - 1)) / rows
        y = top
        for r, row in enumerate(self._grid):
            y -= tops[r] + tall
            x = left
            for c, plot in enumerate(row):
                x += lefts[c]
                plot.set_position((x / width, y / total, max(wide, 0.3) / width, max(tall, 0.3) / total))
                x += wide + rights[c] + gap
            y -= bottoms[r] + gap

    def _surroundings(self, plot: Axes) -> tuple[float, float, float, float]:
        """Inches that ticks and labels need left, below, right and above the plot."""
        inner = plot.get_window_extent(self.renderer)
        outer = plot.get_tightbbox(self.renderer) or inner
        dpi = self.figure.dpi
        return (
            max(inner.x0 - outer.x0, 0) / dpi,
            max(inner.y0 - outer.y0, 0) / dpi,
            max(outer.x1 - inner.x1, 0) / dpi,
            max(outer.y1 - inner.y1, 0) / dpi,
        )

    # -- text ------------------------------------------------------------------------------------

    def text_width(self, text: str, size: float, weight: str = "normal") -> float:
        """Inches that one line of text takes."""
        words = text.split(" ")
        widths = [_word_inches(word, size, weight, self.figure.dpi) for word in words]
        return sum(widths) + (len(words) - 1) * _space_inches(size, weight, self.figure.dpi)

    def _wrapped(self, text: str, size: float, room: float, weight: str = "normal") -> str:
        lines: list[str] = []
        space, left = _space_inches(size, weight, self.figure.dpi), 0.0
        room *= 0.99  # glyphs sit on whole pixels, so that a line is a little longer than its words
        for word in text.split():
            width = _word_inches(word, size, weight, self.figure.dpi)
            if lines and space + width <= left:
                lines[-1] += f" {word}"
                left -= space + width
            else:
                lines.append(word)
                left = room - width
        return "\n".join(lines)

    def _width_of(self, artist: Any) -> float:
        return float(artist.get_window_extent(self.renderer).width / self.figure.dpi)

    def _height_of(self, artist: Any) -> float:
        return float(artist.get_window_extent(self.renderer).height / self.figure.dpi)

    def _dress(self, plot: Axes) -> None:
        theme = self.theme
        plot.set_facecolor(theme.paper)
        for side, spine in plot.spines.items():
            spine.set_visible(side in ("left", "bottom"))
            spine.set_color(theme.muted)
            spine.set_linewidth(0.7)
        plot.tick_params(
            which="both",
            colors=theme.muted,
            labelcolor=theme.ink,
            labelsize=self.small,
            length=2.5,
            width=0.7,
            pad=2.5,
        )
        plot.grid(visible=True, color=theme.grid, linewidth=0.7)
        plot.set_axisbelow(True)
        for axis in (plot.xaxis, plot.yaxis):
            axis.label.set_fontsize(self.text)
            axis.label.set_color(theme.ink)
            axis.labelpad = 3


def _numberless(reason: str) -> str:
    return re.sub(r"[0-9.]+", "0", reason.rstrip("."))


def _one_for_all(reasons: Sequence[str]) -> str:
    """The reason; the first as an example where others have other numbers."""
    return reasons[0] if len(set(reasons)) == 1 else f"such as: {reasons[0]}"


@lru_cache(maxsize=4096)
def _word_inches(word: str, size: float, weight: str, dpi: float) -> float:
    """Laying out text is slow, and figures of one comparison share most of their words."""
    font = FontProperties(family=style.FONT, size=size, weight=weight)
    return float(RendererAgg(1, 1, dpi).get_text_width_height_descent(word, font, False)[0]) / dpi


def _space_inches(size: float, weight: str, dpi: float) -> float:
    return _word_inches("n n", size, weight, dpi) - 2 * _word_inches("n", size, weight, dpi)
