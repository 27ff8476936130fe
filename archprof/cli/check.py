"""archprof check: exit 0 when every limit is held, 1 when one is broken, 2 when one cannot be judged."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from pathlib import Path
from typing import Any

from . import options

EXAMPLE = """\
archprof check --why --junit budgets.xml

    # archprof.toml
    [[budget]]
    model = "resnet18"
    parameters = "12 M"
    macs = "at most 1.9 G"

exit codes: 0 within, 1 over (or under a minimum), 2 misuse, or a budget that cannot be judged
"""


def add(commands: Any) -> None:
    """Declare the command."""
    parser = options.command(commands, "check", run, "Judge the budgets of archprof.toml (or pyproject.toml).", EXAMPLE)
    parser.add_argument("names", nargs="*", metavar="NAME", help="judge these budgets alone")
    parser.add_argument("--config", metavar="FILE", type=Path, help="the file that states the budgets")
    parser.add_argument(
        "--why", action="store_true", help="name the heaviest layers and, with a baseline, those that changed"
    )
    parser.add_argument("--strict", action="store_true", help="fail where a latency can't be told from its limit")
    parser.add_argument(
        "--update", action="store_true", help="write today's counts to archprof.lock.json as the new baseline"
    )
    parser.add_argument("--json", action="store_true", help="the verdicts as JSON on stdout, instead of the table")
    parser.add_argument("--junit", metavar="FILE", help="also write the verdicts as JUnit XML")
    parser.add_argument(
        "--github", action="store_true", help="inside GitHub Actions: also annotate, and write the job summary"
    )


def run(args: argparse.Namespace) -> int:
    """Judge the budgets, say so in every way that was asked for."""
    from ..base import files
    from ..budgets import config, lock
    from ..budgets import judging as budgets
    from ..render import github
    from ..render.tables import verdicts

    stated = config.read(args.config or config.find(Path()))
    chosen = stated.select(args.names)
    files.check([args.junit])
    with files.alone(str(stated.lock_path)) if args.update else contextlib.nullcontext():
        if args.update:
            accepted = lock.read_for_update(stated.lock_path, whole=not args.names)
        else:
            accepted = lock.read(stated.lock_path)
        checked = budgets.check(chosen, accepted, growth=not args.update)
        if args.update:
            fresh = budgets.accept(checked, accepted, stated.names)
            files.write(str(stated.lock_path), lock.to_json(fresh))
    if args.junit:
        files.write(args.junit, verdicts.to_junit(checked, args.strict))
    if args.github:
        _tell_github(
            github.workflow_commands(checked, os.path.relpath(stated.path), args.strict),
            github.summary(checked, args.strict),
        )
    if args.json:
        print(verdicts.to_json(checked, str(stated.path), args.strict))
    else:
        from ..render import terminal

        terminal.show([verdicts.table(checked)])
        print(verdicts.below(checked, why=args.why, strict=args.strict), end="")
    if args.update:
        print(f"archprof: {stated.lock_path.name} holds the new baseline; commit it.", file=sys.stderr)
    return budgets.exit_code(checked, args.strict)


def _tell_github(annotations: list[str], summary: str) -> None:
    """Annotations go to stderr, which Actions reads as well, so that stdout stays the result's alone."""
    for line in annotations:
        print(line, file=sys.stderr)
    page = os.environ.get("GITHUB_STEP_SUMMARY")
    if page:
        try:
            with open(page, "a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(summary)
        except OSError as error:  # the verdicts stand, and so does the exit code
            print(f"archprof: the job summary cannot be written to '{page}': {error.strerror}.", file=sys.stderr)
    else:
        print("archprof: GITHUB_STEP_SUMMARY is not set, so no job summary was written.", file=sys.stderr)
