"""Records as JSON: the documented keys of schema_version 1. Standard library only. `reading` is the way back.

History of the schema: 1, the first.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

SCHEMA_VERSION = 1


def as_json(record: Any) -> dict[str, Any]:
    """A record's fields as JSON values: tuples become lists, records within it objects."""
    return {name: plain(getattr(record, name)) for name in field_names(record)}


def field_names(kind: Any) -> Iterable[str]:
    found: Iterable[str] = kind._fields if hasattr(kind, "_fields") else kind.__dataclass_fields__
    return found


def plain(value: Any) -> Any:
    if hasattr(value, "_fields"):
        return as_json(value)
    if isinstance(value, tuple):
        return [as_json(item) if hasattr(item, "_fields") else item for item in value]
    return value
