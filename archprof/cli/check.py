"""archprof check: exit 0 when every limit is held, 1 when one is broken, 2 when one cannot be judged."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.errors import BadOption
from . import options

if TYPE_CHECKING:
    from ..budgets.base_commit import BaseCommit
    from ..budgets.config import Config
    from ..budgets.verdict import Checked
    from . import badge

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
    parser.add_argument(
        "--strict", action="store_true", help="fail where a latency, or growth, can't be told from its limit"
    )
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
    parser.add_argument("--badge", metavar="FILE.svg", help="draw one limit as a badge: '4.90 M of 5 M parameters'")
    parser.add_argument(
        "--badge-of",
        metavar="NAME[:MEASURE]",
        help="the limit that --badge draws (default: the first limit of the first budget)",
    )
    parser.add_argument(
        "--comment", metavar="FILE", help="write the tables as a comment on a pull request, the conclusion in a box"
    )
    parser.add_argument(
        "--record", metavar="FILE", help="add what was counted to a history by commit, for 'archprof plot history'"
    )
    parser.add_argument(
        "--github", action="store_true", help="inside GitHub Actions: also annotate, and write the job summary"
    )


def run(args: argparse.Namespace) -> int:
    """Judge the budgets of every file, say so in every way that was asked for."""
    from ..base import files
    from ..budgets import config, lock
    from ..budgets.verdict import exit_code
    from . import badge

    _refuse(args)
    stated = config.read_all(args.config or [config.find(Path())])
    chosen = config.select(stated, args.names)
    locks = list(dict.fromkeys(one.lock_path for one in chosen if one.budgets))
    exports = [files.STDOUT if args.json else None, args.junit, args.markdown, args.comment, args.badge]
    files.check([*exports, args.record, *(map(str, locks) if args.update else ())])
    budgets = [budget for one in chosen for budget in one.budgets]
    drawn = badge.wanted(args.badge_of, budgets, growth=not args.update) if args.badge else None
    if args.record:
        from ..budgets import recording

        recording.check(args.record, stated[0].path.parent)
    checked, base = _judged(args, stated, chosen, locks)
    _write(args, checked, base, drawn, stated[0].path.parent)
    if args.json:
        _print_json(args, checked, base, stated)
    elif files.STDOUT not in exports:
        _show(args, checked, base)
    if base is not None and base.changed_files:
        changed = f"{base.changed_files} changed file{'s' * (base.changed_files > 1)}"
        print(f"archprof: the working tree is compared, {changed} included.", file=sys.stderr)
    for path in locks if args.update else ():
        print(f"archprof: {lock.shown_path(path)} holds the new baseline; commit it.", file=sys.stderr)
    return exit_code(checked, args.strict)


def _refuse(args: argparse.Namespace) -> None:
    """Raise BadOption for options that exclude each other, or that would have no effect."""
    from ..base.files import STDOUT

    if args.update and args.base is not None:
        raise BadOption("--update accepts growth, and --base judges it;", "give one of them.")
    if args.badge_of is not None and not args.badge:
        raise BadOption("--badge-of names what --badge draws, and there is no --badge;", "add --badge FILE.svg.")
    if args.record == STDOUT:
        raise BadOption("--record adds to a file;", "name one, such as history.jsonl.")
    if args.badge and args.badge != STDOUT and not args.badge.lower().endswith(".svg"):
        raise BadOption(f"--badge '{args.badge}' does not end in .svg;", "a badge is an SVG.")


def _judged(
    args: argparse.Namespace, stated: Sequence[Config], chosen: Sequence[Config], locks: Sequence[Path]
) -> tuple[tuple[Checked, ...], BaseCommit | None]:
    """The verdicts, against the base, or against the locks, which an update writes anew."""
    from ..base import files
    from ..budgets import config, judging, lock

    of_lock = [(one.lock_path, budget) for one in chosen for budget in one.budgets]
    counted = judging.counting()
    if args.base is not None:
        from ..budgets import base_commit

        base = base_commit.at(args.base, stated, chosen, counted, whole=not args.names)
        pairs = [(budget, before) for (_, budget), before in zip(of_lock, base.befores, strict=True)]
        return judging.judged(pairs, profile=counted), base
    if not args.update:
        known = {path: lock.read(path) for path in locks}
        return judging.judged([(budget, known[path].get(budget.name)) for path, budget in of_lock]), None
    with contextlib.ExitStack() as alone:
        for path in locks:
            alone.enter_context(files.alone(str(path)))
        accepted = {path: lock.read_for_update(path, whole=not args.names) for path in locks}
        for path in locks:
            config.refuse_taken(stated, path, accepted[path])
        known_pairs = [(budget, accepted[path].get(budget.name)) for path, budget in of_lock]
        checked = judging.judged(known_pairs, growth=False)
        for path in locks:
            names = config.names_in(stated, path, accepted[path])
            fresh = [one for (place, _), one in zip(of_lock, checked, strict=True) if place == path]
            files.write(str(path), lock.to_json(judging.accept(fresh, accepted[path], names)))
    return checked, None


def _write(
    args: argparse.Namespace,
    checked: Sequence[Checked],
    base: BaseCommit | None,
    drawn: badge.Wanted | None,
    folder: Path,
) -> None:
    """The files that were asked for, and what GitHub is told."""
    from ..base import files
    from ..render import github
    from ..render.tables import verdicts

    if drawn is not None:
        from ..render.badge import svg

        files.write(args.badge, svg(verdict := drawn.of(checked)))
        if drawn.told:
            shown = f"{verdict.budget}:{drawn.measure}"
            print(f"archprof: the badge shows {shown}; --badge-of draws another limit.", file=sys.stderr)
    if args.record:
        from ..budgets import recording

        recording.record(args.record, folder, checked)
    if args.junit:
        files.write(args.junit, verdicts.to_junit(checked, args.strict))
    if args.markdown:
        files.write(args.markdown, github.summary(checked, args.strict, base))
    if args.comment:
        from .pull_request import run_shown

        files.write(args.comment, github.comment(checked, args.strict, base, run_shown()))
    if args.github:
        _tell_github(
            github.workflow_commands(checked, from_repository, args.strict),
            github.summary(checked, args.strict, base),
        )


def _print_json(
    args: argparse.Namespace, checked: Sequence[Checked], base: BaseCommit | None, stated: Sequence[Config]
) -> None:
    from ..render.tables import base as beside
    from ..render.tables import verdicts

    compared = None if base is None else beside.to_json(base, checked)
    print(verdicts.to_json(checked, [one.shown for one in stated], args.strict, compared))


def _show(args: argparse.Namespace, checked: Sequence[Checked], base: BaseCommit | None) -> None:
    from ..render import terminal
    from ..render.tables import base as beside
    from ..render.tables import verdicts

    terminal.show([verdicts.table(checked)])
    print(verdicts.below(checked, why=args.why, strict=args.strict), end="")
    if base is not None:
        print()
        terminal.show([beside.table(base, checked)], below=beside.layers_below(base, checked))


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
