"""Options that several commands share, and the parsing of their values."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

from ..base import units
from ..base.errors import ArchprofError, BadOption
from ..models import input_spec
from ..results.latency import TIME_BUDGET_S

#: So many networks are compared without asking.
MANY = 50


def batch_sizes(text: str) -> tuple[int, ...]:
    """'1,8,32' -> (1, 8, 32); '1..64' -> the powers of two between."""
    if match := re.fullmatch(r"([0-9]+)\.\.([0-9]+)", text):
        low, high = int(match[1]), int(match[2])
        if not 0 < low <= high:
            raise BadOption(f"batch sizes '{text}' run from {low} to {high};", "wanted: such as 1..64.")
        return tuple(sorted({low, high, *(2**n for n in range(high.bit_length()) if low <= 2**n <= high)}))
    sizes = []
    for part in text.split(","):
        if not re.fullmatch(r"[0-9]+", part.strip()) or int(part) == 0:
            raise BadOption(f"batch size '{part.strip()}' is not a positive whole number;", "wanted: such as 1,8,32.")
        sizes.append(int(part))
    return tuple(sizes)


def input_shape(text: str) -> tuple[int, ...]:
    """'3,224,224' or '3x224x224' -> (3, 224, 224), without the batch."""
    parts = re.split(r"[,x]", text.strip("() "))
    if not all(re.fullmatch(r"\s*[0-9]+\s*", part) and int(part) > 0 for part in parts):
        raise BadOption(f"input shape '{text}' is not a list of positive whole numbers;", "wanted: such as 3,224,224.")
    return tuple(int(part) for part in parts)


def inputs(args: Any) -> Callable[[int], Any] | None:
    """What --input describes, as a function of the batch size; None where it is not given. Imports no torch yet."""
    specs = input_spec.checked(args.input)
    if not specs:
        return None
    if args.input_shape:
        raise BadOption("both --input and --input-shape are given;", "give either.")

    def given(batch_size: int) -> Any:
        from ..counting.inputs import given_inputs

        return given_inputs(specs, batch_size)

    return given


def expanded(patterns: Sequence[str], yes: bool) -> list[str]:
    """The models that are meant, wildcards resolved. More than MANY are asked about where there is somebody to ask."""
    if not any(mark in pattern for pattern in patterns for mark in "*?"):
        return list(patterns)
    from ..models import expand

    models = expand(patterns)
    print(
        f"archprof: {len(models)} networks: {', '.join(models[:3])}{', ...' if len(models) > 3 else ''}",
        file=sys.stderr,
    )
    if len(models) > MANY and not yes and sys.stdin.isatty() and sys.stderr.isatty():
        print(f"Go on with all {len(models)}? [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise BadOption("stopped: nothing was done.", "Narrow the pattern, or add --yes.")
    return models


def positive(text: str) -> float:
    """A number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise BadOption(f"'{text}' is not a positive number.")
    return value


def memory(text: str) -> int:
    """'8 GiB' or '8GiB' in bytes."""
    found = units.parse_size(text, "memory")
    if found < 1:
        raise BadOption(f"memory '{text}' is none;", "wanted: such as 8GiB.")
    return found


def whole(text: str) -> int:
    """A whole number above 0."""
    if not re.fullmatch(r"[0-9]+", text) or int(text) == 0:
        raise BadOption(f"'{text}' is not a positive whole number.")
    return int(text)


class _Parsed:
    """argparse hides what a type function says behind its own words; ours say more."""

    def __init__(self, parse: Callable[[str], Any]) -> None:
        self.parse, self.__name__ = parse, parse.__name__

    def __call__(self, text: str) -> Any:
        try:
            return self.parse(text)
        except ArchprofError as error:
            raise argparse.ArgumentTypeError(str(error)) from None


def command(commands: Any, name: str, run: Callable[[Any], int], summary: str, example: str) -> Any:
    """Add a command with the shape that all of them have; returns its parser."""
    parser = commands.add_parser(
        name,
        help=summary,
        description=summary,
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


def add_measuring(parser: Any) -> None:
    """What shapes a measurement."""
    group = parser.add_argument_group("measuring")
    group.add_argument(
        "--batch-sizes",
        type=typed(batch_sizes),
        default=(1, 8, 32),
        metavar="N,N,...",
        help="such as 1,8,32, or 1..64 for powers of two (default: 1,8,32)",
    )
    group.add_argument("--device", default="cpu", metavar="DEVICE", help="cpu, cuda, cuda:N or mps (default: cpu)")
    group.add_argument("--dtype", default="float32", metavar="TYPE", help="float32, bfloat16 or float16")
    group.add_argument("--threads", type=typed(whole), metavar="N", help="CPU threads (default: torch's own choice)")
    group.add_argument("--channels-last", action="store_true", help="weights and inputs in NHWC layout")
    add_release_memory(group)
    group.add_argument("--compile", nargs="?", const="default", metavar="MODE", help="measure under torch.compile")
    group.add_argument("--cuda-graph", action="store_true", help="replay a captured CUDA graph")
    group.add_argument("--mode", default="eval", metavar="MODE", help="eval: forward pass; train: whole training step")
    group.add_argument("--optimizer", default="sgd", metavar="NAME", help="for --mode train (default: sgd)")
    group.add_argument(
        "--time-budget",
        type=typed(positive),
        default=TIME_BUDGET_S,
        metavar="SECONDS",
        help=f"for all measuring together (default: {TIME_BUDGET_S:g})",
    )
    group.add_argument(
        "--precision",
        type=typed(positive),
        default=0.02,
        metavar="FRACTION",
        help="stop when every 95 %% interval is within this (default: 0.02)",
    )


def add_release_memory(group: Any) -> None:
    """--release-memory."""
    group.add_argument(
        "--release-memory",
        dest="keep_memory",
        action="store_false",
        help="let the C library give memory back after each pass, as a plain process does",
    )


def measuring(args: Any) -> dict[str, Any]:
    """The keyword arguments of `compare` that `add_measuring` reads."""
    names = (
        "batch_sizes",
        "device",
        "dtype",
        "threads",
        "channels_last",
        "compile",
        "cuda_graph",
        "mode",
        "optimizer",
        "keep_memory",
        "time_budget",
        "precision",
    )
    return {name: getattr(args, name) for name in names}


def add_one_model(parser: Any) -> None:
    """The model of a command that looks at one, and what it is fed."""
    parser.add_argument("model", metavar="MODEL", help="such as resnet50, mobilenetv1(width=0.5), resnet18@128")
    parser.add_argument("--batch-size", type=typed(whole), default=1, metavar="N", help="default: 1")
    parser.add_argument("--input-shape", type=typed(input_shape), metavar="C,H,W", help="default: the network's own")


def add_exports(parser: Any) -> None:
    """Where to write the results."""
    group = parser.add_argument_group("results ('-' is stdout)")
    for flag, shown in (("--json", "JSON"), ("--csv", "CSV"), ("--markdown", "Markdown")):
        group.add_argument(flag, metavar="FILE", help=f"write {shown}")
