"""archprof sweep: thousands of networks into one file, a line as each finishes."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from ..base.options import positive, whole
from ..results.conditions import Conditions, Sampling
from ..runs import sweep
from . import options


def add(commands: Any) -> None:
    """Declare the command."""
    parser = options.command(
        commands,
        "sweep",
        run,
        "archprof sweep 'timm:*' -o sweep.jsonl --jobs 2 --no-latency",
    )
    parser.add_argument(
        "models", nargs="+", metavar="PATTERN", help="such as 'timm:*', 'torchvision:resnet*', resnet50"
    )
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="FILE",
        help="JSON lines; networks that it holds already are passed over",
    )
    parser.add_argument(
        "--jobs",
        type=options.typed(whole),
        default=1,
        metavar="N",
        help="processes that count; measuring never runs side by side (default: 1)",
    )
    parser.add_argument(
        "--timeout",
        type=options.typed(positive),
        default=sweep.TIMEOUT_S,
        metavar="SECONDS",
        help=f"for one network, then it is given up (default: {sweep.TIMEOUT_S:g})",
    )
    parser.add_argument("--no-latency", action="store_true", help="count only, measure nothing")
    options.add_inputs(parser)
    options.add_batch_sizes(parser, sweep.Measuring().batch_sizes)
    options.add_conditions(parser)
    options.add_sampling(parser, sweep.SAMPLING)


def run(args: argparse.Namespace) -> int:
    """Expand, sweep, sum up; 1 where no network could be profiled."""
    from ..base import files
    from ..base.errors import BadOption
    from ..models import input_spec, spec
    from .progress import progress

    for pattern in args.models:
        spec.parse(pattern)
    inputs = input_spec.checked(args.input)
    if args.output == files.STDOUT:
        raise BadOption("a sweep cannot be written to stdout, because it resumes from its file;", "give a file name.")
    files.check([args.output])
    if args.no_latency:
        options.refuse_without_effect(args, "with --no-latency", Conditions, Sampling, also=("batch_sizes",))
        measuring = None
    else:
        measuring = sweep.Measuring(options.batch_sizes_of(args), options.conditions(args), options.sampling(args))
    models = options.expanded(args.models, yes=True)
    request = sweep.SweepRequest(args.input_shape, inputs, measuring)
    try:
        with progress() as tell:
            summary = sweep.sweep(models, args.output, request, jobs=args.jobs, timeout=args.timeout, progress=tell)
    except KeyboardInterrupt:
        print(f"archprof: interrupted; the same command goes on from {args.output}", file=sys.stderr)
        return 130
    for _, error in summary.failed:
        print(f"archprof: {error}", file=sys.stderr)
    earlier = f" ({summary.earlier} of them earlier)" if summary.earlier else ""
    print(
        f"{summary.profiled} of {summary.asked} networks profiled{earlier}, {len(summary.failed)} with an error, "
        f"in {summary.seconds:.1f} s: {args.output}"
    )
    return 0 if summary.profiled else 1
