"""What is published about accuracy, and its readers: `accuracy.csv`, one row per claim, and timm's own results
(`timm`). Standard library only.

A figure belongs to weights and a protocol, so an architecture has several claims. They stand in the file,
and come out of `claims`, in the order in which they deserve to be shown:

1. torchvision's first weights (`IMAGENET1K_V1`), the ones that most tables quote;
2. the paper's own from one crop (or one whose crop is not stated, or a test set), default resolution first;
3. other recipes and re-implementations, from one crop;
4. evaluations over many crops or scales.

A source that prints error rates says so ("as error"): the percentage here is 100 - error. Requoted figures
stand once, under the source that measured them. `paper` in the weights column means the authors' own.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from functools import cache
from io import StringIO
from math import isfinite
from os import PathLike
from pathlib import Path

from ...base.errors import BadFile, BadOption, did_you_mean
from ...results.comparison import Accuracy
from ..zoo.registry import plain
from . import timm

REQUIRED = ("architecture", "dataset", "metric", "percent", "source")
COLUMNS = (*REQUIRED, "protocol", "resolution", "weights", "pretraining", "url", "retrieved")

_OURS = Path(__file__).with_name("accuracy.csv")


def claims(
    architecture: str,
    *,
    dataset: str | None = None,
    metric: str | None = None,
    resolution: int | None = None,
    extra: Sequence[Accuracy] = (),
) -> tuple[Accuracy, ...]:
    """The claims about one architecture, the one to show first in front (the order is the module's).

    Names, datasets and metrics are matched whatever their case and separators (those between two digits
    count); aliases are the registry's business. `torchvision:resnet50` has the claims of `resnet50`, for
    its weights are the same; `mobilenetv2(width=1.4)` has those of `mobilenetv2_140`. A name with any
    other option has none: weights belong to the network as it is. `timm:resnet50` has timm's claims for all its
    weights, the most accurate first; `timm:resnet50.a1_in1k` those of that tag. `resolution` keeps the claims made at
    exactly that input size. `extra`, a user's own rows, come before the published ones. Nothing known: an
    empty tuple. Raises BadOption for a dataset on which nobody claims anything.
    """
    wanted = key(architecture)
    found = [claim for claim in extra if key(claim.architecture) == wanted]
    found += _by_architecture().get(wanted, ())
    if architecture.strip().startswith(timm.PREFIX):
        found += timm.claims(architecture.strip())
    if dataset is not None:
        known = datasets(extra)
        if plain(dataset) not in map(plain, known):
            raise BadOption(
                f"no accuracy is known on dataset '{dataset}'.{did_you_mean(dataset, known)}",
                f"Known: {', '.join(known)}.",
            )
        found = [claim for claim in found if plain(claim.dataset) == plain(dataset)]
    if metric is not None:
        found = [claim for claim in found if plain(claim.metric) == plain(metric)]
    if resolution is not None:
        found = [claim for claim in found if claim.resolution == resolution]
    return tuple(found)


def published() -> tuple[Accuracy, ...]:
    """Every claim of `accuracy.csv`, in its order."""
    return tuple(claim for rows in _by_architecture().values() for claim in rows)


def datasets(extra: Iterable[Accuracy] = ()) -> tuple[str, ...]:
    """The datasets on which claims are known, sorted."""
    return tuple(sorted({*_datasets(), *(claim.dataset for claim in extra)}))


@cache
def _datasets() -> frozenset[str]:
    return frozenset({*timm.DATASETS, *(claim.dataset for claim in published())})


def reference(claim: Accuracy) -> str:
    """The footnote of one claim: whose figure, which weights, how evaluated, where to read it."""
    # a source's name often says whose weights they are: once is enough
    told = claim.weights == "paper" or claim.weights.lower() in claim.source.lower()
    whose = claim.source if told else f"{claim.source}, {claim.weights}"
    size = f"{claim.resolution} x {claim.resolution}" if claim.resolution else ""
    before = f"pre-trained on {claim.pretraining}" if claim.pretraining else ""
    how = ", ".join(filter(None, (claim.dataset, "" if size in claim.protocol else size, claim.protocol, before)))
    return f"{whose}; {how}: {claim.url}" if claim.url else f"{whose}; {how}"


def references(rows: Sequence[Accuracy]) -> list[str]:
    """The footnotes below a table that shows `rows`, in order of first use, each source and protocol once.

    The mark of a claim is its place here, from 1: `references(rows).index(reference(claim)) + 1`.
    """
    return list(dict.fromkeys(map(reference, rows)))


def read(path: str | PathLike[str]) -> tuple[Accuracy, ...]:
    """A user's own claims: a CSV file with a header, in the columns of `accuracy.csv`, in any order.

    The columns of REQUIRED must be there and filled; the others may be missing or empty. Raises BadFile,
    naming the line, for anything that would otherwise be dropped or shown wrongly.

    A folder, or a .json, is a trial's: then they are the accuracies that it measured.
    """
    if Path(path).is_dir() or Path(path).suffix == ".json":
        from ...results.trials import Trial

        return Trial.read(Path(path)).accuracies()
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as reason:
        raise BadFile(f"cannot read {path}: {reason.strerror or reason}.") from None
    except UnicodeDecodeError:
        raise BadFile(f"{path} is not UTF-8 text;", "save it as CSV in UTF-8.") from None
    reader = csv.reader(StringIO(text, newline=""), strict=True)
    rows: list[Accuracy] = []
    try:
        header = _header([name.strip() for name in next(reader, [])], path)
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if any(cells):
                rows.append(_claim(header, cells, f"{path}, line {reader.line_num}"))
    except csv.Error as reason:
        raise BadFile(f"{path}, line {reader.line_num}: not CSV: {reason}.") from None
    return tuple(rows)


def _header(names: list[str], path: str | PathLike[str]) -> list[str]:
    wanted = f"Columns: {', '.join(COLUMNS)}."
    for name in names:
        if name not in COLUMNS and any(names):
            raise BadFile(f"{path}: no column is called '{name}'.{did_you_mean(name, COLUMNS)}", wanted)
        if names.count(name) > 1:
            raise BadFile(f"{path}: column '{name}' stands twice.")
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise BadFile(f"{path}: the header lacks '{missing[0]}'.", wanted)
    return names


def _claim(header: list[str], cells: list[str], where: str) -> Accuracy:
    if len(cells) != len(header):
        raise BadFile(
            f"{where}: {len(cells)} cells under {len(header)} columns;", "put cells that hold a comma in double quotes."
        )
    row = dict(zip(header, cells, strict=True))
    for name in REQUIRED:
        if not row[name]:
            raise BadFile(f"{where}: '{name}' is empty.")
    return Accuracy(
        architecture=row["architecture"],
        dataset=_usual(row["dataset"], "imagenet-1k", "cifar10"),
        metric=_usual(row["metric"], "top1", "top5"),
        percent=_percent(row["percent"], where),
        source=row["source"],
        url=row.get("url", ""),
        protocol=row.get("protocol", ""),
        resolution=_resolution(row.get("resolution", ""), where),
        weights=row.get("weights", ""),
        retrieved=row.get("retrieved", ""),
        pretraining=row.get("pretraining", ""),
    )


def _percent(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not isfinite(value) or not 0 <= value <= 100:
        raise BadFile(f"{where}: percent '{text}' is not a number from 0 to 100;", "write 76.13 for 76.13 %.")
    return value


def _resolution(text: str, where: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and int(text)):
        raise BadFile(
            f"{where}: resolution '{text}' is not a whole number of pixels;",
            "write 224 for 224 x 224, or leave it empty.",
        )
    return int(text)


def _usual(seen: str, *spellings: str) -> str:
    """The spelling that tables look for, where `seen` differs from it in case and separators only."""
    return next((usual for usual in spellings if plain(usual) == plain(seen)), seen)


def key(architecture: str) -> str:
    """The spelling by which names are matched, here and in a user's own file."""
    name = re.sub(r"\s", "", architecture)
    if thinner := re.fullmatch(r"(.+)\(width=(\d*\.?\d+)\)", name):
        percent = round(100 * float(thinner[2]))
        name = thinner[1] if percent == 100 else f"{thinner[1]}_{percent:03d}"
    # a separator between digits tells names apart: regnet_y_1_6gf is not regnet_y_16gf
    parts = re.split(r"(?<=\d)[_.\-]+(?=\d)", name)
    return "_".join(map(plain, parts)).removeprefix("torchvision:")


@cache
def _by_architecture() -> dict[str, tuple[Accuracy, ...]]:
    rows: dict[str, tuple[Accuracy, ...]] = {}
    for claim in read(_OURS):
        rows[key(claim.architecture)] = (*rows.get(key(claim.architecture), ()), claim)
    return rows
