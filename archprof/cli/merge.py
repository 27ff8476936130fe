"""archprof merge: the results of several machines as one, each machine by its fingerprint."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any

from ..base.errors import BadFile, BadOption
from . import options, saved

if TYPE_CHECKING:
    from ..results.comparison import Comparison


def add(commands: Any) -> None:
    """Declare the command."""
    parser = options.command(
        commands,
        "merge",
        run,
        "archprof merge sweep.epyc.jsonl laptop=sweep.jsonl --figure machines.svg --json fleet.json",
    )
    parser.add_argument(
        "files",
        nargs="+",
        metavar="[NAME=]FILE",
        help="saved sweeps or comparisons, or what --json of this command wrote; NAME is what to call the machine",
    )
    parser.add_argument(
        "--reference",
        metavar="MODEL",
        help="ratios are taken to this one (default: the last that every machine measured)",
    )
    parser.add_argument("--figure", metavar="FILE", help="draw ratios and ranks as .svg, .png or .pdf")
    options.add_exports(parser)


def run(args: argparse.Namespace) -> int:
    """Read, merge, show, export."""
    from ..base import files
    from ..results import machines

    exports = (args.json, args.csv, args.markdown, args.figure)
    files.check(exports)
    if args.figure:
        from ..render.figures import check_format

        check_format(args.figure)
    fleet = machines.merge([entry for given in args.files for entry in _read(given)])
    reference = fleet.reference(args.reference)
    from ..render.tables.machines import tables

    found = tables(fleet, reference)
    drawn = None
    if args.figure:
        from ..render.figures import machines as figure

        drawn = figure.draw(fleet, reference)
    if files.STDOUT not in exports:
        from ..render import terminal

        terminal.show(found)
    if args.json:
        files.write(args.json, fleet.to_json())
    if args.csv:
        from ..render.csv import machines_csv

        files.write(args.csv, machines_csv(fleet))
    if args.markdown:
        from ..render.markdown import markdown

        files.write(args.markdown, markdown(found))
    if drawn is not None:
        from ..render.figures import save

        save(drawn, args.figure)
    for warning in fleet.warnings:
        print(f"archprof: {warning}", file=sys.stderr)
    return 0


def _read(given: str) -> list[tuple[str | None, Comparison]]:
    """The comparisons of one argument, with the names to show."""
    from ..results import machines

    name, equals, path = given.partition("=")
    if not equals or os.path.exists(given):
        name, path = "", given
    elif not name.strip() or not path:
        raise BadOption(f"'{given}' is not NAME=FILE;", "expected such as epyc=sweep.jsonl.")
    text = saved.text_of(path)
    try:
        found = machines.read(text)
    except BadFile as reason:
        raise BadFile(f"'{path}': {reason.message}", reason.remedy) from None
    if name and len(found) > 1:
        raise BadOption(f"'{path}' holds {len(found)} machines, which have their names;", f"leave out '{name}='.")
    return [(name.strip() or own, comparison) for own, comparison in found]
