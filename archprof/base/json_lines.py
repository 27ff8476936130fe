"""JSON text in lines: a result of which a changed item is a changed line. Standard library only."""

from __future__ import annotations

import json
from typing import Any


def dumps(value: Any, levels: int, indent: str = "") -> str:
    """JSON with one line an item for that many levels, what lies deeper on one line: small, and quick to write."""
    if not levels or not value or not isinstance(value, dict | list):
        return json.dumps(value, allow_nan=False)
    inner = indent + " "
    if isinstance(value, dict):
        items = [f"{json.dumps(key)}: {dumps(item, levels - 1, inner)}" for key, item in value.items()]
    else:
        items = [dumps(item, levels - 1, inner) for item in value]
    ends = "{}" if isinstance(value, dict) else "[]"
    return f"{ends[0]}\n{inner}" + f",\n{inner}".join(items) + f"\n{indent}{ends[1]}"


def loads(text: str) -> Any:
    """The value of JSON text, or of a sweep's lines. Raises ValueError for anything else."""
    return _joined(text) or json.loads(text)


def _joined(text: str) -> dict[str, Any] | None:
    """A sweep's lines (a header, then an entry a network; a later entry replaces an earlier one) as one comparison.

    None for anything else. A last line that was cut off while it was written is passed over.
    """
    first, newline, rest = text.partition("\n")
    if not newline or '"sweep"' not in first:
        return None
    header = json.loads(first)
    if not isinstance(header, dict) or "sweep" not in header:
        return None
    complete = rest[: rest.rfind("\n") + 1].splitlines()
    entries = {entry["name"]: entry for entry in map(json.loads, filter(str.strip, complete))}
    return header | {"architectures": list(entries.values())}
