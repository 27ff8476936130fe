"""What a page holds, as plain data for JSON: measures, families, and every network with its values in base units."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...base.errors import BadOption, did_you_mean
from ...models import published
from ...results.comparison import ArchitectureResult, Comparison
from ...results.families import family_of
from ...results.findings import usual_batch_size
from ...results.latency import Latency
from ...results.profile import StaticProfile
from ..figures.conditions import environment_words
from ..figures.measures import MIB, dataset_title
from ..figures.options import FigureOptions
from ..figures.rows import highlighted, rows_of, shared_source
from ..figures.style import OTHER, styles_for

Read = Callable[[ArchitectureResult], float | int | None]


@dataclass(frozen=True)
class Measure:
    """A number of a network: in base units as `read`, shown as `factor` times that in `unit`.

    `better` is 'low' or 'high'; `batch_size` is None where nothing is measured. `plain` numbers are shown on a linear
    axis unless asked otherwise, with two decimals.
    """

    key: str
    title: str
    unit: str
    factor: float
    better: str
    read: Read
    batch_size: int | None = None
    plain: bool = False


@dataclass(frozen=True)
class Start:
    """What a page shows when it is opened.

    `x`, `y` and `size` are measures as MEASURES of the figures names them, `labels`, `only`, `dataset`, `metric`,
    `batch_size` and `highlight` mean what they mean for a figure. `log` asks for a logarithmic axis of costs, None
    lets their range decide.
    """

    x: str = "macs"
    y: str = "top1"
    size: str = ""
    title: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    only: tuple[str, ...] = ()
    dataset: str = ""
    metric: str = "top1"
    batch_size: int | None = None
    highlight: tuple[str, ...] = ()
    log: bool | None = None


#: The kinds of figure that a page can begin with: its axes, and what the area of a disc tells.
KINDS = {
    "ball": ("macs", "top1", "parameters"),
    "pareto": ("macs", "top1", ""),
    "throughput": ("throughput", "top1", "macs"),
    "ops-latency": ("macs", "latency", ""),
    "memory-params": ("parameter_bytes", "measured_peak_bytes", ""),
    "power-ops": ("macs", "power", ""),
}


def start_of(kind: str, options: FigureOptions) -> Start:
    """The page that begins as the figure of that kind. Raises BadOption for one that is no cloud of points."""
    if kind not in KINDS:
        raise BadOption(
            f"'{kind}' cannot be a page, which shows each network as a point;",
            f"kinds that can: {', '.join(KINDS)}. Others are drawn as .svg, .png or .pdf.",
        )
    x, y, size = KINDS[kind]
    if kind == "pareto":
        x, y = options.x, options.y
    given = {"macs": options.ops} if options.ops != "macs" else {}
    return Start(
        given.get(x, x),
        given.get(y, y),
        given.get(size, size),
        options.title,
        options.labels,
        options.only,
        options.dataset,
        options.metric,
        options.batch_size,
        options.highlight,
        options.log or None,
    )


def usual_start(comparison: Comparison, title: str) -> Start:
    """The page of a report: accuracy against mult-adds, or parameters where no accuracy is known."""
    dataset = comparison.dataset
    known = dict.fromkeys(a.metric for row in comparison.architectures for a in row.accuracy if a.dataset == dataset)
    metric = "top1" if "top1" in known or not known else next(iter(known))
    x, y, size = KINDS["ball"] if known else ("macs", "parameters", "")
    return Start(x, y, size, title, dataset=dataset, metric=metric)


def contents(comparison: Comparison, start: Start) -> dict[str, Any]:
    """Everything that the page knows. Raises BadOption for names and measures that are not there."""
    dataset = start.dataset or comparison.dataset
    rows = rows_of(comparison, FigureOptions(only=start.only, labels=start.labels))
    marked = highlighted(start.highlight, [row.name for row in rows])
    known = [m for m in measures(comparison, dataset) if any(m.read(row.result) is not None for row in rows)]
    looks = styles_for([family_of(row.name, row.family) for row in comparison.architectures])
    count = Counter(row.family for row in rows)
    families = sorted(count, key=lambda name: (looks[name] == OTHER, -count[name], name))
    sources = sorted({row.result.source or "?" for row in rows})
    claims = [row.result.top(start.metric, dataset) for row in rows]
    told = list(dict.fromkeys(published.reference(claim) for claim in claims if claim is not None))
    sizes = comparison.batch_sizes
    return {
        "title": start.title or _title([row.name for row in rows]),
        "measures": [
            {
                "key": m.key,
                "title": m.title,
                "unit": m.unit,
                "factor": m.factor,
                "better": m.better,
                "batch": m.batch_size,
                "plain": m.plain,
                "values": [m.read(row.result) for row in rows],
            }
            for m in known
        ],
        "families": [{"name": name, "colour": looks[name].colour, "other": looks[name] == OTHER} for name in families],
        "sources": sources,
        "claims": told,
        "networks": [
            {
                "name": row.name,
                "label": row.label,
                "family": families.index(row.family),
                "source": sources.index(row.result.source or "?"),
                "input": "x".join(map(str, row.result.profile.input_shape)) if row.result.profile else "",
                "claim": told.index(published.reference(claim)) if claim is not None else None,
                "doubts": {str(size): why for size in sizes if (why := _doubt(row.result.latency_at(size)))},
                "error": _error(row.result),
            }
            for row, claim in zip(rows, claims, strict=True)
        ],
        "start": _start(comparison, start, known) | {"highlight": [row.name in marked for row in rows]},
        "notes": _notes(comparison, start, known, dataset),
        "warnings": list(comparison.warnings),
    }


def _title(names: Sequence[str]) -> str:
    source = shared_source(names).rstrip(":")
    return names[0] if len(names) == 1 else f"{len(names)} networks{f' of {source}' if source else ''} side by side"


def measures(comparison: Comparison, dataset: str) -> list[Measure]:
    """Every measure that a network of the comparison may have, those of the data set shown before those of others."""
    found = [
        Measure("parameters", "Params", "M", 1e-6, "low", _counted(lambda p: p.parameters)),
        Measure("macs", "Mult-Adds", "G", 1e-9, "low", _counted(lambda p: _each(p.macs, p))),
        Measure("flops", "FLOPs", "G, 2 per mult-add", 1e-9, "low", _counted(lambda p: _each(p.flops, p))),
        Measure("activations", "Activations", "M", 1e-6, "low", _counted(lambda p: _each(p.activations, p))),
        Measure("parameter_bytes", "Parameter memory", "MiB", 1 / MIB, "low", _counted(lambda p: p.parameter_bytes)),
        Measure(
            "peak_activation_bytes",
            "Peak activations",
            "MiB",
            1 / MIB,
            "low",
            _counted(lambda p: _each(p.peak_activation_bytes, p)),
        ),
    ]
    pairs = dict.fromkeys((a.metric, a.dataset) for row in comparison.architectures for a in row.accuracy)
    for metric, on in sorted(pairs, key=lambda pair: (pair[1] != dataset, pair[1], pair[0])):
        words = {"top1": "Top-1", "top5": "Top-5"}.get(metric, metric)
        key = metric if on == dataset else f"{metric}@{on}"
        found.append(Measure(key, f"{words} on {dataset_title(on)}", "%", 1, "high", _claimed(metric, on), plain=True))
    for size in comparison.batch_sizes:
        found += _measured(size)
    return found


def _measured(size: int) -> list[Measure]:
    def at(read: Callable[[Latency], float | None]) -> Read:
        def value(row: ArchitectureResult) -> float | None:
            cell = row.latency_at(size)
            return read(cell) if cell is not None and cell.measured else None

        return value

    return [
        Measure(f"p50_s@{size}", "Time of a pass", "ms", 1e3, "low", at(lambda c: c.p50_s), size),
        Measure(f"throughput@{size}", "Throughput", "images/s", 1, "high", at(lambda c: c.throughput), size),
        Measure(
            f"measured_peak_bytes@{size}",
            "Measured peak memory",
            "MiB",
            1 / MIB,
            "low",
            at(lambda c: c.measured_peak_bytes),
            size,
        ),
        Measure(f"power_w@{size}", "Power", "W", 1, "low", at(lambda c: c.power_w), size),
        Measure(
            f"joules_per_sample@{size}", "Energy per image", "J", 1, "low", at(lambda c: c.joules_per_sample), size
        ),
    ]


#: Measures of figures whose key is another here, or has a batch size.
_TIMED = {
    "latency": "p50_s",
    "throughput": "throughput",
    "measured_peak_bytes": "measured_peak_bytes",
    "power": "power_w",
    "energy": "joules_per_sample",
}


def _start(comparison: Comparison, start: Start, known: Sequence[Measure]) -> dict[str, Any]:
    keys = [m.key for m in known]
    if not keys:
        raise BadOption("no network could be counted, and nothing is published:", "there is nothing to show.")
    size = usual_batch_size(comparison, start.batch_size)

    def key(wanted: str, option: str) -> str:
        name = f"{_TIMED[wanted]}@{size}" if wanted in _TIMED else start.metric if wanted == "top1" else wanted
        if name not in keys:
            raise BadOption(
                f"no network has '{name}' ({option}).{did_you_mean(name, keys)}", f"Known: {', '.join(keys)}."
            )
        return name

    return {
        "x": key(start.x, "x"),
        "y": key(start.y, "y"),
        "size": key(start.size, "size") if start.size else "",
        "log": start.log,
    }


def _notes(comparison: Comparison, start: Start, known: Sequence[Measure], dataset: str) -> list[str]:
    notes = [
        "Mult-adds count one for each multiply-accumulate, FLOPs two; activations are output elements of the operators "
        "that multiply. All are for one image, counted from the shapes of one pass."
    ]
    if any(m.plain for m in known):
        notes.append(
            "Accuracies are published claims about certain weights under a certain protocol, named with each network; "
            "nothing was trained or evaluated here."
        )
    if any(m.batch_size for m in known):
        notes.append(
            "Times are medians; hollow points are not reliable (disturbed, or of a wide interval) and are not on the "
            f"front. Measured with: {'; '.join(environment_words(comparison))}."
        )
    elif comparison.archprof:
        notes.append(f"Counted by archprof {comparison.archprof}.")
    return notes


def _counted(read: Callable[[StaticProfile], float | int]) -> Read:
    return lambda row: read(row.profile) if row.profile is not None else None


def _each(total: int, profile: StaticProfile) -> int | float:
    """The part of one image, whole where it is whole."""
    whole, rest = divmod(total, profile.batch_size)
    return total / profile.batch_size if rest else whole


def _claimed(metric: str, dataset: str) -> Read:
    def value(row: ArchitectureResult) -> float | None:
        claim = row.top(metric, dataset)
        return claim.percent if claim else None

    return value


def _doubt(cell: Latency | None) -> str:
    """Why the measurement cannot be relied on, or is not there."""
    return "" if cell is None else cell.error or cell.why or ""


def _error(row: ArchitectureResult) -> str:
    return row.error or ("" if row.profile else "not counted")
