"""Phrases that sentences of several modules are made of."""

from __future__ import annotations

from collections.abc import Sequence

from ..base import units

#: A cost as results.findings names it -> the word for it inside a sentence.
COST_WORDS = {"parameters": "parameters", "macs": "mult-adds"}


def with_interval(ratio: float, ends: tuple[float, float]) -> str:
    """'19.4 (19.1 to 19.6)'."""
    low, high = ends
    return f"{units.significant(ratio)} ({units.significant(low)} to {units.significant(high)})"


def capital(words: str) -> str:
    """The same with a capital first."""
    return words[:1].upper() + words[1:]


def listed(names: Sequence[str]) -> str:
    """'a, b and c'."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
