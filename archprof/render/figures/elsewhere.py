"""Kinds that are looked for here and drawn by another command."""

from __future__ import annotations

from ...errors import BadOption
from .page import Page
from .registry import draws


@draws("separable", "Standard against depthwise separable convolutions, drawn by 'archprof separable'.")
def separable(page: Page) -> None:
    raise BadOption(
        "a comparison does not hold separable twins, which this figure sets side by side;",
        f"draw it with: archprof separable {page.rows[0].name} --plot FILE.",
    )
