"""What timm publishes about its own weights: `timm.csv`, a row for each weights and image size. Standard library only.

The figures are those of the three files named in DATASETS (timm's repository, folder `results`, Apache-2.0), whose
images are ImageNet-1k's validation set, the same with the labels of Beyer et al. 2020 (ReaL), and ImageNet-V2's
(matched frequency). The column `pretraining` is read from the weights' tags: data beyond ImageNet-1k on which they
were trained before, with labels or without.
"""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

from ...results.comparison import Accuracy

#: What stands before a name of timm's.
PREFIX = "timm:"

#: Dataset -> the columns of top-1 and top-5 in `timm.csv`, and timm's file that they come from.
DATASETS = {
    "imagenet-1k": ("top1", "top5", "results-imagenet.csv"),
    "imagenet-real": ("real_top1", "real_top5", "results-imagenet-real.csv"),
    "imagenet-v2": ("v2_top1", "v2_top5", "results-imagenetv2-matched-frequency.csv"),
}

RESULTS = "https://github.com/huggingface/pytorch-image-models/blob/aa4b5850/results"

#: The day on which they were read.
RETRIEVED = "2026-11-30"

_FILE = Path(__file__).with_name("timm.csv")


def claims(name: str, *, dataset: str | None = None, resolution: int | None = None) -> list[Accuracy]:
    """The claims about `timm:ARCHITECTURE` (of all its weights) or `timm:ARCHITECTURE.TAG`, most accurate first.

    `dataset` and `resolution` keep those on that dataset, at that image size.
    """
    architecture, _, tag = name.removeprefix(PREFIX).partition(".")
    rows = [
        row
        for row in rows_by_architecture().get(architecture, ())
        if (not tag or _tag(row) == tag) and (resolution is None or int(row["resolution"]) == resolution)
    ]
    return [claim for known in DATASETS if dataset in (None, known) for claim in _of(rows, known)]


def _of(rows: list[dict[str, str]], dataset: str) -> list[Accuracy]:
    top1, top5, file = DATASETS[dataset]
    found = []
    for row in sorted(rows, key=lambda row: -float(row[top1])):
        size = row["resolution"]
        for metric, column in (("top1", top1), ("top5", top5)):
            found.append(
                Accuracy(
                    architecture=PREFIX + row["weights"].partition(".")[0],
                    dataset=dataset,
                    metric=metric,
                    percent=float(row[column]),
                    source=f"timm's results for {row['weights']}",
                    url=f"{RESULTS}/{file}",
                    protocol=f"single crop at {size} x {size}, {100 * float(row['crop']):g} % of the image",
                    resolution=int(size),
                    weights=_tag(row),
                    retrieved=RETRIEVED,
                    pretraining=row["pretraining"],
                )
            )
    return found


@cache
def rows_by_architecture() -> dict[str, list[dict[str, str]]]:
    """The file's rows by the name of their architecture, as text."""
    found: dict[str, list[dict[str, str]]] = {}
    with _FILE.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["weights"].partition(".")[0], []).append(row)
    return found


def _tag(row: dict[str, str]) -> str:
    return row["weights"].partition(".")[2]
