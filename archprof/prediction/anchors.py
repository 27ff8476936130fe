"""A few networks that were measured on a device: which ones, and what of a saved comparison of them can be used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..base.errors import BadOption
from ..results.comparison import ArchitectureResult, Comparison
from ..results.latency import Latency
from ..results.predictions import Target
from .quantities import QUANTITIES
from .table import Fitted, Networks

#: Fewest anchors that intervals were made for.
FEWEST = 6

#: What the table's machines ran in, by the kind of device: archprof's dtypes, and from which batch size on.
DTYPES = {"cpu": ("float32",), "cuda": ("float16", "bfloat16")}
SATURATED = 64


def command(fitted: Fitted, kind: str) -> str:
    """The command that measures the anchors as the table's machines ran: 'cpu' or 'cuda'."""
    how = "--batch-sizes 1 --compile" if kind == "cpu" else "--device cuda --dtype float16 --batch-sizes 256"
    return f"archprof compare {' '.join(fitted.anchors)} {how} --time-budget 120 --json measured.json"


@dataclass(frozen=True)
class Measured:
    """Anchors that can be relied on: their specs, samples a second, and the device that they ran on.

    `unlike` says in what their conditions part from the table's, so that no interval was checked for them; `notes` say
    which anchors are left out, and why.
    """

    target: Target
    names: tuple[str, ...]
    throughput: tuple[float, ...]
    on_cpu: bool
    unlike: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def usable(measured: Comparison, fitted: Fitted, networks: Networks, batch_size: int | None = None) -> Measured:
    """The anchors of a comparison, at `batch_size` or at that which is nearest to the table's.

    Raises BadOption where fewer than FEWEST can be relied on, or on a device that the table says nothing of.
    """
    environment = measured.environment
    kind = str(environment.get("device") or "cpu").partition(":")[0]
    if kind not in DTYPES:
        raise BadOption(
            f"the anchors were measured on '{kind}';", f"the table has {' and '.join(DTYPES)}, and says nothing of it."
        )
    if environment.get("mode") == "train":
        raise BadOption("the anchors were measured in training;", "the table holds forward passes: leave out --mode.")
    rows = [row for row in measured if row.name in fitted.anchors]
    if len(rows) < FEWEST:
        raise BadOption(
            f"the file holds {len(rows)} of the ten anchors, and {FEWEST} are needed at least.",
            f"Measure them: {command(fitted, kind)}",
        )
    size = batch_size or _usual(rows, kind)
    used, left = [], []
    for row in rows:
        cell = row.latency_at(size)
        if _another(row, networks):
            left.append(f"{row.name} (its parameters or its input are not those of the table's network)")
        elif cell is not None and cell.reliable:
            used.append((row.name, cell.throughput))
        else:
            left.append(f"{row.name} ({_why(row, cell, size)})")
    if len(used) < FEWEST:
        raise BadOption(
            f"{len(used)} of {len(rows)} anchors were measured reliably at batch {size}, and {FEWEST} are needed: "
            f"{left[0] if left else 'the others were not measured'}.",
            "Measure again on a quieter machine ('archprof env' says what disturbs), or with a larger --time-budget.",
        )
    compiled, last = environment.get("compile") is not None, bool(environment.get("channels_last"))
    dtype = str(environment.get("autocast") or environment.get("dtype") or "float32")  # timm's amp is autocast
    target = Target(
        device=str(environment.get("device_name") or kind),
        precision=dtype,
        channels_last=last,
        compiled=compiled,
        torch=str(environment.get("torch") or ""),
        cuda="",
        batch_size=size,
    )
    notes = (f"{len(left)} of {len(rows)} anchors are left out: {'; '.join(left)}",) if left else ()
    unlike = _unlike(kind, dtype, compiled, size)
    names, throughput = zip(*used, strict=True)
    return Measured(target, names, throughput, kind == "cpu", unlike, notes)


def _usual(rows: Sequence[ArchitectureResult], kind: str) -> int:
    """The batch size nearest to the table's among those at which enough anchors were measured reliably.

    On CPUs the table has single images, on GPUs the largest batch that fits.
    """
    every = [cell for row in rows for cell in row.latency]
    reliable = [cell.batch_size for cell in every if cell.reliable]
    enough = [size for size in set(reliable) if reliable.count(size) >= FEWEST]
    sizes = enough or [cell.batch_size for cell in every]
    if not sizes:
        raise BadOption("no anchor was measured;", "leave out --no-latency.")
    return min(sizes) if kind == "cpu" else max(sizes)


def _another(row: ArchitectureResult, networks: Networks) -> bool:
    """Whether a row is another network than the table's of that name, as far as its counts tell."""
    place = networks.row(row.name.removeprefix("timm:"))
    parameters = networks.counted[place, QUANTITIES.index("parameters")]
    if row.profile is None:
        return False
    same = abs(row.profile.parameters - parameters) <= 1e-5 * parameters
    return not same or row.profile.input_shape[-1:] != (networks.sizes[place],)


def _why(row: ArchitectureResult, cell: Latency | None, size: int) -> str:
    if cell is None:
        return (row.error or f"not measured at batch {size}").rstrip(".")
    return (cell.error or cell.why or "not reliable").rstrip(".")


def _unlike(kind: str, dtype: str, compiled: bool, size: int) -> tuple[str, ...]:
    found = []
    if dtype not in DTYPES[kind]:
        found.append(f"in {dtype}, where the table has {'half precision' if kind == 'cuda' else 'float32'}")
    if kind == "cpu" and not compiled:
        found.append("without torch.compile, where the table's CPU ran with it")
    if kind == "cpu" and size != 1:
        found.append(f"at batch {size}, where the table's CPU took single images")
    if kind == "cuda" and size < SATURATED:
        found.append(f"at batch {size}, where the table's GPUs took as many images as fit")
    return tuple(found)
