"""Was a block disturbed, and is the machine quiet? Counters are read before and after; named rules judge them.

What the rules look at on Linux, best first. The time that this process's threads stood ready while no CPU
took them is exactly the time that others took from it (/proc/self/task/*/schedstat, field 2: kernel
documentation, scheduler/sched-stats). Pressure says the same of the whole machine (/proc/pressure/cpu, line
'some': kernel documentation, accounting/psi). Others' CPU time and steal come from /proc/stat. Where none of
these exist, the number of involuntary context switches (getrusage) is what remains.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

Readings = Mapping[str, float]  # cumulative counters by name; a missing name is a counter that cannot be read

#: Share of a block's wall time that its threads may have waited for a CPU. A block loses at most what its
#: threads waited, so this bounds the error; a quiet machine shows 0.003 to 0.025 (interrupts, kernel threads).
MOST_WAITING = 0.03

#: The same for pressure, which is also raised by work that waits for us: used where waiting is unknown.
MOST_PRESSURE = 0.05

#: CPUs that others may keep busy beside us. They share the last cache and the memory even when they take no
#: CPU that we wanted. /proc/stat counts in ticks of 10 ms, hence the floor below.
MOST_OTHERS = 0.25

#: /proc/stat's times are whole ticks, and a tick belongs to whoever runs when it falls: below this many seconds
#: (3 ticks of 10 ms) others' time and steal are noise.
LEAST_STAT_SECONDS = 0.03

#: Share of the CPUs' time that a hypervisor may give to other machines.
MOST_STEAL = 0.02

#: Involuntary context switches a second, where nothing better can be read: the scheduler's tick alone makes
#: up to a few hundred with idle CPUs to go to.
MOST_SWITCHES = 500.0


def read_cpu(proc: Path = Path("/proc"), clock: Callable[[], float] = time.perf_counter) -> dict[str, float]:
    """This process's and the machine's counters, in seconds (switches: a count); what cannot be read is left out."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    found: dict[str, float] = {"own": usage.ru_utime + usage.ru_stime, "switches": usage.ru_nivcsw}
    for reading in (_waiting, _pressure, _stat):
        try:
            found |= reading(proc)
        except (OSError, ValueError, IndexError):
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


def evidence(before: Readings, after: Readings, threads: int, cpus: int) -> dict[str, float]:
    """Shares of wall time between two readings.

    `cpu`: own CPU time over wall time and threads; `waiting`, `pressure`: shares of wall time; `others`: how
    many CPUs other processes kept busy; `steal`: share of the CPUs' time; `switches`: involuntary context
    switches a second; further readings (a GPU's) pass through from `after`.
    """
    delta = {name: after[name] - before[name] for name in after if name in before}
    wall = max(delta["wall"], 1e-9)
    found = {"cpu": delta["own"] / wall / threads, "switches": delta["switches"] / wall}
    for name in ("waiting", "pressure"):
        if name in delta:
            found[name] = delta[name] / wall
    if "busy" in delta:
        others = delta["busy"] - delta["own"]
        found["others"] = others / wall if others >= LEAST_STAT_SECONDS else 0.0
        found["steal"] = delta["steal"] / wall / cpus if delta["steal"] >= LEAST_STAT_SECONDS else 0.0
    return {name: round(value, 4) for name, value in found.items()}


def judge(found: Readings) -> str | None:
    """What disturbed a block with this evidence, as a phrase; None: nothing that the rules know."""
    if found.get("waiting", 0.0) > MOST_WAITING:
        return f"waited {found['waiting']:.0%} of the time for a CPU"
    if "waiting" not in found and found.get("pressure", 0.0) > MOST_PRESSURE:
        return f"work waited {found['pressure']:.0%} of the time for a CPU"
    if found.get("others", 0.0) > MOST_OTHERS:
        return f"other work held {found['others']:.1f} CPUs"
    if found.get("steal", 0.0) > MOST_STEAL:
        return f"the hypervisor took {found['steal']:.0%} of the CPUs"
    if not found.keys() & {"waiting", "pressure"} and found.get("switches", 0.0) > MOST_SWITCHES:
        return f"was preempted {found['switches']:.0f} times a second"
    return None


@dataclass(frozen=True)
class Witness:
    """Reads the counters before and after a block, and judges what lies between.

    `look` is replaceable: a test brings scripted readings.
    """

    threads: int
    cpus: int
    look: Callable[[], Readings] = read_cpu

    def verdict(self, before: Readings, after: Readings) -> tuple[str | None, dict[str, float]]:
        """What disturbed the time between two looks (None: nothing), and the evidence."""
        found = evidence(before, after, self.threads, self.cpus)
        return judge(found), found
