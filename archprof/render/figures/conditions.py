"""The conditions under which a comparison's numbers hold, as sentences of small print."""

from __future__ import annotations

from collections.abc import Sequence

from ...results.comparison import Accuracy, Comparison
from ...results.environment import memory_words, type_words


def conditions(comparison: Comparison, measured: bool) -> list[str]:
    """Device, threads, dtype, torch and date, as far as the record knows them; counts depend on none."""
    if not measured:
        return [f"Counted by archprof {comparison.archprof}."] if comparison.archprof else []
    said = environment_words(comparison)
    return [f"{'; '.join(said)}."] if said else []


def environment_words(comparison: Comparison) -> list[str]:
    """What the environment says, one phrase each: 'Intel Xeon', '2 threads', 'float32', 'torch 2.13.0'."""
    known = comparison.environment
    threads = known.get("threads")
    phrases = [
        known.get("device_name") or known.get("device"),
        f"{threads} thread{'s' if threads != 1 else ''}" if threads else None,
        type_words(known),
        "channels last" if known.get("channels_last") else None,
        f"memory {memory_words(known)}" if known.get("keep_memory") is False else None,
        "compiled" if known.get("compile") else None,
        f"torch {known['torch']}" if known.get("torch") else None,
        f"archprof {comparison.archprof}" if comparison.archprof else None,
        str(known["date"])[:10] if known.get("date") else None,
    ]
    return [str(phrase) for phrase in phrases if phrase]


def sources(claims: list[Accuracy], what: str) -> str:
    """'Top-1 as published: torchvision IMAGENET1K_V1; ...', each source once, in order of first use; then what was
    measured, by whom and on what.
    """
    published = list(dict.fromkeys(claim.source for claim in claims if claim.source and not claim.measured))
    measured = list(dict.fromkeys(_measured(claim) for claim in claims if claim.measured))
    said = [f"{what} as published, not measured here: {some(published, '; ')}."] if published else []
    said += [f"{what} {'; '.join(measured)}."] if measured else []
    return " ".join(said)


def _measured(claim: Accuracy) -> str:
    """By whom, and on what; the intervals are each network's own, and in the trial's table."""
    return f"{claim.source} on {claim.dataset}: {claim.protocol.rpartition(', 95 %')[0] or claim.protocol}"


#: Names that the small print lists at most; the others are a number.
LISTED = 10


def some(names: Sequence[str], separator: str = ", ") -> str:
    """'a, b, c', or 'a, b and 1,369 more'."""
    more = len(names) - LISTED
    return separator.join(names[:LISTED]) + (f" and {more:,} more" if more > 0 else "")


def brief(reason: str) -> str:
    """A reason without the text of an error ('failed: ...'), which may be anything: that belongs on a terminal."""
    before, failed, error = reason.partition("failed: ")
    return f"{before}{'out of memory' if error.startswith('out of memory') else 'failed'}" if failed else reason
