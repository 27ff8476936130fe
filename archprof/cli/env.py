"""`archprof env`: what is measured on, and what disturbs it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..base import files, units
from ..base.options import positive
from . import options

if TYPE_CHECKING:
    from ..render.tables.table import Table


def add(commands: Any) -> None:
    """Declare the command."""
    parser = options.command(
        commands,
        "env",
        run,
        "archprof env --device cuda --seconds 5",
    )
    parser.add_argument(
        "--seconds",
        type=options.typed(positive),
        default=1.0,
        metavar="SECONDS",
        help="how long to watch (default: 1)",
    )
    options.add_json(parser)
    options.add_conditions(parser)


def run(args: argparse.Namespace) -> int:
    """Facts, disturbance, evidence."""
    conditions = options.conditions(args)

    files.check([args.json])

    from ..measure import device, disturbance

    facts = device.environment(device.check_available(conditions))
    free = device.available_bytes(conditions)
    cause, evidence = disturbance.watch(device.witness(conditions), args.seconds)
    if args.json != files.STDOUT:
        from ..render import terminal

        terminal.show([table(facts, free)])
        print(observed(cause, evidence))
    if args.json:
        files.write(args.json, as_json(facts, free, cause, evidence))
    return 0


def as_json(facts: Mapping[str, Any], free: int | None, cause: str | None, evidence: Mapping[str, float]) -> str:
    """The environment with what was seen while watching."""
    import json

    watched = {"quiet": cause is None, "cause": cause, "evidence": dict(evidence)}
    return json.dumps({**facts, "free_memory_bytes": free, "watched": watched}, indent=2)


def table(facts: Mapping[str, Any], free: int | None) -> Table:
    """The environment for people."""
    from ..render.tables import environment

    shown = {**facts, "free memory": units.size(free)}
    if why := shown.pop("no_energy_meter", None):
        shown["energy_meter"] = f"none: {why}"
    return environment.table(shown)


def observed(cause: str | None, evidence: Mapping[str, float]) -> str:
    """What was seen while watching: the verdict, then its evidence."""
    verdict = (
        "disturbance: none is seen now"
        if cause is None
        else f"disturbance: {cause}; a measurement now leaves out disturbed blocks, or is marked as not reliable"
    )
    seen = [f"{name} {100 * evidence[name]:.1f} %" for name in ("others", "steal", "pressure") if name in evidence]
    unknown = [name for name in ("waiting", "pressure", "others") if name not in evidence]
    lines = [verdict, "seen: " + (", ".join(seen) or "nothing can be read here")]
    if "product_us" in evidence:
        lines.append(
            f"reference work: a product of two 256x256 matrices takes {evidence['product_us']:.0f} us, a sum that two "
            f"threads share {evidence['sum_us']:.1f} us, copying 32 MiB {evidence['copy_ms']:.1f} ms"
        )
    if unknown:
        lines.append("unknown on this system: " + ", ".join(unknown))
    return "\n".join(lines)
