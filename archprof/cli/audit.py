"""archprof audit: our counts beside other tools', every difference explained."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from . import options

if TYPE_CHECKING:
    from ..audit.opinions import Audit


def add(commands: Any) -> None:
    """Declare the command."""
    parser = options.command(
        commands,
        "audit",
        run,
        "archprof audit resnet50 --batch-size 32 --markdown audit.md",
    )
    options.add_one_model(parser)
    options.add_exports(parser)


def run(args: argparse.Namespace) -> int:
    """Ask, show, export; 1 where a tool's number stays unexplained."""
    from ..base import files
    from ..models import spec

    spec.parse(args.model)
    exports = (args.json, args.csv, args.markdown)
    files.check(exports)

    from ..audit import counters as audit
    from ..render.tables import audit as audit_table

    result = audit.audit(args.model, batch_size=args.batch_size, input_shape=args.input_shape)
    if files.STDOUT not in exports:
        from ..render import terminal

        terminal.show(audit_table.tables(result))
    export(result, args)
    unexplained = [opinion.tool for opinion in result.opinions if opinion.remainder]
    if unexplained:
        print(
            f"archprof: {' and '.join(unexplained)} differ by more than their known rules explain; please report it.",
            file=sys.stderr,
        )
    return 1 if unexplained else 0


def export(result: Audit, args: argparse.Namespace) -> None:
    """Write the files that were asked for; CSV holds one row for each term."""
    from ..base import files

    if args.json:
        files.write(args.json, json.dumps(result.to_json(), indent=2))
    if args.csv:
        from ..render.csv import csv_of

        files.write(
            args.csv,
            csv_of(
                [
                    {
                        "tool": opinion.tool,
                        "version": opinion.version,
                        "unit": opinion.unit,
                        "total": opinion.total,
                        "ours": opinion.ours,
                        "term": name,
                        "amount": amount,
                    }
                    for opinion in result.opinions
                    for name, amount in (*opinion.terms, ("unexplained", opinion.remainder))
                ]
            ),
        )
    if args.markdown:
        from ..render.markdown import markdown
        from ..render.tables.audit import tables

        files.write(args.markdown, markdown(tables(result)))
