"""What was measured on, one fact a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...base import units
from .table import Cell, Column, Table

COLUMNS = (Column("fact", "Fact"), Column("value", "Value"))


def table(facts: Mapping[str, Any]) -> Table:
    """The facts in their order, names without underscores."""
    rows = tuple((Cell(name.replace("_", " ")), Cell(value, text=_text(value))) for name, value in facts.items())
    return Table("Environment", COLUMNS, rows)


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={setting}" for name, setting in value.items()) or units.DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    return units.DASH if value is None else str(value)
