"""Records as one text: what a notebook shows, and what `to_markdown` returns."""

from __future__ import annotations

from ..results.comparison import Comparison
from .html import html
from .markdown import markdown
from .tables.comparison import tables

_FORMATS = {"markdown": markdown, "html": html}


def render(record: Comparison, format: str) -> str:
    """The record's tables in that format: 'markdown' or 'html'."""
    return _FORMATS[format](tables(record))
