"""Records as flat rows, for CSV and data frames, numbers in base units: of a comparison one for each architecture, of
a trial one for each epoch."""

from __future__ import annotations

from typing import Any

from ..results.comparison import Accuracy, Comparison
from ..results.latency import Latency
from ..results.machines import Fleet
from ..results.trials import Trial


def flat_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """One flat dict per architecture, numbers in base units: what CSV and data frames hold.

    Latency columns carry their batch size: 'p50_s@8'.
    """
    ratios = {(ratio.batch_size, ratio.architecture): ratio.ratio for ratio in comparison.ratios}
    rows = []
    for row in comparison.architectures:
        profile = row.profile
        flat: dict[str, Any] = {"name": row.name, "source": row.source, "family": row.family, "year": row.year}
        for key in (
            "batch_size",
            "parameters",
            "trainable_parameters",
            "buffers",
            "macs",
            "flops",
            "activations",
            "parameter_bytes",
            "buffer_bytes",
            "peak_activation_bytes",
            "training_activation_bytes",
        ):
            flat[key] = getattr(profile, key, None)
        flat["input_shape"] = "x".join(map(str, profile.input_shape)) if profile else None
        flat["uncounted"] = sum(item.calls for item in profile.uncounted) if profile else None
        for metric in ("top1", "top5"):
            claim: Accuracy | None = row.top(metric, comparison.dataset)
            flat[metric] = claim.percent if claim else None
            flat[f"{metric}_source"] = claim.source if claim else None
        for batch_size in comparison.batch_sizes:
            cell = row.latency_at(batch_size)
            flat |= {f"{key}@{batch_size}": value for key, value in _flat_latency(cell).items()}
            if comparison.metered:
                flat |= {f"{key}@{batch_size}": cell and getattr(cell, key) for key in ("power_w", "joules_per_sample")}
            flat[f"ratio@{batch_size}"] = ratios.get((batch_size, row.name))
        flat["error"] = row.error
        rows.append(flat)
    return rows


def machine_rows(fleet: Fleet) -> list[dict[str, Any]]:
    """One flat dict for each network, machine and batch size at which something was measured or tried."""
    rows = []
    for name in fleet.networks:
        profile = fleet.counts(name).profile
        for machine in fleet.machines:
            for cell in row.latency if (row := machine.row(name)) else ():
                flat: dict[str, Any] = {"name": name, "machine": machine.name, "fingerprint": machine.fingerprint}
                flat |= {key: getattr(profile, key, None) for key in ("parameters", "macs", "activations")}
                rows.append(flat | {"batch_size": cell.batch_size} | _flat_latency(cell))
    return rows


def _flat_latency(cell: Latency | None) -> dict[str, Any]:
    """One measurement's columns; `why` says also why there is none."""
    keys = ("p50_s", "ci95_low_s", "ci95_high_s", "p90_s", "p99_s", "throughput", "optimizer_state_bytes", "reliable")
    flat: dict[str, Any] = dict.fromkeys(keys) | {"why": cell and (cell.error or cell.why)}
    if cell is None or not cell.measured:
        return flat
    low, high = cell.ci95_s
    return (
        flat
        | {"ci95_low_s": low, "ci95_high_s": high}
        | {key: getattr(cell, key) for key in keys if not key.startswith("ci95")}
    )


def epoch_rows(trial: Trial) -> list[dict[str, Any]]:
    """A row for each epoch of each run, the grid's values as they were written."""
    return [
        {
            "network": entry.network,
            **entry.settings,
            "seed": run.seed,
            "epoch": place,
            **seen._asdict(),
            "train_accuracy": seen.train_correct / trial.data.train_images,
            "test_accuracy": seen.test_correct / trial.data.test_images,
        }
        for entry in trial.entries
        for run in entry.runs
        for place, seen in enumerate(run.epochs, 1)
    ]
