"""`archprof plot` of a saved record that is no comparison: a trial, or a history of budgets. No command of its own."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..base import files
from ..base.errors import BadOption
from ..results.conditions import Conditions, Sampling
from . import options

#: Options of comparisons' figures that have a value where nobody gives one.
_USUAL = {"ops": "macs", "metric": "top1", "x": "macs", "y": "top1"}

#: Other options that need a comparison.
_OF_COMPARISONS = (
    "runs",
    "no_logbook",
    *("accuracy", "json", "measure", "no_latency", "batch_sizes", "batch_size", "dataset", "where", "log"),
    "highlight",
)


def run(args: argparse.Namespace) -> int:
    """Read the record that --from names, draw, save."""
    from ..render import figures
    from ..render.figures import history, trials

    of_trial = args.kind in trials.KINDS
    if args.models or not args.saved:
        if of_trial:
            raise BadOption(f"'{args.kind}' is of a trial;", "name its folder: --from trials/NAME.")
        raise BadOption(f"'{args.kind}' is of what 'archprof check --record FILE' wrote;", "name it: --from FILE.")
    changed = [name for name, usual in _USUAL.items() if getattr(args, name) != usual]
    options.refuse_without_effect(args, f"on '{args.kind}'", Conditions, Sampling, also=(*changed, *_OF_COMPARISONS))
    figures.check_format(args.output)
    files.check([args.output])
    how = options.figure(args)
    if of_trial:
        from ..results.trials import Trial

        drawn = trials.draw(args.kind, Trial.read(args.saved), how)
    else:
        from ..results.history import read

        drawn = history.draw(read(Path(args.saved)), how)
    figures.save(drawn, args.output)
    return 0
