"""The same networks on several machines: times stay with their machine, ratios and ranks are compared.

A machine is what shapes a time: its fingerprint (`environment`). Standard library only.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from ..base import json_lines
from ..base.errors import BadFile, BadOption, did_you_mean
from ..base.version import __version__
from .comparison import ArchitectureResult, Comparison
from .latency import Latency
from .saved import SCHEMA_VERSION

#: Counts that do not depend on a machine: where two files disagree on one, they are not of the same network.
COUNTS = ("input_shape", "parameters", "macs", "activations")

#: A rank correlation of fewer networks says nothing.
FEWEST_RANKED = 3


@dataclass(frozen=True)
class Machine:
    """What was measured on one machine, under the name that it is shown by."""

    name: str
    comparison: Comparison

    @property
    def fingerprint(self) -> str:
        """What tells machines apart; a file that does not state one is a machine of its own."""
        return str(self.comparison.environment.get("fingerprint") or self.name)

    @cached_property
    def _rows(self) -> dict[str, ArchitectureResult]:
        return {row.name: row for row in self.comparison.architectures}

    def row(self, network: str) -> ArchitectureResult | None:
        """The network's entry, or None."""
        return self._rows.get(network)

    def time(self, network: str, batch_size: int) -> Latency | None:
        """The measurement, None where there is none."""
        row = self.row(network)
        seen = row.latency_at(batch_size) if row else None
        return seen if seen is not None and seen.measured else None


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's rho of two machines' times (Spearman 1904): 1 where they order the networks alike, -1 the other way.

    `networks` were measured on both; `reversed_pairs` of them are ordered the other way round beyond doubt (times
    that are reliable, 95 % intervals that do not overlap). `rho` is None for fewer than FEWEST_RANKED networks.
    """

    batch_size: int
    machines: tuple[str, str]
    rho: float | None
    networks: int
    reversed_pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Fleet:
    """The same networks on several machines. `counted` are the entries of files without any time: counts alone."""

    machines: tuple[Machine, ...]
    counted: tuple[ArchitectureResult, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def networks(self) -> tuple[str, ...]:
        """Every network that was measured on some machine, in the order of the files."""
        rows = [row for machine in self.machines for row in machine.comparison.architectures]
        return tuple(dict.fromkeys(row.name for row in rows if any(cell.measured for cell in row.latency)))

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """Every batch size at which something was measured, ascending."""
        return tuple(sorted({size for machine in self.machines for size in machine.comparison.batch_sizes}))

    def counts(self, network: str) -> ArchitectureResult:
        """The network's entry with its profile, from whichever machine."""
        rows = [row for machine in self.machines if (row := machine.row(network))]
        rows += [row for row in self.counted if row.name == network]
        return next((row for row in rows if row.profile is not None), rows[0])

    def common(self, batch_size: int, machines: Iterable[Machine] | None = None) -> tuple[str, ...]:
        """Networks that were measured at that batch size on all the machines (default: on all there are)."""
        these = tuple(self.machines if machines is None else machines)
        return tuple(
            name for name in self.networks if all(machine.time(name, batch_size) is not None for machine in these)
        )

    def reference(self, wished: str | None = None) -> str | None:
        """The network that ratios are taken to: the last that was measured everywhere, or `wished`.

        Raises BadOption for one that was not measured.
        """
        if wished is None:
            everywhere = [name for size in self.batch_sizes for name in self.common(size)]
            return everywhere[-1] if everywhere else None
        if wished not in self.networks:
            raise BadOption(
                f"reference '{wished}' was not measured.{did_you_mean(wished, self.networks)}",
                f"Expected one of {', '.join(self.networks[:8])}{', ...' if len(self.networks) > 8 else ''}.",
            )
        return wished

    def ranks(self, batch_size: int) -> dict[str, dict[str, int]]:
        """By network, then machine: the place among the networks that were measured everywhere; 1 is the fastest."""
        names = self.common(batch_size)
        found: dict[str, dict[str, int]] = {name: {} for name in names}
        for machine in self.machines:
            for place, name in enumerate(sorted(names, key=lambda name: _p50(machine, name, batch_size)), 1):
                found[name][machine.name] = place
        return found

    def correlations(self, batch_size: int) -> tuple[RankCorrelation, ...]:
        """For every two machines that measured at that batch size."""
        found = []
        for one, other in itertools.combinations(self.machines, 2):
            names = self.common(batch_size, (one, other))
            times = [[_p50(machine, name, batch_size) for name in names] for machine in (one, other)]
            rho = spearman(*times) if len(names) >= FEWEST_RANKED else None
            turned = _reversed_pairs(one, other, names, batch_size)
            found.append(RankCorrelation(batch_size, (one.name, other.name), rho, len(names), turned))
        return tuple(found)

    def to_json(self) -> str:
        """The documented JSON: each machine's comparison under its name, and the rank correlations."""
        return json_lines.dumps(
            {
                "schema_version": SCHEMA_VERSION,
                "archprof": __version__,
                "machines": [
                    {"name": machine.name, **json_lines.loads(machine.comparison.to_json())}
                    for machine in self.machines
                ],
                "rank_correlation": [
                    {
                        "batch_size": each.batch_size,
                        "machines": list(each.machines),
                        "rho": each.rho,
                        "networks": each.networks,
                        "reversed_pairs": [list(pair) for pair in each.reversed_pairs],
                    }
                    for size in self.batch_sizes
                    for each in self.correlations(size)
                ],
                "warnings": list(self.warnings),
            },
            levels=5,
        )


def read(text: str) -> list[tuple[str | None, Comparison]]:
    """The comparisons that a file holds, those of merged machines with their names. Raises BadFile."""
    try:
        saved = json_lines.loads(text)
    except ValueError as reason:
        raise BadFile(f"not JSON: {reason}.", "Expected a file written by 'archprof sweep' or 'compare'.") from None
    if not isinstance(saved, dict) or "machines" not in saved:
        return [(None, Comparison.checked(saved))]
    from . import reading

    reading.check_version(saved, SCHEMA_VERSION, "Read it with the archprof that wrote it.")
    entries = reading.checked(list[dict[str, Any]], saved["machines"], "machines")
    return [(reading.checked(str, entry.get("name"), "name"), Comparison.checked(entry)) for entry in entries]


def merge(files: Sequence[tuple[str | None, Comparison]]) -> Fleet:
    """Comparisons as one fleet: those of one fingerprint are one machine, a later measurement replaces an earlier one.

    Each comes with a name, None: what tells it from the others. Raises BadFile where two files count a network
    differently, BadOption where nothing was measured or two machines are given one name.
    """
    timed: dict[str, list[tuple[str | None, Comparison]]] = {}
    counted: list[ArchitectureResult] = []
    for place, (name, found) in enumerate(files):
        if any(cell.measured for row in found.architectures for cell in row.latency):
            key = str(found.environment.get("fingerprint") or f"file {place + 1}")
            timed.setdefault(key, []).append((name, found))
        else:
            counted += found.architectures
    _refuse_other_counts([row for _, found in files for row in found.architectures])
    if not timed:
        raise BadOption("none of the files holds a time;", "measure with 'archprof sweep' or 'archprof compare'.")
    warnings: list[str] = []
    found_on = {key: _joined(key, [found for _, found in files], warnings) for key, files in timed.items()}
    given = {key: next((name for name, _ in reversed(files) if name), None) for key, files in timed.items()}
    names = _names(found_on, given)
    machines = tuple(Machine(names[key], found) for key, found in found_on.items())
    return Fleet(machines, tuple(counted), tuple(warnings))


def spearman(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Spearman's rho, ties at their mean rank; None where one side does not vary."""
    try:
        return statistics.correlation(_mean_ranks(one), _mean_ranks(other))
    except statistics.StatisticsError:
        return None


def _mean_ranks(values: Sequence[float]) -> list[float]:
    ordered = sorted(values)
    # the mean of the first and the last place that a value has
    first = {value: place for place, value in reversed(list(enumerate(ordered)))}
    last = {value: place for place, value in enumerate(ordered)}
    return [(first[value] + last[value]) / 2 for value in values]


def _p50(machine: Machine, name: str, batch_size: int) -> float:
    seen = machine.time(name, batch_size)
    assert seen is not None
    return seen.p50_s


def _reliable(machine: Machine, name: str, batch_size: int) -> bool:
    seen = machine.time(name, batch_size)
    return seen is not None and seen.reliable


def _reversed_pairs(one: Machine, other: Machine, names: Sequence[str], batch_size: int) -> tuple[tuple[str, str], ...]:
    """Pairs, the faster on `one` first, that are ordered the other way on `other`, both beyond the intervals."""
    names = [name for name in names if all(_reliable(machine, name, batch_size) for machine in (one, other))]
    ends = {
        name: [machine.time(name, batch_size).ci95_s for machine in (one, other)]  # type: ignore[union-attr]
        for name in names
    }
    found = []
    for first, second in itertools.combinations(names, 2):
        (a, x), (b, y) = ends[first], ends[second]
        if a[1] < b[0] and y[1] < x[0]:
            found.append((first, second))
        elif b[1] < a[0] and x[1] < y[0]:
            found.append((second, first))
    return tuple(found)


def _refuse_other_counts(rows: Iterable[ArchitectureResult]) -> None:
    seen: dict[str, ArchitectureResult] = {}
    for row in rows:
        if row.profile is None:
            continue
        first = seen.setdefault(row.name, row).profile
        for count in COUNTS:
            one, other = getattr(first, count), getattr(row.profile, count)
            if one != other:
                raise BadFile(
                    f"{row.name} has {count} {one} in one file and {other} in another: they are not the same network.",
                    "Merge files that were made with the same inputs and the same versions.",
                )


def _joined(key: str, files: Sequence[Comparison], warnings: list[str]) -> Comparison:
    """Several files of one machine as one comparison."""
    rows: dict[str, ArchitectureResult] = {}
    for found in files:
        for row in found.architectures:
            before = rows.get(row.name)
            if before is None:
                rows[row.name] = row
                continue
            replaced = [
                cell.batch_size
                for cell in row.latency
                if (old := before.latency_at(cell.batch_size)) is not None and old != cell
            ]
            if replaced:
                warnings.append(
                    f"{row.name} was measured twice on {key} at batch {', '.join(map(str, replaced))}: the later file "
                    "counts"
                )
            kept = [cell for cell in before.latency if row.latency_at(cell.batch_size) is None]
            cells = tuple(sorted((*kept, *row.latency), key=lambda cell: cell.batch_size))
            base = before if row.profile is None and before.profile is not None else row
            rows[row.name] = replace(base, latency=cells)
    last = files[-1]
    merged = tuple(dict.fromkeys(text for found in files for text in found.warnings))
    return replace(last, architectures=tuple(rows.values()), reference=None, stopping=None, warnings=merged)


def _names(found: Mapping[str, Comparison], given: Mapping[str, str | None]) -> dict[str, str]:
    """A name for each machine: the one given, or the device's, with threads or fingerprint where others share it."""
    names = {key: name for key, name in given.items() if name}
    if len(set(names.values())) < len(names):
        twice = next(name for name in names.values() if list(names.values()).count(name) > 1)
        raise BadOption(f"two machines have the name '{twice}';", "name each file differently: NAME=FILE.")
    rest = [key for key in found if key not in names]

    def told(key: str) -> tuple[str, str, str]:
        seen = found[key].environment
        device = str(seen.get("device_name") or "unknown machine")
        threads = f"{device}, {seen.get('threads', '?')} threads"
        return device, threads, f"{threads}, {key}"

    for key in rest:
        for form in range(3):
            name = told(key)[form]
            if name not in names.values() and sum(told(other)[form] == name for other in rest) == 1:
                names[key] = name
                break
        else:
            names[key] = key
    return names
