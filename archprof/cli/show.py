"""archprof show: the layer table of one network."""

from __future__ import annotations

import argparse
import json
from typing import Any

from . import options


def add(commands: Any) -> None:
    """Declare the command."""
    parser = options.command(
        commands,
        "show",
        run,
        "The layer table of one network: where its cost lies.",
        "archprof show mobilenetv1 --by type --markdown split.md",
    )
    options.add_one_model(parser)
    parser.add_argument("--by", default="layer", metavar="CUT", help="layer (default), type, op or module")
    parser.add_argument(
        "--depth",
        type=options.typed(options.whole),
        metavar="N",
        help="fold what lies deeper in the module tree (default: as deep as stays readable)",
    )
    parser.add_argument("--sort", metavar="COLUMN", help="by this column, largest first, such as macs")
    options.add_exports(parser)


def run(args: argparse.Namespace) -> int:
    """Count, show, export."""
    from .. import layer_table, spec
    from ..render import files

    spec.parse(args.model)
    layer_table.check_cut(args.by, args.sort)
    exports = (args.json, args.csv, args.markdown)
    files.check(exports)

    from .. import counts, receptive

    subject = counts.subject_of(args.model, args.input_shape)
    profile, found = counts.recorded(subject, args.batch_size)
    if args.by == "layer":
        profile = receptive.with_fields(profile, found)
    how = (args.by, args.depth, args.sort)
    if files.STDOUT not in exports:
        from ..render import terminal

        terminal.show([layer_table.layer_table(profile, *how)])
    if args.json:
        files.write(args.json, json.dumps(layer_table.as_json(profile, *how), indent=2))
    if args.csv:
        from ..render.csv import csv_of

        files.write(args.csv, csv_of(layer_table.flat_rows(profile, *how)))
    if args.markdown:
        from ..render.markdown import markdown

        files.write(args.markdown, markdown([layer_table.layer_table(profile, *how, indent=False)]))
    return 0
