"""The kinds of figure by name. A new kind is a line of KINDS and a function decorated with `draws`."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...base.errors import BadOption, did_you_mean
from .options import FigureOptions
from .rows import rows_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ...results.comparison import Comparison
    from .page import Page


@dataclass(frozen=True)
class FigureKind:
    """A kind of figure: its name, the file of this package that draws it, and one line for a list.

    `measured` kinds show what only a run on a device gives. All this is known without importing matplotlib.
    """

    name: str
    file: str
    summary: str
    measured: bool = False

    @property
    def highlights(self) -> bool:
        """Whether single networks can be told from the others in it."""
        return self.name not in ("breakdown", "layers", "separable", "relative", "roofline")

    @property
    def of_layers(self) -> bool:
        """Whether it shows the time of each layer, which is measured for it."""
        return self.name == "roofline"

    @property
    def has_operations(self) -> bool:
        """Whether it has an axis of operations, which --log makes logarithmic."""
        return self.name in ("ball", "ops-latency", "power-ops")

    @property
    def caption(self) -> str:
        """What to see, how it was counted and what was not."""
        return self._drawn()[1]

    def fill(self, page: Page) -> None:
        """Draw the figure on `page`."""
        self._drawn()[0](page)

    def _drawn(self) -> tuple[Callable[[Page], None], str]:
        importlib.import_module(f"{__package__}.{self.file}")
        return _drawers[self.name]


#: Every kind, in the order in which they are listed.
KINDS = {
    entry[0]: FigureKind(*entry)
    for entry in (
        ("accuracy", "bars", "published accuracy, sorted"),
        ("ball", "discs", "accuracy against operations, disc area proportional to parameters"),
        ("latency", "curves", "time per image against batch size, with intervals", True),
        ("memory", "curves", "peak memory against batch size, measured and predicted", True),
        ("memory-params", "curves", "peak memory against parameter memory", True),
        (
            "ops-latency",
            "fitted",
            "time per image against operations, with a linear fit for each family",
            True,
        ),
        (
            "throughput",
            "discs",
            "accuracy against images per second, disc area proportional to operations",
            True,
        ),
        ("relative", "relative", "time relative to the reference network, with intervals", True),
        ("density", "bars", "accuracy for each million parameters, sorted"),
        ("breakdown", "breakdown", "shares of parameters, mult-adds and, where measured, time by layer type"),
        ("layers", "layers", "one network's mult-adds and activations along its depth"),
        (
            "roofline",
            "roofline",
            "each layer's rate against what the machine can do at best (archprof env --roofline)",
            True,
        ),
        ("pareto", "discs", "the front over any two measures (--x, --y)"),
        ("separable", "savings", "what depthwise separable convolutions would leave of each network"),
        ("power", "power", "mean power against batch size, where the device has an energy meter", True),
        ("power-ops", "power", "mean power against operations, where the device has an energy meter", True),
    )
}

_drawers: dict[str, tuple[Callable[[Page], None], str]] = {}


def draws(name: str, caption: str) -> Callable[[Callable[[Page], None]], Callable[[Page], None]]:
    """Make the decorated function, which fills a Page, the one that draws the kind `name` of KINDS."""

    def register(function: Callable[[Page], None]) -> Callable[[Page], None]:
        _drawers[name] = (function, caption)
        return function

    return register


def check_kind(name: str, others: Iterable[str] = ()) -> None:
    """Raise BadOption unless there is a kind of that name; `others` are known elsewhere, and named beside."""
    if name not in KINDS:
        known = (*KINDS, *others)
        raise BadOption(f"unknown figure '{name}'.{did_you_mean(name, known)}", f"Kinds: {', '.join(known)}.")


def letters_lacking(comparison: Comparison, options: FigureOptions) -> list[str]:
    """The letters of labels and title that figures cannot show: their font, the same on every machine, lacks them."""
    from .style import letters_lacking as lacking

    rows = rows_of(comparison, options)
    return lacking([options.title or "", *(row.label + row.family for row in rows)])


def draw(name: str, comparison: Comparison, options: FigureOptions | None = None) -> Figure:
    """The figure `name` of `comparison`.

    Raises BadOption for an unknown kind, for patterns and labels that match nothing, and where the comparison
    lacks what the kind shows: the message names the flag that gives it.
    """
    check_kind(name)
    from .page import Page
    from .style import pinned_settings

    with pinned_settings():
        page = Page(comparison, options or FigureOptions())
        KINDS[name].fill(page)
        return page.figure
