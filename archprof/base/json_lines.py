"""JSON text in lines: a result of which a changed item is a changed line. Standard library only."""

from __future__ import annotations

import json
import re
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
    """The value of JSON text, or of a sweep's lines. Raises ValueError, which says what is wrong, for anything else.

    Stricter than `json.loads`: NaN and Infinity are not JSON. Where a key is repeated, the last one holds.
    """
    first, newline, rest = text.partition("\n")
    if newline and '"sweep"' in first:
        header = _value(first, 1)
        if isinstance(header, dict) and "sweep" in header:
            return header | {"architectures": entries(rest)}
    return _value(text)


def entries(text: str, first_line: int = 2) -> list[dict[str, Any]]:
    """The entries of a sweep's lines, one a network: a later one replaces an earlier one.

    A last line that was cut off while it was written is passed over.
    """
    found = {}
    for number, line in enumerate(text[: text.rfind("\n") + 1].split("\n"), first_line):
        if line.strip():
            entry = _value(line, number)
            if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
                raise ValueError(f"line {number} is not the entry of a network: it has no 'name'")
            found[entry["name"]] = entry
    return list(found.values())


def _value(text: str, line: int | None = None) -> Any:
    try:
        value = json.loads(text, parse_constant=_refused)
        return _without_halves(value) if re.search(r"\\u[dD][89a-fA-F]", text) else value
    except RecursionError:
        raise ValueError(f"{f'line {line}' if line else 'it'} is nested too deeply") from None
    except ValueError as reason:
        if line is None:
            raise
        raise ValueError(f"line {line}: {reason}") from None


def _without_halves(value: Any) -> Any:
    """Halves of surrogate pairs, which stand for bytes of a name that are not UTF-8, as text that can be written."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, list):
        return [_without_halves(item) for item in value]
    if isinstance(value, dict):
        return {_without_halves(key): _without_halves(item) for key, item in value.items()}
    return value


def _refused(constant: str) -> Any:
    raise ValueError(f"{constant} is not a number in JSON")
