"""archprof plot: a figure of several networks."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..base.errors import BadOption, printable
from ..base.options import positive, recorded, whole
from ..results.conditions import Sampling
from . import options, saved

if TYPE_CHECKING:
    from ..render.figures import FigureOptions
    from ..results.comparison import Comparison


#: Networks whose errors are told one by one.
MOST_FAILURES = 5


def kinds() -> dict[str, str]:
    """What can be drawn, with what each shows."""
    from ..render.figures import KINDS
    from ..render.figures.history import KINDS as OF_HISTORIES
    from ..render.figures.trials import KINDS as OF_TRIALS

    found = {kind.name: kind.summary for kind in KINDS.values()}
    return found | {name: kind.summary for name, kind in OF_TRIALS.items()} | OF_HISTORIES


def add(commands: Any) -> None:
    """Declare the command."""
    parser = options.command(
        commands,
        "plot",
        run,
        "archprof plot ball alexnet vgg16 resnet50 mobilenetv1 -o ball.svg",
    )
    parser.epilog = (
        "kinds:\n" + "\n".join(f"  {name:14} {summary}" for name, summary in kinds().items()) + f"\n\n{parser.epilog}"
    )
    parser.add_argument("kind", metavar="KIND", help="what to draw (listed below)")
    saved.add_subjects(parser)
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="ends in .png, .svg, .pdf, or .html")
    parser.add_argument("--json", metavar="FILE", help="keep what is drawn as well, for --from")
    parser.add_argument(
        "--measure",
        action="store_true",
        help="for breakdown: time each layer too, in a few seconds a network beyond --time-budget",
    )
    group = parser.add_argument_group("figure")
    group.add_argument(
        "--width",
        type=options.typed(positive),
        metavar="INCHES",
        help="3.3 fits a column (default: 7)",
    )
    group.add_argument("--height", type=options.typed(positive), metavar="INCHES", help="(default: as needed)")
    group.add_argument("--dpi", type=options.typed(whole), metavar="N", help="of PNG (default: 150)")
    group.add_argument("--title", metavar="TEXT", help="instead of the usual one; '' for none")
    group.add_argument("--label", action="append", default=[], metavar="NAME=TEXT", help="rename; may be repeated")
    group.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="PATTERN",
        help="keep the names that match, such as 'resnet*'; may be repeated",
    )
    group.add_argument(
        "--highlight",
        action="append",
        default=[],
        metavar="NAME",
        help="ring and label a network, or all that match, such as 'mine*'; may be repeated",
    )
    group.add_argument("--log", action="store_true", help="operations on a logarithmic axis, whatever their range")
    group.add_argument("--no-notes", action="store_true", help="without the small print, whose place a caption takes")
    group.add_argument("--dark", action="store_true", help="light ink on dark paper")
    group.add_argument("--ops", default="macs", metavar="UNIT", help="macs, or flops at 2 per MAC (default: macs)")
    group.add_argument(
        "--batch-size",
        type=options.typed(whole),
        metavar="N",
        help="for figures at one batch size (default: 16 if measured, else the largest)",
    )
    group.add_argument("--dataset", metavar="NAME", help="of the accuracy (default: the trial's, else imagenet-1k)")
    group.add_argument("--metric", default="top1", metavar="NAME", help="top1, top5, ... (default: top1)")
    group.add_argument("--x", default="macs", metavar="MEASURE", help="of pareto (default: macs)")
    group.add_argument("--y", default="top1", metavar="MEASURE", help="of pareto (default: top1)")


def run(args: argparse.Namespace) -> int:
    """Check everything that can be checked, get the comparison, draw, save; 130 after Ctrl-C, with nothing drawn."""
    from ..base import files
    from ..render import figures, page
    from ..render.figures import history, trials
    from ..results import ceilings
    from . import record_plot

    if args.kind in trials.KINDS or args.kind in history.KINDS:
        return record_plot.run(args)
    figures.check_kind(args.kind, (*trials.KINDS, *history.KINDS))
    saved.check_subjects(args)
    _check_measure(args)
    kind = figures.KINDS[args.kind]
    unused = ("highlight",) * (not kind.highlights) + ("log",) * (not kind.has_operations)
    options.refuse_without_effect(args, f"on '{args.kind}'", also=unused)
    as_page = args.output.lower().endswith(page.EXTENSION)
    if as_page:
        options.refuse_without_effect(args, "on a page", also=("width", "height", "dpi", "dark", "no_notes"))
        if (why := page.missing()) is not None:
            raise why
    else:
        figures.check_format(args.output)
    files.check([args.output, args.json])
    how = _figure_options(args)
    start = page.start_of(args.kind, how) if as_page else None
    timed = args.kind == "pareto" and bool({args.x, args.y} & set(figures.TIMED))
    by_layer = args.measure or (kind.of_layers and not args.saved)
    if kind.of_layers and not args.saved:
        _refuse_without_ceilings(args)
    measure = by_layer or ((figures.KINDS[args.kind].measured or timed) and not args.no_latency)
    if not measure and not args.saved:
        unused = ("runs", "no_logbook")
        options.refuse_without_effect(args, f"on '{args.kind}', which shows counts", Sampling, also=unused)
    comparison, code = saved.comparison(args, measure, divide=by_layer)
    if kind.of_layers and comparison.ceilings is None:
        comparison = replace(comparison, ceilings=ceilings.known(comparison.environment))
    if args.json:
        files.write(args.json, comparison.to_json())
    if code == saved.INTERRUPTED:
        _tell_what_is_kept(comparison, measure, args)
        return code
    _tell_failures(comparison)
    if start is not None:
        page.write(comparison, args.output, start)
        return 0
    figures.save(figures.draw(args.kind, comparison, how), args.output)
    if lacking := figures.letters_lacking(comparison, how):
        listed = printable(" ".join(lacking[:10])) + (" ..." if len(lacking) > 10 else "")
        print(
            f"archprof: the figures' font lacks {listed}, and draws boxes for them; "
            "--label NAME=TEXT gives a network another name.",
            file=sys.stderr,
        )
    return 0


def _tell_failures(comparison: Comparison) -> None:
    """Errors are for a terminal: a figure says how many networks it leaves out, not what they said."""
    failed = [row for row in comparison.architectures if row.profile is None and row.error]
    for row in failed[:MOST_FAILURES]:
        print(f"archprof: {printable(row.name)} could not be counted: {printable(row.error or '')}", file=sys.stderr)
    if len(failed) > MOST_FAILURES:
        print(f"archprof: nor could {len(failed) - MOST_FAILURES} more", file=sys.stderr)


def _figure_options(args: argparse.Namespace) -> FigureOptions:
    """What the options of the group 'figure' say. Raises BadOption for a value out of range."""
    return replace(
        options.figure(args),
        batch_size=args.batch_size,
        ops=args.ops,
        dataset=saved.dataset(args) or "imagenet-1k",
        metric=args.metric,
        x=args.x,
        y=args.y,
        highlight=tuple(args.highlight),
        log=args.log,
    )


def _check_measure(args: argparse.Namespace) -> None:
    """Raise BadOption where the time of layers cannot be measured; it is for one image, as counting is."""
    timed = args.kind == "roofline"
    if args.measure and timed:
        raise BadOption("--measure has no effect on 'roofline', which times layers in any case.", "Leave it out.")
    if not args.measure and not (timed and not args.saved):
        return
    if args.measure and args.kind != "breakdown":
        raise BadOption(f"--measure times layers, which '{args.kind}' does not show;", "leave it out.")
    given = [flag for flag, value in (("--from", args.saved), ("--no-latency", args.no_latency)) if value]
    if hasattr(args, "batch_sizes"):
        given.append("--batch-sizes")
    if given:
        who = "'roofline'" if timed else "--measure"
        raise BadOption(
            f"{who} times the layers of each MODEL for one image; {given[0]} is given too.",
            f"Leave out {given[0]}." if timed else f"Leave out --measure or {given[0]}.",
        )
    args.batch_sizes = (1,)


def _refuse_without_ceilings(args: argparse.Namespace) -> None:
    """Raise BadOption, before anything is measured, where layers could not be set against ceilings."""
    from ..results import ceilings, roofline

    conditions = options.conditions(args)
    if why := roofline.unlike(recorded(conditions)):
        raise BadOption(why, "Leave out '--dtype' and '--autocast'.")
    from ..measure import device, operator_times

    operator_times.check_divisible(device.check_available(conditions))
    if ceilings.known(device.environment(conditions)) is None:
        raise BadOption(
            "no ceilings of this machine are kept, which 'roofline' sets layers against;",
            f"measure them once: {options.ceilings_command(args)}",
        )


def _tell_what_is_kept(comparison: Comparison, measure: bool, args: argparse.Namespace) -> None:
    rows = comparison.architectures
    reached = sum(any(cell.measured for cell in row.latency) if measure else row.profile is not None for row in rows)
    kept = f"kept in {args.json} for --from" if args.json else "not kept (--json FILE keeps what was reached)"
    print(
        f"archprof: nothing is drawn; {reached} of {len(rows)} networks were {'measured' if measure else 'counted'}, "
        f"{kept}",
        file=sys.stderr,
    )
