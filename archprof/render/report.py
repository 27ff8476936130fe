"""A folder that tells a comparison to somebody who was not there: README, figures, data. Never imports
torch.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from .. import units
from ..errors import BadOption, BadOutput
from ..records import Comparison
from ..table import Cell, Column, Table, latency, static
from . import figures, files
from .csv import csv_text
from .findings import answers, summary
from .latex import latex
from .markdown import markdown

#: Last line of every README that this module wrote: what says that a folder is ours.
MARK = "<!-- written by archprof report -->"

#: Figures of a report, in the order in which they are told.
KINDS = (
    "ball",
    "accuracy",
    "density",
    "breakdown",
    "latency",
    "ops-latency",
    "throughput",
    "memory",
    "memory-params",
)

_FORMATS = ("svg", "png")


def check_folder(folder: str | Path, force: bool = False) -> None:
    """Raise BadOutput where a report would mix with files that are not a report's, unless `force`."""
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise BadOutput(f"'{folder}' is a file.", "Name a folder that is new, empty, or a report's.")
    if not folder.exists() or force or is_ours(folder) or not any(folder.iterdir()):
        return
    raise BadOutput(
        f"the folder '{folder}' is not empty and holds no report.",
        "Name another folder, or add --force to write into it (nothing else in it is removed).",
    )


def is_ours(folder: Path) -> bool:
    """Whether the folder's README says that a report was written there."""
    try:
        return (folder / "README.md").read_text(encoding="utf-8").rstrip().endswith(MARK)
    except (OSError, UnicodeDecodeError):
        return False


def write(
    comparison: Comparison, folder: str | Path, with_latex: bool = False, force: bool = False
) -> list[Path]:
    """Write the report into `folder` and return its files.

    The same comparison in a folder of the same name gives the same bytes. Figures of an earlier report in
    that
    folder that this comparison cannot give are removed. Raises BadOutput where the folder is not ours.
    """
    check_folder(folder, force)
    folder = Path(folder)
    try:
        (folder / "figures").mkdir(parents=True, exist_ok=True)
    except OSError as reason:
        raise BadOutput(
            f"the folder '{folder}' cannot be made: {reason.strerror}.", "Choose another place."
        ) from None
    drawn, missing = _draw(comparison, folder / "figures")
    texts = {"comparison.json": comparison.to_json() + "\n", "comparison.csv": csv_text(comparison)}
    if with_latex:
        texts["table.tex"] = latex(static(comparison))
    texts["README.md"] = readme(comparison, folder.resolve().name, drawn, missing, with_latex)
    for name, text in texts.items():
        files.write(str(folder / name), text)
    if not with_latex:
        (folder / "table.tex").unlink(missing_ok=True)
    return [folder / name for name in texts] + [
        folder / "figures" / f"{kind}.{format}" for kind in drawn for format in _FORMATS
    ]


def _draw(comparison: Comparison, folder: Path) -> tuple[list[str], dict[str, str]]:
    """Draw what can be drawn; returns the kinds, and for the others why not."""
    drawn, missing = [], {}
    for kind in KINDS:
        paths = [folder / f"{kind}.{format}" for format in _FORMATS]
        try:
            figure = figures.draw(kind, comparison)
        except BadOption as reason:
            missing[kind] = str(reason)
            for path in paths:
                path.unlink(missing_ok=True)
            continue
        for path in paths:
            figures.save(figure, path)
        drawn.append(kind)
    return drawn, missing


def readme(
    comparison: Comparison, name: str, drawn: Sequence[str], missing: dict[str, str], with_latex: bool
) -> str:
    """The report's Markdown."""
    parts = [
        f"# {name}",
        _opening(comparison),
        "## Summary",
        _bullets(summary(comparison)),
    ]
    found = answers(comparison)
    if found:
        parts += [
            "## Claims, checked",
            "\n\n".join(f"**{plain(a.claim)}.** {plain(a.answer)}" for a in found),
        ]
    parts += [markdown(_tables(comparison)).rstrip("\n")]
    parts += ["## Figures"]
    for kind in drawn:
        told = figures.KINDS[kind]
        parts += [
            f"### {_title(told.summary)}",
            f"![{_title(told.summary)}](figures/{kind}.svg)",
            f"{plain(told.caption)} ([PNG](figures/{kind}.png))",
        ]
    if missing:
        parts += ["### Not drawn", _bullets(f"{kind}: {why}" for kind, why in missing.items())]
    parts += ["## How it was counted and measured", _method(comparison)]
    parts += ["## Environment", _environment(comparison)]
    parts += ["## To repeat it", _repeat(comparison, name, with_latex)]
    if comparison.warnings:
        parts += ["## Warnings", _bullets(comparison.warnings)]
    parts += [MARK]
    return "\n\n".join(part for part in parts if part) + "\n"


def _opening(comparison: Comparison) -> str:
    names = [row.name for row in comparison.architectures]
    when = str(comparison.environment.get("date", ""))[:10]
    what = "1 network" if len(names) == 1 else f"{len(names)} networks side by side"
    told = f"{what}: {', '.join(map(plain, names))}."
    by = f" Compared by archprof {comparison.archprof}" if comparison.archprof else ""
    data = "The data: [comparison.json](comparison.json), [comparison.csv](comparison.csv)."
    return f"{told}{by}{f' on {when}' if by and when else ''}{'.' if by else ''} {data}"


def _tables(comparison: Comparison) -> list[Table]:
    tables = [static(comparison)]
    if comparison.batch_sizes:
        tables += [latency(comparison), memory(comparison)]
    return [*tables, *(table for table in (shares(comparison),) if table.rows)]


def memory(comparison: Comparison) -> Table:
    """Peak memory of a forward pass by batch size: predicted by counting, and measured."""
    columns = (
        Column("batch_size", "Batch", "number"),
        Column("name", "Architecture"),
        Column("predicted", "Predicted", "bytes", "less"),
        Column("measured", "Measured", "bytes", "less"),
    )
    rows = []
    for size in comparison.batch_sizes:
        for row in comparison.architectures:
            cell = row.latency_at(size)
            rows.append(
                (
                    Cell(size),
                    Cell(row.name),
                    Cell(figures.predicted_peak_bytes(row, size) or None),
                    Cell(cell.measured_peak_bytes if cell else None),
                )
            )
    return Table(
        "Peak memory of one forward pass",
        columns,
        tuple(rows),
        (
            "Predicted: parameters, buffers, and the activations alive together.",
            "Measured: the allocator's own account, with inputs and the workspaces of kernels.",
        ),
    )


def shares(comparison: Comparison) -> Table:
    """Share of mult-adds (and of parameters) by layer type, one row per network."""
    counted = [row.profile for row in comparison.architectures if row.profile and row.profile.by_type]
    weight: dict[str, float] = {}
    for profile in counted:
        for cost in profile.by_type:
            part = max(
                cost.macs / profile.macs if profile.macs else 0,
                cost.parameters / profile.parameters if profile.parameters else 0,
            )
            weight[cost.type] = max(weight.get(cost.type, 0.0), part)
    types = sorted(
        (type for type, part in weight.items() if part >= 0.01), key=lambda type: (-weight[type], type)
    )
    columns = (Column("name", "Architecture"), *(Column(type, type) for type in types))
    rows = []
    for profile in counted:
        cells = [Cell(profile.name)]
        for type in types:
            own = [cost for cost in profile.by_type if cost.type == type]
            macs, parameters = sum(c.macs for c in own), sum(c.parameters for c in own)
            cells.append(
                Cell(text=f"{_part(macs, profile.macs)} / {_part(parameters, profile.parameters)}")
                if own
                else Cell()
            )
        rows.append(tuple(cells))
    return Table(
        "Shares by layer type: mult-adds / parameters",
        columns,
        tuple(rows),
        ("Types below 1 % of both in every network are left out.",),
    )


def _part(value: int, total: int) -> str:
    return units.percent(value / total, 1) if total else units.DASH


def _method(comparison: Comparison) -> str:
    size = figures.usual_batch_size(comparison)
    said = [
        "Mult-Adds count one for each multiply-accumulate of convolutions, linear layers, matrix "
        "products, attention and recurrent cells, from the shapes of one forward pass; bias, "
        "normalisation, pooling and activation functions count 0. One mult-add is two FLOPs.",
        "Activations are the output elements of the operators that multiply.",
        "Accuracies are published claims about certain weights under a certain protocol; nothing was "
        "trained or evaluated here.",
    ]
    if size is not None:
        said += [
            "Times are medians over blocks of passes, networks interleaved in rounds; intervals are 95 % "
            "intervals of the median. Blocks during which other work was seen are left out; a reading "
            "marked ~ cannot be relied on.",
            "Loading and preparing images, and moving them to the device, are not part of a pass.",
        ]
    return _bullets(said)


def _environment(comparison: Comparison) -> str:
    known = [
        (key, value) for key, value in comparison.environment.items() if value not in (None, "", {}, False)
    ]
    if not known:
        return "The record does not say."
    rows = [f"| {plain(str(key))} | {plain(_value(value))} |" for key, value in known]
    return "\n".join(["| | |", "| :--- | :--- |", *rows])


def _value(value: object) -> str:
    return "; ".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else str(value)


def _repeat(comparison: Comparison, name: str, with_latex: bool) -> str:
    more = ["--latex"] if with_latex else []
    out = shlex.quote(f"reports/{name}")
    measured = shlex.join(command(comparison))
    again = shlex.join(["archprof", "report", "--from", "comparison.json", *more])
    return (
        f"Count and measure again:\n\n```sh\n{measured} -o "
        f"{out}{''.join(f' {flag}' for flag in more)}\n```\n\n"
        f"Draw again from the data, in this folder:\n\n```sh\n{again} -o .\n```"
    )


def command(comparison: Comparison) -> list[str]:
    """The words of the command that compares the same networks under the same conditions."""
    known = comparison.environment
    words = ["archprof", "report", *(row.name for row in comparison.architectures)]
    if not comparison.batch_sizes:
        return [*words, "--no-latency"]
    words += ["--batch-sizes", ",".join(map(str, comparison.batch_sizes))]
    for key, usual in (
        ("device", "cpu"),
        ("dtype", "float32"),
        ("threads", None),
        ("compile", None),
        ("mode", "eval"),
        ("optimizer", None),
    ):
        if known.get(key) not in (None, usual):
            words += [f"--{key}", str(known[key])]
    words += [
        flag
        for flag, key in (("--channels-last", "channels_last"), ("--cuda-graph", "cuda_graph"))
        if known.get(key)
    ]
    return words


def _title(summary: str) -> str:
    return summary[:1].upper() + summary[1:]


def _bullets(sentences: object) -> str:
    return "\n".join(f"- {plain(str(sentence))}" for sentence in sentences)  # type: ignore[attr-defined]


def plain(text: str) -> str:
    """Text that Markdown shows as it stands."""
    for letter in "\\`*_[]<>|~":
        text = text.replace(letter, f"\\{letter}")
    return text
