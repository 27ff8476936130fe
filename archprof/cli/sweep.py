"""archprof sweep: thousands of networks into one file, a line as each finishes."""

from __future__ import annotations

import argparse
import contextlib
import functools
import sys
from collections.abc import Iterator
from typing import Any

from ..base.errors import printable
from ..base.options import positive, whole
from ..results.conditions import Conditions, Sampling
from ..runs import sweep
from ..runs.engines import address, cluster, machines
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
    parser.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="count and measure on a dask cluster: tcp://HOST:PORT of its scheduler, or local:N processes",
    )
    parser.add_argument(
        "--on",
        type=options.typed(machines.wished),
        metavar="NAME=KIND,...",
        help="kinds of machine to measure on, each by the beginning of its fingerprint or a part of its device's name "
        "(default: every kind that declares the resource)",
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
    _refuse_without_effect(args)
    request = sweep.SweepRequest(args.input_shape, inputs, measuring)
    try:
        with _cluster(args) as there, progress() as tell:
            matches = functools.partial(sweep.expanded, cluster=there) if there else None
            models = options.expanded(args.models, yes=True, matches=matches)
            summary = sweep.sweep(
                models,
                args.output,
                request,
                jobs=args.jobs or 1,
                timeout=args.timeout,
                executor=there,
                on=args.on,
                progress=tell,
                say=_say,
            )
    except KeyboardInterrupt:
        print(f"archprof: interrupted; the same command goes on from {args.output}", file=sys.stderr)
        return 130
    return _summed_up(summary, args.output)


def _refuse_without_effect(args: argparse.Namespace) -> None:
    """Raise BadOption for an option of clusters without one, and for one that a cluster leaves no effect."""
    if args.cluster is None:
        options.refuse_without_effect(args, "without --cluster", also=("on",))
        return
    address.parsed(args.cluster)
    options.refuse_without_effect(args, "with --cluster, whose workers count", also=("jobs",))
    if args.no_latency:
        options.refuse_without_effect(args, "with --no-latency", also=("on",))


@contextlib.contextmanager
def _cluster(args: argparse.Namespace) -> Iterator[cluster.Cluster | None]:
    """The cluster that --cluster names, until the block ends."""
    if args.cluster is None:
        yield None
        return
    said: set[str] = set()

    def once(text: str) -> None:
        if text not in said:
            said.add(text)
            _say(text)

    with cluster.Cluster(args.cluster, tell=once) as there:
        yield there


def _say(text: str) -> None:
    print(f"archprof: {printable(text)}", file=sys.stderr)


def _summed_up(summary: sweep.Summary, path: str) -> int:
    for _, error in summary.failed:
        print(f"archprof: {error}", file=sys.stderr)
    earlier = f" ({summary.earlier} of them earlier)" if summary.earlier else ""
    print(
        f"{summary.profiled} of {summary.asked} networks profiled{earlier}, {len(summary.failed)} with an error, "
        f"in {summary.seconds:.1f} s: {path}"
    )
    for machine in summary.machines:
        for _, error in machine.failed:
            _say(f"on {machine.kind}: {error}")
        print(f"{machine.measured} of {machine.asked} measured on {machine.kind}: {machine.path}")
    return 0 if summary.profiled else 1
