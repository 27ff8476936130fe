"""`archprof diff`: what changed between two saved comparisons."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from ..errors import BadFile


def add(commands: argparse._SubParsersAction) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "diff", help="slower, faster, or can't tell: two saved comparisons",
        description="Compare the times of two comparisons saved with 'archprof compare --json' on one machine "
                    "under the same conditions. A change counts when it exceeds a factor and a rank-sum test on "
                    "the raw samples calls it more than chance.",
        epilog="example: archprof diff before.json after.json --factor 1.1")
    parser.add_argument("before", metavar="A.json")
    parser.add_argument("after", metavar="B.json")
    parser.add_argument("--factor", type=float, default=1.05, metavar="F",
                        help="smallest change that counts, as a factor (default %(default)s)")
    parser.add_argument("--fail-on-slower", action="store_true", help="exit 1 when anything became slower")
    parser.set_defaults(run=run, parser=parser)


def run(args: argparse.Namespace) -> int:
    """One line for each network and batch size, then how many of each verdict."""
    from .. import differences

    found = differences.differences(read(args.before), read(args.after), args.factor)
    for difference in found:
        print(difference.sentence)
    verdicts = Counter(difference.verdict for difference in found)
    print(", ".join(f"{verdicts[verdict]} {verdict}" for verdict in
                    (differences.SLOWER, differences.FASTER, differences.CANNOT_TELL)))
    return 1 if args.fail_on_slower and verdicts[differences.SLOWER] else 0


def read(path: str):
    """The saved comparison at `path`. Raises BadFile, naming the path."""
    from ..records import Comparison

    try:
        return Comparison.from_json(Path(path).read_text(encoding="utf-8"))
    except BadFile as reason:
        raise BadFile(f"{path}: {reason.message}", reason.remedy) from None
    except (OSError, UnicodeDecodeError) as reason:
        said = reason.strerror if isinstance(reason, OSError) else "not a text file"
        raise BadFile(f"cannot read '{path}': {said}.", "A file written by 'archprof compare --json' is wanted.") from None
