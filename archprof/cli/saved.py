"""A comparison: read from a file, or made from names; and the exit code. No command of its own."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..base.errors import BadFile, BadOption
from . import options

if TYPE_CHECKING:
    from ..results.comparison import Comparison

#: The exit code after Ctrl-C.
INTERRUPTED = 130


def add_subjects(parser: Any) -> None:
    """MODEL... or --from, and what shapes a measurement."""
    parser.add_argument(
        "models", nargs="*", metavar="MODEL", help="such as resnet50, mobilenetv1(width=0.5), resnet18@128"
    )
    parser.add_argument(
        "--from", dest="saved", metavar="FILE", help="a saved comparison (JSON) or sweep (JSON lines) instead of models"
    )
    parser.add_argument("--no-latency", action="store_true", help="count only, measure nothing")
    parser.add_argument("--accuracy", metavar="FILE", help="more published accuracies, as CSV")
    options.add_measuring(parser)


def check_subjects(args: argparse.Namespace) -> None:
    """Raise BadOption unless there are either models or a saved file."""
    if args.saved and args.models:
        raise BadOption(f"both models and --from '{args.saved}' are given;", "give either.")
    if not args.saved and not args.models:
        raise BadOption("no model is given;", "name at least one, or a saved comparison with --from FILE.")


def comparison(args: argparse.Namespace, measure: bool, divide: bool = False) -> tuple[Comparison, int]:
    """What --from names, without importing torch; else the models compared, measured if `measure`.

    Beside it the exit code (see `compared`); warnings have been told.
    """
    if args.saved:
        found = read(args.saved)
        return found, exit_code(found)
    from ..models import spec

    for model in args.models:
        spec.parse(model)
    models = options.expanded(args.models, yes=True)
    found, code = compared(models, args, latency=measure, divide=divide)
    for warning in found.warnings:
        print(f"archprof: {warning}", file=sys.stderr)
    return found, code


def compared(models: Sequence[str], args: argparse.Namespace, **how: Any) -> tuple[Comparison, int]:
    """The models compared, progress shown, and the exit code. After Ctrl-C it is what was reached until then."""
    from ..models import published
    from ..runs import compare
    from .progress import progress

    with progress() as tell:
        try:
            found = compare.compare(
                models,
                dataset=args.dataset,
                reference=getattr(args, "reference", None),
                progress=tell,
                accuracies=published.read(args.accuracy) if args.accuracy else (),
                **options.measuring(args),
                **how,
            )
            return found, exit_code(found)
        except compare.Interrupted as stopped:
            return stopped.comparison, INTERRUPTED


def exit_code(found: Comparison) -> int:
    """1 where a network could not be counted, else 0."""
    return int(any(row.profile is None for row in found.architectures))


def read(path: str) -> Comparison:
    """The comparison saved in a JSON file. Raises BadFile where it cannot be read."""
    from ..results.comparison import Comparison

    try:
        with open(path, encoding="utf-8-sig") as file:
            text = file.read()
    except OSError as reason:
        raise BadFile(
            f"'{path}' cannot be read: {reason.strerror}.", "Save one: archprof compare ... --json FILE"
        ) from None
    except UnicodeDecodeError:
        raise BadFile(
            f"'{path}' is not text in UTF-8.", "Expected a file written by 'archprof compare --json'."
        ) from None
    try:
        return Comparison.from_json(text)
    except BadFile as reason:
        raise BadFile(f"'{path}': {reason.message}", reason.remedy) from None


def pairs(given: Sequence[str]) -> dict[str, str]:
    """['resnet50=ResNet-50'] -> {'resnet50': 'ResNet-50'}; the last '=' separates, for names hold some."""
    out = {}
    for text in given:
        name, equals, label = text.rpartition("=")
        if not equals or not name.strip() or not label.strip():
            raise BadOption(f"--label '{text}' is no NAME=TEXT;", "wanted: such as --label resnet50=ResNet-50.")
        out[name.strip()] = label.strip()
    return out
