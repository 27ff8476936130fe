"""Where archprof keeps what it has counted."""

from __future__ import annotations

from pathlib import Path

#: The file of counts, by networks and versions (runs/index).
INDEX = "index.sqlite"


def folder() -> Path:
    """archprof/ in the user's cache folder, as the platform has it."""
    from platformdirs import user_cache_path

    return user_cache_path("archprof", appauthor=False)
