"""`archprof list`: the zoo, one network a line."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

from ..base import units
from ..base.version import __version__
from ..models import published
from ..results.comparison import Accuracy
from ..results.profile import StaticProfile
from ..results.saved import SCHEMA_VERSION, as_json
from ..runs import catalogue
from ..runs.catalogue import Entry

HEADINGS = ("Name", "Family", "Year", "Params", "Mult-Adds", "Input", "Top-1")
_NUMBERS = frozenset({"Year", "Params", "Mult-Adds", "Top-1"})


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `list` to the command line."""
    parser = commands.add_parser(
        "list",
        help="the zoo: what each network costs, and its published accuracy",
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
    else:
        show(rows)
    return 0


def with_accuracy(rows: Sequence[Entry], dataset: str | None, extra: Sequence[Accuracy] = ()) -> list[Entry]:
    """The same rows, each with the top-1 claim to show; None where nobody published one."""
    found = [published.claims(row.name, dataset=dataset, metric="top1", extra=extra) for row in rows]
    return [replace(row, accuracy=next(iter(claims), None)) for row, claims in zip(rows, found, strict=True)]


def cells(rows: Sequence[Entry]) -> tuple[list[tuple[str, ...]], list[str]]:
    """One line of text cells for each row under HEADINGS, and the footnotes that its marks [1] point to."""
    notes = published.references([row.accuracy for row in rows if row.accuracy])
    lines: list[tuple[str, ...]] = [
        (
            row.name,
            row.family,
            str(row.year),
            units.count(row.parameters),
            units.count(row.macs),
            "x".join(map(str, row.input_shape)),
            _top1(row.accuracy, notes),
        )
        for row in rows
    ]
    return lines, notes


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


def show(rows: Sequence[Entry]) -> None:
    """Print the table and its footnotes: with rich on a terminal, as plain aligned text elsewhere."""
    lines, notes = cells(rows)
    emit: Callable[[list[tuple[str, ...]]], None] = _rich if sys.stdout.isatty() else _plain
    emit(lines)
    if notes:
        print()
    for mark, note in enumerate(notes, start=1):
        print(f"[{mark}] {note}")


def _profile(name: str) -> StaticProfile:
    from ..counting.counts import profile

    return profile(name)


def _top1(claim: Accuracy | None, notes: Sequence[str]) -> str:
    return f"{claim.percent:.2f} [{notes.index(published.reference(claim)) + 1}]" if claim else units.DASH


def _plain(lines: list[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(HEADINGS, *lines, strict=True)]
    for line in (HEADINGS, *lines):
        padded = [
            cell.rjust(width) if heading in _NUMBERS else cell.ljust(width)
            for heading, cell, width in zip(HEADINGS, line, widths, strict=True)
        ]
        print("  ".join(padded).rstrip())


def _rich(lines: list[tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in HEADINGS:
        table.add_column(heading, justify="right" if heading in _NUMBERS else "left", no_wrap=True)
    for line in lines:
        table.add_row(*map(escape, line))
    Console().print(table)
