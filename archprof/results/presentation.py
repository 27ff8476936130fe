"""How a record shows itself, in a notebook or at a prompt.

Rendering lies above the records, so it is registered here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_renderers: list[Callable[[Any, str], Any]] = []


def register(renderer: Callable[[Any, str], Any]) -> None:
    """From now on, `renderer(record, format)` shows records; `format` is 'text', 'markdown', 'html' or 'rows'."""
    _renderers[:] = [renderer]


def present(record: Any, format: str) -> str:
    """The record in that format, by the renderer that was registered last."""
    shown: str = _renderers[0](record, format)
    return shown


def rows(record: Any) -> list[dict[str, Any]]:
    """The record as flat rows, as a data frame takes them."""
    found: list[dict[str, Any]] = _renderers[0](record, "rows")
    return found


def brief(record: Any) -> str:
    """A few lines for a prompt or a debugger: never an error, and never the thousands of calls that a record holds."""
    try:
        return present(record, "text")
    except Exception:  # no renderer, or a record with fields of other types
        return f"<{type(record).__name__} of archprof>"
