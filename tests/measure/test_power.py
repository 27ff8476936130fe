"""Energy meters on a made-up sysfs and a scripted NVML; what follows from joules, by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from archprof.cli import env
from archprof.measure import device, disturbance, gpu, power, sampling, schedule
from archprof.measure.sampling import BLOCK_S
from archprof.results import reading
from archprof.results.conditions import Conditions, Sampling
from archprof.results.environment import disagreements, fingerprint
from archprof.results.latency import Block, Latency

WHOLE_RANGE = 262_143_328_850  # microjoules: what a kernel shows of a 32-bit counter


def sysfs(root: Path, **energies: int) -> Path:
    """Zones as Linux lays them out: packages, a subdomain in the first, the platform, the second door to package 0."""
    for place, (name, energy) in enumerate(energies.items()):
        zone(root / f"intel-rapl:{place}", name.replace("_", "-"), energy)
    (root / "intel-rapl").mkdir()
    zone(root / "intel-rapl:0:0", "core", 7)
    zone(root / "intel-rapl:9", "psys", 9_000_000)
    zone(root / "intel-rapl-mmio:0", "package-0", 5)
    return root


def zone(folder: Path, name: str, energy: int) -> None:
    folder.mkdir()
    (folder / "name").write_text(f"{name}\n")
    (folder / "energy_uj").write_text(f"{energy}\n")
    (folder / "max_energy_range_uj").write_text(f"{WHOLE_RANGE}\n")


def test_packages_are_added_and_what_they_hold_or_what_holds_them_is_not(tmp_path):
    meter, why = power.rapl(sysfs(tmp_path, package_0=1_500_000, package_1=250_000))
    assert meter is not None and why == "" and meter.read() == 1.75
    assert meter.name == "RAPL of package-0 and package-1, whole: idle and others' work included"
    (tmp_path / "intel-rapl:1/energy_uj").write_text("1250000\n")
    assert meter.joules(1.75, 1.0) == 1.0


def test_a_counter_that_starts_again_goes_on(tmp_path):
    meter, _ = power.rapl(sysfs(tmp_path, package_0=WHOLE_RANGE - 2_000_000, package_1=10_000_000))
    assert meter is not None
    before = meter.read()
    (tmp_path / "intel-rapl:0/energy_uj").write_text("3000000")
    (tmp_path / "intel-rapl:1/energy_uj").write_text("11000000")
    assert meter.joules(before, 1.0) == pytest.approx(2 + 3 + 1)
    before = meter.read()
    (tmp_path / "intel-rapl:0/energy_uj").write_text("1000000")  # and once more round
    assert meter.joules(before, 1.0) == pytest.approx(WHOLE_RANGE / 1e6 - 2)


def test_a_counter_that_only_root_may_read_is_no_meter(tmp_path):
    def text(path: Path) -> str:
        if path.name == "energy_uj" and path.parent.name == "intel-rapl:1":
            raise PermissionError(13, "Permission denied", str(path))
        return path.read_text()

    meter, why = power.rapl(sysfs(tmp_path, package_0=1, package_1=1), text)
    assert meter is None  # package-0 alone would pass for the machine
    assert why == f"only root may read {tmp_path}/intel-rapl:1/energy_uj"


def test_without_packages_there_is_no_meter(tmp_path):
    said = "the kernel shows no RAPL package in"
    assert power.rapl(tmp_path / "missing")[1].startswith(said)
    assert power.rapl(sysfs(tmp_path))[1].startswith(said)  # psys and a core without a package


def test_a_counter_that_cannot_be_understood_is_no_meter(tmp_path):
    sysfs(tmp_path, package_0=1)
    (tmp_path / "intel-rapl:0/max_energy_range_uj").write_text("many")
    meter, why = power.rapl(tmp_path)
    assert meter is None and why == "RAPL cannot be read: invalid literal for int() with base 10: 'many'"


def test_a_counter_that_fails_later_gives_no_joules(tmp_path):
    meter, _ = power.rapl(sysfs(tmp_path, package_0=1))
    assert meter is not None
    before = meter.read()
    (tmp_path / "intel-rapl:0/energy_uj").unlink()
    assert meter.read() is None and meter.joules(before, 1.0) is None


class Nvml:
    """A management library whose energy counter (mJ) stands in a script."""

    NVMLError = RuntimeError

    def __init__(self, *millijoules: int) -> None:
        self.script = iter(millijoules)

    def nvmlDeviceGetHandleByUUID(self, uuid):
        return uuid

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):
        assert handle == "GPU-1"
        value = next(self.script, None)
        if value is None:
            raise self.NVMLError("Not Supported")
        return value


def test_a_boards_counter_is_in_millijoules():
    meter, why = power.board(Nvml(1000, 2000, 352_000), "GPU-1")
    assert meter is not None and why == "" and meter.name.startswith("NVML's counter of the whole board")
    assert meter.joules(meter.read(), 1.0) == 350.0
    assert meter.read() is None  # the driver stopped answering


def test_a_gpu_without_a_counter_says_so():
    assert power.board(Nvml(), "GPU-1") == (
        None,
        "NVML offers no energy counter for this GPU (Volta and later have one)",
    )


def test_other_devices_say_why_they_have_none(monkeypatch):
    monkeypatch.setattr(gpu, "library", lambda: None)
    assert power.offered("cuda:0") == (None, "pynvml is not installed, or finds no driver")
    assert power.offered("mps") == (None, "no meter of device 'mps' is known")


def meter_of(*readings: float | None, update_s: float = 0.001) -> power.Meter:
    script = iter(readings)
    return power.Meter("a meter", update_s, lambda: next(script))


@pytest.mark.parametrize(
    ("before", "after", "seconds", "joules"),
    [
        (1.0, 3.0, 0.01, 2.0),  # ten updates of 1 ms
        (1.0, 3.0, 0.0099, None),  # too short
        (1.0, 1.0, 1.0, None),  # stands still, as a virtual one does
        (None, 3.0, 1.0, None),
        (1.0, None, 1.0, None),
    ],
)
def test_a_block_is_metered_where_the_meter_can_tell(before, after, seconds, joules):
    assert meter_of(after).joules(before, seconds) == joules


def test_watts_are_joules_together_over_seconds_together():
    """(30 + 10) J in (2 * 0.1 + 0.2) s; the mean of 150 W and 50 W would hide that the blocks differ in length."""
    seen = Latency(8, (
        Block(0.1, 2, 1, 1, joules=30.0),
        Block(0.2, 1, 2, 2, joules=10.0),
        Block(0.3, 1, 3, 3, "steal", joules=900.0),
        Block(0.1, 1, 4, 4),
    ))  # fmt: skip
    assert [block.round for block in seen.metered] == [1, 2]
    assert seen.power_w == pytest.approx(40 / 0.4)
    assert seen.joules_per_sample == pytest.approx(40 / (8 * 3))


def test_without_a_clean_metered_block_nothing_is_said():
    for blocks in ((), (Block(0.1, 1, 1, 1),), (Block(0.1, 1, 1, 1, "steal", joules=5.0),)):
        seen = Latency(1, blocks)
        assert (seen.power_w, seen.joules_per_sample) == (None, None)


def test_joules_outlive_json_and_files_without_them_are_read():
    seen = Latency(2, (Block(0.5, 2, 1, 1, joules=80.0), Block(0.5, 2, 2, 2)))
    saved = json.loads(json.dumps(seen.to_json()))
    assert (saved["power_w"], saved["joules_per_sample"]) == (80.0, 20.0)
    assert [block["joules"] for block in saved["blocks"]] == [80.0, None]
    assert reading.checked(Latency, saved) == seen
    for key in ("power_w", "joules_per_sample"):
        del saved[key]
    for block in saved["blocks"]:
        del block["joules"]
    assert reading.checked(Latency, saved) == Latency(2, (Block(0.5, 2, 1, 1), Block(0.5, 2, 2, 2)))


class Machine:
    """A clock that passes move, and a counter of their joules that is new every `update_s` only."""

    def __init__(self, update_s: float) -> None:
        self.now, self.update_s, self.still = 0.0, update_s, False
        self.used = [(0.0, 0.0)]  # (seconds, joules) after each pass

    def workload(self, name: str, seconds: float, watts: float) -> sampling.Workload:
        def run() -> None:
            self.now += seconds
            self.used.append((self.now, self.used[-1][1] + seconds * watts))

        return sampling.Workload(name, 1, lambda: run)

    def read(self) -> float:
        """The joules at the last update."""
        if self.still:
            return 0.0
        last = self.now - self.now % self.update_s
        return next(joules for at, joules in reversed(self.used) if at <= last + 1e-9)

    def look(self) -> dict[str, float]:
        return {"wall": self.now, "own": self.now, "switches": 0}

    def measure(self, *workloads: sampling.Workload, **options) -> dict:
        witness = disturbance.Witness(1, 1, self.look, power.Meter("a meter", self.update_s, self.read))
        return sampling.measure(workloads, Sampling(**options), clock=lambda: self.now, witness=witness)


def test_a_fine_meter_tells_the_power_of_each_network():
    machine = Machine(update_s=0.001)
    seen = machine.measure(machine.workload("thrifty", 0.01, 20.0), machine.workload("hot", 0.01, 100.0))
    assert seen["thrifty", 1].power_w == pytest.approx(20, rel=0.05)
    assert seen["hot", 1].power_w == pytest.approx(100, rel=0.05)
    assert seen["hot", 1].joules_per_sample == pytest.approx(1.0, rel=0.05)
    assert all(block.joules for found in seen.values() for block in found.blocks)
    assert all(block.seconds * block.passes < 2 * BLOCK_S for found in seen.values() for block in found.blocks)


def test_a_coarse_meter_gets_one_longer_block_after_the_times():
    """Blocks of 50 ms between updates of 100 ms would be given the energy of whoever ran before."""
    machine = Machine(update_s=0.1)
    seen = machine.measure(machine.workload("thrifty", 0.003, 20.0), machine.workload("hot", 0.003, 100.0))
    for name, watts in (("thrifty", 20.0), ("hot", 100.0)):
        found = seen[name, 1]
        (long,) = found.metered
        assert long is found.blocks[-1] and long.seconds * long.passes >= 1.0
        assert found.power_w == pytest.approx(watts, rel=0.1)
        assert found.p50_s == pytest.approx(0.003)


def test_a_coarse_meter_takes_only_what_is_left_of_the_budget():
    machine = Machine(update_s=0.1)
    seen = machine.measure(*[machine.workload(f"n{i}", 0.01, 50.0) for i in range(4)], time_budget=12.0)
    assert all(len(found.clean) >= schedule.LEAST_BLOCKS for found in seen.values())
    assert [name for (name, _), found in seen.items() if found.metered] == ["n0"] and machine.now < 12.0


def test_a_fine_meter_that_stands_still_changes_nothing():
    machine = Machine(update_s=0.001)
    machine.still = True
    found = machine.measure(machine.workload("a", 0.004, 50.0))["a", 1]
    assert found.power_w is None and {block.passes for block in found.blocks} == {13}  # 52 ms
    assert len(found.blocks) == schedule.LEAST_BLOCKS


def test_a_meter_changes_no_fingerprint_and_no_verdict_of_two_files():
    one = {"torch": "2.13.0", "energy_meter": "RAPL of package-0"}
    two = {"torch": "2.13.0", "energy_meter": None, "no_energy_meter": "only root may read it"}
    assert fingerprint(one) == fingerprint(two) == fingerprint({"torch": "2.13.0"})
    assert disagreements(one, two) == ()


@pytest.mark.parametrize(
    ("offer", "recorded", "shown"),
    [
        ((meter_of(), ""), {"energy_meter": "a meter"}, "a meter"),
        ((None, "only root may read it"), {"energy_meter": None, "no_energy_meter": "only root may read it"},
         "none: only root may read it"),
    ],
)  # fmt: skip
def test_the_environment_names_the_meter_or_why_there_is_none(monkeypatch, offer, recorded, shown):
    monkeypatch.setattr(power, "offered", lambda device: offer)
    found = device.environment(Conditions())
    assert {key: value for key, value in found.items() if key.endswith("energy_meter")} == recorded
    table = env.table(found, None)
    (row,) = [row for row in table.rows if "meter" in table.text(row, 0)]
    assert (table.text(row, 0), table.text(row, 1)) == ("energy meter", shown)
    assert device.witness(Conditions()).meter is offer[0]
