"""A comparison: read from a file, or made from names; and the exit code. No command of its own."""

from __future__ import annotations

import argparse
import sys
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..base.errors import BadFile, BadOption
from ..results.conditions import Conditions, Sampling
from . import options

if TYPE_CHECKING:
    from ..results.comparison import Accuracy, Comparison

#: How a file that was packed with gzip begins, and the bytes that it may hold: many times what any comparison takes.
_GZIP, LARGEST = b"\x1f\x8b", 1 << 30

#: The exit code after Ctrl-C.
INTERRUPTED = 130


def add_subjects(parser: Any) -> None:
    """MODEL... or --from, and what shapes a measurement."""
    parser.add_argument(
        "models", nargs="*", metavar="MODEL", help="such as resnet50, mobilenetv1(width=0.5), resnet18@128"
    )
    parser.add_argument(
        "--from",
        dest="saved",
        metavar="FILE",
        help="a saved comparison (JSON, also .json.gz) or sweep (JSON lines) instead of models",
    )
    parser.add_argument("--no-latency", action="store_true", help="count only, measure nothing")
    parser.add_argument("--accuracy", metavar="FILE", help="more accuracies: a CSV, or the folder of a trial")
    options.add_batch_sizes(parser)
    options.add_conditions(parser)
    options.add_sampling(parser)


def check_subjects(args: argparse.Namespace) -> None:
    """Raise BadOption unless there are either models or a saved file."""
    if args.saved and args.models:
        raise BadOption(f"both models and --from '{args.saved}' are given;", "give one of them.")
    if not args.saved and not args.models:
        raise BadOption("no model is given;", "name at least one, or a saved comparison with --from FILE.")
    if args.saved:
        unused = ("batch_sizes", "no_latency")
        options.refuse_without_effect(args, "with --from", Conditions, Sampling, also=unused)
    refuse_unused_sampling(args)


def refuse_unused_sampling(args: argparse.Namespace) -> None:
    """Raise BadOption for an option of sampling where nothing is measured, or an optimizer where nothing is trained."""
    if args.no_latency:
        options.refuse_without_effect(args, "with --no-latency", Sampling)


def comparison(args: argparse.Namespace, measure: bool, divide: bool = False) -> tuple[Comparison, int]:
    """What --from names, without importing torch; else the models compared, measured if `measure`.

    Beside it the exit code (see `compared`); warnings have been told.
    """
    if args.saved:
        found = read(args.saved)
        if args.accuracy:
            from ..models.published import own

            known = len(found.warnings)
            found = own.attached(found, accuracies(args), dataset(args) or found.dataset)
            tell(found.warnings[known:])
        return found, exit_code(found)
    from ..models import spec

    for model in args.models:
        spec.parse(model)
    models = options.expanded(args.models, yes=True)
    found, code = compared(models, args, latency=measure, divide=divide)
    tell(found.warnings)
    return found, code


def tell(warnings: Sequence[str]) -> None:
    """Warnings of a comparison, on stderr."""
    for warning in warnings:
        print(f"archprof: {warning}", file=sys.stderr)


def accuracies(args: argparse.Namespace) -> tuple[Accuracy, ...]:
    """The rows of --accuracy, those that are called by a --label under the name of its network."""
    if not args.accuracy:
        return ()
    from ..models import published
    from ..models.published import own

    return own.renamed(published.read(args.accuracy), pairs(getattr(args, "label", ())))


def dataset(args: argparse.Namespace) -> str | None:
    """The one whose accuracy to show: as given, else the one on which a trial named by --accuracy was made."""
    if args.dataset or not args.accuracy:
        return args.dataset or None
    measured = [row.dataset for row in accuracies(args) if row.measured]
    return measured[0] if measured else None


def compared(models: Sequence[str], args: argparse.Namespace, **how: Any) -> tuple[Comparison, int]:
    """The models compared, progress shown, and the exit code. After Ctrl-C it is what was reached until then."""
    from ..runs import compare
    from .progress import progress

    with progress() as tell:
        try:
            found = compare.compare(
                models,
                dataset=dataset(args) or "imagenet-1k",
                reference=getattr(args, "reference", None),
                progress=tell,
                accuracies=accuracies(args),
                batch_sizes=options.batch_sizes_of(args),
                conditions=options.conditions(args),
                sampling=options.sampling(args),
                **how,
            )
            return found, exit_code(found)
        except compare.ComparisonInterrupted as stopped:
            return stopped.comparison, INTERRUPTED


def exit_code(found: Comparison) -> int:
    """1 where a network could not be counted, else 0."""
    return int(any(row.profile is None for row in found.architectures))


def read(path: str) -> Comparison:
    """The comparison saved in a JSON file. Raises BadFile where it cannot be read."""
    from ..results.comparison import Comparison

    try:
        with open(path, "rb") as file:
            data = file.read()
        text = (_unpacked(data) if data.startswith(_GZIP) else data).decode("utf-8-sig")
    except (OSError, EOFError, zlib.error) as reason:  # gzip's errors are OSErrors without strerror
        raise BadFile(
            f"'{path}' cannot be read: {getattr(reason, 'strerror', None) or reason}.",
            "Save one: archprof compare ... --json FILE",
        ) from None
    except UnicodeDecodeError:
        raise BadFile(
            f"'{path}' is not text in UTF-8.", "Expected a file written by 'archprof compare --json'."
        ) from None
    try:
        return Comparison.from_json(text)
    except BadFile as reason:
        raise BadFile(f"'{path}': {reason.message}", reason.remedy) from None


def _unpacked(data: bytes) -> bytes:
    """What a .gz holds. Raises OSError for more than a comparison of all the networks that there are takes."""
    import gzip
    import io

    with gzip.open(io.BytesIO(data)) as packed:
        text = packed.read(LARGEST + 1)
    if len(text) > LARGEST:
        raise OSError(f"unpacked it has more than {LARGEST >> 20} MiB")
    return text


def pairs(given: Sequence[str]) -> dict[str, str]:
    """['resnet50=ResNet-50'] -> {'resnet50': 'ResNet-50'}; the last '=' separates, for names hold some."""
    out = {}
    for text in given:
        name, equals, label = text.rpartition("=")
        if not equals or not name.strip() or not label.strip():
            raise BadOption(f"--label '{text}' is not NAME=TEXT;", "expected a label such as resnet50=ResNet-50.")
        out[name.strip()] = label.strip()
    return out
