"""What a user may ask of a figure. Standard library only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from ...base.errors import BadOption


@dataclass(frozen=True)
class FigureOptions:
    """Choices that every kind of figure understands.

    `width` and `height` are inches (`height` None: as the kind and its rows need), `labels` maps an
    architecture's name to the text to show, `only` are shell patterns on names. `batch_size` None lets the
    kind choose and say so. `ops` is 'macs' or 'flops' (2 per MAC). `x` and `y` are the measures of 'pareto'.
    `highlight` are shell patterns on names too: those are always labelled and ringed. `log` makes an axis of operations
    logarithmic, whatever their range; `notes` False leaves out the small print.
    """

    width: float = 7.0
    height: float | None = None
    dpi: int = 150
    title: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    only: tuple[str, ...] = ()
    dark: bool = False
    batch_size: int | None = None
    ops: str = "macs"
    dataset: str = "imagenet-1k"
    metric: str = "top1"
    x: str = "macs"
    y: str = "top1"
    highlight: tuple[str, ...] = ()
    log: bool = False
    notes: bool = True

    def __post_init__(self) -> None:
        for name, value, low, high in (("width", self.width, 2.0, 40.0), ("height", self.height, 1.5, 40.0)):
            if value is not None and not (math.isfinite(value) and low <= value <= high):
                raise BadOption(f"{name} {value!r} inches is out of range;", f"expected {low:g} to {high:g}.")
        if not 30 <= self.dpi <= 1200:
            raise BadOption(f"dpi {self.dpi!r} is out of range;", "expected 30 to 1200.")
        if self.ops not in ("macs", "flops"):
            raise BadOption(f"ops {self.ops!r} is unknown;", "expected macs, or flops (2 per MAC).")
