"""Why times are missing or cannot be relied on, in one line for all of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set

from ..results.answer import At
from ..results.comparison import Comparison
from .words import listed


def reasons(what: str, places: Mapping[At, str]) -> list[str]:
    """'~ not reliable: a and b at batch 1 (3 of 30 blocks were disturbed, ...); c at batch 8 (...)': who and at which
    batch sizes, by reason; reasons that differ in their numbers alone are one, told with those of the first."""
    alike: dict[str, list[At]] = {}
    for at, reason in places.items():
        alike.setdefault(re.sub(r"[0-9.,]+", "#", reason), []).append(at)
    told = [f"{named(these)} ({places[these[0]].rstrip('.')})" for these in alike.values()]
    return [f"{what}: {'; '.join(told)}."] if told else []


def named(places: Iterable[At]) -> str:
    """'a and b at batch 1 and 8': networks of the same batch sizes together."""
    sizes: dict[str, list[int]] = {}
    for name, size in places:
        sizes.setdefault(name, []).append(size)
    alike: dict[tuple[int, ...], list[str]] = {}
    for name, known in sizes.items():
        alike.setdefault(tuple(known), []).append(name)
    return listed([f"{listed(names)} at batch {listed([*map(str, known)])}" for known, names in alike.items()])


def unsure_ratios(comparison: Comparison, told: Set[At]) -> dict[At, str]:
    """Why ratios cannot be relied on, where their networks' own times do not say it."""
    return {
        (ratio.architecture, ratio.batch_size): ratio.why
        for ratio in comparison.ratios
        if ratio.why and not told & {(name, ratio.batch_size) for name in (ratio.architecture, ratio.reference)}
    }
