"""Which architectures a figure shows, and under which labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ...base.errors import BadOption, BadSpec, did_you_mean
from ...models.spec import ModelSpec, parse
from ...results.comparison import ArchitectureResult, Comparison
from ...results.families import family_of
from .options import FigureOptions


@dataclass(frozen=True)
class Row:
    """An architecture to show: its record, the label to write, the family that colours it.

    `named` rows are those that --label and --highlight name: their labels are always written. `marked` are those that
    --highlight names.
    """

    result: ArchitectureResult
    label: str
    family: str
    named: bool = False
    marked: bool = False

    @property
    def name(self) -> str:
        return self.result.name


def rows_of(comparison: Comparison, options: FigureOptions) -> list[Row]:
    """The rows that --only keeps, labelled by --label. Raises BadOption for one that matches nothing."""
    names = [result.name for result in comparison.architectures]
    if not names:
        raise BadOption("the comparison holds no architecture;", "name at least one.")
    kept = highlighted(options.only, names, "--only") if options.only else {*names}
    marked = highlighted(options.highlight, [name for name in names if name in kept])
    for name in options.labels:
        if name not in names:
            raise BadOption(
                f"--label names '{name}', which is not among the networks.{did_you_mean(name, names)}",
                f"There are: {_some(names)}.",
            )
    short = short_labels([name for name in names if name in kept])
    return [
        Row(
            result,
            options.labels.get(result.name) or short[result.name],
            family_of(result.name, result.family),
            named=result.name in marked or result.name in options.labels,
            marked=result.name in marked,
        )
        for result in comparison.architectures
        if result.name in kept
    ]


def highlighted(patterns: Sequence[str], names: Sequence[str], option: str = "--highlight") -> set[str]:
    """The names that any of the shell patterns matches. Raises BadOption for a pattern that matches none."""
    found: set[str] = set()
    for pattern in patterns:
        matching = {name for name in names if _matches(name, pattern)}
        if not matching:
            raise BadOption(
                f"{option} '{pattern}' matches none of the networks.{did_you_mean(pattern, names)}",
                f"There are: {_some(names)}.",
            )
        found |= matching
    return found


def _some(names: Sequence[str], most: int = 30) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def short_labels(names: Sequence[str]) -> dict[str, str]:
    """Names with fewer words: options that all namesakes share are left out, and the key of an option that is a word.

    'mobilenetv1(inplace=false, activation=gelu)' beside its likes becomes 'mobilenetv1(gelu)', and where all come from
    'timm:' that is said once (`shared_source`). A name that would no longer be one of a kind stays whole.
    """
    source = shared_source(names)
    specs = {name: parsed for name in names if (parsed := _parsed(name)) is not None}
    out = {}
    for name in names:
        out[name] = name
        if name not in specs or not specs[name].options:
            continue
        spec = specs[name]
        likes = [other for other in specs.values() if (other.source, other.target) == (spec.source, spec.target)]
        alike = len(likes) > 1
        told = [
            value if isinstance(value, str) else f"{key}={value}"
            for key, value in spec.options
            if not alike or any(other.keywords.get(key, other) != value for other in likes)
        ]
        bare = spec.text.partition("(")[0].strip()
        at = f"@{spec.resolution}" if spec.resolution else ""
        out[name] = f"{bare}({', '.join(told)}){at}" if told else f"{bare}{at}"
    out = {name: label.removeprefix(source) for name, label in out.items()}
    labels = list(out.values())
    return {name: label if labels.count(label) == 1 else name for name, label in out.items()}


def shared_source(names: Sequence[str]) -> str:
    """'timm:' where several names all begin with it, else ''."""
    source, colon, _ = names[0].partition(":")
    prefix = f"{source}:"
    shared = all(name.startswith(prefix) and len(name) > len(prefix) for name in names)
    return prefix if colon and shared and len(names) > 1 else ""


def _parsed(name: str) -> ModelSpec | None:
    try:
        return parse(name)
    except BadSpec:  # a module handed over goes by its class
        return None


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name.lower(), pattern.lower())
