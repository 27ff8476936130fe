"""`archprof plot history`: the figure of what `check --record` wrote. No command of its own."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..base import files
from ..base.errors import BadOption
from ..results import history
from ..results.conditions import Conditions, Sampling
from . import options, saved

#: Options of figures that have a value where nobody gives one.
_USUAL = {"ops": "macs", "metric": "top1", "x": "macs", "y": "top1"}


def run(args: argparse.Namespace) -> int:
    """Read the history that --from names, draw, save."""
    from ..render import figures
    from ..render.figures import history as figure

    if args.models or not args.saved:
        raise BadOption(f"'{args.kind}' is of what 'archprof check --record FILE' wrote;", "name it: --from FILE.")
    unused = [name for name, usual in _USUAL.items() if getattr(args, name) != usual]
    unused += ["accuracy", "json", "measure", "no_latency", "batch_sizes", "batch_size", "dataset", "where", "log"]
    unused.append("highlight")
    options.refuse_without_effect(args, f"on '{args.kind}'", Conditions, Sampling, also=unused)
    figures.check_format(args.output)
    files.check([args.output])
    how = figures.FigureOptions(
        width=args.width or 7.0,
        height=args.height,
        dpi=args.dpi or 150,
        title=args.title,
        labels=saved.pairs(args.label),
        only=tuple(args.only),
        dark=args.dark,
        notes=not args.no_notes,
    )
    figures.save(figure.draw(history.read(Path(args.saved)), how), args.output)
    return 0
