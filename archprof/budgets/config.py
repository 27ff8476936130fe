"""The file of budgets: archprof.toml, or [tool.archprof] of pyproject.toml. Standard library only."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from ..base.errors import ArchprofError, BadFile, BadOption, did_you_mean
from ..models import spec
from ..results.profile import Shape
from . import lock
from .limits import MEASURES, LatencyLimit, Limit, known_keys, parse_latency, parse_limit, parse_percent, positive

FILE_NAME = "archprof.toml"
_KEYS = ("model", "name", "input_shape", "batch_size", *MEASURES, "latency", "growth", "allow_uncounted")
_HEADER = re.compile(r"\s*\[\[\s*(?:tool\s*\.\s*archprof\s*\.\s*)?budget\s*\]\]")


@dataclass(frozen=True)
class Budget:
    """What one model is held to.

    `model` is a spec or a module; `growth` holds for every counted measure that states none of its own
    (`training_bytes` is counted only where it is limited); `line` is where the file states the budget (0:
    nowhere).
    """

    name: str
    model: Any
    limits: Mapping[str, Limit] = field(default_factory=dict)
    latency: tuple[LatencyLimit, ...] = ()
    growth: Fraction | None = None
    input_shape: Shape | None = None
    batch_size: int = 1
    allow_uncounted: tuple[str, ...] = ()
    line: int = 0

    @property
    def counts_training(self) -> bool:
        """Whether a training pass has to be counted: it costs as much time again as everything else."""
        return "training_bytes" in self.limits

    @property
    def shown_model(self) -> str:
        """The spec, or the class of a module."""
        return self.model if isinstance(self.model, str) else type(self.model).__name__


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
    def names(self) -> tuple[str, ...]:
        """The budgets' names, in the file's order."""
        return tuple(budget.name for budget in self.budgets)

    def select(self, names: Sequence[str]) -> tuple[Budget, ...]:
        """The budgets of those names, in the file's order; all where none is named."""
        for name in names:
            if name not in self.names:
                raise BadOption(
                    f"{self.path.name} has no budget '{name}'.{did_you_mean(name, self.names)}",
                    f"It has: {', '.join(self.names)}.",
                )
        return tuple(budget for budget in self.budgets if not names or budget.name in names)


def find(folder: Path) -> Path:
    """`archprof.toml` of that folder, else its `pyproject.toml` where that has [tool.archprof]."""
    own, project = folder / FILE_NAME, folder / "pyproject.toml"
    if own.exists():
        return own
    if project.exists() and "archprof" in _toml(project).get("tool", {}):
        return project
    raise BadFile(
        f"no {FILE_NAME} here, and no [tool.archprof] in pyproject.toml;",
        "name a file with --config, or begin one: see docs/budgets.md.",
    )


def read(path: Path) -> Config:
    """The budgets that the file states. Raises BadFile or BadOption with the file's name in front."""
    table = _toml(path)
    if path.name == "pyproject.toml":
        table = table.get("tool", {}).get("archprof", {})
    try:
        return Config(path, _budgets(table, path))
    except ArchprofError as error:
        raise type(error)(f"{path.name}: {error.message}", error.remedy) from None


def from_keywords(model: Any, **keys: Any) -> Budget:
    """The budget of a module or a spec, with the keys that a file would have."""
    named = model if isinstance(model, str) else type(model).__name__
    return _budget({"model": named, **keys}, model, "budget")


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadFile(f"{path} does not exist;", "name another file with --config.") from None
    except (OSError, UnicodeDecodeError) as reason:
        raise BadFile(f"{path} cannot be read: {getattr(reason, 'strerror', None) or reason}.") from None
    except tomllib.TOMLDecodeError as reason:
        raise BadFile(f"{path.name} is not TOML: {reason}.") from None


def _budgets(table: Mapping[str, Any], path: Path) -> tuple[Budget, ...]:
    known_keys(table, ("budget",), "the file")
    entries = table.get("budget", [])
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise BadFile("'budget' is no list of tables;", "wanted: [[budget]], with two brackets on each side.")
    if not entries:
        raise BadFile("no budget in it;", 'wanted: [[budget]] with model = "resnet18" and parameters = "< 12 M".')
    lines = [
        number for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1) if _HEADER.match(line)
    ]
    budgets: list[Budget] = []
    for place, entry in enumerate(entries):
        what = f"budget {place + 1}"
        model = _text(entry.get("model"), what, "model")
        budget = _budget(
            entry,
            _beside(model, path.parent),
            f"budget '{entry.get('name', model)}'",
            line=lines[place] if len(lines) == len(entries) else 0,
        )
        twin = next((n for n, other in enumerate(budgets, 1) if other.name == budget.name), None)
        if twin:
            raise BadOption(
                f"budgets {twin} and {place + 1} are both named '{budget.name}';",
                'give one of them a name of its own: name = "...".',
            )
        budgets.append(budget)
    return tuple(budgets)


def _budget(entry: Mapping[str, Any], model: Any, what: str, line: int = 0) -> Budget:
    known_keys(entry, _KEYS, what)
    batch_size = positive(entry.get("batch_size", 1), f"{what}: batch_size")
    budget = Budget(
        name=_text(entry.get("name", entry["model"]), what, "name"),
        model=model,
        limits={
            key: parse_limit(entry[key], f"{what}: {key}", measure) for key, measure in MEASURES.items() if key in entry
        },
        latency=parse_latency(entry["latency"], f"{what}: latency", batch_size) if "latency" in entry else (),
        growth=parse_percent(entry["growth"], f"{what}: growth") if "growth" in entry else None,
        input_shape=_shape(entry["input_shape"], f"{what}: input_shape") if "input_shape" in entry else None,
        batch_size=batch_size,
        allow_uncounted=_names(entry.get("allow_uncounted", []), f"{what}: allow_uncounted"),
        line=line,
    )
    if not budget.limits and not budget.latency and budget.growth is None:
        raise BadOption(f"{what} limits nothing;", f"wanted: any of {', '.join((*MEASURES, 'latency', 'growth'))}.")
    return budget


def _beside(model: str, folder: Path) -> str:
    """A file's path is relative to the file that names it, so that the check works from any folder."""
    source = spec.parse(model).source
    if source not in ("file", "exported") or Path(model).is_absolute() or folder.resolve() == Path.cwd():
        return model
    return str(folder / model)


def _text(value: Any, what: str, key: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise BadOption(
            f"{what} has no {key};" if value is None else f"{what}: {key} {value!r} is no text;",
            f'wanted: {key} = "resnet18".',
        )
    return value


def _shape(value: Any, what: str) -> Shape:
    listed = isinstance(value, list | tuple) and bool(value)
    if not listed or not all(type(size) is int and size > 0 for size in value):
        raise BadOption(f"{what} {value!r} is no shape;", "wanted: a list without the batch, such as [3, 224, 224].")
    return tuple(value)


def _names(value: Any, what: str) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        raise BadOption(f"{what} {value!r} is no list of operators;", 'wanted: ["mylib::fused_act"].')
    return tuple(value)
