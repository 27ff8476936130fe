"""What a measurement was taken on, as data: its fingerprint, and where two differ. Standard library only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

#: Keys that describe the run but do not shape its times. Every other key goes into the fingerprint.
NOT_SHAPING = frozenset({"fingerprint", "date", "free_memory_bytes", "energy_meter", "no_energy_meter"})


def fingerprint(environment: Mapping[str, Any]) -> str:
    """Twelve hexadecimal digits that agree where everything that shapes a time agrees."""
    shaping = {key: value for key, value in environment.items() if key not in NOT_SHAPING}
    text = json.dumps(shaping, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def disagreements(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[str, ...]:
    """Each shaping key on which two environments differ, as 'threads: 2 against 4'."""
    keys = sorted((one.keys() | other.keys()) - NOT_SHAPING)
    return tuple(
        f"{key}: {_shown(one.get(key))} against {_shown(other.get(key))}"
        for key in keys
        if one.get(key) != other.get(key)
    )


def type_words(environment: Mapping[str, Any]) -> str:
    """The type of numbers that a run computed in: 'float32', 'float32, autocast to bfloat16'; '' where unknown."""
    lower = f", autocast to {environment['autocast']}" if environment.get("autocast") else ""
    return f"{environment.get('dtype') or ''}{lower}"


def memory_words(environment: Mapping[str, Any]) -> str | None:
    """What became of memory that a pass freed: 'kept for the next', 'left to glibc 2.36'; None: unknown, or a GPU's."""
    if environment.get("keep_memory") is None:
        return None
    return "kept for the next" if environment["keep_memory"] else f"left to {_allocator(environment)}"


def released(environment: Mapping[str, Any]) -> bool:
    """Whether that memory could have been kept and was not."""
    return environment.get("keep_memory") is False and _allocator(environment).startswith("glibc")


def _allocator(environment: Mapping[str, Any]) -> str:
    return environment.get("allocator") or "the C library"


def _shown(value: Any) -> str:
    return "not stated" if value is None else str(value)
