"""`archprof plot curves` and `plot grid`: figures of a saved trial. No command of its own."""

from __future__ import annotations

import argparse

from ..base import files
from ..base.errors import BadOption
from ..results.conditions import Conditions, Sampling
from ..results.trials import Trial
from . import options, saved


def run(args: argparse.Namespace) -> int:
    """Read the trial that --from names, draw, save."""
    from ..render import figures
    from ..render.figures import trials

    if args.models or not args.saved:
        raise BadOption(f"'{args.kind}' is of a trial;", "name its folder: --from trials/NAME.")
    unused = ("accuracy", "json", "measure", "no_latency", "batch_sizes", "batch_size", "dataset")
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
    )
    figures.save(trials.draw(args.kind, Trial.read(args.saved), how), args.output)
    return 0
