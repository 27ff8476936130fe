"""`archprof.plot`: a figure for those who call from Python."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base import files
from ..base.errors import BadOption
from ..results.comparison import Comparison
from . import figures, page

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FIGURE = tuple(field.name for field in fields(figures.FigureOptions))

#: Options of a figure that a page has no use for.
_OF_FIGURES = {"width", "height", "dpi", "dark", "notes"}


def plot(kind: str, subject: Any, output: str | Path | None = None, **options: Any) -> Figure | None:
    """Draw the figure `kind` of a comparison, or of models that are compared first; the figure is returned.

        archprof.plot("ball", ["alexnet", "vgg16", "resnet50"], "ball.svg")
        archprof.plot("latency", comparison, width=3.3, only=["resnet*"])

    `subject` is a Comparison, or what `archprof.compare` takes: it is then measured only where the figure shows what
    was measured. `output` is where to write it too, as PNG, SVG or PDF by its extension; one that ends in .html gets
    a page to explore instead, which begins with that figure, and None is returned. `options` are the fields of
    FigureOptions (`width`, `height` in inches, `title`, `labels`, `only`, `dark`, `ops`, `batch_size`, `dataset`,
    `metric`, `x`, `y`, `dpi`, `highlight`, `log`, `notes`), and with models also the keywords of `archprof.compare`.

    Raises BadOption for an unknown kind and where the comparison lacks what it shows, BadOutput where the file cannot
    be written, TypeError for a keyword that nobody takes.
    """
    figures.check_kind(kind)
    as_page = output is not None and str(output).lower().endswith(page.EXTENSION)
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
    if isinstance(subject, Comparison):
        if options:
            raise TypeError(
                f"plot() of a comparison has no argument '{next(iter(options))}'; it has {', '.join(_FIGURE)}"
            )
        comparison = subject
    else:
        comparison = _compared(kind, subject, how, options)
    if start is not None:
        page.write(comparison, str(output), start)
        return None
    figure = figures.draw(kind, comparison, how)
    if output is not None:
        figures.save(figure, output)
    return figure


def _compared(kind: str, models: Any, how: figures.FigureOptions, options: dict[str, Any]) -> Comparison:
    from ..runs.compare import compare

    timed = kind == "pareto" and bool({how.x, how.y} & set(figures.TIMED))
    given: dict[str, Any] = {"latency": figures.KINDS[kind].measured or timed, "dataset": how.dataset} | options
    found = compare(models, **given)
    if all(row.profile is None for row in found):
        raise BadOption(
            f"nothing can be drawn: {next((row.error for row in found if row.error), 'there is no network')}"
        )
    return found
