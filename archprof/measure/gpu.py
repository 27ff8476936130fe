"""What NVIDIA's management library (NVML) says of a CUDA device; nothing where pynvml is not installed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

#: Bits of NVML's reasons for a lower clock that mean trouble, not load (nvml.h, nvmlClocksThrottleReason*).
#: The software power cap (0x4) is left out: it is how a fully used GPU keeps to its limit.
SLOWDOWN = {0x8: "hardware slowdown", 0x20: "heat", 0x40: "heat", 0x80: "power brake"}


def library() -> Any | None:
    """pynvml, initialised; None where it is missing or finds no driver."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # ImportError, or NVMLError of a missing or mismatching driver
        return None
    return pynvml


def uuid_of(device: str) -> str:
    """The device's UUID as NVML spells it: its indices know nothing of CUDA_VISIBLE_DEVICES."""
    import torch

    return f"GPU-{torch.cuda.get_device_properties(torch.device(device)).uuid}"


def reader(nvml: Any, uuid: str) -> Callable[[], dict[str, float]]:
    """A function that reads clock (MHz), slowdown bits and the number of processes computing on the device.

    A reading that the driver does not offer is left out.
    """
    handle = nvml.nvmlDeviceGetHandleByUUID(uuid)
    sources: dict[str, Callable[[], float]] = {
        "gpu_mhz": lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM),
        "gpu_slowdown": lambda: nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle),
        "gpu_processes": lambda: len(nvml.nvmlDeviceGetComputeRunningProcesses(handle)),
    }

    def look() -> dict[str, float]:
        found = {}
        for name, source in sources.items():
            try:
                found[name] = float(source())
            except nvml.NVMLError:
                continue
        return found

    return look


def judge(found: Mapping[str, float]) -> str | None:
    """What disturbed work on the GPU; None: nothing known. Our own process is one of the processes."""
    bits = int(found.get("gpu_slowdown", 0))
    if cause := next((name for bit, name in SLOWDOWN.items() if bits & bit), None):
        return f"slower GPU clocks ({cause})"
    if found.get("gpu_processes", 0) > 1:
        return f"other processes on the GPU ({found['gpu_processes'] - 1:.0f})"
    return None


def facts(nvml: Any, uuid: str) -> dict[str, Any]:
    """Driver version and power limit (W) for the environment."""
    handle = nvml.nvmlDeviceGetHandleByUUID(uuid)
    found: dict[str, Any] = {}
    for name, source in (
        ("driver", lambda: str(nvml.nvmlSystemGetDriverVersion())),
        ("gpu_power_limit_w", lambda: nvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1000),
    ):
        try:
            found[name] = source()
        except nvml.NVMLError:
            continue
    return found
