"""Does a ratio hold on a busy machine? Ours beside torch.utils.benchmark back to back, under load made here.

    python benchmarks/latency.py            every claim, ten runs each: some minutes on a machine that does nothing else
    python benchmarks/latency.py --smoke    a few seconds: everything runs, nothing is claimed

Loads are processes that compute: none, one that is busy half of the time (a quarter of a second on, a quarter
off), one that is always busy. The claims are ratios and shares, so they do not depend on the machine:

  none      (max - min) / median of the ratio over ten runs is at most 5 %, and the 95 % interval holds the
            median of the runs in at least eight of ten; a run that archprof calls not reliable, or during
            which the machine drifted from most, is repeated, thirty runs in all at most
  busy      every run is within 5 % of the ratio without load, or is marked as not reliable or as drift
  overhead  our p50 is within 2 % of a bare loop's, turn by turn with it
  default   'archprof compare resnet50 mobilenetv1 alexnet' answers within 30 s, each latency with an interval

Exit code 1 where a claim fails.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from torch.utils import benchmark

from archprof import models
from archprof.measure import device, reference_work, sampling
from archprof.measure.steps import Step, forward_step
from archprof.results.conditions import TIME_BUDGET_S, Conditions, Sampling
from archprof.results.drift import drifts, reference_times
from archprof.results.latency import FEWEST_BLOCKS, Latency
from archprof.results.ratios import ratios_to

BUSY = """
import time
while True:
    end = time.perf_counter() + {on}
    while time.perf_counter() < end:
        pass
    time.sleep({off})
"""
LOADS = {"none": None, "half busy": (0.25, 0.25), "busy": (3600.0, 0.0)}

CONDITIONS = Conditions()

#: What torch.utils.benchmark gets for each network: a median of many passes, whatever the time.
THEIR_SECONDS = 3.0


#: How often ours and a bare loop take turns.
TURNS = 15

#: Passes of the bare loop between two layouts: about as many as a block of ours has of a small network.
LOOP = 8


@dataclass(frozen=True)
class Run:
    """One estimate of the ratio by each of the two ways; ours is NaN where it could not be measured at all.

    `doubts` are archprof's reasons why a time cannot be relied on, `reference` the times of the reference work.
    """

    ours: float
    interval: tuple[float, float]
    doubts: tuple[str, ...]
    theirs: float
    reference: dict[str, float]

    @property
    def reliable(self) -> bool:
        """Whether archprof stands by the ratio."""
        return not self.doubts


@contextmanager
def load(times: tuple[float, float] | None) -> Iterator[None]:
    """One process that computes for `on` seconds and sleeps for `off`, again and again; none for None."""
    if times is None:
        yield
        return
    code = BUSY.format(on=times[0], off=times[1])
    neighbour = subprocess.Popen([sys.executable, "-c", code])
    try:
        time.sleep(0.2)
        yield
    finally:
        neighbour.kill()
        neighbour.wait()


def steps(names: list[str]) -> dict[str, Step]:
    """A forward pass of each network at batch 1."""
    made = {}
    for name in names:
        found = models.find(name)
        module = device.materialise(device.realistic(found.build), CONDITIONS)
        shape = (
            found.input_shape
            if found.spec.resolution is None
            else (found.input_shape[0], found.spec.resolution, found.spec.resolution)
        )
        made[name] = forward_step(module, device.inputs(shape, 1, CONDITIONS), CONDITIONS)
        made[name]()  # whatever torch does once, it does here
    return made


def measured(made: dict[str, Step], seconds: float, seed: int) -> dict[str, Latency]:
    """Every step at batch 1, as archprof compare measures it."""
    workloads = [sampling.Workload(name, 1, lambda step=step: step) for name, step in made.items()]
    found = sampling.measure(
        workloads,
        Sampling(time_budget=seconds),
        reference=workloads[-1].name,
        shuffle=random.Random(seed),
        witness=device.witness(CONDITIONS),
        rearrange=device.rearranger(CONDITIONS),
    )
    return {name: seen for (name, _), seen in found.items()}


def one_run(made: dict[str, Step], seconds: float, seed: int) -> Run:
    """Both ways, the same time for each."""
    _, below = made
    seen = measured(made, seconds, seed)
    ratio, interval = math.nan, (math.nan, math.nan)
    doubts = tuple(f"{name}: {cell.why or cell.error}" for name, cell in seen.items() if not cell.reliable)
    for found in ratios_to(below, {name: [cell] for name, cell in seen.items()}):
        ratio, interval = found.ratio, found.ci95
        doubts = () if found.reliable else (*doubts, f"the ratio is {found.shown}")
    back_to_back = [
        benchmark.Timer("step()", globals={"step": step}, num_threads=torch.get_num_threads())
        .blocked_autorange(min_run_time=min(seconds / 2, THEIR_SECONDS))
        .median
        for step in made.values()
    ]
    reference = reference_times([block for cell in seen.values() for block in cell.clean])
    return Run(ratio, interval, doubts, back_to_back[0] / back_to_back[1], reference)


def overhead(step: Step, seconds: float) -> float | None:
    """Our p50 over a bare loop's median, minus 1; None where ours was not reliable, or the machine drifted.

    The two take short turns, and those count between which the machine did not drift. The loop's tensors come to lie
    elsewhere as often as ours do: otherwise one layout would be compared with the mean of many.
    """
    quotients, rearrange, read = [], device.rearranger(CONDITIONS), reference_work.reader()
    for turn in range(TURNS):
        ours = measured({"net": step}, seconds / TURNS / 2, turn)["net"]
        passes, readings, end = [], [], time.perf_counter() + seconds / TURNS / 2
        while time.perf_counter() < end:
            rearrange()
            step()
            for _ in range(LOOP):
                start = time.perf_counter()
                step()
                passes.append(time.perf_counter() - start)
            readings.append(read())
        theirs = {name: median([reading[name] for reading in readings]) for name in readings[0]}
        if ours.reliable and not drifts(reference_times(ours.clean), theirs):
            quotients.append(ours.p50_s / median(passes))
    return median(quotients) - 1 if quotients else None


def default_command(folder: Path) -> tuple[float, bool]:
    """Seconds of the default three-network command, and whether every latency has an interval."""
    out = folder / "default.json"
    start = time.perf_counter()
    subprocess.run(
        [
            sys.executable,
            "-m",
            "archprof",
            "compare",
            "resnet50",
            "mobilenetv1",
            "alexnet",
            "--json",
            str(out),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    took = time.perf_counter() - start
    cells = [cell for row in json.loads(out.read_text())["architectures"] for cell in row["latency"]]
    return took, all(cell.get("samples", 0) >= FEWEST_BLOCKS for cell in cells)


def wanting(load_name: str, seen: list[Run], runs: int) -> bool:
    """Whether there should be another run: until there are enough.

    Without load those count that are reliable and without drift, of three times as many at most: the claim is about
    machines that are neither disturbed nor drift.
    """
    enough = len(counted(seen, usual_times(seen))) if LOADS[load_name] is None else len(seen)
    return enough < runs and len(seen) < 3 * runs


def counted(seen: list[Run], usual: dict[str, float]) -> list[Run]:
    """The reliable runs whose reference work took these times."""
    return [run for run in seen if run.reliable and not drifts(usual, run.reference)]


def usual_times(unloaded: list[Run]) -> dict[str, float]:
    """The reference work's times in most of the reliable runs: those of the run with most others near it."""
    return max(
        (run.reference for run in unloaded if run.reliable), key=lambda times: len(counted(unloaded, times)), default={}
    )


def table(runs: dict[str, list[Run]]) -> str:
    """One row a load: what came out, and how far from the ratio without load."""
    truth, usual = undisturbed_ratio(runs), usual_times(runs["none"])
    lines = [
        "| load | our ratio | spread | not reliable | other state | wrong, not marked | back to back | error |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, seen in runs.items():
        reliable, theirs = [run for run in seen if run.reliable], [run.theirs for run in seen]
        ours = [run.ours for run in counted(seen, usual)]
        shown = f"{min(ours):.2f} to {max(ours):.2f} | {spread(ours):.1%}" if ours else "none | none"
        worst = max(abs(ratio / truth - 1) for ratio in theirs)
        error = "unknown" if math.isnan(worst) else f"{worst:.0%}"
        lines.append(
            f"| {name} | {shown} | {len(seen) - len(reliable)} of {len(seen)} | {len(reliable) - len(ours)} "
            f"| {len(unmarked(seen, truth, usual))} "
            f"| {min(theirs):.2f} to {max(theirs):.2f} | {error} |"
        )
    return "\n".join(lines)


def undisturbed_ratio(runs: dict[str, list[Run]]) -> float:
    """What the other runs are held against: NaN where no run was reliable."""
    ratios = [run.ours for run in counted(runs["none"], usual_times(runs["none"]))]
    return median(ratios) if ratios else math.nan


def spread(values: list[float]) -> float:
    return (max(values) - min(values)) / median(values)


def unmarked(seen: list[Run], truth: float, usual: dict[str, float]) -> list[Run]:
    """Runs that are wrong by more than 5 % and marked neither as not reliable nor as drift."""
    return [run for run in counted(seen, usual) if abs(run.ours / truth - 1) > 0.05]


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=10, help="runs under each load (default: 10)")
    parser.add_argument(
        "--seconds",
        type=float,
        default=TIME_BUDGET_S,
        help=f"time budget of one run, which ends earlier when it is precise (default: "
        f"{TIME_BUDGET_S:g}, that of compare)",
    )
    parser.add_argument("--networks", nargs=2, default=["resnet50", "mobilenetv1"], metavar="NAME")
    parser.add_argument("--smoke", action="store_true", help="a few seconds, no claims")
    args = parser.parse_args()
    if args.smoke:
        args.runs, args.seconds, args.networks = 1, 0.4, ["resnet18@64", "mobilenetv1(width=0.25)@64"]
    with device.applied(CONDITIONS):  # for the others too: memory is kept whoever measures
        made = steps(args.networks)
        runs = {}
        for name, times in LOADS.items():
            with load(times):
                runs[name] = []
                while wanting(name, runs[name], args.runs):
                    runs[name].append(one_run(made, args.seconds, len(runs[name])))
                    print(f"\r{name}: {len(runs[name])} runs ", end="", file=sys.stderr, flush=True)
                print(file=sys.stderr)
        extra = overhead(made[args.networks[1]], args.seconds)
    print(f"{args.networks[0]} / {args.networks[1]}, batch 1, {args.runs} runs of {args.seconds:g} s\n")
    print(table(runs))
    said = [f"{name}: {doubt}" for name, seen in runs.items() for run in seen for doubt in run.doubts]
    print("\n".join(["", "not reliable, because", *dict.fromkeys(said)] if said else []))
    print("\nload, ratio, interval, reference work of each run")
    for name, seen in runs.items():
        for run in seen:
            readings = ", ".join(f"{reading} {value:.4g}" for reading, value in run.reference.items()) or "no readings"
            print(
                f"{name}: {run.ours:.3f} ({run.interval[0]:.3f} to {run.interval[1]:.3f}), {readings}"
                f"{'' if run.reliable else ', not reliable'}"
            )
    print(f"\noverhead over a bare loop: {'not reliable' if extra is None else f'{extra:+.1%}'}")
    if args.smoke:
        return 0
    if math.isnan(undisturbed_ratio(runs)):
        print("FAILS: no run without load was reliable; this machine has other work")
        return 1
    return judge(runs, extra)


def judge(runs: dict[str, list[Run]], extra: float | None) -> int:
    """Print each claim with what was seen; 1 where one fails."""
    import tempfile

    truth, usual = undisturbed_ratio(runs), usual_times(runs["none"])
    undisturbed = counted(runs["none"], usual)
    covered = sum(run.interval[0] <= truth <= run.interval[1] for run in undisturbed)
    with tempfile.TemporaryDirectory() as folder:
        took, shown = default_command(Path(folder))
    unloaded_spread = spread([run.ours for run in undisturbed])
    wrong = sum(len(unmarked(seen, truth, usual)) for seen in runs.values())
    claims = [
        (f"ratios without load spread by {unloaded_spread:.1%}, at most 5 %", unloaded_spread <= 0.05),
        (
            f"the interval holds the median in {covered} of {len(undisturbed)}, at least 8 of 10",
            covered >= 0.8 * len(undisturbed),
        ),
        (f"wrong and not marked: {wrong}, expected none", wrong == 0),
        (f"overhead {math.nan if extra is None else extra:+.1%}, within 2 %", extra is not None and abs(extra) <= 0.02),
        (f"the default command took {took:.1f} s, at most 30", took <= 30),
        ("each of its latencies has an interval", shown),
    ]
    for text, holds in claims:
        print(f"{'holds' if holds else 'FAILS'}: {text}")
    return 0 if all(holds for _, holds in claims) else 1


if __name__ == "__main__":
    raise SystemExit(main())
