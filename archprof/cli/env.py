"""`archprof env`: what is measured on, and is it quiet."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..base import units
from . import options

if TYPE_CHECKING:
    from ..render.tables.table import Table


def add(commands: Any) -> None:
    """Declare the command."""
    parser = options.command(
        commands,
        "env",
        run,
        "What is measured on, and whether it is quiet.",
        "archprof env --device cuda --seconds 5",
    )
    parser.add_argument("--device", default="cpu", metavar="DEVICE", help="cpu, cuda, cuda:N or mps (default: cpu)")
    parser.add_argument("--dtype", default="float32", metavar="TYPE", help="float32, bfloat16 or float16")
    parser.add_argument(
        "--threads",
        type=options.typed(options.whole),
        metavar="N",
        help="CPU threads (default: torch's own choice)",
    )
    parser.add_argument(
        "--seconds",
        type=options.typed(options.positive),
        default=1.0,
        metavar="SECONDS",
        help="how long to watch (default: 1)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Facts, evidence, verdict."""
    from ..measure.conditions import Conditions

    conditions = Conditions(device=args.device, dtype=args.dtype, threads=args.threads)

    from ..measure import device, disturbance

    facts = device.environment(device.check_available(conditions))
    free = device.available_bytes(conditions)
    cause, evidence = disturbance.watch(device.witness(conditions), args.seconds)
    if args.json:
        print(as_json(facts, free, cause, evidence))
        return 0
    from ..render import terminal

    terminal.show([table(facts, free)])
    print(observed(cause, evidence))
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
        "quiet: nothing disturbs a measurement now"
        if cause is None
        else (f"not quiet: {cause}; a measurement now leaves out what is disturbed, or says that it cannot tell")
    )
    seen = [f"{name} {100 * evidence[name]:.1f} %" for name in ("others", "steal", "pressure") if name in evidence]
    unknown = [name for name in ("waiting", "pressure", "others") if name not in evidence]
    lines = [verdict, "seen: " + (", ".join(seen) or "nothing can be read here")]
    if "product_us" in evidence:
        lines.append(
            f"pace: a product of two 256x256 matrices takes {evidence['product_us']:.0f} us, a sum that two "
            f"threads share {evidence['sum_us']:.1f} us, copying 32 MiB {evidence['copy_ms']:.1f} ms"
        )
    if unknown:
        lines.append("unknown on this system: " + ", ".join(unknown))
    return "\n".join(lines)
