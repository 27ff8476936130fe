"""Names of networks, at once: for somebody who is typing one. Imports neither torch nor a library.

The zoo's are read from its files as text, the libraries' from the index of counts, which knows a library once it was
listed (`archprof list 'timm:*'`). The index is only read, and not asked whether its counts are today's.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
from pathlib import Path

from ..base import cache

_ZOO = Path(__file__).parents[1] / "models" / "zoo"

#: A function with the decorator that makes it an architecture.
_ARCHITECTURE = re.compile(r"^@architecture\(.*?\)\ndef (\w+)\(", re.MULTILINE | re.DOTALL)


def zoo() -> list[str]:
    """Every architecture of the zoo, sorted by name."""
    return sorted(name for file in _ZOO.glob("*.py") for name in _ARCHITECTURE.findall(file.read_text("utf-8")))


def indexed(source: str) -> list[str]:
    """What the index knows of a library, `timm:resnet18` and so on, in its own order; nothing where there is none."""
    file = cache.folder() / cache.INDEX
    query = "select distinct source || ':' || base, min(place) from network where source = ? group by base order by 2"
    with contextlib.suppress(sqlite3.Error), contextlib.closing(_opened(file)) as opened:
        return [name for name, _ in opened.execute(query, (source,))]
    return []


def beginning(text: str) -> list[str]:
    """The names that begin like that; those of a library once its name and the colon are typed."""
    source, colon, _ = text.partition(":")
    if colon:
        return [name for name in indexed(source) if name.startswith(text)]
    return [name for name in (*zoo(), "timm:", "torchvision:") if name.startswith(text)]


def _opened(file: Path) -> sqlite3.Connection:
    """Read-only: neither made, nor waited for."""
    return sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=0)
