"""`archprof diff`: what changed between two saved comparisons."""

from __future__ import annotations

import argparse
from collections import Counter
from typing import Any

from ..base.options import positive
from . import options, saved


def add(commands: Any) -> None:
    """Declare the command."""
    summary = "What became slower or faster between two saved comparisons."
    parser = options.command(
        commands, "diff", run, summary, "archprof diff before.json after.json --factor 1.1 --fail-on-slower"
    )
    parser.add_argument("before", metavar="A.json", help="written by 'archprof compare --json'")
    parser.add_argument("after", metavar="B.json", help="the same networks later, on the same machine")
    parser.add_argument(
        "--factor",
        type=options.typed(positive),
        default=1.05,
        metavar="F",
        help="smallest change that counts (default: 1.05); a rank-sum test must agree",
    )
    parser.add_argument("--fail-on-slower", action="store_true", help="exit 1 when anything became slower")


def run(args: argparse.Namespace) -> int:
    """One line for each network and batch size, then how many of each verdict."""
    from ..render.escapes import terminal
    from ..results import diff

    found = diff.diff(saved.read(args.before), saved.read(args.after), args.factor)
    for difference in found:
        print(terminal(difference.sentence))
    verdicts = Counter(difference.verdict for difference in found)
    print(", ".join(f"{verdicts[verdict]} {verdict}" for verdict in (diff.SLOWER, diff.FASTER, diff.CANNOT_TELL)))
    return 1 if args.fail_on_slower and verdicts[diff.SLOWER] else 0
