"""archprof check: exit 0 when every limit is held, 1 when one is broken, 2 when one cannot be judged."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from pathlib import Path
from typing import Any

from ..base.errors import BadOption
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
    parser = options.command(commands, "check", run, EXAMPLE)
    parser.add_argument("names", nargs="*", metavar="NAME", help="judge these budgets alone")
    parser.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        action="append",
        help="the file that states the budgets; may be given several times",
    )
    parser.add_argument(
        "--why", action="store_true", help="name the heaviest layers and, with a baseline, those that changed"
    )
    parser.add_argument("--strict", action="store_true", help="fail where a latency can't be told from its limit")
    parser.add_argument(
        "--update", action="store_true", help="write today's counts to archprof.lock.json as the new baseline"
    )
    parser.add_argument(
        "--base",
        metavar="REF",
        help="compare with this commit: what changed, which layers made it; growth is judged against it, not the lock",
    )
    parser.add_argument("--json", action="store_true", help="the verdicts as JSON on stdout, instead of the table")
    parser.add_argument("--markdown", metavar="FILE", help="write the tables as Markdown ('-': instead of the table)")
    parser.add_argument("--junit", metavar="FILE", help="also write the verdicts as JUnit XML")
    parser.add_argument(
        "--github", action="store_true", help="inside GitHub Actions: also annotate, and write the job summary"
    )


def run(args: argparse.Namespace) -> int:
    """Judge the budgets of every file, say so in every way that was asked for."""
    from ..base import files
    from ..budgets import base_commit, config, lock
    from ..budgets import judging as budgets
    from ..budgets.verdict import exit_code
    from ..render import github
    from ..render.tables import base as beside
    from ..render.tables import verdicts

    if args.update and args.base is not None:
        raise BadOption("--update accepts growth, and --base judges it;", "give one of them.")
    stated = config.read_all(args.config or [config.find(Path())])
    chosen = config.select(stated, args.names)
    locks = list(dict.fromkeys(one.lock_path for one in chosen if one.budgets))
    exports = [files.STDOUT if args.json else None, args.junit, args.markdown]
    files.check([*exports, *(map(str, locks) if args.update else ())])
    counted, base = budgets.counting(), None
    with contextlib.ExitStack() as alone:
        for path in locks if args.update else ():
            alone.enter_context(files.alone(str(path)))
        if args.update:
            accepted = {path: lock.read_for_update(path, whole=not args.names) for path in locks}
            for path in locks:
                config.refuse_taken(stated, path, accepted[path])
        else:
            accepted = {path: lock.read(path) for path in locks}
        of_lock = [(one.lock_path, budget) for one in chosen for budget in one.budgets]
        befores: list[lock.Baseline | lock.Before | None] = [
            accepted[path].get(budget.name) for path, budget in of_lock
        ]
        if args.base is not None:
            base = base_commit.at(args.base, stated, chosen, counted, whole=not args.names)
            befores = [*base.befores]
        pairs = [(budget, before) for (_, budget), before in zip(of_lock, befores, strict=True)]
        checked = budgets.judged(pairs, growth=not args.update, profile=counted)
        for path in locks if args.update else ():
            names = config.names_in(stated, path, accepted[path])
            fresh = [one for (place, _), one in zip(of_lock, checked, strict=True) if place == path]
            files.write(str(path), lock.to_json(budgets.accept(fresh, accepted[path], names)))
    if args.junit:
        files.write(args.junit, verdicts.to_junit(checked, args.strict))
    if args.markdown:
        files.write(args.markdown, github.summary(checked, args.strict, base))
    if args.github:
        _tell_github(
            github.workflow_commands(checked, from_repository, args.strict),
            github.summary(checked, args.strict, base),
        )
    if args.json:
        compared = None if base is None else beside.to_json(base, checked)
        print(verdicts.to_json(checked, [one.shown for one in stated], args.strict, compared))
    elif files.STDOUT not in exports:
        from ..render import terminal

        tables = [verdicts.table(checked)]
        terminal.show(tables)
        print(verdicts.below(checked, why=args.why, strict=args.strict), end="")
        if base is not None:
            print()
            terminal.show([beside.table(base, checked)], below=beside.layers_below(base, checked))
    if base is not None and base.changed_files:
        files_changed = f"{base.changed_files} changed file{'s' * (base.changed_files > 1)}"
        print(f"archprof: the working tree is compared, {files_changed} included.", file=sys.stderr)
    for path in locks if args.update else ():
        print(f"archprof: {lock.shown_path(path)} holds the new baseline; commit it.", file=sys.stderr)
    return exit_code(checked, args.strict)


def from_repository(file: str) -> str:
    """The path as annotations name a file: from the root of the repository, with forward slashes.

    That is GITHUB_WORKSPACE where the file lies in there, else the nearest folder above it with a `.git`.
    """
    path = Path(file).resolve()
    workspace = os.environ.get("GITHUB_WORKSPACE")
    roots = [Path(workspace).resolve()] if workspace else []
    roots += [folder for folder in path.parents if (folder / ".git").exists()]
    root = next((root for root in roots if path.is_relative_to(root)), Path.cwd())
    return Path(os.path.relpath(path, root)).as_posix()


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
