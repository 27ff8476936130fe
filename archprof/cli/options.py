"""Options that several commands share, and the parsing of their values."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..base import units
from ..base.errors import ArchprofError, BadOption
from ..base.files import STDOUT
from ..base.options import options_of, whole
from ..models import input_spec
from ..results import conditions as asked
from .commands import COMMANDS

if TYPE_CHECKING:
    from ..render.figures import FigureOptions

#: So many networks are compared without asking.
MANY = 50


def batch_sizes(text: str) -> tuple[int, ...]:
    """'1,8,32' -> (1, 8, 32); '1..64' -> the powers of two between."""
    if match := re.fullmatch(r"([0-9]+)\.\.([0-9]+)", text):
        low, high = int(match[1]), int(match[2])
        if not 0 < low <= high:
            raise BadOption(f"batch sizes '{text}' run from {low} to {high};", "expected a range such as 1..64.")
        return tuple(sorted({low, high, *(2**n for n in range(high.bit_length()) if low <= 2**n <= high)}))
    sizes = []
    for part in text.split(","):
        if not re.fullmatch(r"[0-9]+", part.strip()) or int(part) == 0:
            raise BadOption(
                f"batch size '{part.strip()}' is not a positive whole number;", "expected sizes such as 1,8,32."
            )
        sizes.append(int(part))
    return tuple(sizes)


def input_shape(text: str) -> tuple[int, ...]:
    """'3,224,224' or '3x224x224' -> (3, 224, 224), without the batch."""
    parts = re.split(r"[,x]", text.strip("() "))
    if not all(re.fullmatch(r"\s*[0-9]+\s*", part) and int(part) > 0 for part in parts):
        raise BadOption(
            f"input shape '{text}' is not a list of positive whole numbers;", "expected C,H,W such as 3,224,224."
        )
    return tuple(int(part) for part in parts)


def inputs(args: Any) -> Callable[[int], Any] | None:
    """What --input describes, as a function of the batch size; None where it is not given. Imports no torch yet."""
    specs = input_spec.checked(args.input)
    if not specs:
        return None
    if args.input_shape:
        raise BadOption("both --input and --input-shape are given;", "give one of them.")

    def given(batch_size: int) -> Any:
        from ..counting.inputs import given_inputs

        return given_inputs(specs, batch_size)

    return given


def expanded(
    patterns: Sequence[str], yes: bool, matches: Callable[[Sequence[str]], list[str]] | None = None
) -> list[str]:
    """The models that are meant, wildcards resolved: by `matches`, or here.

    More than MANY are asked about; where there is nobody to ask, they need `yes`. Raises BadOption without either.
    """
    models, wild = list(patterns), any(mark in pattern for pattern in patterns for mark in "*?")
    if wild:
        from ..models import expand

        models = (matches or expand)(patterns)
    many = len(models) > MANY and not yes
    if many and not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise BadOption(
            f"{len(models)} networks are meant, more than {MANY}, and nobody can be asked whether that is so.",
            "Add --yes, or use 'archprof sweep PATTERN -o FILE.jsonl', which can be stopped and resumed.",
        )
    if wild or many:
        print(
            f"archprof: {len(models)} networks: {', '.join(models[:3])}{', ...' if len(models) > 3 else ''}",
            file=sys.stderr,
        )
    if many:
        print(f"Go on with all {len(models)}? [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise BadOption("stopped: nothing was done.", "Narrow the pattern, or add --yes.")
    return models


def memory(text: str) -> int:
    """'8 GiB' or '8GiB' in bytes."""
    found = units.parse_size(text, "memory")
    if found < 1:
        raise BadOption(f"memory '{text}' is not above 0;", "expected a size such as 8GiB.")
    return found


class _Parsed:
    """argparse hides what a type function says behind its own words; ours say more."""

    def __init__(self, parse: Callable[[str], Any]) -> None:
        self.parse, self.__name__ = parse, parse.__name__

    def __call__(self, text: str) -> Any:
        try:
            return self.parse(text)
        except ArchprofError as error:
            raise argparse.ArgumentTypeError(str(error)) from None


def command(commands: Any, name: str, run: Callable[[Any], int], example: str) -> Any:
    """Add a command with the shape that all of them have; returns its parser."""
    parser = commands.add_parser(
        name,
        help=COMMANDS[name],
        description=COMMANDS[name],
        epilog=f"example: {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run, parser=parser)
    return parser


def typed(parse: Callable[[str], Any]) -> Any:
    """`parse` as an argparse type."""
    return _Parsed(parse)


def add_inputs(parser: Any) -> None:
    """What every network is given."""
    parser.add_argument(
        "--input-shape", type=typed(input_shape), metavar="C,H,W", help="for every network (default: each its own)"
    )
    add_input(parser)


def add_input(parser: Any) -> None:
    """--input, beside --input-shape."""
    parser.add_argument(
        "--input",
        action="append",
        default=[],
        type=typed(input_spec.parse),
        metavar="INPUT",
        help="an argument of forward, such as 'ids=int64[128]<30522'; once for each",
    )


def add_where(parser: Any) -> None:
    """--where, the same in every command that filters networks."""
    parser.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="LIMIT",
        help='keep networks within a limit, such as "parameters < 5 M", "top1 > 75", "pretraining = none"; '
        "may be repeated",
    )


def add_conditions(parser: Any) -> None:
    """What shapes a time: an option for each field of Conditions."""
    add_fields(parser.add_argument_group("conditions of a measurement"), asked.Conditions)


def add_sampling(parser: Any, usual: asked.Sampling | None = None) -> None:
    """When measuring ends: an option for each field of Sampling, with what this command takes where it is left out."""
    parser.set_defaults(usual_sampling=usual or asked.Sampling())
    add_fields(parser.add_argument_group("when measuring ends"), usual or asked.Sampling)


def add_logbook(parser: Any) -> None:
    """--no-logbook and --runs, of a command that compares times."""
    group = parser.add_argument_group("from one run to the next")
    group.add_argument(
        "--runs",
        type=typed(whole),
        metavar="N",
        help="fresh processes that share the time budget, one after the other (default: one for each 15 s, up to "
        "8; 1 below 30 s)",
    )
    group.add_argument(
        "--no-logbook", action="store_true", help="neither ask nor keep what runs on this machine have found"
    )


def add_batch_sizes(parser: Any, usual: Sequence[int] = asked.BATCH_SIZES) -> None:
    """--batch-sizes."""
    parser.set_defaults(usual_batch_sizes=tuple(usual))
    parser.add_argument(
        "--batch-sizes",
        type=typed(batch_sizes),
        default=argparse.SUPPRESS,
        metavar="N,N,...",
        help=f"such as 1,8,32, or 1..64 for powers of two (default: {','.join(map(str, usual))})",
    )


def add_fields(group: Any, kind: Any, left_out: Sequence[str] = ()) -> None:
    """An option for each field of a dataclass, but for those."""
    for named in options_of(kind):
        if named.name in left_out:
            continue
        how: dict[str, Any] = {"dest": named.name, "default": argparse.SUPPRESS, "help": named.help.replace("%", "%%")}
        if isinstance(named.default, bool):
            how |= {"action": "store_const", "const": not named.default}
        else:
            how |= {"type": typed(named.option.parse), "metavar": named.option.metavar}
        if named.option.alone is not None:
            how |= {"nargs": "?", "const": named.option.alone}
        group.add_argument(named.flag, **how)


def given(args: Any, kind: Any) -> dict[str, Any]:
    """The fields of Conditions or Sampling that were given, by name."""
    return {named.name: getattr(args, named.name) for named in options_of(kind) if hasattr(args, named.name)}


def conditions(args: Any) -> asked.Conditions:
    """What `add_conditions` reads. Raises BadOption where one of them has no effect."""
    found = asked.Conditions(**given(args, asked.Conditions))
    found.refuse_unused(for_largest_batch=any(getattr(args, name, None) for name in ("memory", "fits")))
    return found


def ceilings_command(args: Any) -> str:
    """The command that measures the ceilings of the device and the threads that `add_conditions` reads."""
    mine = [f"--{name} {getattr(args, name)}" for name in ("device", "threads") if hasattr(args, name)]
    return " ".join(["archprof env --roofline", *mine])


def sampling(args: Any) -> asked.Sampling:
    """What `add_sampling` reads."""
    usual: asked.Sampling = args.usual_sampling
    return replace(usual, **given(args, asked.Sampling))


def batch_sizes_of(args: Any) -> tuple[int, ...]:
    """What `add_batch_sizes` reads."""
    sizes: tuple[int, ...] = getattr(args, "batch_sizes", args.usual_batch_sizes)
    return sizes


def refuse_without_effect(args: Any, why: str, *kinds: Any, also: Sequence[str] = ()) -> None:
    """Raise BadOption for a field of `kinds`, or an option in `also`, that is given although it changes nothing."""
    for kind in kinds:
        for named in options_of(kind):
            if hasattr(args, named.name):
                raise BadOption(f"{named.flag} has no effect {why}.", "Leave it out.")
    for name in also:
        if getattr(args, name, None):
            raise BadOption(f"--{name.replace('_', '-')} has no effect {why}.", "Leave it out.")


def pairs(given: Sequence[str]) -> dict[str, str]:
    """['resnet50=ResNet-50'] -> {'resnet50': 'ResNet-50'}; the last '=' separates, for names hold some."""
    out = {}
    for text in given:
        name, equals, label = text.rpartition("=")
        if not equals or not name.strip() or not label.strip():
            raise BadOption(f"--label '{text}' is not NAME=TEXT;", "expected a label such as resnet50=ResNet-50.")
        out[name.strip()] = label.strip()
    return out


def figure(args: Any) -> FigureOptions:
    """The options that figures of every record have. Raises BadOption for a value out of range."""
    from ..render.figures import FigureOptions

    return FigureOptions(
        width=args.width or 7.0,
        height=args.height,
        dpi=args.dpi or 150,
        title=args.title,
        labels=pairs(args.label),
        only=tuple(args.only),
        dark=args.dark,
        notes=not args.no_notes,
    )


def add_one_model(parser: Any) -> None:
    """The model of a command that looks at one, and what it is fed."""
    parser.add_argument("model", metavar="MODEL", help="such as resnet50, mobilenetv1(width=0.5), resnet18@128")
    add_batch_size(parser, None, "default: 1, or what the network was exported for")
    parser.add_argument("--input-shape", type=typed(input_shape), metavar="C,H,W", help="default: the network's own")


def add_batch_size(parser: Any, default: int | None = 1, said: str = "default: 1") -> None:
    """--batch-size, of a command that looks at one."""
    parser.add_argument("--batch-size", type=typed(whole), default=default, metavar="N", help=said)


def add_json(parser: Any) -> None:
    """--json of a command that prints: alone it prints JSON instead, with a name it writes that file."""
    parser.add_argument(
        "--json", nargs="?", const=STDOUT, metavar="FILE", help="write JSON (without FILE: to stdout, instead)"
    )


def add_exports(parser: Any) -> None:
    """Where to write the results."""
    group = parser.add_argument_group("results ('-' is stdout)")
    for flag, shown in (("--json", "JSON"), ("--csv", "CSV"), ("--markdown", "Markdown")):
        group.add_argument(flag, metavar="FILE", help=f"write {shown}")


def export(args: argparse.Namespace, found: Any, table: Callable[[Any], Any]) -> None:
    """Write the files that `add_exports` asks for: of a record with `to_json` and `rows`, and of its table."""
    from ..base import files

    if args.json:
        files.write(args.json, found.to_json())
    if args.csv:
        from ..render.csv import csv_of

        files.write(args.csv, csv_of(found.rows()))
    if args.markdown:
        from ..render.markdown import markdown

        files.write(args.markdown, markdown([table(found)]))
