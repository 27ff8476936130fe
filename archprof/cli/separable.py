"""`archprof separable`: standard against depthwise separable convolution, of a layer or a network."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, Any

from ..base.errors import BadOption
from ..results.conditions import Conditions, Sampling
from ..separable.styles import DIRECTIONS, STYLES, direction_of, style_of
from . import options
from .progress import progress

if TYPE_CHECKING:
    from ..separable import LayerComparison, NetworkComparison

#: Options that describe one layer, with what they are where they are left out.
_LAYER = {
    "in_channels": None,
    "out_channels": None,
    "kernel": None,
    "size": None,
    "stride": 1,
    "padding": "same",
    "dilation": 1,
    "bias": False,
    "multiplier": 1,
}


def add(commands: Any) -> None:
    """Declare the command."""
    parser = options.command(
        commands,
        "separable",
        run,
        "archprof separable --in-channels 32 --out-channels 64 --kernel 3 --size 112 --measure\n"
        "         archprof separable resnet50 --plot ratios.svg\n"
        "         archprof separable mobilenetv1 --to standard",
    )
    parser.add_argument("model", metavar="MODEL", nargs="?", help="a network to rewrite; leave it out for one layer")
    layer = parser.add_argument_group("one layer (an extent is a number, or two such as 1x7)")
    layer.add_argument("--in-channels", type=_number, metavar="M")
    layer.add_argument("--out-channels", type=_number, metavar="N")
    layer.add_argument("--kernel", type=_extent, metavar="K")
    layer.add_argument("--size", type=_extent, metavar="S", help="height and width of the input")
    layer.add_argument("--stride", type=_extent, metavar="S", help="default: 1")
    layer.add_argument(
        "--padding", type=_padding, metavar="P", help="on each side; 'same' (the default) keeps the size at stride 1"
    )
    layer.add_argument("--dilation", type=_extent, metavar="D", help="default: 1")
    layer.add_argument("--bias", action="store_true", default=None, help="with a bias (the pointwise half has it)")
    layer.add_argument(
        "--multiplier", type=_number, metavar="m", help="depthwise channels for each input channel (default: 1)"
    )
    network = parser.add_argument_group("a network")
    network.add_argument(
        "--style", metavar="STYLE", help=f"what stands between the halves: {', '.join(STYLES)} (default: mobilenet)"
    )
    network.add_argument("--to", metavar="FORM", help=f"{' or '.join(DIRECTIONS)} (default: separable)")
    network.add_argument(
        "--input-shape", type=options.typed(options.input_shape), metavar="C,H,W", help="default: the network's own"
    )
    options.add_batch_size(parser)
    parser.add_argument("--measure", action="store_true", help="time both forms in turns, and the machine's limits")
    options.add_conditions(parser)
    options.add_sampling(parser)
    output = parser.add_argument_group("results ('-' is stdout)")
    output.add_argument("--json", metavar="FILE", help="write JSON")
    output.add_argument("--csv", metavar="FILE", help="write CSV, one row for each part or layer")
    output.add_argument("--markdown", metavar="FILE", help="write Markdown")
    output.add_argument("--plot", metavar="FILE", help="draw the ratio against N, as PNG, SVG or PDF")


def run(args: argparse.Namespace) -> int:
    """Compare, measure where asked, and write."""
    from ..base import files

    _check(args)
    files.check([args.json, args.csv, args.markdown, args.plot])
    if args.plot:
        from ..render.figures.save import check_format

        check_format(args.plot)
    _write(_network(args) if args.model else _layer(args), args)
    return 0


def _layer(args: argparse.Namespace) -> LayerComparison:
    from ..separable import convolution
    from ..separable.counting import compare_layer

    given: dict[str, Any] = {
        name: usual if getattr(args, name) is None else getattr(args, name) for name, usual in _LAYER.items()
    }
    conditions = _conditions(args)
    record = compare_layer(convolution(**given, batch_size=args.batch_size))
    if conditions is None:
        return record
    from ..separable.measuring import measure_layer

    with progress() as tell:
        return measure_layer(record, conditions, options.sampling(args), lambda seen: tell(seen.doing))


def _network(args: argparse.Namespace) -> NetworkComparison:
    from ..separable.counting import rewritten

    conditions = _conditions(args)
    pair = rewritten(
        args.model,
        to=args.to or "separable",
        style=args.style or "mobilenet",
        batch_size=args.batch_size,
        input_shape=args.input_shape,
    )
    if conditions is None:
        return pair.record
    from ..separable.measuring import measure_network

    with progress() as tell:
        return measure_network(pair, conditions, options.sampling(args), lambda seen: tell(seen.doing))


def _conditions(args: argparse.Namespace) -> Conditions | None:
    """Under which conditions to measure; None where nothing is to be measured."""
    if not args.measure:
        return None
    from ..measure.device import check_available

    return check_available(options.conditions(args))


def _write(record: LayerComparison | NetworkComparison, args: argparse.Namespace) -> None:
    from ..base import files
    from ..render.tables.separable import tables
    from ..separable import to_json

    if files.STDOUT not in (args.json, args.csv, args.markdown):
        from ..render import terminal

        terminal.show(tables(record))
    if args.json:
        files.write(args.json, to_json(record))
    if args.csv:
        from ..render.csv import csv_of
        from ..separable.flat import flat_rows

        files.write(args.csv, csv_of(flat_rows(record)))
    if args.markdown:
        from ..render.markdown import markdown

        files.write(args.markdown, markdown(tables(record)))
    if args.plot:
        from ..render.figures.separable import draw, save

        save(draw(record), args.plot)


def _check(args: argparse.Namespace) -> None:
    """Options that do not go together, said before anything is built."""
    if not args.measure:
        options.refuse_without_effect(args, "without --measure", Conditions, Sampling)
    layer = [name for name in _LAYER if getattr(args, name) is not None]
    if args.model:
        if layer:
            flag = f"--{layer[0].replace('_', '-')}"
            raise BadOption(
                f"{flag} describes one layer, but the model '{args.model}' is given too;", "give one of them."
            )
        style_of(args.style or "mobilenet")
        direction_of(args.to or "separable")
        return
    if not layer:
        args.parser.error("give a MODEL, or a layer by --in-channels, --out-channels, --kernel and --size")
    missing = [
        f"--{name.replace('_', '-')}"
        for name in ("in_channels", "out_channels", "kernel", "size")
        if getattr(args, name) is None
    ]
    if missing:
        args.parser.error(f"a layer needs {', '.join(missing)} too")
    for name in ("style", "to", "input_shape"):
        if getattr(args, name) is not None:
            args.parser.error(f"--{name.replace('_', '-')} goes with a MODEL, not with one layer")


def _number(text: str) -> int:
    """A whole number of either sign: the formula itself says which are too small."""
    if not re.fullmatch(r"-?\d+", text):
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number")
    return int(text)


def _extent(text: str) -> tuple[int, int]:
    """'3' -> (3, 3); '1x7' -> (1, 7)."""
    if not re.fullmatch(r"-?\d+(x-?\d+)?", text):
        raise argparse.ArgumentTypeError(f"'{text}' is not an extent; expected a number, or two such as 1x7")
    parts = [int(part) for part in text.split("x")]
    return parts[0], parts[-1]


def _padding(text: str) -> tuple[int, int] | str:
    return "same" if text == "same" else _extent(text)
