"""Several architectures side by side: the record that tables, figures, reports and budgets read.

Stored values are SI base units (seconds, bytes, counts). Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from ..base import json_lines
from ..base.errors import BadFile, did_you_mean
from . import logbook as logbooks
from . import presentation
from .ceilings import Ceilings
from .ceilings import read as read_ceilings
from .latency import WIDEST, Latency
from .memory import BatchMemory, LargestBatch, OptimizerMemory
from .profile import LayerCost, ModuleCost, StaticProfile, TypeCost, Uncounted
from .ratios import Control, Ratio, Stopping, controls, ratios_to
from .saved import SCHEMA_VERSION, as_json, field_names, plain
from .states import State, met, states_of

if TYPE_CHECKING:
    import pandas


#: The optimizer of a training step where none is named: with momentum.
OPTIMIZER = "sgd"


class Division(NamedTuple):
    """How the time of a pass was divided among the calls in StaticProfile.layers, whose `seconds` add up to `seconds`.

    That is the pass's median, undisturbed; the profiled passes that divide it took `overhead` (a fraction) longer.
    `why` says why the division cannot be relied on, `error` why there is none.
    """

    seconds: float | None = None
    overhead: float | None = None
    why: str | None = None
    error: str | None = None


@dataclass(frozen=True)
class Accuracy:
    """One claim, published or `measured` here: it belongs to weights and a protocol, not to an architecture alone.

    `resolution` is the side of the square input in pixels, None where the protocol has no single one;
    `retrieved` is the day on which the source was read, or it was measured (ISO 8601). `weights` names them, and with
    them the recipe; `pretraining` is what they were trained on before, beyond the dataset ('': nothing).
    """

    architecture: str
    dataset: str
    metric: str
    percent: float
    source: str
    url: str
    protocol: str = ""
    resolution: int | None = None
    weights: str = ""
    retrieved: str = ""
    pretraining: str = ""
    measured: bool = False


@dataclass(frozen=True, repr=False)
class ArchitectureResult:
    """One row of a comparison. A network that failed keeps its place: `error` says why, `profile` is None.

    `error` may also stand beside a profile, where counting worked and measuring did not. `division` is None where
    nobody asked for the time of the profile's layers.
    """

    name: str
    source: str
    family: str = ""
    year: int | None = None
    profile: StaticProfile | None = None
    accuracy: tuple[Accuracy, ...] = ()
    memory: tuple[BatchMemory, ...] = ()
    latency: tuple[Latency, ...] = ()
    error: str | None = None
    optimizers: tuple[OptimizerMemory, ...] = ()
    largest_batch: LargestBatch | None = None
    division: Division | None = None

    def latency_at(self, batch_size: int) -> Latency | None:
        """The measurement at that batch size, or None."""
        return next((cell for cell in self.latency if cell.batch_size == batch_size), None)

    def memory_at(self, batch_size: int) -> BatchMemory | None:
        """The prediction at that batch size, or None."""
        return next((entry for entry in self.memory if entry.batch_size == batch_size), None)

    @property
    def held_bytes(self) -> int | None:
        """Parameters and buffers: what the loaded network takes before anything runs."""
        return None if self.profile is None else self.profile.parameter_bytes + self.profile.buffer_bytes

    def inference_bytes(self, entry: BatchMemory) -> int | None:
        """Everything that a forward pass is predicted to hold at its peak, without scratch that is not known."""
        if self.held_bytes is None:
            return None
        own = (entry.scratch_bytes or 0) + entry.allocator_bytes
        return self.held_bytes + entry.peak_activation_bytes + own

    def training_bytes(self, entry: BatchMemory, optimizer: str) -> int | None:
        """Everything that a training step is predicted to hold at its peak: in the backward pass or in the update.

        Scratch that is not known is left out.
        """
        state = next((row for row in self.optimizers if row.optimizer == optimizer), None)
        if self.profile is None or self.held_bytes is None or entry.training_peak_bytes is None or state is None:
            return None
        backward = entry.training_peak_bytes + (entry.training_scratch_bytes or 0)
        update = entry.input_bytes + self.profile.gradient_bytes + state.update_bytes
        return self.held_bytes + state.state_bytes + max(backward, update) + entry.training_allocator_bytes

    def top(self, metric: str = "top1", dataset: str = "imagenet-1k") -> Accuracy | None:
        """The published claim to show for this metric: the first that is listed."""
        return next((a for a in self.accuracy if (a.metric, a.dataset) == (metric, dataset)), None)

    def __repr__(self) -> str:
        return presentation.brief(self)


@dataclass(frozen=True, repr=False)
class Comparison:
    """Several architectures side by side: the record that tables, figures, reports and budgets read.

    It is a collection of its rows: `len(comparison)`, `for row in comparison`, `comparison["resnet50"]`, and by place
    `comparison[0]`.
    `reference` names the architecture to which latency ratios are taken. `warnings` are whole sentences
    about what was cut short or cannot be relied on. `stopping` says when measuring was to end; None where
    nothing was measured, or it was interrupted. `control` is a second copy of the reference, measured beside it at each
    batch size: what the two differ by is what cannot be told apart. `logbook` is what earlier runs on this machine
    found; None where it was not asked. `ceilings` are what the machine can do at best; None where no layers were timed,
    or none are kept.
    """

    environment: Mapping[str, Any]
    architectures: tuple[ArchitectureResult, ...]
    reference: str | None = None
    warnings: tuple[str, ...] = ()
    archprof: str = field(default="")
    stopping: Stopping | None = None
    ceilings: Ceilings | None = None
    control: tuple[Latency, ...] = ()
    logbook: logbooks.Logbook | None = None

    def __len__(self) -> int:
        return len(self.architectures)

    def __iter__(self) -> Iterator[ArchitectureResult]:
        return iter(self.architectures)

    def __contains__(self, row: object) -> bool:
        return row in self.names if isinstance(row, str) else row in self.architectures

    def __getitem__(self, key: str | int) -> ArchitectureResult:
        """The row of that name, or at that place. Raises KeyError, which names those that there are, or IndexError."""
        if not isinstance(key, str):
            return self.architectures[key]
        if key not in self.names:
            listed = ", ".join(self.names[:10]) + (", ..." if len(self) > 10 else "")
            raise KeyError(f"no network '{key}'.{did_you_mean(key, self.names)} There are: {listed or 'none'}.")
        return self.architectures[self.names.index(key)]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the rows, in their order."""
        return tuple(row.name for row in self.architectures)

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """Every batch size at which something was measured or tried, ascending."""
        return tuple(sorted({cell.batch_size for row in self.architectures for cell in row.latency}))

    @property
    def dataset(self) -> str:
        """The dataset whose accuracy to show: the one on which most of the networks have a claim."""
        known = [name for row in self.architectures for name in dict.fromkeys(a.dataset for a in row.accuracy)]
        return max(dict.fromkeys(known), key=known.count, default="imagenet-1k")

    @cached_property
    def ratios(self) -> tuple[Ratio, ...]:
        """Latency of each architecture over the reference's, per batch size, where both were measured."""
        cells = {row.name: row.latency for row in self.architectures}
        widest = max(WIDEST, self.stopping.precision) if self.stopping else WIDEST
        if self.reference not in cells:
            return ()
        return ratios_to(self.reference, cells, widest, self.logbook, self.control)

    @cached_property
    def states(self) -> tuple[State, ...]:
        """The states of the machine that this run met, the one of most blocks first."""
        cells = [cell for row in self.architectures for cell in row.latency]
        blocks = [block for cell in (*cells, *self.control) for block in cell.blocks]
        return met(blocks, states_of(blocks, self.logbook.states if self.logbook else ()))

    @cached_property
    def controls(self) -> Mapping[int, Control]:
        """What two copies of the reference differed by, by batch size."""
        return controls(self.reference, {row.name: row.latency for row in self.architectures}, self.control)

    @property
    def optimizer(self) -> str:
        """The optimizer of the training steps that were measured or predicted."""
        return str(self.environment.get("optimizer") or OPTIMIZER)

    @property
    def metered(self) -> bool:
        """Whether the energy of any measurement was counted."""
        return any(cell.metered for row in self.architectures for cell in row.latency)

    def to_json(self) -> str:
        """The documented JSON (schema_version 1); machine output never depends on display options.

        Each layer, module and measurement is a line of its own, so that a changed one is a changed line.
        """
        return json_lines.dumps(
            {
                "schema_version": SCHEMA_VERSION,
                "archprof": self.archprof,
                "environment": dict(self.environment),
                "reference": self.reference,
                "architectures": [row_json(row, optimizer=self.optimizer) for row in self.architectures],
                "ratios": [as_json(ratio) for ratio in self.ratios],
                "stopping": as_json(self.stopping) if self.stopping else None,
                "control": [cell.to_json() for cell in self.control],
                "logbook": as_json(self.logbook) if self.logbook else None,
                "ceilings": self.ceilings.to_json() if self.ceilings else None,
                "warnings": list(self.warnings),
            },
            levels=4,
        )

    @classmethod
    def from_json(cls, text: str) -> Comparison:
        """Read back what `to_json` wrote. Raises BadFile for anything else, or for a newer schema."""
        try:
            saved = json_lines.loads(text)
        except ValueError as reason:
            raise BadFile(f"not JSON: {reason}.", "Expected a file written by 'archprof compare --json'.") from None
        return cls.checked(saved)

    @classmethod
    def checked(cls, saved: Any) -> Comparison:
        """The comparison that parsed JSON holds. Raises BadFile, which names the key, where it holds none."""
        from . import reading  # it is slow to import, and most comparisons are made, not read

        reading.check_version(saved, SCHEMA_VERSION, "Read it with the archprof that wrote it, or measure again.")
        for key in ("environment", "architectures"):
            if key not in saved:
                raise BadFile(f"the file has no key '{key}'.")
        stopping, ceilings, logbook = (saved.get(key) for key in ("stopping", "ceilings", "logbook"))
        return cls(
            environment=reading.environment(saved["environment"]),
            architectures=_rows_from(saved["architectures"]),
            reference=reading.checked(str | None, saved.get("reference"), "reference"),
            warnings=reading.checked(tuple[str, ...], saved.get("warnings", ()), "warnings"),
            archprof=reading.checked(str, saved.get("archprof", ""), "archprof"),
            stopping=None if stopping is None else reading.checked(Stopping, stopping, "stopping"),
            control=_control_from(saved.get("control", [])),
            logbook=None if logbook is None else logbooks.checked(logbook),
            ceilings=None if ceilings is None else read_ceilings(ceilings),
        )

    def to_frame(self) -> pandas.DataFrame:
        """One row per architecture, numbers in base units (the columns of the CSV)."""
        import pandas

        return pandas.DataFrame(presentation.rows(self))

    def to_markdown(self) -> str:
        """The tables as Markdown, notes below each."""
        return presentation.present(self, "markdown")

    def __repr__(self) -> str:
        return presentation.brief(self)

    def _repr_html_(self) -> str:
        return presentation.present(self, "html")


#: Fields of StaticProfile that hold records, with the record's class.
_NESTED = {"uncounted": Uncounted, "by_type": TypeCost, "layers": LayerCost, "modules": ModuleCost}


#: Fields of StaticProfile with an entry for every operator call or module: a sweep leaves them out.
BULKY = ("layers", "modules")


def row_json(row: ArchitectureResult, leave_out: Iterable[str] = (), optimizer: str = OPTIMIZER) -> dict[str, Any]:
    """One entry of the documented JSON's "architectures", without the keys in `leave_out`.

    `optimizer` is that of the training steps whose whole memory it tells.
    """
    out: dict[str, Any] = {"name": row.name, "source": row.source, "family": row.family, "year": row.year}
    if row.profile is not None:
        left_out = {"name", "source", *leave_out}
        for name in field_names(row.profile):
            if name not in left_out:
                value = getattr(row.profile, name)
                out[name] = [as_json(item) for item in value] if name in _NESTED else plain(value)
    out["accuracy"] = [as_json(claim) for claim in row.accuracy]
    out["memory"] = [
        as_json(entry)
        | {"inference_bytes": row.inference_bytes(entry), "training_bytes": row.training_bytes(entry, optimizer)}
        for entry in row.memory
    ]
    out["latency"] = [cell.to_json() for cell in row.latency]
    out["optimizers"] = [as_json(entry) for entry in row.optimizers]
    out["largest_batch"] = as_json(row.largest_batch) if row.largest_batch else None
    out["division"] = as_json(row.division) if row.division else None
    out["error"] = row.error
    return out


def _control_from(saved: Any) -> tuple[Latency, ...]:
    from . import reading

    cells = enumerate(reading.checked(list[dict[str, Any]], saved, "control"))
    return tuple(reading.checked(Latency, cell, f"control[{place}]") for place, cell in cells)


def _rows_from(saved: Any) -> tuple[ArchitectureResult, ...]:
    from . import reading

    rows = []
    for place, row in enumerate(reading.checked(list[dict[str, Any]], saved, "architectures")):
        where = f"architectures[{place}]"
        profile = reading.checked(StaticProfile, row, where) if "macs" in row else None
        row = reading.checked(ArchitectureResult, row, where, profile=profile)
        claims = tuple(claim if claim.architecture else replace(claim, architecture=row.name) for claim in row.accuracy)
        rows.append(replace(row, accuracy=claims))
    names = [row.name for row in rows]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise BadFile(f"two architectures have the name '{twice}'.")
    return tuple(rows)
