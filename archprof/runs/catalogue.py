"""The zoo as rows: what each network is, costs and scores. Counting is slow, so counts are kept between runs.

The saved counts are one JSON file in the user's cache directory. It holds the key under which it was made,
the versions of archprof and torch and a digest of archprof's own sources; under any other key it is as if
it were not there, so that a formula or a layer that changes can never leave an old figure behind. A cache
that cannot be read or written is passed over.

Nothing here imports torch, and where every count that is asked for is known nothing loads the zoo.
"""

from __future__ import annotations

import fnmatch
import hashlib
import importlib.metadata
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..base import cache as kept
from ..base import files
from ..base.errors import ArchprofError, BadOutput, UnknownModel, did_you_mean
from ..base.version import __version__
from ..models import zoo
from ..results.comparison import Accuracy
from ..results.profile import Shape, StaticProfile


@dataclass(frozen=True)
class Entry:
    """One network of the zoo at its default input. `parameters` and `macs` are None until counted.

    `error` says why it could not be counted; `accuracy` is the claim to show, if there is one.
    """

    name: str
    family: str
    year: int
    paper: str
    input_shape: Shape
    aliases: tuple[str, ...] = ()
    parameters: int | None = None
    macs: int | None = None
    error: str | None = None
    accuracy: Accuracy | None = None


def entries(patterns: Sequence[str], profile: Callable[[str], StaticProfile], cache: Path | None) -> list[Entry]:
    """The networks that `patterns` choose (all, without one), counted, in natural order.

    `profile` counts one network by name; `cache` is the file of saved counts, None to keep none. A network
    whose counting raised an ArchprofError keeps its place with `error`, and is tried again the next time.
    Raises UnknownModel for a pattern that chooses nothing.
    """
    key = cache_key() if cache else ""
    known = _saved(cache, key) if cache else None
    if known is None:
        known = [
            Entry(a.name, a.family, a.year, a.paper, a.input_shape, a.aliases) for a in zoo.architectures().values()
        ]
    chosen = {entry.name for entry in choose(known, patterns)}
    missing = [e.name for e in known if e.name in chosen and e.parameters is None]
    counted = {entry.name: _counted(entry, profile) for entry in known if entry.name in missing}
    known = [counted.get(entry.name, entry) for entry in known]
    if cache and missing:
        _save(cache, key, known)
    return [entry for entry in known if entry.name in chosen]


def choose(known: Sequence[Entry], patterns: Sequence[str]) -> list[Entry]:
    """Those of `known` that any pattern names: a name, an alias, a family, or wildcards over names."""
    chosen: set[str] = set()
    for pattern in patterns:
        found = {entry.name for entry in known if _matches(entry, pattern)}
        if not found:
            names = [spelling for entry in known for spelling in (entry.name, entry.family, *entry.aliases)]
            raise UnknownModel(
                f"no network of the zoo matches '{pattern}'.{did_you_mean(pattern, names)}",
                "'archprof list' shows them all.",
            )
        chosen |= found
    return [entry for entry in known if entry.name in chosen or not patterns]


def cache_file() -> Path:
    """Where counts are kept: archprof/zoo.json in the user's cache directory, as the platform has it."""
    return kept.folder() / "zoo.json"


def cache_key(sources: Path = Path(__file__).parents[1]) -> str:
    """What counts depend on: archprof, torch, and every Python file below `sources`, name and content."""
    digest = hashlib.sha256()
    for path in sorted(sources.rglob("*.py")):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(sources).as_posix()}\0{len(content)}\0".encode() + content)
    return f"{__version__} {_torch_version()} {digest.hexdigest()}"


def _torch_version() -> str:
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return "none"


def _matches(entry: Entry, pattern: str) -> bool:
    if any(letter in pattern for letter in "*?["):
        return fnmatch.fnmatchcase(entry.name, pattern.lower()) or fnmatch.fnmatchcase(
            zoo.plain(entry.name), zoo.plain(pattern)
        )
    return zoo.plain(pattern) in map(zoo.plain, (entry.name, entry.family, *entry.aliases))


def _counted(entry: Entry, profile: Callable[[str], StaticProfile]) -> Entry:
    try:
        found = profile(entry.name)
    except ArchprofError as error:
        return replace(entry, error=error.message)
    return replace(entry, parameters=found.parameters, macs=found.macs)


#: The fields that are kept; what failed and what is published are not.
_KEPT = ("name", "family", "year", "paper", "input_shape", "aliases", "parameters", "macs")


def _saved(cache: Path, key: str) -> list[Entry] | None:
    """The entries saved under that key; None where there are none, or the file is not what we write."""
    try:
        saved: Any = json.loads(cache.read_text(encoding="utf-8"))
        if saved["key"] != key:
            return None
        return [_entry(row) for row in saved["networks"]]
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _entry(row: dict[str, Any]) -> Entry:
    fields: dict[str, Any] = {name: row[name] for name in _KEPT}
    return Entry(**fields | {name: tuple(row[name]) for name in ("input_shape", "aliases")})


def _save(cache: Path, key: str, known: Sequence[Entry]) -> None:
    text = json.dumps({"key": key, "networks": [{name: getattr(e, name) for name in _KEPT} for e in known]})
    with suppress(OSError, BadOutput):
        cache.parent.mkdir(parents=True, exist_ok=True)
        files.write(str(cache), text)
