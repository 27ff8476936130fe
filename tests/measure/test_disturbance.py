"""The rules of disturbance, on scripted readings and on a made-up /proc."""

from __future__ import annotations

import os

import pytest

from archprof.measure import disturbance, gpu

QUIET = {"cpu": 1.0, "switches": 20.0, "waiting": 0.01, "pressure": 0.01, "others": 0.0, "steal": 0.0}


def test_a_block_that_had_the_machine_to_itself_is_not_disturbed():
    assert disturbance.judge(QUIET) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"waiting": 0.24}, "waiting for a CPU (0.24 s of each second, all threads)"),
        ({"others": 0.38}, "other work (38 % of the CPUs)"),
        ({"throttled": 0.5}, "the container's CPU limit (50 % of the time)"),
        ({"steal": 0.22}, "steal by the hypervisor (22 % of the CPUs)"),
    ],
)
def test_each_rule_names_its_cause(change, said):
    assert disturbance.judge(QUIET | change) == said


def test_pressure_counts_only_where_waiting_is_unknown():
    """Pressure also rises when others wait for us."""
    assert disturbance.judge(QUIET | {"pressure": 0.5}) is None
    blind = {name: value for name, value in QUIET.items() if name != "waiting"}
    assert disturbance.judge(blind | {"pressure": 0.5}) == "pressure on the CPUs (50 % of the time)"


def test_switches_count_only_where_nothing_better_is_known():
    assert disturbance.judge(QUIET | {"switches": 5000.0}) is None
    assert disturbance.judge({"cpu": 0.7, "switches": 5000.0}) == "preemption (5000 times a second)"
    assert disturbance.judge({"cpu": 0.7, "switches": 50.0}) is None


def test_evidence_is_shares_of_wall_time():
    before = {
        "wall": 10.0,
        "own": 5.0,
        "switches": 100,
        "waiting": 1.0,
        "pressure": 2.0,
        "busy": 50.0,
        "steal": 1.0,
    }
    after = {
        "wall": 10.5,
        "own": 5.8,
        "switches": 150,
        "waiting": 1.1,
        "pressure": 2.3,
        "busy": 51.0,
        "steal": 1.2,
    }
    assert disturbance.evidence(before, after, threads=2, cpus=4) == {
        "cpu": 0.8,  # 0.8 s of the 2 * 0.5 s that two threads could use
        "switches": 100.0,
        "waiting": 0.2,
        "pressure": 0.6,
        "others": 0.1,  # 1.0 s busy, 0.8 s of it ours: 0.2 s of 4 * 0.5 s
        "steal": 0.1,  # 0.2 s of 4 * 0.5 s
    }


def test_a_tick_or_two_is_not_evidence():
    before = {"wall": 0.0, "own": 0.0, "switches": 0, "busy": 0.0, "steal": 0.0}
    after = {"wall": 0.05, "own": 0.05, "switches": 0, "busy": 0.07, "steal": 0.02}
    found = disturbance.evidence(before, after, threads=1, cpus=2)
    assert found["others"] == 0.0 and found["steal"] == 0.0


def test_what_cannot_be_read_is_left_out():
    before, after = {"wall": 0.0, "own": 0.0, "switches": 0}, {"wall": 1.0, "own": 1.0, "switches": 3}
    assert disturbance.evidence(before, after, threads=1, cpus=2) == {"cpu": 1.0, "switches": 3.0}


def test_counters_are_read_from_proc(tmp_path):
    for task, waited in ((1, 300_000_000), (2, 200_000_000)):
        (tmp_path / f"self/task/{task}").mkdir(parents=True)
        (tmp_path / f"self/task/{task}/schedstat").write_text(f"9000 {waited} 42\n")
    (tmp_path / "pressure").mkdir()
    (tmp_path / "pressure/cpu").write_text(
        "some avg10=0.34 avg60=0.87 avg300=0.28 total=4764682\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
    )
    (tmp_path / "stat").write_text("cpu  700 10 300 9000 230 5 35 20 0 0\ncpu0 1 2 3\n")
    second = os.sysconf("SC_CLK_TCK")
    (tmp_path / "cpu.stat").write_text("usage_usec 900\nnr_throttled 3\nthrottled_usec 250000\n")
    found = disturbance.read_cpu(tmp_path, tmp_path, clock=lambda: 7.0)
    assert found["wall"] == 7.0
    assert found["waiting"] == pytest.approx(0.5) and found["throttled"] == 0.25
    assert found["pressure"] == pytest.approx(4.764682)
    assert found["busy"] == (700 + 10 + 300 + 5 + 35) / second and found["steal"] == 20 / second


def test_without_proc_own_time_and_switches_remain(tmp_path):
    assert disturbance.read_cpu(tmp_path, tmp_path).keys() == {"own", "switches", "faults", "wall"}


def test_a_witness_judges_between_two_looks():
    looks = iter(
        [
            {"wall": 0.0, "own": 0.0, "switches": 0, "waiting": 0.0},
            {"wall": 1.0, "own": 1.0, "switches": 9, "waiting": 0.5},
        ]
    )
    witness = disturbance.Witness(threads=2, cpus=2, look=lambda: next(looks))
    assert witness.disturbance(witness.look(), witness.look()) == (
        "waiting for a CPU (0.50 s of each second, all threads)",
        {"cpu": 0.5, "switches": 9.0, "waiting": 0.5},
    )


def test_an_idle_process_sees_the_work_of_others():
    looks = iter(
        [
            {"wall": 0.0, "own": 0.0, "switches": 0, "busy": 100.0, "steal": 0.0},
            {"wall": 1.0, "own": 0.0, "switches": 0, "busy": 101.2, "steal": 0.0},
        ]
    )
    slept: list[float] = []
    cause, found = disturbance.watch(disturbance.Witness(2, 2, lambda: next(looks)), 1.0, slept.append)
    assert slept == [1.0] and cause == "other work (60 % of the CPUs)" and found["others"] == 0.6


class Nvml:
    """A scripted management library."""

    NVML_CLOCK_SM = 1
    NVMLError = RuntimeError

    def __init__(self, reasons: int = 0, processes: int = 1) -> None:
        self.reasons, self.processes = reasons, processes

    def nvmlDeviceGetHandleByUUID(self, uuid):
        return uuid

    def nvmlDeviceGetClockInfo(self, handle, kind):
        return 1980

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle):
        return self.reasons

    def nvmlDeviceGetComputeRunningProcesses(self, handle):
        return [object()] * self.processes

    def nvmlSystemGetDriverVersion(self):
        raise self.NVMLError("not supported")

    def nvmlDeviceGetEnforcedPowerLimit(self, handle):
        return 700_000


@pytest.mark.parametrize(
    ("nvml", "cause"),
    [
        (Nvml(), None),
        (Nvml(reasons=0x4), None),  # the power cap of a fully used GPU
        (Nvml(reasons=0x4 | 0x40), "slower GPU clocks (heat)"),
        (Nvml(processes=3), "other processes on the GPU (2)"),
    ],
)
def test_a_gpus_clocks_and_guests_are_evidence(nvml, cause):
    look = gpu.reader(nvml, "GPU-1")
    states = look()
    assert states == {"gpu_mhz": 1980, "gpu_slowdown": nvml.reasons, "gpu_processes": nvml.processes}
    base = {"wall": 0.0, "own": 0.0, "switches": 0, "busy": 0.0, "steal": 0.0}
    after = base | {"wall": 1.0, "busy": 1.0} | states  # the CPUs are busy, which a GPU does not mind
    assert disturbance.Witness(1, 2).disturbance(base | states, after)[0] == cause


def test_what_the_driver_does_not_offer_is_left_out():
    assert gpu.facts(Nvml(), "GPU-1") == {"gpu_power_limit_w": 700.0}
