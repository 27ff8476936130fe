"""`archprof separable`: standard against depthwise separable convolution, for one layer or a whole network."""

from __future__ import annotations

import argparse
import re
import sys
from typing import TYPE_CHECKING, Any

from ..errors import BadOption
from ..separable.styles import DIRECTIONS, STYLES, direction_of, style_of

if TYPE_CHECKING:
    from ..separable import LayerComparison, NetworkComparison

#: Options that describe one layer, with what they are where they are left out.
_LAYER = {"in_channels": None, "out_channels": None, "kernel": None, "size": None, "stride": 1, "padding": "same",
          "dilation": 1, "bias": False, "multiplier": 1}

EXAMPLES = """\
examples:
  archprof separable --in-channels 32 --out-channels 64 --kernel 3 --size 112 --measure
  archprof separable resnet50 --style mobilenet --plot ratios.svg
  archprof separable mobilenetv1 --to standard"""


def add(commands: Any) -> None:
    """Add the command to the parser's subcommands."""
    parser = commands.add_parser(
        "separable", help="standard against depthwise separable convolution, on paper, counted and measured",
        description="Compare a KxK convolution with its depthwise separable form: one layer, given by its sizes, or "
                    "every dense KxK convolution of a network.",
        epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL", nargs="?", help="a network to rewrite; leave it out for one layer")
    layer = parser.add_argument_group("one layer (an extent is a number, or two such as 1x7)")
    layer.add_argument("--in-channels", type=int, metavar="M")
    layer.add_argument("--out-channels", type=int, metavar="N")
    layer.add_argument("--kernel", type=_extent, metavar="K")
    layer.add_argument("--size", type=_extent, metavar="S", help="height and width of the input")
    layer.add_argument("--stride", type=_extent)
    layer.add_argument("--padding", type=_padding, help="on each side; 'same' (usual) keeps the size at stride 1")
    layer.add_argument("--dilation", type=_extent)
    layer.add_argument("--bias", action="store_true", default=None)
    layer.add_argument("--multiplier", type=int, metavar="m", help="depthwise channels for each input channel")
    network = parser.add_argument_group("a network")
    network.add_argument("--style", help=f"what stands between the halves: {', '.join(STYLES)} (usual: mobilenet)")
    network.add_argument("--to", help=f"rewrite to: {', '.join(DIRECTIONS)} (usual: separable)")
    parser.add_argument("--batch-size", type=int, default=1, metavar="B")
    measuring = parser.add_argument_group("measuring")
    measuring.add_argument("--measure", action="store_true", help="time both forms in turns, and the machine's limits")
    measuring.add_argument("--time-budget", type=float, default=30.0, metavar="SECONDS", help="usual: 30")
    measuring.add_argument("--device", default="cpu")
    measuring.add_argument("--threads", type=int)
    output = parser.add_argument_group("output ('-' is stdout)")
    output.add_argument("--json", metavar="FILE")
    output.add_argument("--markdown", metavar="FILE")
    output.add_argument("--plot", metavar="FILE", help="the ratio against N, as PNG, SVG or PDF")
    parser.set_defaults(run=run, parser=parser)


def run(args: argparse.Namespace) -> int:
    """Compare, measure where asked, and write."""
    from ..render import files

    _check(args)
    files.check([args.json, args.markdown, args.plot])
    _write(_network(args) if args.model else _layer(args), args)
    return 0


def _layer(args: argparse.Namespace) -> LayerComparison:
    from .. import separable

    given = {name: value if getattr(args, name) is None else getattr(args, name) for name, value in _LAYER.items()}
    record = separable.compare_layer(separable.convolution(**given, batch_size=args.batch_size))
    return separable.measure_layer(record, *_how(args)) if args.measure else record


def _network(args: argparse.Namespace) -> NetworkComparison:
    from .. import separable

    pair = separable.rewritten(args.model, to=args.to or "separable", style=args.style or "mobilenet",
                               batch_size=args.batch_size)
    return separable.measure_network(pair, *_how(args)) if args.measure else pair.record


def _how(args: argparse.Namespace) -> tuple[Any, Any]:
    """Conditions and sampling."""
    from ..measure.conditions import Conditions
    from ..separable.measuring import Sampling

    told = (lambda seen: print(f"\r\033[K{seen.doing}", end="", file=sys.stderr)) if sys.stderr.isatty() else None
    return Conditions(device=args.device, threads=args.threads), Sampling(args.time_budget, progress=told)


def _write(record: LayerComparison | NetworkComparison, args: argparse.Namespace) -> None:
    from .. import separable
    from ..render import files, markdown, terminal
    from ..render.separable import tables

    if args.measure and sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    if args.json:
        files.write(args.json, separable.to_json(record))
    if args.markdown:
        files.write(args.markdown, markdown.markdown(tables(record)))
    if args.plot:
        from ..render.figures.separable import draw, save

        save(draw(record), args.plot)
    if "-" not in (args.json, args.markdown):
        terminal.show(tables(record))


def _check(args: argparse.Namespace) -> None:
    """Options that do not go together, said before anything is built."""
    layer = [name for name in _LAYER if getattr(args, name) is not None]
    if args.model:
        if layer:
            raise BadOption(f"--{layer[0].replace('_', '-')} describes one layer, but the model '{args.model}' is "
                            "given too;", "give one of them.")
        style_of(args.style or "mobilenet")
        direction_of(args.to or "separable")
        return
    if not layer:
        args.parser.error("give a MODEL, or a layer by --in-channels, --out-channels, --kernel and --size")
    missing = [f"--{name.replace('_', '-')}" for name in ("in_channels", "out_channels", "kernel", "size")
               if getattr(args, name) is None]
    if missing:
        args.parser.error(f"a layer needs {', '.join(missing)} too")
    for name in ("style", "to"):
        if getattr(args, name) is not None:
            args.parser.error(f"--{name} goes with a MODEL, not with one layer")


def _extent(text: str) -> tuple[int, int]:
    """'3' -> (3, 3); '1x7' -> (1, 7)."""
    if not re.fullmatch(r"-?\d+(x-?\d+)?", text):
        raise argparse.ArgumentTypeError(f"'{text}' is no extent; wanted: a number, or two such as 1x7")
    parts = [int(part) for part in text.split("x")]
    return parts[0], parts[-1]


def _padding(text: str) -> tuple[int, int] | str:
    return "same" if text == "same" else _extent(text)
