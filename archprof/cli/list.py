"""`archprof list`: the zoo, or a library's networks, one a line."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..base.errors import BadOption
from ..base.version import __version__
from ..models import published
from ..results.comparison import Accuracy
from ..results.profile import StaticProfile
from ..results.saved import SCHEMA_VERSION, as_json
from ..runs import catalogue
from ..runs.catalogue import Entry
from . import options
from .commands import COMMANDS

if TYPE_CHECKING:
    from ..results.choice import Option


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `list` to the command line."""
    parser = commands.add_parser(
        "list",
        help=COMMANDS["list"],
        description="The networks of the zoo, or of a library, at their default inputs, with their published accuracy.",
        epilog="example: archprof list 'resnet*' vgg --json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "patterns",
        nargs="*",
        metavar="PATTERN",
        help="a name, a family, or wildcards such as 'resnet*' or 'timm:convnext*' (default: the zoo)",
    )
    options.add_where(parser)
    parser.add_argument("--sort", metavar="COLUMN", help="by this column, the best first (default: as they are named)")
    parser.add_argument(
        "--dataset", metavar="D", help="show top-1 on this dataset (default: the one each network is known for)"
    )
    parser.add_argument(
        "--accuracy", metavar="FILE", help="accuracies of your own: CSV with architecture,dataset,metric,percent,source"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.set_defaults(run=run, parser=parser)


def run(args: argparse.Namespace) -> int:
    """Count what is not counted yet, look up what is published, print."""
    extra = published.read(args.accuracy) if args.accuracy else ()
    if args.where or args.sort or any(":" in pattern for pattern in args.patterns):
        return _judged(args, extra)
    counted = catalogue.entries(args.patterns, _profile, catalogue.cache_file())
    rows = with_accuracy(counted, args.dataset, extra)
    for row in rows:
        if row.error:
            print(f"archprof: {row.name}: {row.error}", file=sys.stderr)
    if args.json:
        print(to_json(rows))
        return 0
    from ..render import terminal
    from ..render.tables import zoo

    terminal.show([zoo.table(rows)], export="--json")
    return 0


def _judged(args: argparse.Namespace, extra: Sequence[Accuracy]) -> int:
    """The networks of any source, within every limit, from the index; 1 where none is."""
    from ..results import choice, columns, where
    from ..runs.index import Index
    from ..runs.options import options as offered
    from .progress import counted

    limits = where.parse_all(args.where)
    by = columns.column(args.sort, "--sort") if args.sort else None
    for limit in limits:
        if limit.column.measured:
            raise BadOption(
                f"'{limit.shown}': {limit.column.name} is measured, and a list measures nothing;",
                "archprof choose does, for the best of those within the other limits.",
            )
    dataset = args.dataset or "imagenet-1k"
    if dataset not in published.datasets(extra):
        published.claims("", dataset=dataset, extra=extra)  # says which there are
    with Index() as index, counted() as tell:
        everyone = offered(
            args.patterns or ["*"],
            index,
            dataset=dataset,
            own=extra,
            variants=False,
            progress=tell.progress,
            tell=tell.sentence,
        )
    facts = [one.facts for one in everyone]
    limits = where.resolved(limits, {one.name: one.facts for one in everyone}.get)
    kept = where.within(everyone, facts, limits)
    if by is not None:
        kept = choice.ordered(kept, by)
    why = where.emptied(facts, limits)
    if why is not None:
        nearest = everyone[why.nearest].name if why.nearest is not None else ""
        print(f"archprof: {where.told(why, nearest, len(everyone))}", file=sys.stderr)
    if args.json:
        networks = [_option_json(one) for one in kept]
        whole = {"schema_version": SCHEMA_VERSION, "archprof": __version__, "architectures": networks}
        print(json.dumps(whole, indent=2))
    elif kept:
        from ..render import terminal
        from ..render.tables import zoo

        terminal.show([zoo.options(kept)], export="--json")
    return 0 if kept else 1


def _option_json(one: Option) -> dict[str, Any]:
    keys = ("name", "source", "family", "year", "parameters", "macs")
    claims = [as_json(one.claim)] if one.claim else []
    return {key: one.facts[key] for key in keys} | {"input_shape": list(one.input_shape), "accuracy": claims}


def with_accuracy(rows: Sequence[Entry], dataset: str | None, extra: Sequence[Accuracy] = ()) -> list[Entry]:
    """The same rows, each with the top-1 claim to show; None where nobody published one."""
    found = [published.claims(row.name, dataset=dataset, metric="top1", extra=extra) for row in rows]
    return [replace(row, accuracy=next(iter(claims), None)) for row, claims in zip(rows, found, strict=True)]


def to_json(rows: Sequence[Entry]) -> str:
    """The rows as JSON, under the keys that a saved comparison uses."""
    kept = ("name", "family", "year", "paper", "input_shape", "aliases", "parameters", "macs", "error")
    networks = []
    for row in rows:
        facts = {key: value for key, value in as_json(row).items() if key in kept}
        claims = [as_json(row.accuracy)] if row.accuracy else []
        networks.append(facts | {"source": "zoo", "accuracy": claims})
    whole = {"schema_version": SCHEMA_VERSION, "archprof": __version__, "architectures": networks}
    return json.dumps(whole, indent=2)


def _profile(name: str) -> StaticProfile:
    from ..counting.counts import profile

    return profile(name)
