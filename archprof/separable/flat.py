"""A layer or a network beside its separable form as flat rows, for CSV: numbers in base units."""

from __future__ import annotations

from typing import Any

from ..results.latency import Latency
from .records import LayerComparison, NetworkComparison, Timing

_COSTS = ("parameters", "macs", "activations")


def flat_rows(record: LayerComparison | NetworkComparison) -> list[dict[str, Any]]:
    """Of a layer one row a part (standard, depthwise, pointwise, separable); of a network one row a rewritten layer,
    after one for the whole network, whose `module` is empty and whose `calls` are 1."""
    return _parts(record) if isinstance(record, LayerComparison) else _layers(record)


def _parts(record: LayerComparison) -> list[dict[str, Any]]:
    rows = []
    for part in ("standard", "depthwise", "pointwise", "separable"):
        cost = getattr(record, part)
        keys = (*_COSTS, "bytes_moved", "arithmetic_intensity")
        counted = {key: getattr(cost, key) for key in keys}
        rows.append({"part": part, **counted, **_time(getattr(record.timing, part, None))})
    return rows


def _layers(record: NetworkComparison) -> list[dict[str, Any]]:
    old, new = record.standard, record.separable
    shape: dict[str, Any] = dict.fromkeys(("in_channels", "out_channels", "kernel", "output_size"))
    whole = {"module": "", "calls": 1, **shape, **_sides(old, new), "formula_macs": record.promised_macs}
    rows = [{**whole, **_times(record.timing)}]
    for layer in record.layers:
        conv = layer.convolution
        shape = {key: getattr(conv, key) for key in shape}
        rows.append(
            {
                "module": layer.module,
                "calls": layer.calls,
                **{key: list(value) if isinstance(value, tuple) else value for key, value in shape.items()},
                **_sides(layer.standard, layer.separable),
                "formula_macs": conv.separable.macs,
                **_times(layer.timing),
            }
        )
    return rows


def _sides(standard: Any, separable: Any) -> dict[str, int]:
    sides = {"standard": standard, "separable": separable}
    return {f"{side}_{key}": getattr(cost, key) for key in _COSTS for side, cost in sides.items()}


def _times(timing: Timing | None) -> dict[str, Any]:
    """Median seconds of both forms, and the ratio with its 95 % interval."""
    low, high = (timing.ratio_ci95 if timing else None) or (None, None)
    return {
        "standard_p50_s": _time(timing.standard if timing else None)["p50_s"],
        "separable_p50_s": _time(timing.separable if timing else None)["p50_s"],
        "time_ratio": timing.ratio if timing else None,
        "time_ratio_ci95_low": low,
        "time_ratio_ci95_high": high,
        "reliable": timing.standard.reliable and timing.separable.reliable if timing else None,
    }


def _time(latency: Latency | None) -> dict[str, Any]:
    """The median in seconds with its 95 % interval; None where nothing was measured."""
    if latency is None or not latency.measured:
        return dict.fromkeys(("p50_s", "ci95_low_s", "ci95_high_s", "reliable"))
    low, high = latency.ci95_s
    return {"p50_s": latency.p50_s, "ci95_low_s": low, "ci95_high_s": high, "reliable": latency.reliable}
