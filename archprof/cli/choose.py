"""archprof choose: the best network under limits, and why."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from ..base.options import whole
from ..results.conditions import Conditions, Sampling
from . import options

if TYPE_CHECKING:
    from ..results.choice import Choice

#: Seconds for each network that is measured.
USUAL = Sampling(time_budget=2.0)


def add(commands: Any) -> None:
    """Declare the command."""
    parser = options.command(
        commands,
        "choose",
        run,
        'archprof choose --where "parameters < 5 M" --where "macs < 600 M"',
    )
    parser.add_argument(
        "patterns",
        nargs="*",
        metavar="PATTERN",
        help="such as 'resnet*', 'timm:*' (default: all of the zoo, torchvision and timm)",
    )
    options.add_where(parser)
    parser.add_argument("--sort", default="top1", metavar="COLUMN", help="best first by this column (default: top1)")
    parser.add_argument(
        "--top", type=options.typed(whole), default=10, metavar="N", help="how many to show (default: 10)"
    )
    parser.add_argument(
        "--dataset", default="imagenet-1k", metavar="NAME", help="whose accuracy decides (default: imagenet-1k)"
    )
    parser.add_argument("--accuracy", metavar="FILE", help="accuracies of your own, as CSV")
    parser.add_argument(
        "--batch-size",
        type=options.typed(whole),
        metavar="N",
        help="at which a limit on latency or memory holds (default: 1)",
    )
    options.add_conditions(parser)
    options.add_sampling(parser, USUAL)
    group = parser.add_argument_group("results ('-' is stdout)")
    group.add_argument("--json", metavar="FILE", help="write every network within the limits as JSON")
    group.add_argument("--csv", metavar="FILE", help="write every network within the limits as CSV")


def run(args: argparse.Namespace) -> int:
    """Choose, show, export; 1 where nothing is within the limits."""
    from ..base import files
    from ..models import published
    from ..results import where
    from ..runs.choose import choice_of
    from .progress import counted

    exports = (args.json, args.csv)
    files.check(exports)
    limits = where.parse_all(args.where)
    settings: dict[str, Any] = {}
    if any(limit.column.measured for limit in limits):
        settings = {"conditions": options.conditions(args), "sampling": options.sampling(args)}
    else:
        why = "without a limit on latency or memory"
        options.refuse_without_effect(args, why, Conditions, Sampling, also=("batch_size",))
    own = published.read(args.accuracy) if args.accuracy else ()
    with counted() as tell:
        found = choice_of(
            args.patterns,
            args.where,
            sort=args.sort,
            dataset=args.dataset,
            accuracies=own,
            batch_size=args.batch_size or 1,
            progress=tell.progress,
            tell=tell.sentence,
            **settings,
        )
    if files.STDOUT not in exports:
        show(found, args.top)
    if args.json:
        files.write(args.json, to_json(found))
    if args.csv:
        from ..render.csv import csv_of

        files.write(args.csv, csv_of(found.rows()))
    return 0 if found.options else 1


def show(found: Choice, top: int) -> None:
    """The answer, then the table that it was taken from."""
    from ..render import choice as words
    from ..render import escapes, terminal
    from ..render.tables import choice

    said = words.summary(found)
    if not found.options:
        print("archprof: " + " ".join(said), file=sys.stderr)
        return
    for sentence in said:
        print(escapes.terminal(sentence))
    print()
    terminal.show([choice.table(found, top)], export="--csv -")


def to_json(found: Choice) -> str:
    """Every network within the limits, best first, with exact figures."""
    from ..base.version import __version__
    from ..results.saved import SCHEMA_VERSION

    whole = {
        "schema_version": SCHEMA_VERSION,
        "archprof": __version__,
        "limits": [limit.shown for limit in found.limits],
        "sort": found.sort.name,
        "dataset": found.dataset,
        "considered": found.considered,
        "options": found.rows(),
    }
    return json.dumps(whole, indent=2)
