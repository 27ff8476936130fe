"""`archprof.plot`: a figure for those who call from Python."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base import files
from ..base.errors import BadOption
from ..results.comparison import Comparison
from ..results.trials import Trial
from . import figures, page
from .figures import trials

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FIGURE = tuple(field.name for field in fields(figures.FigureOptions))

#: Options of a figure that a page has no use for.
_OF_FIGURES = {"width", "height", "dpi", "dark", "notes"}


def plot(kind: str, subject: Any, output: str | Path | None = None, **options: Any) -> Figure | None:
    """Draw the figure `kind` of a comparison, a trial, or of models that are compared first; the figure is returned.

        archprof.plot("ball", ["alexnet", "vgg16", "resnet50"], "ball.svg")
        archprof.plot("latency", comparison, width=3.3, only=["resnet*"])
        archprof.plot("curves", trial, "curves.svg")

    `subject` is a Comparison, or what `archprof.compare` takes: it is then measured only where the figure shows what
    was measured. `output` is where to write it too, as PNG, SVG or PDF by its extension; one that ends in .html gets
    a page to explore instead, which begins with that figure, and None is returned. `options` are the fields of
    FigureOptions (`width`, `height` in inches, `title`, `labels`, `only`, `dark`, `ops`, `batch_size`, `dataset`,
    `metric`, `x`, `y`, `dpi`, `highlight`, `log`, `notes`), and with models also the keywords of `archprof.compare`.
    The kinds `curves` and `grid` are of a Trial, and no page.

    Raises BadOption for an unknown kind and where the comparison lacks what it shows, BadOutput where the file cannot
    be written, TypeError for a keyword that nobody takes.
    """
    if kind not in trials.KINDS:
        figures.check_kind(kind, trials.KINDS)
    of_trial = isinstance(subject, Trial)
    if of_trial != (kind in trials.KINDS):
        of, other = ("a comparison", "a trial") if of_trial else ("a trial", "something else")
        raise BadOption(
            f"'{kind}' is a figure of {of}; {other} was handed over.", f"Of trials: {', '.join(trials.KINDS)}."
        )
    as_page = output is not None and not of_trial and str(output).lower().endswith(page.EXTENSION)
    if as_page:
        for name in _OF_FIGURES & options.keys():
            raise BadOption(f"{name} has no effect on a page.", "Leave it out.")
        if (why := page.missing()) is not None:
            raise why
    drawing = {name: options.pop(name) for name in _FIGURE if name in options}
    for name in ("only", "highlight"):
        if name in drawing:
            drawing[name] = (drawing[name],) if isinstance(drawing[name], str) else tuple(drawing[name])
    how = figures.FigureOptions(**drawing)
    start = page.start_of(kind, how) if as_page else None
    if output is not None:
        if not as_page:
            figures.check_format(output)
        files.check([str(output)])
    if options and isinstance(subject, Comparison | Trial):
        what = type(subject).__name__.lower()
        raise TypeError(f"plot() of a {what} has no argument '{next(iter(options))}'; it has {', '.join(_FIGURE)}")
    if isinstance(subject, Trial):
        figure = trials.draw(kind, subject, how)
        if output is not None:
            figures.save(figure, output)
        return figure
    comparison = subject if isinstance(subject, Comparison) else _compared(kind, subject, how, options)
    if start is not None:
        page.write(comparison, str(output), start)
        return None
    figure = figures.draw(kind, comparison, how)
    if output is not None:
        figures.save(figure, output)
    return figure


def _compared(kind: str, models: Any, how: figures.FigureOptions, options: dict[str, Any]) -> Comparison:
    from ..runs.compare import compare

    if figures.KINDS[kind].of_layers:
        raise BadOption(
            f"'{kind}' needs ceilings, which the command line measures and keeps;",
            f"hand over a Comparison that 'archprof plot {kind} MODEL -o FILE --json SAVED' wrote.",
        )
    timed = kind == "pareto" and bool({how.x, how.y} & set(figures.TIMED))
    given: dict[str, Any] = {"latency": figures.KINDS[kind].measured or timed, "dataset": how.dataset} | options
    found = compare(models, **given)
    if all(row.profile is None for row in found):
        raise BadOption(
            f"nothing can be drawn: {next((row.error for row in found if row.error), 'there is no network')}"
        )
    return found
