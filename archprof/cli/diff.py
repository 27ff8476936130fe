"""`archprof diff`: what changed between two saved comparisons, in counts and then in times."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from typing import Any

from ..base.options import positive
from . import options, saved

EXAMPLE = """\
archprof diff before.json after.json --factor 1.1 --fail-on-growth --fail-on-slower

counts (parameters, mult-adds, activations, memory) come first: any change counts; then times
exit codes: 0 compared, 1 what a --fail-on option names, 2 misuse, or times of different conditions
"""


def add(commands: Any) -> None:
    """Declare the command."""
    parser = options.command(commands, "diff", run, EXAMPLE)
    parser.add_argument("before", metavar="A.json", help="written by 'archprof compare --json'")
    parser.add_argument("after", metavar="B.json", help="the same networks later, on the same machine")
    parser.add_argument(
        "--factor",
        type=options.typed(positive),
        default=1.05,
        metavar="F",
        help="smallest change that counts (default: 1.05); a rank-sum test must agree",
    )
    parser.add_argument("--fail-on-growth", action="store_true", help="exit 1 when any count grew")
    parser.add_argument("--fail-on-slower", action="store_true", help="exit 1 when anything became slower")


def run(args: argparse.Namespace) -> int:
    """One line for each count that changed, one for each network and batch size, and how many of each verdict."""
    from ..render.escapes import terminal
    from ..results import count_changes, diff

    diff.check_factor(args.factor)
    before, after = saved.read(args.before), saved.read(args.after)
    changes = count_changes.count_changes(before, after)
    for change in changes:
        if change.verdict != count_changes.UNCHANGED:
            print(terminal(change.sentence))
    counts = Counter(change.verdict for change in changes)
    if changes:
        grew = counts[count_changes.GREW]
        print(
            f"{grew} count{'s' * (grew != 1)} grew, {counts[count_changes.SHRANK]} shrank, "
            f"{counts[count_changes.UNCHANGED]} unchanged"
        )
    times: Counter[str] = Counter()
    if any(row.latency for side in (before, after) for row in side.architectures):
        sys.stdout.flush()  # where the times are refused, the counts come before the reason
        found = diff.diff(before, after, args.factor)
        for difference in found:
            print(terminal(difference.sentence))
        times.update(difference.verdict for difference in found)
        print(", ".join(f"{times[verdict]} {verdict}" for verdict in (diff.SLOWER, diff.FASTER, diff.CANNOT_TELL)))
    else:
        print("no times in either file")
    failed = (args.fail_on_growth and counts[count_changes.GREW]) or (args.fail_on_slower and times[diff.SLOWER])
    return 1 if failed else 0
