"""Make what `archprof predict` ships: archprof/prediction/data/networks.csv.gz and rates.json.

    python tools/prediction_table.py count timm_throughput.csv -o counts.jsonl
    python tools/prediction_table.py fit timm_throughput.csv counts.jsonl

The CSV holds timm's published throughput (huggingface/pytorch-image-models, folder `results`, commit aa4b5850,
Apache-2.0) in the columns benchmark, model, img_size, batch_size and samples_per_s. `count` profiles every network of
it at every image size, in about 20 minutes, and goes on where it was stopped; names that timm has given up are looked
up in its table of them, and what it no longer builds is named and left out. `fit` takes a minute, and makes the same
files from the same input. Needs timm and scipy.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import sys
from dataclasses import astuple
from pathlib import Path
from statistics import mode

import numpy as np

from archprof.prediction import fitting, table
from archprof.prediction.benchmarks import Benchmark, parsed
from archprof.prediction.calibration import Calibration
from archprof.prediction.quantities import QUANTITIES, quantities

DATA = Path(table.__file__).with_name("data")

#: How many anchors may be left of them, and random subsets for each count.
FEWEST, SUBSETS = 6, 4


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("count")
    one.add_argument("throughput", type=Path)
    one.add_argument("-o", "--output", type=Path, required=True)
    one.set_defaults(run=lambda args: count(args.throughput, args.output))
    other = commands.add_parser("fit")
    other.add_argument("throughput", type=Path)
    other.add_argument("counts", type=Path)
    other.add_argument("--data", type=Path, default=DATA)
    other.set_defaults(run=lambda args: fit(args.throughput, args.counts, args.data))
    args = parser.parse_args()
    args.run(args)
    return 0


def count(throughput: Path, output: Path) -> None:
    """Append a line of counts for each network and image size that has none yet."""
    from archprof.base.errors import ArchprofError
    from archprof.counting import counts
    from archprof.models.libraries import imported

    timm = imported("timm")
    asked = sorted({(row["model"], int(row["img_size"])) for row in _rows(throughput)})
    done = {(one["published_as"], one["img_size"]) for one in _lines(output)} if output.exists() else set()
    with output.open("a", encoding="utf-8") as file:
        for published_as, size in asked:
            name = _today(timm, published_as)
            if name is None:
                print(f"{published_as}: timm no longer builds it", file=sys.stderr)
            if name is None or (published_as, size) in done:
                continue
            own = timm.get_pretrained_cfg(name)
            usual = own is not None and own.input_size[-1] == size
            spec = f"timm:{name}" if usual else f"timm:{name}@{size}"
            try:
                profile = counts.profile(spec)
            except ArchprofError as error:
                print(f"{spec}: {error}", file=sys.stderr)
                continue
            family = timm.models._registry._model_to_module[name.partition(".")[0]]
            line = {"published_as": published_as, "model": name, "img_size": size, "usual": usual, "family": family}
            counted = {"activations": profile.activations, "quantities": quantities(profile)}
            file.write(json.dumps(line | counted) + "\n")
            file.flush()


def _today(timm, published_as: str) -> str | None:
    """What timm calls it now; None where it builds it no more."""
    known = timm.list_models()
    name = published_as if published_as in known else timm.models._registry._deprecated_models.get(published_as)
    return name if name and name.partition(".")[0] in known else None


def _rows(throughput: Path) -> list[dict[str, str]]:
    with throughput.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def fit(throughput: Path, counted: Path, data: Path) -> None:
    """Write both files."""
    rows, lines = _rows(throughput), _lines(counted)
    names = sorted({row["benchmark"] for row in rows})
    found = gathered(rows, lines, names)
    text = table.networks_text(found, names)
    found = table.read_networks(text, names)  # fitted to what ships, digits and all
    saved = fitted(found, names)
    for name in names:
        saved["benchmarks"][name]["batch_size"] = mode(
            int(row["batch_size"]) for row in rows if row["benchmark"] == name
        )
    data.mkdir(exist_ok=True)
    (data / "networks.csv.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    (data / "rates.json").write_text(json.dumps(saved, indent=1) + "\n", encoding="utf-8")


def gathered(rows: list[dict[str, str]], lines: list[dict], names: list[str]) -> table.Networks:
    """One row for each network of today and image size, with what every benchmark says of it."""
    today = {(one["published_as"], one["img_size"]): one["model"] for one in lines}
    seen: dict[tuple[str, int], dict[str, float]] = {}
    for row in rows:
        size = int(row["img_size"])
        if name := today.get((row["model"], size)):
            seen.setdefault((name, size), {}).setdefault(row["benchmark"], float(row["samples_per_s"]))
    by_name = {(one["model"], one["img_size"]): one for one in lines}
    keys = sorted(seen)
    return table.Networks(
        tuple(name for name, _ in keys),
        tuple(size for _, size in keys),
        tuple(by_name[key]["family"] for key in keys),
        tuple(by_name[key]["usual"] for key in keys),
        np.array([float(by_name[key]["activations"]) for key in keys]),
        np.array([[by_name[key]["quantities"][quantity] for quantity in QUANTITIES] for key in keys]),
        np.array([[seen[key].get(name, np.nan) for key in keys] for name in names]),
    )


def fitted(found: table.Networks, names: list[str]) -> dict:
    """Rates, calibrations and anchors, as they are saved."""
    benchmarks = [parsed(name) for name in names]
    families = np.array(found.families)
    apart = fitting.distances_to_others(found.places, families)
    # nearer than that, intervals would be narrower than those of families in the table bear out
    closest, farthest = (round(float(np.quantile(apart, share)), 4) for share in (0.2, 0.99))
    distance = np.maximum(apart, closest)
    log = fitting.logs(found)
    saved: dict = {"source": table.SOURCE, "closest": closest, "farthest": farthest, "benchmarks": {}}
    for place, name in enumerate(names):
        run = np.isfinite(log.published[place])
        residual = (log.left_out - log.published)[place, run]
        saved["benchmarks"][name] = {
            "networks": int(run.sum()),
            "median_error": round(float(np.median(np.abs(np.expm1(-residual)))), 4),
            "calibration": _rounded(fitting.calibrated(fitting.Residuals(residual, distance[run], families[run]))),
            "rates": {
                quantity: float(f"{rate:.5g}")
                for quantity, rate in zip(QUANTITIES, log.rates[place], strict=True)
                if rate
            },
        }
    gpus = [place for place, one in enumerate(benchmarks) if not one.on_cpu]  # of CPUs there is one
    anchors = fitting.chosen_anchors(found, log, gpus)
    saved["anchors"] = [f"timm:{found.names[place]}" for place in anchors]
    doubts = [
        fitting.anchored(log, benchmarks, place, fitting.sources_for(benchmarks, one), anchors)[2]
        for place, one in enumerate(benchmarks)
    ]
    saved["doubt"] = round(max(doubts), 4)
    saved["anchored"] = {"cpu": {}, "gpu": {}}
    for count in range(FEWEST, fitting.COUNT + 1):
        both = _anchored_calibrations(log, benchmarks, anchors, count, families, distance)
        for kind, calibrations in both.items():
            saved["anchored"][kind][str(count)] = calibrations
    return saved


def _anchored_calibrations(
    log: fitting.Log,
    benchmarks: list[Benchmark],
    anchors: list[int],
    count: int,
    families: np.ndarray,
    distance: np.ndarray,
) -> dict[str, dict[str, list[float]]]:
    """How far predictions from `count` of the anchors are off: each table in turn is the new device."""
    chance = np.random.default_rng(0)
    subsets = [anchors]
    if count < fitting.COUNT:
        subsets = [sorted(chance.choice(anchors, count, replace=False)) for _ in range(SUBSETS)]
    found: dict[tuple[bool, str], list[tuple[np.ndarray, np.ndarray]]] = {}
    for target, machine in enumerate(benchmarks):
        sources = fitting.sources_for(benchmarks, machine)
        for subset in subsets:
            known, unseen, doubt = fitting.anchored(log, benchmarks, target, sources, subset)
            # what other devices ran of a network tells more than how unlike the others it is
            found.setdefault((machine.on_cpu, "known"), []).append((known, np.zeros_like(distance) + doubt))
            found.setdefault((machine.on_cpu, "unseen"), []).append((unseen, distance + doubt))
    seen = {
        key: fitting.Residuals.of(*(np.array(each) for each in zip(*both, strict=True)), families)
        for key, both in found.items()
    }
    out: dict[str, dict[str, list[float]]] = {"cpu": {}, "gpu": {}}
    for which in ("known", "unseen"):
        cpus, gpus = seen[True, which], seen[False, which]
        out["gpu"][which] = _rounded(fitting.calibrated(gpus))
        # two tables of one CPU do not tell how CPUs differ
        out["cpu"][which] = _rounded(fitting.calibrated(gpus.beside(cpus), at_least=cpus))
    return out


def _rounded(found: Calibration) -> list[float]:
    return [float(f"{value:.4g}") for value in astuple(found)]


if __name__ == "__main__":
    sys.exit(main())
