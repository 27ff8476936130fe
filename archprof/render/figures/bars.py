"""Sorted bars, one an architecture: accuracy, and accuracy for each million parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...base import units
from . import axes
from .conditions import sources
from .measures import MEASURES, accuracy_title, claims, complete
from .page import Page
from .registry import draws
from .rows import Row

#: Bars that are drawn at most, beside those that were asked for: what a page holds.
MOST = 60


@draws(
    "accuracy",
    "Accuracy of each network, best first. The numbers belong to the weights and the protocol that the sources name: "
    "published ones, unless they are said to be measured.",
)
def accuracy(page: Page) -> None:
    metric = MEASURES["top1"]
    rows, dropped = complete(page.rows, [metric], page.options, page.comparison)
    page.title(accuracy_title(page.options))
    _bars(
        page,
        rows,
        lambda row: metric.read(row.result, page.options) or 0.0,
        lambda value: f"{value:.1f}",
        f"{accuracy_title(page.options)} (%)",
    )
    page.note(sources(claims(rows, page.options), "Accuracy"))
    page.left_out(dropped)
    page.finish(_height(rows))


@draws(
    "density",
    "Accuracy divided by millions of parameters, after the information density of Canziani, Paszke and "
    "Culurciello (arXiv 1605.07678, figure 10). High bars use their parameters well; it says nothing of "
    "speed. Parameters are counted, accuracies are those of the sources named.",
)
def density(page: Page) -> None:
    needed = [MEASURES["top1"], MEASURES["parameters"]]
    rows, dropped = complete(page.rows, needed, page.options, page.comparison)

    def value(row: Row) -> float:
        percent, millions = (m.read(row.result, page.options) or 0.0 for m in needed)
        return percent / millions

    page.title("Accuracy for each million parameters", f"{accuracy_title(page.options)}, divided by Params")
    _bars(page, rows, value, lambda shown: units.significant(shown, 3), "Accuracy per parameter (% / M)")
    page.note(sources(claims(rows, page.options), "Accuracy"))
    page.left_out(dropped)
    page.finish(_height(rows))


def _bars(
    page: Page, rows: list[Row], value: Callable[[Row], float], shown: Callable[[float], str], label: str
) -> None:
    """Horizontal bars from zero, the largest on top, each with its number; the best MOST and highlighted ones."""
    plot = page.plot()
    ordered = sorted(rows, key=lambda row: (-value(row), row.label))
    if len(ordered) > MOST:
        page.note(f"Of {len(ordered):,} networks the best {MOST}{' and those asked for' if _asked(rows) else ''}.")
        ordered = [row for place, row in enumerate(ordered) if place < MOST or row.named]
    values = [value(row) for row in ordered]
    plot.barh(
        range(len(ordered)),
        values,
        height=0.68,
        color=[page.colour(row) for row in ordered],
        edgecolor=[page.theme.ink if row.marked else page.edge(page.colour(row)) for row in ordered],
        linewidth=[1.6 if row.marked else 0.5 for row in ordered],
    )
    page.key(ordered)
    top = max(values)
    for place, number in enumerate(values):
        plot.text(
            number + top * 0.012,
            place,
            shown(number),
            va="center",
            ha="left",
            size=page.small,
            color=page.theme.ink,
            gid="label",
        )
    axes.linear(plot.xaxis, 0, top * (1.13 if page.narrow else 1.08))
    plot.set_ylim(len(ordered) - 0.4, -0.6)
    plot.set_yticks(range(len(ordered)), [row.label for row in ordered])
    for text, row in zip(plot.get_yticklabels(), ordered, strict=True):
        text.set_fontweight("bold" if row.marked else "normal")
    plot.tick_params(axis="y", length=0)
    plot.grid(visible=False, axis="y")
    plot.spines["left"].set_visible(False)
    plot.set_xlabel(label)


def _asked(rows: Sequence[Row]) -> int:
    return sum(row.named for row in rows)


def _height(rows: Sequence[Row]) -> float:
    return 0.5 + 0.22 * min(max(len(rows), 2), MOST + _asked(rows))
