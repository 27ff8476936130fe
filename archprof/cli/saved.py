"""A comparison: read from a file, or made from names; and the exit code. No command of its own."""

from __future__ import annotations

import argparse
import sys
import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..base.errors import BadFile, BadOption
from ..results import where
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
    options.add_where(parser)
    parser.add_argument("--no-latency", action="store_true", help="count only, measure nothing")
    parser.add_argument("--accuracy", metavar="FILE", help="more accuracies: a CSV, or the folder of a trial")
    options.add_batch_sizes(parser)
    options.add_conditions(parser)
    options.add_sampling(parser)
    options.add_logbook(parser)


def check_subjects(args: argparse.Namespace) -> None:
    """Raise BadOption unless there are either models or a saved file."""
    if args.saved and args.models:
        raise BadOption(f"both models and --from '{args.saved}' are given;", "give one of them.")
    where.parse_all(args.where)
    if args.where and not args.saved:
        raise BadOption("--where filters what --from names;", "name the networks that you mean, or give --from FILE.")
    if not args.saved and not args.models:
        raise BadOption("no model is given;", "name at least one, or a saved comparison with --from FILE.")
    if args.saved:
        unused = ("batch_sizes", "no_latency", "runs", "no_logbook")
        options.refuse_without_effect(args, "with --from", Conditions, Sampling, also=unused)
    refuse_unused_sampling(args)


def refuse_unused_sampling(args: argparse.Namespace) -> None:
    """Raise BadOption for an option of sampling where nothing is measured, or an optimizer where nothing is trained."""
    if args.no_latency:
        options.refuse_without_effect(args, "with --no-latency", Sampling, also=("runs", "no_logbook"))


def comparison(args: argparse.Namespace, measure: bool, divide: bool = False) -> tuple[Comparison, int]:
    """What --from names, without importing torch; else the models compared, measured if `measure`.

    Beside it the exit code (see `compared`); warnings have been told.
    """
    if args.saved:
        before = read(args.saved)
        found = attached(before, args)
        tell(found.warnings[len(before.warnings) :])
        found = within(found, args)
        return found, exit_code(found)
    from ..models import spec

    for model in args.models:
        spec.parse(model)
    models = options.expanded(args.models, yes=True)
    found, code = compared(models, args, latency=measure, divide=divide)
    tell(found.warnings)
    return found, code


def attached(found: Comparison, args: argparse.Namespace) -> Comparison:
    """The comparison with the rows of --accuracy, and warnings about those that fit no network."""
    if not args.accuracy:
        return found
    from ..models.published import own

    return own.attached(found, accuracies(args), dataset(args) or found.dataset)


def within(found: Comparison, args: argparse.Namespace) -> Comparison:
    """The networks within every --where. Raises BadOption where none is, with the nearest miss."""
    limits = where.parse_all(args.where)
    if not limits:
        return found
    from ..results.columns import facts
    from ..results.findings import usual_batch_size

    size = usual_batch_size(found, getattr(args, "batch_size", None))
    whose = dataset(args) or found.dataset
    known = [facts(row, whose, size) for row in found.architectures]
    by_name = {row.name: one for row, one in zip(found.architectures, known, strict=True)}
    limits = where.resolved(limits, by_name.get)
    if any(limit.column.measured for limit in limits):
        tell([f"--where: latency and memory are those at batch {size}"] if size else [])
    kept = where.within(found.architectures, known, limits)
    if not kept:
        why = where.emptied(known, limits)
        nearest = found.architectures[why.nearest].name if why and why.nearest is not None else ""
        raise BadOption(where.told(why, nearest, len(known)) if why else "the file holds no network.")
    reference = found.reference if any(row.name == found.reference for row in kept) else None
    return replace(found, architectures=tuple(kept), reference=reference)


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

    return own.renamed(published.read(args.accuracy), options.pairs(getattr(args, "label", ())))


def dataset(args: argparse.Namespace) -> str | None:
    """The one whose accuracy to show: as given, else the one on which a trial named by --accuracy was made."""
    if args.dataset or not args.accuracy:
        return args.dataset or None
    measured = [row.dataset for row in accuracies(args) if row.measured]
    return measured[0] if measured else None


def compared(models: Sequence[str], args: argparse.Namespace, **how: Any) -> tuple[Comparison, int]:
    """The models compared, progress shown, and the exit code. After Ctrl-C it is what was reached until then."""
    from ..runs import known

    sizes, conditions = options.batch_sizes_of(args), options.conditions(args)
    shared: dict[str, Any] = {
        "dataset": dataset(args) or "imagenet-1k",
        "reference": getattr(args, "reference", None),
        "accuracies": accuracies(args),
    }
    usual = not any(how.values())  # each network at its own input, and nothing but counts
    if usual and (found := known.comparison(models, sizes, conditions, **shared)) is not None:
        return found, exit_code(found)
    from ..runs import compare
    from .progress import progress

    if how.get("latency"):
        how |= {"logbook": not args.no_logbook, "runs": args.runs}
    with progress() as tell:
        try:
            found = compare.compare(
                models,
                progress=tell,
                batch_sizes=sizes,
                conditions=conditions,
                sampling=options.sampling(args),
                **shared,
                **how,
            )
            if usual:
                known.remember(found, sizes, conditions)
            return found, exit_code(found)
        except compare.ComparisonInterrupted as stopped:
            return stopped.comparison, INTERRUPTED


def exit_code(found: Comparison) -> int:
    """1 where a network could not be counted, else 0."""
    return int(any(row.profile is None for row in found.architectures))


def read(path: str) -> Comparison:
    """The comparison saved in a JSON file. Raises BadFile where it cannot be read."""
    from ..results.comparison import Comparison

    text = text_of(path)
    try:
        return Comparison.from_json(text)
    except BadFile as reason:
        raise BadFile(f"'{path}': {reason.message}", reason.remedy) from None


def text_of(path: str) -> str:
    """What a saved file holds. Raises BadFile where it cannot be read, or is not text."""
    try:
        with open(path, "rb") as file:
            data = file.read()
        return (_unpacked(data) if data.startswith(_GZIP) else data).decode("utf-8-sig")
    except (OSError, EOFError, zlib.error) as reason:  # gzip's errors are OSErrors without strerror
        raise BadFile(
            f"'{path}' cannot be read: {getattr(reason, 'strerror', None) or reason}.",
            "Save one: archprof compare ... --json FILE",
        ) from None
    except UnicodeDecodeError:
        raise BadFile(
            f"'{path}' is not text in UTF-8.", "Expected a file written by 'archprof compare --json'."
        ) from None


def _unpacked(data: bytes) -> bytes:
    """What a .gz holds. Raises OSError for more than a comparison of all the networks that there are takes."""
    import gzip
    import io

    with gzip.open(io.BytesIO(data)) as packed:
        text = packed.read(LARGEST + 1)
    if len(text) > LARGEST:
        raise OSError(f"unpacked it has more than {LARGEST >> 20} MiB")
    return text
