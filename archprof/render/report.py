"""A folder that tells a comparison to somebody who was not there: README, figures, a page to look around in, data.
Never imports torch.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..base import files, options, units
from ..base.errors import BadOption, BadOutput
from ..results import conditions
from ..results.comparison import Comparison
from ..results.per_layer import time_shares
from . import figures, page
from .claims import answers
from .csv import csv_text
from .escapes import fenced
from .escapes import markdown as plain
from .findings import summary
from .latex import latex
from .markdown import markdown
from .tables import environment
from .tables import report as report_tables
from .tables.costs import counted_shares, static
from .tables.table import Table
from .tables.times import latency, operations

#: Last line of every README that this module wrote: what says that a folder is ours.
MARK = "<!-- written by archprof report -->"

#: Where a report is written until it is whole.
UNFINISHED = ".unfinished"

#: Figures of a report, in the order in which they are told.
KINDS = (
    "ball",
    "accuracy",
    "density",
    "breakdown",
    "separable",
    "latency",
    "relative",
    "ops-latency",
    "throughput",
    "memory",
    "memory-params",
)

#: Those that only a device with an energy meter gives.
METERED_KINDS = ("power", "power-ops")

#: Figures are drawn in these formats unless others are asked for.
FORMATS = ("svg", "png")


@dataclass(frozen=True)
class Drawing:
    """Which figures a report has, of KINDS and METERED_KINDS, and in which formats; the text shows the first of these
    that a browser can (SVG, PNG).

    Raises BadOption for a kind or a format that there is not.
    """

    kinds: tuple[str, ...] = KINDS + METERED_KINDS
    formats: tuple[str, ...] = FORMATS

    def __post_init__(self) -> None:
        for kind in self.kinds:
            options.one_of("figure of a report", kind, KINDS + METERED_KINDS)
        for format in self.formats:
            options.one_of("format of figures", format, figures.FORMATS)
        if not self.formats:
            raise BadOption("no format of figures is given;", f"expected some of {', '.join(figures.FORMATS)}.")

    @property
    def words(self) -> list[str]:
        """The command-line words that ask for it."""
        kinds = ["--figures", ",".join(self.kinds) or "none"] if self.kinds != Drawing.kinds else []
        return [*kinds, *(["--formats", ",".join(self.formats)] if self.formats != FORMATS else [])]


#: The file of a report to look around in; it is left out where the chart library is not installed.
PAGE = "page.html"


def check_folder(folder: str | Path, force: bool = False) -> None:
    """Raise BadOutput where a report would mix with files that are not a report's, unless `force`."""
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise BadOutput(f"'{folder}' is a file.", "Name a folder that is new, empty, or a report's.")
    if not folder.exists() or force or is_ours(folder) or not _strangers(folder):
        return
    raise BadOutput(
        f"the folder '{folder}' is not empty and holds no report.",
        "Name another folder, or add --force to write into it (nothing else in it is removed).",
    )


def _strangers(folder: Path) -> list[str]:
    """What the folder holds, but for what a report that was killed has left there."""
    return [path.name for path in folder.iterdir() if not path.name.lstrip(".").startswith(UNFINISHED.lstrip("."))]


def is_ours(folder: Path) -> bool:
    """Whether the folder's README says that a report was written there."""
    try:
        return (folder / "README.md").read_text(encoding="utf-8").rstrip().endswith(MARK)
    except (OSError, UnicodeDecodeError):
        return False


def write(
    comparison: Comparison,
    folder: str | Path,
    with_latex: bool = False,
    force: bool = False,
    drawing: Drawing = Drawing(),
) -> list[Path]:
    """Write the report into `folder` and return its files.

    The same comparison in a folder of the same name gives the same bytes. Figures of an earlier report in that
    folder that this comparison cannot give are removed. A report that is stopped half-way leaves the folder as it was.
    Raises BadOutput where the folder is not ours, or another process is writing a report there.
    """
    check_folder(folder, force)
    folder = Path(folder)
    exists = folder.is_dir()
    half = folder / UNFINISHED if exists else folder.resolve().with_name(f".{folder.resolve().name[:200]}{UNFINISHED}")
    try:
        half.parent.mkdir(parents=True, exist_ok=True)
        with files.alone(str(half)):
            shutil.rmtree(half, ignore_errors=True)  # of a run that was killed
            try:
                (half / "figures").mkdir(parents=True)
                names = _write(comparison, half, _name(folder.resolve()), with_latex, drawing)
                _moved(half, folder, names) if exists else half.rename(folder)
            finally:
                shutil.rmtree(half, ignore_errors=True)
    except OSError as reason:
        raise BadOutput(f"the folder '{folder}' cannot be made: {reason.strerror}.", "Choose another place.") from None
    return [folder / name for name in names]


def _write(comparison: Comparison, folder: Path, title: str, with_latex: bool, drawing: Drawing) -> list[str]:
    """Everything, the README last; returns the files' names."""
    drawn, missing = _draw(comparison, folder / "figures", drawing)
    texts = {"comparison.json": comparison.to_json() + "\n", "comparison.csv": csv_text(comparison)}
    if with_latex:
        texts["table.tex"] = latex(static(comparison))
    if with_page := page.missing() is None and any(row.profile for row in comparison.architectures):
        texts[PAGE] = page.html(comparison, page.usual_start(comparison, title))
    texts["README.md"] = readme(comparison, title, drawn, missing, with_latex, drawing, with_page)
    for name, text in texts.items():
        files.write(str(folder / name), text)
    return [*texts, *(f"figures/{kind}.{format}" for kind in drawn for format in drawing.formats)]


def _moved(half: Path, folder: Path, names: Sequence[str]) -> None:
    """Put the files where an earlier report's are, and remove those of its that are not made any more."""
    (folder / "figures").mkdir(exist_ok=True)
    for name in sorted(names, key=lambda name: name == "README.md"):
        (half / name).replace(folder / name)
    ours = [f"figures/{kind}.{format}" for kind in KINDS + METERED_KINDS for format in figures.FORMATS]
    for name in {*ours, "table.tex", PAGE} - {*names}:
        (folder / name).unlink(missing_ok=True)


def _name(folder: Path) -> str:
    """'mobilenet'; below a folder called reports all of the way from there: 'residual/training'."""
    above = [parent.name for parent in folder.parents]
    if "reports" not in above:
        return folder.name
    return folder.relative_to(folder.parents[above.index("reports")]).as_posix()


def _draw(comparison: Comparison, folder: Path, drawing: Drawing) -> tuple[list[str], dict[str, str]]:
    """Draw what can be drawn; returns the kinds, and for the others why not. Few devices have a meter: without
    readings nothing is said of it."""
    drawn, missing = [], {}
    how = figures.FigureOptions(dataset=comparison.dataset)
    for kind in drawing.kinds:
        paths = [folder / f"{kind}.{format}" for format in drawing.formats]
        try:
            _check_worth(kind, comparison)
            figure = figures.draw(kind, comparison, how)
        except BadOption as reason:
            if comparison.metered or kind not in METERED_KINDS:
                missing[kind] = str(reason)
            continue
        for path in paths:
            figures.save(figure, path)
        drawn.append(kind)
    return drawn, missing


def _check_worth(kind: str, comparison: Comparison) -> None:
    """Raise BadOption for a figure whose points would all lie above one another: networks that differ in nothing."""
    field = {"ops-latency": "macs", "power-ops": "macs", "memory-params": "parameter_bytes"}.get(kind)
    counted = [row.profile for row in comparison.architectures if row.profile]
    if field and len(counted) > 1 and len({getattr(profile, field) for profile in counted}) == 1:
        what = {"macs": "mult-adds", "parameter_bytes": "parameter memory"}[field]
        raise BadOption(f"all networks have the same {what}.")


def readme(
    comparison: Comparison,
    name: str,
    drawn: Sequence[str],
    missing: dict[str, str],
    with_latex: bool,
    drawing: Drawing = Drawing(),
    with_page: bool = False,
) -> str:
    """The report's Markdown."""
    pictures = _Pictures(drawn, drawing.formats)
    parts = [
        f"# {plain(name)}",
        _opening(comparison, with_page),
        "## Summary",
        _bullets(summary(comparison)),
        *pictures.of("ball"),
    ]
    found = answers(comparison)
    if found:
        parts += [
            "## Claims, checked",
            "\n\n".join(f"**{plain(a.claim)}.** {plain(a.answer)}" for a in found),
        ]
    parts += [_table(static(comparison)), *pictures.of("accuracy", "density")]
    where = report_tables.kinds(comparison)
    if where.rows:
        what = "parameters, mult-adds and time" if _timed_layers(comparison) else "parameters and mult-adds"
        parts += [f"## Where {what} are", _table(where, 3), *pictures.of("breakdown")]
        parts += ["## What depthwise separable convolutions would save", *_separable(comparison)]
        parts += pictures.of("separable")
    if comparison.batch_sizes:
        parts += [_table(latency(comparison)), *pictures.of("latency", "relative")]
        fitted = operations(comparison)
        parts += [_table(fitted)] if fitted else []
        parts += pictures.of("ops-latency", "throughput", *METERED_KINDS)
        parts += [_table(report_tables.memory(comparison)), *pictures.of("memory", "memory-params")]
    elif "memory" in drawn:
        parts += ["## Peak memory, predicted", *pictures.of("memory", "memory-params")]
    if missing:
        parts += ["## Not drawn", _bullets(f"{kind}: {why}" for kind, why in missing.items())]
    parts += ["## How it was counted and measured", _method(comparison)]
    parts += [_environment(comparison)]
    parts += ["## To repeat it", _repeat(comparison, name, with_latex, drawing)]
    if comparison.warnings:
        parts += ["## Warnings", _bullets(comparison.warnings)]
    parts += [MARK]
    return "\n\n".join(part for part in parts if part) + "\n"


def _timed_layers(comparison: Comparison) -> bool:
    return any(time_shares(row.profile) for row in comparison.architectures if row.profile)


class _Pictures:
    """Figures as Markdown, those that were drawn."""

    def __init__(self, drawn: Sequence[str], formats: Sequence[str]) -> None:
        self.drawn = drawn
        self.shown = next((format for format in ("svg", "png") if format in formats), "")
        self.linked = [format for format in formats if format != self.shown]

    def of(self, *kinds: str) -> list[str]:
        """Heading, image and caption of each."""
        parts = []
        for kind in kinds:
            if kind in self.drawn:
                told = figures.KINDS[kind]
                title = _title(told.summary)
                links = ", ".join(f"[{format.upper()}](figures/{kind}.{format})" for format in self.linked)
                parts += [
                    f"### {title}",
                    f"![{title}](figures/{kind}.{self.shown})" if self.shown else "",
                    f"{plain(told.caption)} ({links})" if links else plain(told.caption),
                ]
        return parts


def _table(table: Table, level: int = 2) -> str:
    return markdown([table], level).rstrip("\n")


def _opening(comparison: Comparison, with_page: bool) -> str:
    names = [row.name for row in comparison.architectures]
    when = str(comparison.environment.get("date", ""))[:10]
    what = "1 network" if len(names) == 1 else f"{len(names)} networks side by side"
    told = f"{what}: {', '.join(map(plain, names))}."
    by = f" Compared by archprof {plain(comparison.archprof)}" if comparison.archprof else ""
    data = "The data: [comparison.json](comparison.json), [comparison.csv](comparison.csv)."
    around = f" To look around in, in a browser: [{PAGE}]({PAGE})." if with_page else ""
    return f"{told}{by}{f' on {plain(when)}' if by and when else ''}{'.' if by else ''} {data}{around}"


def _separable(comparison: Comparison) -> list[str]:
    """The formula, who would gain most and least, and the table."""
    formula = (
        "A dense K x K convolution from M to N channels multiplies K² · M · N times at each position of its output. As "
        "a depthwise K x K convolution and a 1x1 one after it, it does so K² · M + M · N times: 1/N + 1/K² of that, "
        "and the same part of the weights (Howard et al., arXiv 1704.04861, section 3.1). The table rewrites every "
        "dense KxK convolution of each network so, on paper; what it would do to accuracy only training can tell, and "
        "to time only the clock (`archprof separable MODEL --measure`)."
    )
    known = [(s.ratio, s.name) for s, known in counted_shares(comparison) if known and s.ratio is not None]
    said = ""
    if len(known) > 1:
        (least, gains), (most, keeps) = min(known), max(known)
        said = (
            f"{plain(gains)} would keep the least of its mult-adds, {units.percent(least, 1)}; {plain(keeps)} the "
            f"most, {units.percent(most, 1)}."
        )
    return [formula, said, _table(report_tables.savings(comparison), 3)]


def _method(comparison: Comparison) -> str:
    said = [
        "Mult-Adds count one for each multiply-accumulate of convolutions, linear layers, matrix "
        "products, attention and recurrent cells, from the shapes of one forward pass; bias, "
        "normalisation, pooling and activation functions count 0. One mult-add is two FLOPs.",
        "Activations are the output elements of the operators that multiply.",
        _accuracies(comparison),
    ]
    if comparison.batch_sizes:
        said += [
            "Times are medians over blocks of passes, networks interleaved in rounds; intervals are 95 % "
            "intervals of the median. Blocks during which other work was seen are left out; a time "
            "marked ~ is not reliable.",
            "Loading and preparing images, and moving them to the device, are not part of a pass.",
        ]
    return _bullets(said)


def _accuracies(comparison: Comparison) -> str:
    shown = [claim for row in comparison.architectures if (claim := row.top("top1", comparison.dataset))]
    measured = [claim for claim in shown if claim.measured]
    if not measured:
        return (
            "Accuracies are published claims about certain weights under a certain protocol; nothing was "
            "trained or evaluated here."
        )
    if len(measured) == len(shown):
        return "Accuracies were measured by 'archprof trial', as the note below their table says."
    return (
        "Accuracies are published claims about certain weights under a certain protocol, but for those whose note says "
        "that 'archprof trial' measured them: other weights, other recipes, not to be ranked beside them."
    )


def _environment(comparison: Comparison) -> str:
    known = {key: value for key, value in comparison.environment.items() if value not in (None, "", {}, False)}
    return _table(environment.table(known)) if known else "## Environment\n\nThe record does not say."


def _repeat(comparison: Comparison, name: str, with_latex: bool, drawing: Drawing) -> str:
    more = [*drawing.words, *(["--latex"] if with_latex else [])]
    out_folder = f"reports/{name}"
    measured = shlex.join(command(comparison))
    again = shlex.join(["archprof", "report", "--from", "comparison.json", *more])
    return (
        f"Count and measure again:\n\n{fenced(f'{measured} -o {shlex.join([out_folder, *more])}', 'sh')}\n\n"
        f"Draw again from the data, in this folder:\n\n{fenced(f'{again} -o .', 'sh')}"
    )


def command(comparison: Comparison) -> list[str]:
    """The words of the command that compares the same networks under the same conditions."""
    known = comparison.environment
    names = [row.name for row in comparison.architectures]
    words = ["archprof", "report", *names]
    if comparison.dataset != "imagenet-1k":
        words += ["--dataset", comparison.dataset]
    if len(names) > 1 and comparison.reference not in (None, names[-1]):
        words += ["--reference", str(comparison.reference)]
    if not comparison.batch_sizes:
        return [*words, "--no-latency"]
    words += ["--batch-sizes", ",".join(map(str, comparison.batch_sizes))]
    words += options.words(conditions.Conditions, known)
    if comparison.stopping is not None:
        words += options.words(conditions.Sampling, vars(comparison.stopping))
    return words


def _title(summary: str) -> str:
    return summary[:1].upper() + summary[1:]


def _bullets(sentences: object) -> str:
    return "\n".join(f"- {plain(str(sentence), starts=True)}" for sentence in sentences)  # type: ignore[attr-defined]
