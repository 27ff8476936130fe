"""Which architectures a figure shows, and under which labels."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from ...errors import BadOption, did_you_mean
from ...families import family_of
from ...records import ArchitectureResult, Comparison
from .options import FigureOptions


@dataclass(frozen=True)
class Row:
    """An architecture to show: its record, the label to write, the family that colours it."""

    result: ArchitectureResult
    label: str
    family: str

    @property
    def name(self) -> str:
        return self.result.name


def rows_of(comparison: Comparison, options: FigureOptions) -> list[Row]:
    """The rows that --only keeps, labelled by --label. Raises BadOption for one that matches nothing."""
    names = [result.name for result in comparison.architectures]
    if not names:
        raise BadOption("the comparison holds no architecture;", "name at least one.")
    for pattern in options.only:
        if not any(_matches(name, pattern) for name in names):
            raise BadOption(
                f"--only '{pattern}' matches none of the networks.{did_you_mean(pattern, names)}",
                f"There are: {', '.join(names)}.",
            )
    for name in options.labels:
        if name not in names:
            raise BadOption(
                f"--label names '{name}', which is not among the networks.{did_you_mean(name, names)}",
                f"There are: {', '.join(names)}.",
            )
    return [
        Row(result, options.labels.get(result.name, result.name), family_of(result.name, result.family))
        for result in comparison.architectures
        if not options.only or any(_matches(result.name, pattern) for pattern in options.only)
    ]


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name.lower(), pattern.lower())
