"""`archprof env`: what is measured on, what disturbs it, and what it can do at best."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..base import files, units
from ..base.errors import BadOption
from ..base.options import options_of, positive
from ..results import logbook
from ..results.conditions import Conditions, Sampling
from ..results.saved import as_json as as_json_record
from . import options

if TYPE_CHECKING:
    from ..render.tables.table import Table
    from ..results.ceilings import Ceilings

#: Seconds for the ceilings where none are asked for: some eight blocks of each probe on two quiet CPUs.
CEILINGS_S = 45.0


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
    parser.add_argument(
        "--roofline",
        action="store_true",
        help="show what the machine can do at best: arithmetic, memory, calls; measured once, and kept",
    )
    parser.add_argument(
        "--history",
        action="store_true",
        help="show the logbook: earlier runs on this machine under these conditions, and its states",
    )
    parser.add_argument("--again", action="store_true", help="for --roofline: measure anew")
    options.add_json(parser)
    options.add_conditions(parser)
    options.add_sampling(parser, Sampling(time_budget=CEILINGS_S))


def run(args: argparse.Namespace) -> int:
    """Facts, disturbance, evidence; the ceilings where they are asked for."""
    conditions = options.conditions(args)
    if args.roofline:
        refuse_what_holds_for_all(args)
    else:
        options.refuse_without_effect(args, "without --roofline", Sampling, also=("again",))

    files.check([args.json])

    from ..measure import device, disturbance

    facts = device.environment(device.check_available(conditions))
    free = device.available_bytes(conditions)
    cause, evidence = disturbance.watch(device.witness(conditions), args.seconds)
    ceilings = kept_or_measured(facts, conditions, args, cause) if args.roofline else None
    runs, doubt = logbook.read(facts["fingerprint"]) if args.history else ([], "")
    if doubt:
        print(f"archprof: {doubt}", file=sys.stderr)
    if args.json != files.STDOUT:
        from ..render import terminal
        from ..render.tables import ceilings as ceiling_tables

        first = ceiling_tables.tables(ceilings) if ceilings else ()
        if args.history:
            from ..render.tables import logbook as logbook_tables

            first = (*first, *logbook_tables.tables(runs))
        terminal.show([*first, table(facts, free)], export="--json")
        print(observed(cause, evidence))
        if args.history and not runs:
            print(f"logbook: no run with these conditions yet ({logbook.path(facts['fingerprint'])})")
    if args.json:
        files.write(args.json, as_json(facts, free, cause, evidence, ceilings, runs if args.history else None))
    return 0


def refuse_what_holds_for_all(args: argparse.Namespace) -> None:
    """Raise BadOption for conditions of a pass: ceilings are measured in every type, and hold for every mode."""
    for named in options_of(Conditions):
        if named.name not in ("device", "threads") and hasattr(args, named.name):
            raise BadOption(
                f"{named.flag} has no effect with --roofline, which measures every type and holds for every pass.",
                "Leave it out; --device and --threads make a difference.",
            )


def kept_or_measured(
    facts: Mapping[str, Any], conditions: Conditions, args: argparse.Namespace, cause: str | None
) -> Ceilings:
    """The ceilings that are kept of this machine; measured where there are none, or --again asks for others.

    `cause` is what disturbs it now, which is told before a minute is spent.
    Those that cannot be relied on do not replace others that can, and join others that cannot.
    """
    from ..results import ceilings

    before = ceilings.known(facts)
    if before is not None and not args.again:
        return before
    from ..measure import ceilings as measuring
    from .progress import progress

    if cause:
        print(f"archprof: {cause}: ceilings measured now may be too low, and are marked then", file=sys.stderr)

    with progress() as tell:
        found = measuring.ceilings(conditions, options.sampling(args), progress=tell)
    if not found.complete:
        raise BadOption(
            f"in {options.sampling(args).time_budget:g} s no ceiling of float32, or none of memory, could be measured.",
            f"Leave out '--time-budget' ({CEILINGS_S:g} s), or give it more.",
        )
    if before is not None and found.doubts:
        said = f"{len(found.doubts)} of the new ceilings are not reliable, such as {found.doubts[0]}"
        if not before.doubts:
            print(f"archprof: {said}; those of {before.date} stay", file=sys.stderr)
            return before
        print(f"archprof: {said}; the blocks of {before.date} are joined to theirs", file=sys.stderr)
        found = found.with_earlier(before)
    if unwritten := ceilings.keep(found):
        print(f"archprof: {unwritten}", file=sys.stderr)
    return found


def as_json(
    facts: Mapping[str, Any],
    free: int | None,
    cause: str | None,
    evidence: Mapping[str, float],
    ceilings: Ceilings | None = None,
    runs: Sequence[logbook.LoggedRun] | None = None,
) -> str:
    """The environment with what was seen while watching, the ceilings and the logbook where they were asked for."""
    import json

    watched = {"quiet": cause is None, "cause": cause, "evidence": dict(evidence)}
    more: dict[str, Any] = {"ceilings": ceilings.to_json()} if ceilings else {}
    if runs is not None:
        more["logbook"] = {
            "runs": [as_json_record(run) for run in runs],
            "states": [as_json_record(state) for state in logbook.opened(runs, {}).states],
        }
    return json.dumps({**facts, "free_memory_bytes": free, "watched": watched, **more}, indent=2)


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
