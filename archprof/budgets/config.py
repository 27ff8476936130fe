"""The files of budgets: archprof.toml, or [tool.archprof] of pyproject.toml. Standard library only."""

from __future__ import annotations

import fnmatch
import os
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..base.errors import ArchprofError, BadFile, BadOption, did_you_mean
from ..models import spec
from ..results.bounds import shown
from . import lock
from .budget import Budget, expanded, from_entry
from .limits import is_pattern, known_keys

FILE_NAME = lock.CONFIG_NAME

#: Budgets that a complaint lists.
LISTED = 10

_HEADER = re.compile(r"\s*\[\[\s*(?:tool\s*\.\s*archprof\s*\.\s*)?budget\s*\]\]")


@dataclass(frozen=True)
class Config:
    """The budgets of a file."""

    path: Path
    budgets: tuple[Budget, ...]

    @property
    def lock_path(self) -> Path:
        """The baselines lie beside the file."""
        return self.path.parent / lock.FILE_NAME

    @property
    def shown(self) -> str:
        """The path, from the working directory where it lies in there."""
        return lock.shown_path(self.path)


def find(folder: Path) -> Path:
    """`archprof.toml` of that folder, else its `pyproject.toml` where that has [tool.archprof]."""
    own, project = folder / FILE_NAME, folder / "pyproject.toml"
    if own.exists():
        return own
    if project.exists() and _own_table(project, _toml(_text_of(project), project)) is not None:
        return project
    raise BadFile(
        f"no {FILE_NAME} here, and no [tool.archprof] in pyproject.toml;",
        "name a file with --config, or begin one: see docs/budgets.md.",
    )


def read(path: Path) -> Config:
    """The budgets that the file states, one for each network. Raises BadFile or BadOption, the file's name in front."""
    return parse(_text_of(path), path)


def parse(text: str, path: Path) -> Config:
    """The budgets that this text states, as if it stood in the file: another commit's may be elsewhere."""
    table = _own_table(path, _toml(text, path)) or {}
    try:
        return Config(path, _budgets(table, path, text))
    except ArchprofError as error:
        raise type(error)(f"{lock.shown_path(path)}: {error.message}", error.remedy) from None


def read_all(paths: Iterable[Path]) -> tuple[Config, ...]:
    """The files in order, one that is named twice once. Raises BadOption where two of them share a name and a lock."""
    configs = tuple(read(path) for path in {os.path.realpath(path): path for path in paths}.values())
    seen: dict[tuple[str, str], Config] = {}
    for config in configs:
        for budget in config.budgets:
            other = seen.setdefault((os.path.realpath(config.lock_path), budget.name), config)
            if other is not config:
                raise _shared(other.shown, config.shown, budget.name)
    return configs


def select(configs: Sequence[Config], names: Sequence[str]) -> tuple[Config, ...]:
    """The same files with the budgets of those names alone; all where none is named.

    A name is that of a budget, or the stated one, which the networks of a pattern share.
    """
    known = {name: None for config in configs for one in config.budgets for name in (one.name, one.stated)}
    for name in names:
        if name not in known:
            files = ", ".join(config.shown for config in configs)
            listed = list(known)
            more = f" and {len(listed) - LISTED} more" if len(listed) > LISTED else ""
            raise BadOption(
                f"{files}: no budget '{name}'.{did_you_mean(name, listed)}",
                f"Known: {', '.join(listed[:LISTED])}{more}.",
            )
    wanted = set(names)
    return tuple(
        replace(
            config,
            budgets=tuple(one for one in config.budgets if not wanted or wanted & {one.name, one.stated}),
        )
        for config in configs
    )


def names_in(configs: Sequence[Config], lock_path: Path, baselines: Mapping[str, lock.Baseline]) -> set[str]:
    """The budgets of all files whose baselines lie in that lock; those of files that were not read stay as they are.

    A pattern whose networks cannot be listed stands for those of the `baselines` that it matches.
    """
    read_now = {config.path.name for config in configs if config.lock_path == lock_path}
    elsewhere = {
        name
        for name, entry in baselines.items()
        if entry.config not in read_now and (lock_path.parent / Path(entry.config).name).is_file()
    }
    budgets = [one for config in configs if config.lock_path == lock_path for one in config.budgets]
    patterns = [one.model for one in budgets if is_pattern(one.model)]
    matched = {
        name for name, entry in baselines.items() if any(fnmatch.fnmatchcase(entry.model, each) for each in patterns)
    }
    return elsewhere | matched | {one.name for one in budgets}


def refuse_taken(configs: Sequence[Config], lock_path: Path, baselines: Mapping[str, lock.Baseline]) -> None:
    """Raise BadOption for a budget whose name in that lock is one of another file's budgets, which was not read."""
    mine = {config.path.name: config for config in configs if config.lock_path == lock_path}
    for config in mine.values():
        for budget in config.budgets:
            entry = baselines.get(budget.name)
            other = lock_path.parent / Path(entry.config).name if entry and entry.config not in mine else None
            if other and other.is_file() and budget.name in {one.name for one in read(other).budgets}:
                raise _shared(lock.shown_path(other), config.shown, budget.name)


def _shared(one: str, other: str, name: str) -> BadOption:
    return BadOption(
        f"{one} and {other} both have a budget '{name}', and share {lock.FILE_NAME};",
        'give one of them a name of its own: name = "...".',
    )


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")  # some editors begin a file with a byte order mark
    except FileNotFoundError:
        raise BadFile(f"{lock.shown_path(path)} does not exist;", "name another file with --config.") from None
    except UnicodeDecodeError as reason:
        raise BadFile(
            f"{lock.shown_path(path)} is not UTF-8: {reason.reason} at byte {reason.start};", "save it as UTF-8."
        ) from None
    except (OSError, ValueError) as reason:  # ValueError: a null character in the name
        raise BadFile(
            f"{lock.shown_path(path)} cannot be read: {getattr(reason, 'strerror', None) or reason}."
        ) from None


def _toml(text: str, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise BadFile(f"{lock.shown_path(path)} is nested too deeply;", "expected [[budget]] tables.") from None
    except ValueError as reason:  # not TOML, or a number of more digits than Python reads
        raise BadFile(f"{lock.shown_path(path)} is not valid TOML: {' '.join(str(reason).split())}.") from None


def _own_table(path: Path, table: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What of the file is ours; None where a pyproject.toml has nothing."""
    if path.name != "pyproject.toml":
        return table
    tool = table.get("tool", {})
    own = tool.get("archprof") if isinstance(tool, Mapping) else None
    if own is not None and not isinstance(own, Mapping):
        raise BadFile(
            f"{lock.shown_path(path)}: tool.archprof {shown(own)} is not a table;", "expected [tool.archprof]."
        )
    return own


def _budgets(table: Mapping[str, Any], path: Path, text: str) -> tuple[Budget, ...]:
    known_keys(table, ("budget",), "the file")
    entries = table.get("budget", [])
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise BadFile("'budget' is not a list of tables;", "expected [[budget]], with two brackets on each side.")
    if not entries:
        raise BadFile(
            "it states no budget;",
            'expected [[budget]] with model = "resnet18" and parameters = "< 12 M", for example.',
        )
    lines = [number for number, line in enumerate(text.splitlines(), 1) if _HEADER.match(line)]
    file = lock.shown_path(path)
    places: dict[str, int] = {}
    budgets: list[Budget] = []
    for place, entry in enumerate(entries, 1):
        stated = from_entry(entry, f"budget {place}")
        line = lines[place - 1] if len(lines) == len(entries) else 0
        for budget in expanded(replace(stated, model=_beside(stated, path.parent), file=file, line=line)):
            twin = places.setdefault(budget.name, place)
            if twin != place:
                raise BadOption(
                    f"budgets {twin} and {place} are both named '{budget.name}';",
                    'give one of them a name of its own: name = "...".',
                )
            budgets.append(budget)
    return tuple(budgets)


def _beside(budget: Budget, folder: Path) -> str:
    """A file's path is relative to the file that names it, so that the check works from any folder."""
    model = str(budget.model)
    try:
        source = spec.parse(model).source
    except ArchprofError as error:
        raise type(error)(f"budget '{budget.name}': {error.message}", error.remedy) from None
    if source not in ("file", "exported") or Path(model).is_absolute() or folder.resolve() == Path.cwd():
        return model
    return str(folder / model)
