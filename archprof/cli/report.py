"""archprof report: a folder that tells a comparison, readable on its own."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from ..base.errors import BadOption
from . import options, saved


def add(commands: Any) -> None:
    """Declare the command."""
    parser = options.command(
        commands,
        "report",
        run,
        "archprof report alexnet vgg19 resnet152 mobilenetv1 --batch-sizes 1,16 -o reports/classics",
    )
    parser.description += (
        "\nWhere the time of a layer can be told (eager forward passes on the CPU) it is measured too:\n"
        "a few seconds for each network, on top of --time-budget."
    )
    saved.add_subjects(parser)
    parser.add_argument("-o", "--output", required=True, metavar="FOLDER", help="new, empty, or an earlier report's")
    parser.add_argument("--dataset", metavar="NAME", help="whose accuracy to show (default: imagenet-1k)")
    parser.add_argument("--reference", metavar="MODEL", help="ratios are taken to this one (default: the last)")
    parser.add_argument(
        "--figures",
        type=options.typed(_listed),
        metavar="KIND,KIND,...",
        help="draw these alone; 'none' for none (default: all that the data gives)",
    )
    parser.add_argument(
        "--formats",
        type=options.typed(_listed),
        metavar="F,F,...",
        help="of the figures: png, svg, pdf (default: svg,png)",
    )
    parser.add_argument("--force", action="store_true", help="write into a folder that holds other things too")
    parser.add_argument("--latex", action="store_true", help="the main table as LaTeX too (table.tex, booktabs)")


def run(args: argparse.Namespace) -> int:
    """Check the folder, get the comparison, write; 1 where a network failed beside others, 130 after Ctrl-C."""
    from ..render import page, report

    saved.check_subjects(args)
    if args.saved:
        options.refuse_without_effect(args, "with --from", also=("dataset", "reference"))
    asked = {"kinds": args.figures, "formats": args.formats}
    drawing = report.Drawing(**{name: value for name, value in asked.items() if value is not None})
    if args.formats and not drawing.kinds:
        raise BadOption("--formats has no effect without figures.", "Leave it out.")
    report.check_folder(args.output, args.force)
    comparison, code = saved.comparison(args, measure=not args.no_latency, divide=_divides(args))
    if code == saved.INTERRUPTED and not any(row.profile for row in comparison.architectures):
        return code
    report.write(comparison, args.output, with_latex=args.latex, force=args.force, drawing=drawing)
    if (why := page.missing()) is not None:
        print(f"archprof: {report.PAGE} is left out: {why}", file=sys.stderr)
    if code == saved.INTERRUPTED:
        print(f"archprof: {args.output} tells what was reached until then", file=sys.stderr)
    return code


def _listed(text: str) -> tuple[str, ...]:
    """'ball,latency' -> ('ball', 'latency'), each once; 'none' -> ()."""
    words = dict.fromkeys(word.strip() for word in text.split(","))
    return () if [*words] == ["none"] else tuple(words)


def _divides(args: argparse.Namespace) -> bool:
    """Whether the time of each layer is measured: wherever it can be."""
    return not args.saved and not args.no_latency and options.conditions(args).divisible
