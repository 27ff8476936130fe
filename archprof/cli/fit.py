"""archprof fit: members of a family that fit a budget, best first."""

from __future__ import annotations

import argparse
import json
import shlex
from typing import TYPE_CHECKING, Any

from ..base.options import whole
from . import options

if TYPE_CHECKING:
    from ..budgets.fit import Fitting

#: Option -> what it limits (a key of archprof.toml).
LIMITS = {
    "--parameters": "parameters",
    "--macs": "macs",
    "--activations": "activations",
    "--peak-activations": "peak_activation_bytes",
    "--training-bytes": "training_bytes",
    "--file-size": "file_size",
}


def add(commands: Any) -> None:
    """Declare the command."""
    parser = options.command(
        commands,
        "fit",
        run,
        'archprof fit resnet18 --parameters "< 5 M" --input-shape 3,32,32 --num-classes 10',
    )
    parser.add_argument("network", metavar="NETWORK", help="the member to begin with, such as resnet18")
    limits = parser.add_argument_group("limits, written as in archprof.toml")
    for flag, key in LIMITS.items():
        limits.add_argument(flag, dest=key, metavar="LIMIT")
    parser.add_argument(
        "--input-shape",
        type=options.typed(options.input_shape),
        metavar="C,H,W",
        help="keep to this input (default: resolutions are tried too)",
    )
    parser.add_argument(
        "--num-classes",
        type=options.typed(whole),
        metavar="N",
        help="outputs of the classifier (default: the network's own)",
    )
    parser.add_argument(
        "--top", type=options.typed(whole), default=10, metavar="N", help="how many to show (default: 10)"
    )
    parser.add_argument("--json", action="store_true", help="every member that fits, as JSON on stdout")


def run(args: argparse.Namespace) -> int:
    """Search, show; 1 where nothing fits."""
    from ..base.errors import BadOption
    from ..budgets.limits import MEASURES, parse_limit

    limits = {
        key: parse_limit(getattr(args, key), flag, MEASURES[key])
        for flag, key in LIMITS.items()
        if getattr(args, key) is not None
    }
    if not limits:
        raise BadOption(
            "fit needs a limit;", f'expected one or more of {", ".join(LIMITS)}, such as --parameters "< 5 M".'
        )

    from ..budgets import fit

    found = fit.members(args.network, limits, input_shape=args.input_shape, num_classes=args.num_classes)
    if args.json:
        print(to_json(found))
    else:
        show(found, args.top)
    return 0 if found.members else 1


def show(found: Fitting, top: int = 10) -> None:
    """The best members, or that there are none, or the limits that none can hold."""
    from ..render import terminal
    from ..render.tables import fit

    if found.missed:
        print("\n".join(map(fit.missing, found.missed)))
    elif found.members:
        terminal.show([fit.table(found, top, comparing(found))])
    else:
        print(f"{fit.tried(found)}; none of them fits every limit.")


def comparing(found: Fitting, count: int = 3) -> str:
    """The command that compares the best members with the network asked for."""
    shape = ["--input-shape", ",".join(map(str, found.input_shape))] if found.input_shape else []
    specs = dict.fromkeys([*(member.spec for member in found.members[:count]), found.base])
    return shlex.join(["archprof", "compare", *specs, *shape])


def to_json(found: Fitting) -> str:
    """Every member with exact numbers, best first."""
    from ..base.version import __version__
    from ..budgets.fit import RULE

    costs = ("input_shape", "parameters", "macs", "activations", "peak_activation_bytes", "saved_bytes")
    members = [
        {"model": member.spec, "changed": dict(member.changed)} | {key: getattr(member.profile, key) for key in costs}
        for member in found.members
    ]
    whole = {
        "schema_version": 1,
        "archprof": __version__,
        "base": found.base,
        "rule": RULE,
        "tried": found.tried,
        "failed": found.failed,
        "members": members,
        "closest": [
            {"measure": one.measure, "limit": one.bound.shown, "model": one.member, "value": one.value}
            for one in found.missed
        ],
        "compare": comparing(found) if members else None,
    }
    return json.dumps(whole, indent=2)
