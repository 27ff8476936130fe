"""Power and energy: kinds that need a meter."""

from __future__ import annotations

from typing import NoReturn

from ...errors import BadOption
from .page import Page
from .registry import draws

_CAPTION = (
    "Power needs a meter: NVML on an NVIDIA GPU, or RAPL on a CPU whose counters may be read "
    "(/sys/class/powercap)."
)


def _no_meter(page: Page) -> NoReturn:
    device = (
        page.comparison.environment.get("device_name")
        or page.comparison.environment.get("device")
        or "the device"
    )
    raise BadOption(
        f"this comparison holds no power readings ({device}).",
        "They need a meter: NVML on an NVIDIA GPU, or RAPL where /sys/class/powercap can be read; "
        "this version of archprof records neither.",
    )


@draws("power", _CAPTION)
def power(page: Page) -> None:
    _no_meter(page)


@draws("power-ops", _CAPTION)
def power_ops(page: Page) -> None:
    _no_meter(page)
