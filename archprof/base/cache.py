"""Where archprof keeps what it has counted."""

from __future__ import annotations

from pathlib import Path

#: The file of counts, by networks and versions (runs/index).
INDEX = "index.sqlite"

#: Whether counts of this process may be kept: it is the command's own. A caller's may have changed anything.
may_keep = False


def folder() -> Path:
    """archprof/ in the user's cache folder, as the platform has it."""
    from platformdirs import user_cache_path

    return user_cache_path("archprof", appauthor=False)
