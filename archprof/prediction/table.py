"""What is shipped: the networks of timm's tables as counts and throughput, and the rates that were fitted to them.

The throughput is timm's (huggingface/pytorch-image-models, folder `results`, Apache-2.0, commit aa4b5850), under
today's names; the counts are archprof's own. `tools/prediction_table.py` makes both files.
"""

from __future__ import annotations

import csv
import functools
import gzip
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .benchmarks import Benchmark, parsed
from .calibration import Calibration, place_of
from .quantities import QUANTITIES

#: An array of floats.
Array = np.ndarray[Any, np.dtype[np.float64]]

SOURCE = "timm's benchmarks (huggingface/pytorch-image-models, results/, commit aa4b5850, Apache-2.0)"

_FOLDER = Path(__file__).with_name("data")

#: Counts in the file have so many digits: networks whose counts agree within this are the same.
DIGITS = 6
_KEYS = ("model", "img_size", "family", "own_size", "activations")
_SAME = 10.0 ** -(DIGITS - 1)


@dataclass(frozen=True)
class Networks:
    """The rows of the table: counts (networks, quantities), samples a second (benchmarks, networks; NaN: not run).

    `usual` says whether an image size is the network's own; `activations` are the outputs of what multiplies, which no
    rate is for: simpler predictors are compared with.
    """

    names: tuple[str, ...]
    sizes: tuple[int, ...]
    families: tuple[str, ...]
    usual: tuple[bool, ...]
    activations: Array
    counted: Array
    throughput: Array

    @functools.cached_property
    def places(self) -> Array:
        """Where each stands, (networks, coordinates)."""
        return np.array([place_of(dict(zip(QUANTITIES, row, strict=True))) for row in self.counted])

    def shown(self, row: int) -> str:
        """'resnet50@224'."""
        return f"{self.names[row]}@{self.sizes[row]}"

    def row(self, name: str) -> int:
        """The row of a network at its own size; StopIteration: there is none."""
        return next(row for row, known in enumerate(self.names) if known == name and self.usual[row])

    def same(self, found: Mapping[str, float], name: str = "") -> int | None:
        """The row of a network with these very counts, whatever it is called; one of that name first."""
        asked = np.array([found[quantity] for quantity in QUANTITIES])
        near = np.isclose(self.counted, asked, rtol=_SAME, atol=1e-9).all(axis=1)
        rows = [int(row) for row in np.flatnonzero(near)]
        return min(rows, key=lambda row: (self.names[row] != name, row), default=None)

    def nearest(self, place: Sequence[float]) -> tuple[int, float]:
        """The row that is nearest to a place, and its distance."""
        apart = np.sqrt(((self.places - np.array(place)) ** 2).sum(axis=1))
        row = int(apart.argmin())
        return row, float(apart[row])


@dataclass(frozen=True)
class Rates:
    """What was fitted to one benchmark, or to all of a kind: seconds for each quantity, and how far off that is.

    `batch_size` is the one that most of its networks were run at; `networks` is how many there are, `median_error` that
    of those whose family was left out (a fraction).
    """

    benchmark: Benchmark
    rates: Array
    calibration: Calibration
    batch_size: int
    networks: int
    median_error: float


@dataclass(frozen=True)
class Fitted:
    """All rates, the anchors (specs, best first), how far predictions from so many anchors are off, for networks that
    are in the table ('known') and others ('unseen'), the distances between which that was checked, and the largest
    error (log) with which anchors of a table predicted one another."""

    rates: tuple[Rates, ...]
    anchors: tuple[str, ...]
    anchored: Mapping[str, Mapping[int, Mapping[str, Calibration]]]
    closest: float
    farthest: float
    doubt: float

    @property
    def benchmarks(self) -> tuple[Benchmark, ...]:
        """The tables that there are."""
        return tuple(one.benchmark for one in self.rates)


@functools.cache
def fitted() -> Fitted:
    """The rates that ship."""
    saved = json.loads((_FOLDER / "rates.json").read_text(encoding="utf-8"))
    return Fitted(
        tuple(
            Rates(
                parsed(name),
                np.array([one["rates"].get(quantity, 0.0) for quantity in QUANTITIES]),
                Calibration(*one["calibration"]),
                one["batch_size"],
                one["networks"],
                one["median_error"],
            )
            for name, one in saved["benchmarks"].items()
        ),
        tuple(saved["anchors"]),
        {
            kind: {int(count): {key: Calibration(*one) for key, one in both.items()} for count, both in counts.items()}
            for kind, counts in saved["anchored"].items()
        },
        saved["closest"],
        saved["farthest"],
        saved["doubt"],
    )


@functools.cache
def networks() -> Networks:
    """The networks that ship."""
    names = [one.benchmark.name for one in fitted().rates]
    return read_networks(gzip.decompress((_FOLDER / "networks.csv.gz").read_bytes()).decode(), names)


def read_networks(text: str, benchmarks: Sequence[str]) -> Networks:
    """The networks in a CSV that `networks_text` made."""
    head, *rows = csv.reader(io.StringIO(text))
    assert head == [*_KEYS, *QUANTITIES, *benchmarks]
    middle = len(_KEYS) + len(QUANTITIES)
    return Networks(
        tuple(row[0] for row in rows),
        tuple(int(row[1]) for row in rows),
        tuple(row[2] for row in rows),
        tuple(row[3] == "yes" for row in rows),
        np.array([float(row[4]) for row in rows]),
        np.array([[float(cell or 0) for cell in row[len(_KEYS) : middle]] for row in rows]),
        np.array([[float(cell or "nan") for cell in row[middle:]] for row in rows]).T,
    )


def networks_text(found: Networks, benchmarks: Sequence[str]) -> str:
    """The networks as CSV."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*_KEYS, *QUANTITIES, *benchmarks])
    for place, name in enumerate(found.names):
        counted = [f"{value:.{DIGITS}g}" if value else "" for value in found.counted[place]]
        seen = ["" if np.isnan(value) else f"{value:g}" for value in found.throughput[:, place]]
        usual = "yes" if found.usual[place] else ""
        keys = [name, found.sizes[place], found.families[place], usual, f"{found.activations[place]:.0f}"]
        writer.writerow([*keys, *counted, *seen])
    return out.getvalue()
