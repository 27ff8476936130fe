"""archprof show: the layer table of one network."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..base.errors import BadOption
from ..base.options import whole
from ..results.conditions import Conditions, Sampling
from . import options

if TYPE_CHECKING:
    from ..counting.counts import Subject
    from ..results.ceilings import Ceilings
    from ..results.profile import StaticProfile


def add(commands: Any) -> None:
    """Declare the command."""
    parser = options.command(
        commands,
        "show",
        run,
        "archprof show mobilenetv1 --by type --markdown split.md",
    )
    options.add_one_model(parser)
    options.add_input(parser)
    parser.add_argument("--by", default="layer", metavar="CUT", help="layer (default), type, op or module")
    parser.add_argument(
        "--depth",
        type=options.typed(whole),
        metavar="N",
        help="fold what lies deeper in the module tree (default: as deep as stays readable)",
    )
    parser.add_argument("--sort", metavar="COLUMN", help="by this column, largest first, such as macs")
    parser.add_argument(
        "--measure",
        action="store_true",
        help="add time, its share and what is achieved (eager forward passes on the CPU)",
    )
    options.add_conditions(parser)
    options.add_sampling(parser, Sampling(time_budget=10.0))
    options.add_exports(parser)


def run(args: argparse.Namespace) -> int:
    """Count, show, export."""
    from ..base import files
    from ..models import spec
    from ..render.tables import layers as layer_table

    spec.parse(args.model)
    # whether there are ceilings to set the layers against, only torch's version and the like can tell
    layer_table.check_cut(args.by, args.sort, args.measure, ceilings=args.measure)
    if not args.measure:
        options.refuse_without_effect(args, "without --measure", Conditions, Sampling)
    inputs = options.inputs(args)
    exports = (args.json, args.csv, args.markdown)
    files.check(exports)

    from ..counting import counts, receptive

    subject = counts.subject_of(args.model, args.input_shape, inputs)
    profile, found = counts.recorded(subject, args.batch_size)
    if args.by == "layer":
        profile = receptive.with_fields(profile, found)
    measured: dict[str, Any] = {}
    ceilings = None
    if args.measure:
        profile, measured, ceilings = _timed(subject, profile, args)
    how = (args.by, args.depth, args.sort)
    if files.STDOUT not in exports:
        from ..render import terminal

        terminal.show([layer_table.layer_table(profile, *how, ceilings=ceilings)])
    if args.json:
        files.write(args.json, json.dumps(layer_table.as_json(profile, *how, ceilings) | measured, indent=2))
    if args.csv:
        from ..render.csv import csv_of

        files.write(args.csv, csv_of(layer_table.flat_rows(profile, *how, ceilings)))
    if args.markdown:
        from ..render.markdown import markdown

        shown = layer_table.layer_table(profile, *how, indent=False, ceilings=ceilings)
        files.write(args.markdown, markdown([shown]))
    return 0


def _timed(
    subject: Subject, profile: StaticProfile, args: argparse.Namespace
) -> tuple[StaticProfile, dict[str, Any], Ceilings | None]:
    """The profile with the time of each call, what the JSON says of the measurement, and this machine's ceilings."""
    from ..measure import device, per_layer
    from ..render.tables import layers as layer_table
    from ..results.ceilings import known
    from ..results.per_layer import with_times
    from ..results.roofline import how_to_get
    from .progress import progress

    conditions = options.conditions(args)
    if conditions.dtype != "float32":
        raise BadOption("the bytes moved that stand beside the times are counted in float32.", "Leave out '--dtype'.")
    ceilings = known(device.environment(device.check_available(conditions)))
    layer_table.check_cut(args.by, args.sort, measured=True, ceilings=ceilings is not None)
    with progress() as tell:
        times = per_layer.timed(subject, profile, conditions, options.sampling(args), progress=tell)
    more = () if ceilings else (how_to_get(options.ceilings_command(args)),)
    profile = replace(with_times(profile, times), notes=(*profile.notes, *times.sentences, *more))
    measured = {"time": times.to_json(device.environment(conditions))}
    return profile, measured | ({"ceilings": ceilings.to_json()} if ceilings else {}), ceilings
