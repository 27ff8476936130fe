"""`archprof list`: the zoo, one network a line."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace

from ..base.version import __version__
from ..models import published
from ..results.comparison import Accuracy
from ..results.profile import StaticProfile
from ..results.saved import SCHEMA_VERSION, as_json
from ..runs import catalogue
from ..runs.catalogue import Entry
from .commands import COMMANDS


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `list` to the command line."""
    parser = commands.add_parser(
        "list",
        help=COMMANDS["list"],
        description="The networks of the zoo at their default inputs, with their published accuracy.",
        epilog="example: archprof list 'resnet*' vgg --json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "patterns",
        nargs="*",
        metavar="PATTERN",
        help="a name, a family, or wildcards such as 'resnet*' (default: everything)",
    )
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
