"""archprof compare: several networks side by side."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from ..base.errors import BadOption
from . import options, saved

if TYPE_CHECKING:
    from ..results.comparison import Comparison


def add(commands: Any) -> None:
    """Declare the command."""
    parser = options.command(
        commands,
        "compare",
        run,
        "archprof compare resnet50 mobilenetv1@192 --batch-sizes 1,32 --json results.json",
    )
    parser.add_argument(
        "models", nargs="*", metavar="MODEL", help="such as resnet50, 'mobilenetv1(width=0.5)', resnet18@128"
    )
    parser.add_argument(
        "--from", dest="saved", metavar="FILE", help="show a saved comparison (JSON) or sweep (JSON lines) instead"
    )
    options.add_where(parser)
    options.add_inputs(parser)
    parser.add_argument("--yes", action="store_true", help="do not ask before comparing many networks")
    parser.add_argument("--details", action="store_true", help="show every table and note")
    parser.add_argument("--no-latency", action="store_true", help="count only, measure nothing")
    parser.add_argument("--reference", metavar="MODEL", help="ratios are taken to this one (default: the last)")
    parser.add_argument("--accuracy", metavar="FILE", help="more accuracies: a CSV, or the folder of a trial")
    parser.add_argument(
        "--dataset", metavar="NAME", help="whose accuracy to show (default: the trial's, else imagenet-1k)"
    )
    parser.add_argument(
        "--memory",
        type=options.typed(options.memory),
        metavar="SIZE",
        help="show the largest batch that fits, such as 8GiB",
    )
    parser.add_argument(
        "--fits",
        type=options.typed(options.memory),
        metavar="SIZE",
        help="also what limits it and what would help, such as '24 GB'; tried where the machine can",
    )
    options.add_batch_sizes(parser)
    options.add_conditions(parser)
    options.add_sampling(parser)
    options.add_logbook(parser)
    options.add_exports(parser)


def run(args: argparse.Namespace) -> int:
    """Compare, show, export; 1 where a network failed beside others that did not, 130 after Ctrl-C."""
    from ..base import files
    from ..models import spec

    for model in args.models:
        spec.parse(model)
    saved.check_subjects(args)
    if args.saved:
        unused = ("input_shape", "input", "memory", "fits", "reference", "yes", "runs", "no_logbook")
        options.refuse_without_effect(args, "with --from", also=unused)
    if args.no_latency:
        options.refuse_without_effect(args, "with --no-latency", also=("reference", "runs", "no_logbook"))
    inputs = options.inputs(args)
    exports = (args.json, args.csv, args.markdown)
    files.check(exports)
    if args.details and files.STDOUT in exports:
        raise BadOption("--details has no effect where a result takes stdout.", "Leave it out, or write to a file.")
    if args.saved:
        result = saved.within(saved.attached(saved.read(args.saved), args), args)
        code = saved.exit_code(result)
    else:
        models = options.expanded(args.models, args.yes)
        how = {"input_shape": args.input_shape, "inputs": inputs, "memory": args.memory, "fits": args.fits}
        result, code = saved.compared(models, args, latency=not args.no_latency, **how)
    failed = [row for row in result.architectures if row.profile is None]
    if code != saved.INTERRUPTED and failed and len(failed) == len(result.architectures):
        from ..base.errors import ForwardFailed

        raise ForwardFailed(failed[0].error or f"{failed[0].name} failed.")
    if files.STDOUT not in exports:
        show(result, args)
    export(result, args)
    for warning in result.warnings:
        print(f"archprof: {warning}", file=sys.stderr)
    for row in failed if code != saved.INTERRUPTED else ():
        print(f"archprof: {row.error}", file=sys.stderr)
    return code


def show(result: Comparison, args: argparse.Namespace) -> None:
    """The answer in one table and a few sentences, with what was asked for besides; or every table."""
    from ..render import answer, terminal
    from ..render.tables import answer as first_screen
    from ..render.tables import comparison

    if args.details:
        terminal.show(comparison.tables(result))
        return
    shown = first_screen.tables(result, with_ratios=args.reference is not None)
    terminal.show(shown, export="--details", below=[*answer.sentences(result), answer.more(result)])


def export(result: Comparison, args: argparse.Namespace) -> None:
    """Write the files that were asked for."""
    from ..base import files

    if args.json:
        files.write(args.json, result.to_json())
    if args.csv:
        from ..render.csv import csv_text

        files.write(args.csv, csv_text(result))
    if args.markdown:
        files.write(args.markdown, result.to_markdown())
