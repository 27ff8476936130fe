"""archprof whatif: what edits of a network would cost, and why."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from ..base.errors import BadOption
from . import options


def add(commands: Any) -> None:
    """Declare the command."""
    parser = options.command(
        commands,
        "whatif",
        run,
        'archprof whatif resnet50 --edit "layer3.*: separable" --edit "@160" --verify',
    )
    options.add_one_model(parser)
    options.add_input(parser)
    parser.add_argument(
        "--edit",
        action="append",
        default=[],
        metavar="EDIT",
        help="such as 'layer3.*: separable', 'layer4.1.conv2: kernel=1', 'width=0.75' or '@160'; may be repeated, each "
        "after the one before",
    )
    parser.add_argument("--alone", action="store_true", help="each edit by itself instead")
    parser.add_argument("--verify", action="store_true", help="measure the edited networks too")
    options.add_conditions(parser)
    options.add_sampling(parser)
    options.add_exports(parser)
    parser.add_argument("--plot", metavar="FILE", help="draw mult-adds and times of the edits, as PNG, SVG or PDF")


def run(args: argparse.Namespace) -> int:
    """Predict, show, export; 1 where a variant failed beside others that did not."""
    from ..base import files
    from ..editing import edits
    from ..models import spec

    exports = (args.json, args.csv, args.markdown)
    files.check([*exports, args.plot])
    if args.plot:
        from ..render.figures.save import check_format

        check_format(args.plot)
    spec.parse(args.model)
    inputs = options.inputs(args)
    edits.parsed(args.edit)
    if args.alone and len(args.edit) == 1:
        raise BadOption("--alone has no effect on a single edit.", "Leave it out.")
    from ..editing.predicting import whatif
    from .progress import progress

    with progress() as tell:
        found = whatif(
            args.model,
            args.edit,
            batch_size=args.batch_size,
            input_shape=args.input_shape,
            inputs=inputs,
            alone=args.alone,
            verify=args.verify,
            conditions=options.conditions(args),
            sampling=options.sampling(args),
            progress=tell,
        )
    from ..render.tables import whatif as tables

    if files.STDOUT not in exports:
        from ..render import terminal

        terminal.show([tables.table(found)])
    options.export(args, found, tables.table)
    if args.plot:
        from ..render.figures.edits import draw, save

        save(draw(found), args.plot)
    failed = [one for one in found.variants if one.error]
    for one in failed:
        print(f"archprof: {one.error}", file=sys.stderr)
    return int(bool(failed))
