"""The energy meter that a device offers: RAPL of a CPU's packages, NVML's counter of a GPU's board.

Both count joules and never fall, but not finely: a reading is as old as the counter's last update. Between two
readings lies the energy of a span as long as that between them, give or take one update, so that a short span
says little and a span of a few updates mostly what ran before it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import gpu

#: Where Linux shows RAPL, AMD's as well (kernel documentation, power/powercap).
POWERCAP = Path("/sys/class/powercap")

#: RAPL's counters are updated about every millisecond (Intel 64 and IA-32 manual, volume 3B, package RAPL domain).
RAPL_UPDATE_S = 0.001

#: NVML's counter is updated every 20 to 100 ms (PETSc's manual of PetscLogGpuEnergyMeter): the longest is meant.
NVML_UPDATE_S = 0.1

#: A block is metered when it lasts so many updates: the span that the readings stand for is then the block's to
#: within a tenth.
LEAST_UPDATES = 10


@dataclass(frozen=True)
class Meter:
    """A counter of joules. `name` says what it counts, `update_s` after how many seconds it is new at the latest.

    `read` gives joules since some moment, never falling; None where the reading failed.
    """

    name: str
    update_s: float
    read: Callable[[], float | None]

    @property
    def least_s(self) -> float:
        """Seconds that a block must last for its energy to be told from its neighbours'."""
        return LEAST_UPDATES * self.update_s

    def joules(self, before: float | None, seconds: float) -> float | None:
        """Joules since the reading `before`, so many seconds ago.

        None where a reading failed, the block was too short, or the counter stood still (as virtual ones do).
        """
        after = self.read()
        if before is None or after is None or after <= before or seconds < self.least_s:
            return None
        return after - before


#: A meter, or None and why there is none.
Offer = tuple[Meter | None, str]


def offered(device: str) -> Offer:
    """The meter of 'cpu', 'cuda' or 'cuda:N' on this machine."""
    if device == "cpu":
        return rapl()
    if not device.startswith("cuda"):
        return None, f"no meter of device '{device}' is known"
    nvml = gpu.library()
    if nvml is None:
        return None, "pynvml is not installed, or finds no driver"
    return board(nvml, gpu.uuid_of(device))


def rapl(root: Path = POWERCAP, text: Callable[[Path], str] = Path.read_text) -> Offer:
    """All packages of the machine together; None where one of them cannot be read, for a part would mislead.

    Subdomains (cores, memory) are inside their package, 'psys' holds the packages, and 'intel-rapl-mmio' is another
    door to the same counter: none of them is added.
    """
    try:
        zones = {zone: text(zone / "name").strip() for zone in sorted(root.glob("intel-rapl:*"))}
        packages = {zone: name for zone, name in zones.items() if name.startswith("package")}
        if not packages:
            return None, f"the kernel shows no RAPL package in {root} (a virtual machine seldom has one)"
        counters = [_package(zone, text) for zone in packages]
        for counter in counters:
            counter()
    except PermissionError as reason:
        return None, f"only root may read {reason.filename or root}"
    except (OSError, ValueError) as reason:
        return None, f"RAPL cannot be read: {str(reason).splitlines()[0]}"

    def read() -> float | None:
        try:
            return sum(counter() for counter in counters) / 1e6
        except (OSError, ValueError):
            return None

    name = f"RAPL of {' and '.join(packages.values())}, whole: idle and others' work included"
    return Meter(name, RAPL_UPDATE_S, read), ""


def _package(zone: Path, text: Callable[[Path], str]) -> Callable[[], int]:
    """Microjoules of one package that never fall: its counter starts again at 0 (after minutes under load).

    Two turns between two readings look like one; that loses joules between blocks, not within one.
    """
    turn = int(text(zone / "max_energy_range_uj"))
    last = turns = 0

    def read() -> int:
        nonlocal last, turns
        now = int(text(zone / "energy_uj"))
        turns += now < last
        last = now
        return now + turns * turn

    return read


def board(nvml: Any, uuid: str) -> Offer:
    """The whole board of the GPU with that UUID: chip, memory, fans."""
    handle = nvml.nvmlDeviceGetHandleByUUID(uuid)

    def read() -> float | None:
        try:
            return float(nvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1e3  # mJ since the driver was loaded
        except nvml.NVMLError:
            return None

    if read() is None:
        return None, "NVML offers no energy counter for this GPU (Volta and later have one)"
    return Meter("NVML's counter of the whole board: idle included", NVML_UPDATE_S, read), ""
