"""archprof predict: images a second on hardware that is not here."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from ..base.errors import BadOption
from ..base.options import whole
from . import options

#: Option (its name here) -> its flag: those that choose among a device's tables.
SETTINGS = {"number_type": "--precision", "layout": "--channels-last", "compiled": "--compile", "version": "--torch"}


def add(commands: Any) -> None:
    """Declare the command."""
    parser = options.command(
        commands,
        "predict",
        run,
        "archprof predict resnet50 timm:vit_base_patch16_224 --device rtx4090",
    )
    parser.add_argument(
        "models", nargs="*", metavar="MODEL", help="such as resnet50, 'mobilenetv1(width=0.5)', resnet18@128"
    )
    parser.add_argument("--device", dest="machine", metavar="NAME", help="a device of the table, such as rtx4090")
    parser.add_argument(
        "--anchors", metavar="FILE", help="or the device on which this comparison of ten networks was measured (JSON)"
    )
    parser.add_argument("--list-devices", action="store_true", help="the devices of the table, and how each was used")
    parser.add_argument("--list-anchors", action="store_true", help="the ten networks, and the command to measure them")
    parser.add_argument(
        "--input-shape",
        type=options.typed(options.input_shape),
        metavar="C,H,W",
        help="for every network (default: each its own)",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask before predicting many networks")
    group = parser.add_argument_group("which table of the device (default: the newest torch, eager, in amp)")
    group.add_argument("--precision", dest="number_type", metavar="TYPE", help="amp, amp_bf16, bf16 or fp32")
    group.add_argument("--channels-last", dest="layout", action="store_true", help="weights and inputs in NHWC layout")
    group.add_argument("--compile", dest="compiled", action="store_true", help="under torch.compile")
    group.add_argument("--torch", dest="version", metavar="VERSION", help="such as 2.4.0")
    group = parser.add_argument_group("which measurement of the anchors")
    group.add_argument(
        "--batch-size",
        type=options.typed(whole),
        metavar="N",
        help="one of theirs (default: on a CPU the smallest, on a GPU the largest)",
    )
    options.add_exports(parser)


def run(args: argparse.Namespace) -> int:
    """Predict, show, export; 1 where a network failed beside others that did not."""
    from ..base import files

    exports = (args.json, args.csv, args.markdown)
    files.check(exports)
    if args.list_devices or args.list_anchors:
        return _list(args)
    _check(args)
    from ..models import spec
    from ..prediction.predicting import predict
    from .progress import progress

    for model in args.models:
        spec.parse(model)
    models = options.expanded(args.models, args.yes)
    where = _where(args)
    with progress() as tell:
        found = predict(models, input_shape=args.input_shape, progress=tell, **where)
    failed = [row for row in found.networks if row.error]
    if failed and len(failed) == len(found):
        from ..base.errors import ForwardFailed

        raise ForwardFailed(failed[0].error or "")
    from ..render.tables import predictions

    if files.STDOUT not in exports:
        from ..render import terminal

        terminal.show([predictions.table(found)])
    options.export(args, found, predictions.table)
    for row in failed:
        print(f"archprof: {row.error}", file=sys.stderr)
    return int(bool(failed))


def _check(args: argparse.Namespace) -> None:
    """Raise BadOption for what cannot go together."""
    if not args.models:
        raise BadOption("no model is given;", "name at least one, such as resnet50.")
    if args.machine and args.anchors:
        raise BadOption("both --device and --anchors are given;", "give one of them.")
    if not args.machine and not args.anchors:
        raise BadOption(
            "neither --device nor --anchors is given.", "See: archprof predict --list-devices, or --list-anchors"
        )
    for name, flag in SETTINGS.items():
        if args.anchors and getattr(args, name):
            raise BadOption(f"{flag} has no effect with --anchors:", "the anchors have their own. Leave it out.")
    if args.machine and args.batch_size:
        raise BadOption("--batch-size has no effect with --device:", "the table has its own. Leave it out.")


def _where(args: argparse.Namespace) -> dict[str, Any]:
    """The device, as `predict` takes it."""
    if not args.anchors:
        return {
            "device": args.machine,
            "precision": args.number_type,
            "channels_last": args.layout,
            "compile": args.compiled,
            "torch": args.version,
        }
    from . import saved

    return {"anchors": saved.read(args.anchors), "batch_size": args.batch_size}


def _list(args: argparse.Namespace) -> int:
    """Devices or anchors, on stdout."""
    given = ("models", "machine", "anchors", "input_shape", "yes", *SETTINGS, "batch_size", "json", "csv", "markdown")
    flags = SETTINGS | {"machine": "--device", "models": "a model"}
    for name in given:
        if getattr(args, name):
            flag = flags.get(name, f"--{name.replace('_', '-')}")
            asked = "--list-devices" if args.list_devices else "--list-anchors"
            raise BadOption(f"{flag} has no effect with {asked}.", "Leave it out.")
    from ..prediction import anchors, table

    fitted = table.fitted()
    if args.list_devices:
        from ..render import terminal
        from ..render.tables import predictions

        terminal.show([predictions.devices(fitted.rates, table.SOURCE)])
    if args.list_anchors:
        print(*fitted.anchors, sep="\n")
        for kind, called in (("cuda", "On a GPU"), ("cpu", "On a CPU")):
            print(f"\n{called}, measure them with\n  {anchors.command(fitted, kind)}")
        print("\nand predict with\n  archprof predict MODEL... --anchors measured.json")
    return 0
