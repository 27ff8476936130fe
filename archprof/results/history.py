"""What budgets' models cost commit by commit: lines of JSON, one a commit. Standard library only.

History of the schema: 1, the first.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..base import json_lines
from ..base.errors import BadFile
from .profile import Shape

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Held:
    """A limit as it was judged: the fields of a verdict without the layers behind it."""

    measure: str
    status: str
    value: float | None = None
    limit: str = ""
    bound: float | None = None
    upper: bool = True
    growth: float | None = None
    interval: tuple[float, float] | None = None
    batch_size: int | None = None
    reference: str | None = None


@dataclass(frozen=True)
class Costs:
    """A budget's model at a commit: its counts by measure, in base units, and its limits; `error`: why it has none."""

    file: str
    budget: str
    model: str
    input_shape: Shape = ()
    batch_size: int = 1
    counts: Mapping[str, int] = field(default_factory=dict)
    limits: tuple[Held, ...] = ()
    error: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Which budget it is."""
        return self.file, self.budget


@dataclass(frozen=True)
class Recorded:
    """One commit. `committed` and `recorded` are times (ISO 8601); `changed_files` differed from the commit."""

    commit: str
    committed: str
    recorded: str
    archprof: str
    budgets: tuple[Costs, ...]
    changed_files: int = 0


def read(path: Path, missing: bool = False) -> tuple[Recorded, ...]:
    """The lines of a file, in their order. Raises BadFile with the line; where `missing` is fine, no file has none."""
    from . import reading  # it is slow to import, and --help names this module's figures

    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        if missing:
            return ()
        raise BadFile(f"'{path}' does not exist;", "archprof check --record FILE writes one.") from None
    except (OSError, ValueError) as reason:
        raise BadFile(f"'{path}' cannot be read: {getattr(reason, 'strerror', None) or reason}.") from None
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        where = f"'{path}', line {number}"
        try:
            saved: Any = json_lines.loads(line)
        except ValueError as reason:
            raise BadFile(f"{where} is not JSON: {reason}.", "Restore it from version control.") from None
        try:
            reading.check_version(saved, SCHEMA_VERSION, "Use the archprof that wrote it.")
            found.append(reading.checked(Recorded, saved))
        except BadFile as reason:
            raise BadFile(f"{where}: {reason.message}", reason.remedy or "Is it what --record wrote?") from None
    return tuple(found)


def joined(history: Iterable[Recorded], new: Recorded) -> tuple[Recorded, ...]:
    """The history with one more line; a line of the same commit is replaced, its other budgets kept."""
    lines = list(history)
    for place, old in enumerate(lines):
        if old.commit == new.commit:
            fresh = {one.key: one for one in new.budgets}
            kept = tuple(fresh.pop(one.key, one) for one in old.budgets)
            lines[place] = replace(new, budgets=(*kept, *fresh.values()))
            return tuple(lines)
    return (*lines, new)


def to_json(history: Iterable[Recorded]) -> str:
    """The text of the file."""
    return "".join(
        json.dumps({"schema_version": SCHEMA_VERSION, **asdict(one)}, allow_nan=False) + "\n" for one in history
    )
