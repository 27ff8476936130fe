"""How a record shows itself, in a notebook for one: rendering lies above the records, so it is registered here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_renderers: list[Callable[[Any, str], str]] = []


def register(renderer: Callable[[Any, str], str]) -> None:
    """From now on, `renderer(record, format)` shows records; `format` is 'markdown' or 'html'."""
    _renderers[:] = [renderer]


def present(record: Any, format: str) -> str:
    """The record in that format, by the renderer that was registered last."""
    return _renderers[0](record, format)
