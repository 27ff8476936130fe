"""What is known of a network, column by column: what --where may limit and --sort may order. Standard library only.

Facts are a mapping from a column's name to its value in base units; what is unknown is None, or missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ..base import units
from ..base.errors import BadOption, did_you_mean
from .comparison import ArchitectureResult

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """`parse` and `shown` turn text into base units and back; `parse` is None for words.

    `better` is 'less', 'more' or ''. `noun` follows a value in a sentence. `measured`: it has a batch size and can only
    be known by running.
    """

    name: str
    noun: str
    better: str = ""
    parse: Callable[[Any, str], int | Fraction] | None = None
    shown: Callable[[Any], str] = str
    measured: bool = False

    def told(self, value: Any) -> str:
        """'4.23 M parameters', '71.88 % top-1'."""
        return f"{self.shown(value)} {self.noun}".rstrip()


def _count(name: str, noun: str) -> Column:
    return Column(name, noun, "less", units.parse_count, units.count)


def _bytes(name: str, noun: str, measured: bool = False) -> Column:
    return Column(name, noun, "less", units.parse_size, units.size, measured)


def _percent(name: str, noun: str) -> Column:
    return Column(name, noun, "more", units.parse_percentage, lambda value: f"{value:.2f} %")


COLUMNS: Mapping[str, Column] = {
    column.name: column
    for column in (
        _count("parameters", "parameters"),
        _count("trainable_parameters", "trainable parameters"),
        _count("buffers", "elements of buffers"),
        _count("macs", "mult-adds"),
        _count("flops", "FLOPs"),
        _count("activations", "activations"),
        _bytes("parameter_bytes", "of parameters"),
        _bytes("peak_activation_bytes", "of activations at the peak"),
        _bytes("file_size", "to save"),
        _percent("top1", "top-1"),
        _percent("top5", "top-5"),
        Column("latency", "a pass", "less", units.parse_duration, lambda s: f"{units.milliseconds(s)} ms", True),
        _bytes("memory", "of memory in a pass", True),
        Column("resolution", "pixels a side", "", units.parse_plain),
        Column("year", "(year)", "", units.parse_plain),
        Column("name", ""),
        Column("source", ""),
        Column("family", ""),
        Column("weights", ""),
        Column("pretraining", ""),
    )
}

#: What people also write.
_ALSO = {
    "params": "parameters",
    "mult_adds": "macs",
    "multadds": "macs",
    "accuracy": "top1",
    "top_1": "top1",
    "top_5": "top5",
    "saved_bytes": "file_size",
    "model": "name",
}


def column(name: str, what: str) -> Column:
    """The column of that name. Raises BadOption for another; `what` opens the complaint."""
    plain = name.strip().lower().replace("-", "_").replace(" ", "_")
    plain = _ALSO.get(plain, plain)
    if plain not in COLUMNS:
        raise BadOption(
            f"{what}: no column is called '{name.strip()}'.{did_you_mean(plain, COLUMNS)}",
            f"Columns: {', '.join(COLUMNS)}.",
        )
    return COLUMNS[plain]


def facts(row: ArchitectureResult, dataset: str, batch_size: int | None) -> dict[str, Any]:
    """The facts of a row of a comparison: accuracy on `dataset`, what was measured at `batch_size`.

    Memory that was not measured is that which is predicted.
    """
    profile, top1, top5 = row.profile, row.top("top1", dataset), row.top("top5", dataset)
    found: dict[str, Any] = {"name": row.name, "source": row.source, "family": row.family, "year": row.year}
    if profile is not None:
        for key in ("parameters", "trainable_parameters", "buffers", "parameter_bytes"):
            found[key] = getattr(profile, key)
        found |= {
            "macs": profile.macs // profile.batch_size,
            "flops": profile.flops // profile.batch_size,
            "activations": profile.activations // profile.batch_size,
            "peak_activation_bytes": profile.peak_activation_bytes,
            "file_size": profile.saved_bytes,
            "resolution": profile.input_shape[-1] if profile.input_shape else None,
        }
    found |= {"top1": top1 and top1.percent, "top5": top5 and top5.percent}
    found |= {"weights": top1.weights if top1 else "", "pretraining": top1.pretraining if top1 else ""}
    cell = row.latency_at(batch_size) if batch_size is not None else None
    if cell is not None and cell.measured:
        found |= {"latency": cell.p50_s, "memory": cell.measured_peak_bytes}
    predicted = row.memory_at(batch_size or 1)
    if found.get("memory") is None and predicted is not None:
        found["memory"] = row.inference_bytes(predicted)
    return found
