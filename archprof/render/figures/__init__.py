"""Figures of a Comparison: one function a kind, drawn with matplotlib's objects, never with its global state.

figure = figures.draw("ball", comparison, FigureOptions(width=3.3, dark=True))
figures.save(figure, "ball.svg")
"""

from __future__ import annotations

from .measures import TIMED
from .options import FigureOptions
from .registry import KINDS, FigureKind, check_kind, draw, letters_lacking
from .save import FORMATS, check_format, save

__all__ = [
    "FORMATS",
    "KINDS",
    "TIMED",
    "FigureKind",
    "FigureOptions",
    "check_format",
    "check_kind",
    "draw",
    "letters_lacking",
    "save",
]
