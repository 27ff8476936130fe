"""How a record shows itself, in a notebook or at a prompt.

Rendering lies above the records, so it is registered here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_renderers: list[Callable[[Any, str], str]] = []


def register(renderer: Callable[[Any, str], str]) -> None:
    """From now on, `renderer(record, format)` shows records; `format` is 'text', 'markdown' or 'html'."""
    _renderers[:] = [renderer]


def present(record: Any, format: str) -> str:
    """The record in that format, by the renderer that was registered last."""
    return _renderers[0](record, format)


def brief(record: Any) -> str:
    """A few lines for a prompt or a debugger: never an error, and never the thousands of calls that a record holds."""
    try:
        return present(record, "text")
    except Exception:  # no renderer, or a record with fields of other types
        return f"<{type(record).__name__} of archprof>"
