"""What one network costs altogether, as a table of a few rows."""

from __future__ import annotations

from ...base import units
from ...results.profile import StaticProfile
from .table import Cell, Column, Table

_COUNTS = {
    "parameters": "Params",
    "trainable_parameters": "of them trainable",
    "macs": "Mult-Adds",
    "activations": "Activations",
}
_BYTES = {
    "parameter_bytes": "Parameter memory",
    "peak_activation_bytes": "Peak of activations",
    "training_activation_bytes": "Kept for the backward pass",
}


def totals(profile: StaticProfile) -> Table:
    """The sums of a profile, one a row: as exact numbers, and scaled."""
    rows = [
        (Cell(heading), Cell(value, text=f"{value:,}"), Cell(scale(value)))
        for named, scale in ((_COUNTS, units.count), (_BYTES, units.size))
        for key, heading in named.items()
        if (value := getattr(profile, key)) is not None
    ]
    notes = [
        f"{item.op} ({item.calls} {'call' if item.calls == 1 else 'calls'}) has no formula; its mult-adds are left out."
        for item in profile.uncounted
    ]
    notes += [f"{note[:1].upper()}{note[1:]}." for note in profile.notes]
    shape = "x".join(map(str, (profile.batch_size, *profile.input_shape)))
    return Table(
        f"{profile.name}, input {shape}{', training' if profile.mode == 'train' else ''}",
        (Column("measure", "Measure"), Column("value", "Value", "exact"), Column("scaled", "Scaled", "number")),
        tuple(rows),
        tuple(notes),
    )
