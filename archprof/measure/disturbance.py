"""What disturbs a block, or the machine: counters read before and after, and named rules.

What the rules look at on Linux, best first. The time that this process's threads stood ready while no CPU
took them is exactly the time that others took from it (/proc/self/task/*/schedstat, field 2: kernel
documentation, scheduler/sched-stats). Pressure says the same of the whole machine (/proc/pressure/cpu, line
'some': kernel documentation, accounting/psi). Others' CPU time and steal come from /proc/stat. Where none of
these exist, the number of involuntary context switches (getrusage) is what remains. What no counter shows (a
neighbour of the same host that takes the last cache, a lower clock) shows in how long the
reference work beside the blocks takes (`results.drift`).
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from . import gpu, power, reference_work

Readings = Mapping[str, float]  # counters by name; a missing name is a counter that cannot be read

#: Readings that are a state at one moment, not a counter that grows.
STATES = frozenset({"gpu_mhz", "gpu_slowdown", "gpu_processes"})

#: Share of a block's wall time that its threads may have waited for a CPU. A block loses at most what its
#: threads waited, so this bounds the error; an idle machine shows 0.003 to 0.025 (kernel threads).
MOST_WAITING = 0.03

#: The same for pressure, which is also raised by work that waits for us: used where waiting is unknown.
MOST_PRESSURE = 0.05

#: Share of the machine's CPUs that others may keep busy. They share the last cache and the memory even when
#: they take no CPU that we wanted.
MOST_OTHERS = 0.10

#: /proc/stat's times are whole ticks, and a tick belongs to whoever runs when it falls: below this many
#: seconds (3 ticks of 10 ms) others' time and steal are noise.
LEAST_STAT_SECONDS = 0.03

#: Share of the CPUs' time that a hypervisor may give to other machines.
MOST_STEAL = 0.02

#: Pages a second that the kernel may hand out while memory is kept: in a virtual machine of ours one took 1.2 to
#: 2.6 us, so that these take 0.6 to 1.3 % of the time. In steady passes there are none.
MOST_FAULTS = 5000.0

#: Involuntary context switches a second, where nothing better can be read: the scheduler's tick alone makes
#: up to a few hundred with idle CPUs to go to.
MOST_SWITCHES = 500.0


def read_cpu(
    proc: Path = Path("/proc"),
    group: Path = Path("/sys/fs/cgroup"),
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """This process's and the machine's counters, in seconds (switches, faults: counts); the unreadable left out."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    found: dict[str, float] = {
        "own": usage.ru_utime + usage.ru_stime,
        "switches": usage.ru_nivcsw,
        "faults": usage.ru_minflt,
    }
    for reading, root in ((_waiting, proc), (_pressure, proc), (_stat, proc), (_throttled, group)):
        try:
            found |= reading(root)
        except (OSError, ValueError, LookupError):
            continue
    return found | {"wall": clock()}


def _waiting(proc: Path) -> dict[str, float]:
    total = 0
    for task in os.listdir(proc / "self/task"):
        try:
            total += int((proc / "self/task" / task / "schedstat").read_text().split()[1])
        except FileNotFoundError:  # the thread ended meanwhile
            if not (proc / "self/schedstat").exists():
                raise
    return {"waiting": total / 1e9}


def _pressure(proc: Path) -> dict[str, float]:
    some = (proc / "pressure/cpu").read_text().splitlines()[0]
    return {"pressure": int(some.rpartition("total=")[2]) / 1e6}


def _stat(proc: Path) -> dict[str, float]:
    ticks = [int(field) for field in (proc / "stat").read_text().splitlines()[0].split()[1:9]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = ticks
    second = os.sysconf("SC_CLK_TCK")
    return {"busy": (user + nice + system + irq + softirq) / second, "steal": steal / second}


def _throttled(group: Path) -> dict[str, float]:
    """Time for which a control group's CPU limit stopped us (kernel documentation, admin-guide/cgroup-v2)."""
    counters = {line.split()[0]: line.split()[1] for line in (group / "cpu.stat").read_text().splitlines()}
    return {"throttled": int(counters["throttled_usec"]) / 1e6}


def evidence(before: Readings, after: Readings, threads: int, cpus: int) -> dict[str, float]:
    """Shares of wall time between two readings.

    `cpu`: own CPU time over wall time and threads; `waiting`, `throttled`, `pressure`: shares of wall time;
    `others`, `steal`: shares of all CPUs' time; `switches`, `faults`: involuntary context switches and pages handed
    out a second; states (a GPU's) as they were after.
    """
    delta = {name: after[name] - before[name] for name in after if name in before and name not in STATES}
    wall = max(delta["wall"], 1e-9)
    found = {"cpu": delta["own"] / wall / threads, "switches": delta["switches"] / wall}
    if "faults" in delta:
        found["faults"] = delta["faults"] / wall
    for name in ("waiting", "throttled", "pressure"):
        if name in delta:
            found[name] = delta[name] / wall
    if "busy" in delta:
        others = delta["busy"] - delta["own"]
        found["others"] = others / wall / cpus if others >= LEAST_STAT_SECONDS else 0.0
        found["steal"] = delta["steal"] / wall / cpus if delta["steal"] >= LEAST_STAT_SECONDS else 0.0
    found |= {name: after[name] for name in after if name in STATES}
    return {name: round(value, 4) for name, value in found.items()}


def judge(found: Readings, memory_kept: bool = False) -> str | None:
    """What disturbed a block with this evidence, as 'cause (how much)'; None: nothing that the rules know.

    On a GPU other work on the CPUs does not count, waiting for one does: kernels are launched from there. Fresh pages
    disturb where memory is kept from pass to pass.
    """
    if found.get("waiting", 0.0) > MOST_WAITING:
        return f"waiting for a CPU ({found['waiting']:.2f} s of each second, all threads)"
    if found.get("throttled", 0.0) > MOST_WAITING:
        return f"the container's CPU limit ({100 * found['throttled']:.0f} % of the time)"
    if "waiting" not in found and found.get("pressure", 0.0) > MOST_PRESSURE:
        return f"pressure on the CPUs ({100 * found['pressure']:.0f} % of the time)"
    if not found.keys() & STATES and found.get("others", 0.0) > MOST_OTHERS:
        return f"other work ({100 * found['others']:.0f} % of the CPUs)"
    if found.get("steal", 0.0) > MOST_STEAL:
        return f"steal by the hypervisor ({100 * found['steal']:.0f} % of the CPUs)"
    if not found.keys() & {"waiting", "pressure"} and found.get("switches", 0.0) > MOST_SWITCHES:
        return f"preemption ({found['switches']:.0f} times a second)"
    if memory_kept and found.get("faults", 0.0) > MOST_FAULTS:
        return f"fresh memory ({found['faults']:,.0f} pages a second)"
    return gpu.judge(found)


@dataclass(frozen=True)
class Witness:
    """Reads the counters before and after a block, and judges what lies between.

    `look` is replaceable: a test brings scripted readings. `meter` counts the device's energy, `reference_work`
    is timed after a block; None: there is none. `memory_kept` says that passes need no fresh memory.
    """

    threads: int
    cpus: int
    look: Callable[[], Readings] = read_cpu
    meter: power.Meter | None = None
    reference_work: Callable[[], Readings] | None = None
    memory_kept: bool = False

    def disturbance(self, before: Readings, after: Readings) -> tuple[str | None, dict[str, float]]:
        """What disturbed the time between two looks (None: nothing), and the evidence."""
        found = evidence(before, after, self.threads, self.cpus)
        return judge(found, self.memory_kept), found


def witness(threads: int, cpus: int, device: str = "cpu", memory_kept: bool = False) -> Witness:
    """The witness for this machine; for a CUDA device it also asks NVML, where pynvml is installed.

    Reference work runs on the CPU, so drift is watched where the CPU is measured.
    """
    meter, _ = power.offered(device)
    if device.startswith("cuda") and (nvml := gpu.library()):
        look = gpu.reader(nvml, gpu.uuid_of(device))
        return Witness(threads, cpus, lambda: look() | read_cpu(), meter)
    work = reference_work.reader() if device == "cpu" else None
    return Witness(threads, cpus, meter=meter, reference_work=work, memory_kept=memory_kept)


def watch(
    seen: Witness, seconds: float, sleep: Callable[[float], None] = time.sleep
) -> tuple[str | None, dict[str, float]]:
    """What disturbs the machine while this process does nothing for so long, and the evidence; then the
    times of the reference work."""
    before = seen.look()
    sleep(seconds)
    cause, found = seen.disturbance(before, seen.look())
    if seen.reference_work:
        seen.reference_work()  # wakes what slept
        found |= seen.reference_work()
    return cause, found
