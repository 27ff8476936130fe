"""Predicted throughput of networks on a device that is not here. Nothing in these records was measured here, and every
figure's key says that it is predicted. Standard library only."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..base.errors import did_you_mean
from . import presentation
from .profile import Shape
from .saved import SCHEMA_VERSION, as_json

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class Target:
    """The device that is predicted for, and how it is used.

    `precision` is timm's word for it (amp, amp_bf16, bf16, fp32), or archprof's dtype where anchors were measured.
    `batch_size` is that of most networks of the table, or of the anchors. `table` names timm's benchmark; '' where the
    device has none and is known by anchors.
    """

    device: str
    precision: str
    channels_last: bool
    compiled: bool
    torch: str
    cuda: str
    batch_size: int
    table: str = ""

    @property
    def shown(self) -> str:
        """'rtx4090: amp, channels last, compiled, torch 2.4.0, CUDA 12.4, batch 256'."""
        parts = [self.precision, *(["channels last"] if self.channels_last else [])]
        parts += ["compiled" if self.compiled else "eager", *([f"torch {self.torch}"] if self.torch else [])]
        parts += [*([f"CUDA {self.cuda}"] if self.cuda else []), f"batch {self.batch_size:,}"]
        return f"{self.device}: {', '.join(parts)}"


@dataclass(frozen=True)
class Anchor:
    """A network that was measured on the device: samples a second, as measured and as the transfer has it."""

    name: str
    measured_throughput: float
    predicted_throughput: float


@dataclass(frozen=True)
class Predicted:
    """One network. Where nothing is predicted, `outside` says in what it is unlike the table, `error` that it failed.

    `predicted_interval` holds the true throughput of nine networks in ten; None where no such share was checked.
    `predicted_shares`: what part of the time groups of operators take, by the rates alone. `nearest` is the table's
    network that is most like it, `distance` how far that is. `published_throughput` is what timm measured of this very
    network on this device.
    """

    name: str
    source: str = ""
    input_shape: Shape = ()
    predicted_throughput: float | None = None
    predicted_interval: tuple[float, float] | None = None
    predicted_shares: Mapping[str, float] = field(default_factory=dict)
    published_throughput: float | None = None
    nearest: str = ""
    distance: float | None = None
    outside: str = ""
    error: str | None = None

    @property
    def predicted_seconds(self) -> float | None:
        """For one sample, at the target's batch size."""
        return None if self.predicted_throughput is None else 1 / self.predicted_throughput


@dataclass(frozen=True, repr=False)
class Prediction:
    """Several networks on one device, in the order in which they were named. `level` is that of the intervals.

    `anchors` is empty for a device of the table; `anchor_error` is by how much each of them is missed on average where
    the others predict it (the logarithm of the factor, so about a fraction). `notes` are whole sentences about what the
    figures hold for.
    """

    target: Target
    networks: tuple[Predicted, ...]
    level: float
    anchors: tuple[Anchor, ...] = ()
    anchor_error: float | None = None
    notes: tuple[str, ...] = ()
    archprof: str = ""

    def __len__(self) -> int:
        return len(self.networks)

    def __iter__(self) -> Iterator[Predicted]:
        return iter(self.networks)

    def __getitem__(self, key: str | int) -> Predicted:
        """The row of that name, or at that place. Raises KeyError, which names those that there are, or IndexError."""
        if not isinstance(key, str):
            return self.networks[key]
        names = [row.name for row in self.networks]
        if key not in names:
            raise KeyError(f"no network '{key}'.{did_you_mean(key, names)} There are: {', '.join(names[:10])}.")
        return self.networks[names.index(key)]

    def rows(self) -> list[dict[str, Any]]:
        """A flat row for each network, numbers in base units."""
        found = []
        for row in self.networks:
            low, high = row.predicted_interval or (None, None)
            found.append(
                {
                    "name": row.name,
                    "device": self.target.device,
                    "input_shape": list(row.input_shape),
                    "predicted_throughput": row.predicted_throughput,
                    "predicted_low": low,
                    "predicted_high": high,
                    "predicted_seconds": row.predicted_seconds,
                    "published_throughput": row.published_throughput,
                    "nearest": row.nearest,
                    "distance": row.distance,
                    "outside": row.outside,
                    "error": row.error,
                }
            )
        return found

    def to_json(self) -> str:
        """The documented JSON (schema_version 1)."""
        whole = {
            "schema_version": SCHEMA_VERSION,
            "archprof": self.archprof,
            "target": as_json(self.target),
            "level": self.level,
            "anchors": [as_json(anchor) for anchor in self.anchors],
            "anchor_error": self.anchor_error,
            "networks": [
                {**as_json(row), "predicted_shares": dict(row.predicted_shares)}
                | {"predicted_seconds": row.predicted_seconds}
                for row in self.networks
            ],
            "notes": list(self.notes),
        }
        return json.dumps(whole, indent=2)

    def to_frame(self) -> pandas.DataFrame:
        """One row for each network, numbers in base units (the columns of the CSV)."""
        import pandas

        return pandas.DataFrame(self.rows())

    def __repr__(self) -> str:
        return presentation.brief(self)
