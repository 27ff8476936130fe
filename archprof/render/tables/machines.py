"""Several machines as tables: network x machine, how alike they order the networks, and who changes place."""

from __future__ import annotations

from ...base import units
from ...results.environment import memory_words, type_words
from ...results.machines import Fleet, Machine
from .table import UNRELIABLE, Cell, Column, Table

#: Rows of the table of networks that change their place most.
MOVERS = 10


def tables(fleet: Fleet, reference: str | None) -> tuple[Table, ...]:
    """Times for each batch size, then rank correlations, then the networks that change their place most."""
    found = [times(fleet, size, reference) for size in fleet.batch_sizes]
    if len(fleet.machines) > 1:
        found.append(correlations(fleet))
        found += [table for size in fleet.batch_sizes if (table := movers(fleet, size)).rows]
    return tuple(found)


def times(fleet: Fleet, batch_size: int, reference: str | None) -> Table:
    """Each network's time on each machine, and how many times the reference's it is there."""
    columns = [Column("name", "Architecture"), Column("macs", "Mult-Adds", "count", "less")]
    for place, machine in enumerate(fleet.machines):
        columns.append(Column(f"p50_s_{place}", f"{machine.name} ms", "seconds", "less"))
        if reference:
            columns.append(Column(f"ratio_{place}", f"{machine.name} x", "ratio", "less"))
    rows = []
    for name in fleet.networks:
        cells = [_cell(fleet, machine, name, batch_size, reference) for machine in fleet.machines]
        if not any(cell.value is not None for pair in cells for cell in pair):
            continue
        profile = fleet.counts(name).profile
        shown = [cell for pair in cells for cell in (pair if reference else pair[:1])]
        rows.append((Cell(name), Cell(profile.macs if profile else None), *shown))
    notes = [f"{machine.name}: {told(machine)}" for machine in fleet.machines]
    if len(fleet.machines) > 1:
        notes.append("A time belongs to its machine; between machines, ratios and ranks are compared.")
    if reference:
        notes.append(f"x: times as long as {reference} on the same machine.")
    return Table(f"Latency, batch {batch_size}, network by machine", tuple(columns), tuple(rows), tuple(notes))


def _cell(fleet: Fleet, machine: Machine, name: str, batch_size: int, reference: str | None) -> tuple[Cell, Cell]:
    seen = machine.time(name, batch_size)
    base = machine.time(reference, batch_size) if reference else None
    if seen is None:
        return Cell(), Cell()
    mark = "" if seen.reliable else UNRELIABLE
    doubt = mark or ("" if base is None or base.reliable else UNRELIABLE)
    ratio = Cell() if base is None else Cell(seen.p50_s / base.p50_s, doubt)
    return Cell(seen.p50_s, mark), ratio


def told(machine: Machine) -> str:
    """What the machine is: 'fingerprint 3fa92c1b77d0, AMD EPYC, 2 threads, float32, torch 2.13.0'."""
    seen = machine.comparison.environment
    threads = seen.get("threads") if seen.get("device", "cpu") == "cpu" else None
    memory = memory_words(seen)
    parts = [
        f"fingerprint {seen['fingerprint']}" if seen.get("fingerprint") else "no fingerprint",
        str(seen.get("device_name") or "unknown device"),
        f"{threads} thread{'s' * (threads != 1)}" if threads else "",
        type_words(seen),
        f"torch {seen['torch']}" if seen.get("torch") else "",
        f"memory {memory}" if memory else "",
        f"measured {str(seen['date'])[:10]}" if seen.get("date") else "",
    ]
    return ", ".join(part for part in parts if part) + "."


def correlations(fleet: Fleet) -> Table:
    """Spearman's rho of every two machines."""
    rows = []
    notes = []
    for size in fleet.batch_sizes:
        for each in fleet.correlations(size):
            rows.append(
                (
                    Cell(size),
                    Cell(" and ".join(each.machines)),
                    Cell(each.networks),
                    Cell(each.rho),
                    Cell(len(each.reversed_pairs)),
                )
            )
            notes += [
                f"{first} is faster than {second} on {each.machines[0]}, slower on {each.machines[1]} "
                f"(batch {size}, beyond the 95 % intervals)."
                for first, second in each.reversed_pairs[:MOVERS]
            ]
            if len(each.reversed_pairs) > MOVERS:
                notes.append(f"{len(each.reversed_pairs) - MOVERS} more such pairs: --json lists them.")
    columns = (
        Column("batch_size", "Batch", "number"),
        Column("machines", "Machines"),
        Column("networks", "Networks", "number"),
        Column("rho", "Rank correlation", "fraction"),
        Column("reversed_pairs", "Pairs that turn round", "number"),
    )
    return Table("How alike machines order the networks (Spearman's rho)", columns, tuple(rows), tuple(notes))


def movers(fleet: Fleet, batch_size: int) -> Table:
    """Networks whose place differs most between machines, among those that were measured everywhere."""
    ranks = fleet.ranks(batch_size)
    span = {name: max(places.values()) - min(places.values()) for name, places in ranks.items()}
    found = sorted((name for name in ranks if span[name]), key=lambda name: (-span[name], name))
    columns = (
        Column("name", "Architecture"),
        *(Column(f"rank_{place}", machine.name, "number") for place, machine in enumerate(fleet.machines)),
        Column("span", "Places", "number"),
    )
    rows = tuple(
        (Cell(name), *(Cell(ranks[name][machine.name]) for machine in fleet.machines), Cell(span[name]))
        for name in found[:MOVERS]
    )
    notes = [f"Place among {units.count(len(ranks))} networks measured on every machine; 1 is the fastest."]
    if len(found) > MOVERS:
        notes.append(f"{len(found) - MOVERS} more change their place.")
    return Table(f"Who changes place, batch {batch_size}", columns, rows, tuple(notes))
