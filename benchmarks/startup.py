"""How long archprof's commands take as whole processes, beside `python -c "import torch"`.

    python benchmarks/startup.py [--smoke]

Commands run in pairs, A B A B, and the ratio is taken pair by pair, so that a machine that speeds up or slows down
meanwhile changes both. User plus system time is what is compared: waiting for a busy neighbour is not ours.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from statistics import median

IMPORT_TORCH = [sys.executable, "-c", "import torch"]

#: Command, the most that its time may be of `import torch`'s.
ROWS = [
    (["--help"], 0.1),
    (["compare", "resnet50("], 0.25),
    (["compare", "resnet50", "mobilenetv1", "alexnet", "--no-latency"], 0.4),  # counted before: from the index
    (["choose", "--where", "parameters < 5 M", "--where", "macs < 600 M"], 0.4),
    (["check", "--config", "archprof.toml"], 2.0),
]


def seconds(command: list[str]) -> float:
    """User plus system time of one process and its children."""
    before = os.times()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="one pair each")
    pairs = 1 if parser.parse_args().smoke else 7
    seconds(IMPORT_TORCH)  # files into the page cache
    print(f"{'archprof ...':60} {'CPU s':>7} {'import torch':>13} {'ratio':>6} {'aim':>6}")
    for arguments, aim in ROWS:
        command = [sys.executable, "-m", "archprof", *arguments]
        seconds(command)  # what it counts is kept for the next time
        timed = [(seconds(command), seconds(IMPORT_TORCH)) for _ in range(pairs)]
        ratio = median(ours / theirs for ours, theirs in timed)
        ours, theirs = (median(side) for side in zip(*timed, strict=True))
        print(f"{' '.join(arguments):60} {ours:7.2f} {theirs:13.2f} {ratio:6.2f} {aim:6.2f}")


if __name__ == "__main__":
    main()
