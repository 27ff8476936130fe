"""Throughput of networks on a device that is not here: of a published table, or known by a few anchors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..base.errors import ArchprofError, BadOption, one_line
from ..base.version import __version__
from ..results.comparison import Comparison
from ..results.predictions import Anchor, Predicted, Prediction, Target
from ..results.profile import Shape
from ..runs.known import Kept
from . import anchors as anchoring
from . import benchmarks, table
from .calibration import LEVEL, Calibration, place_of
from .quantities import GROUPS, KIND_OF, QUANTITIES, quantities
from .table import Fitted, Networks
from .transfer import Anchors, Array, Transfer, doubt, filled, parts, transfer

#: Samples a second, from and to.
Interval = tuple[float, float]

#: By how many times anchors may miss one another as they do on any device of the table; intervals widen until then.
_BEYOND = 2.0

#: Raised whenever what is kept of a counted network changes.
_FORMAT = 1


def predict(
    models: Any,
    *,
    device: str | None = None,
    precision: str | None = None,
    channels_last: bool = False,
    compile: bool = False,
    torch: str | None = None,
    anchors: Comparison | None = None,
    batch_size: int | None = None,
    input_shape: Shape | None = None,
    progress: Callable[[str], None] = lambda doing: None,
) -> Prediction:
    """Images a second of networks on `device`, or on the one that `anchors` were measured on, with 90 % intervals.

    `models` are names, modules, classes or functions, as for `compare`. `precision`, `channels_last`, `compile` and
    `torch` choose among the tables of a device (the newest torch, eager, in amp, where that is open). `anchors` is a
    comparison of the networks that `archprof predict --list-anchors` names; `batch_size` chooses among theirs. A
    network that cannot be counted keeps its row with the reason, and so does one that is unlike any in the table.
    `progress` is called with what is being done.

    Raises BadOption for a device or a setting that is not published and for anchors that cannot be used, BadSpec and
    UnknownModel for a name that cannot be meant.
    """
    fitted = table.fitted()
    if (device is None) == (anchors is None):
        raise BadOption(
            "predict needs a device or anchors, one of them.", "'archprof predict --list-devices' names them."
        )
    machine: _Published | _Anchored
    if anchors is not None:
        if precision or channels_last or compile or torch:
            raise BadOption("precision, channels_last, compile and torch are those of the anchors;", "leave them out.")
        if not isinstance(anchors, Comparison):
            raise BadOption(
                f"anchors cannot be of type {type(anchors).__name__};",
                "expected a Comparison, such as Comparison.from_json(text) reads.",
            )
        machine = _Anchored.of(anchoring.usable(anchors, fitted, table.networks(), batch_size), fitted)
    else:
        if batch_size is not None:
            raise BadOption("a batch size has no effect without anchors:", "the table has its own.")
        assert device is not None
        one = benchmarks.chosen(
            fitted.benchmarks,
            device,
            precision=precision,
            channels_last=channels_last,
            compiled=compile,
            torch=torch,
        )
        machine = _Published.of(one, fitted)
    counted = [_predicted(found, machine, fitted) for found in _counted(models, input_shape, progress)]
    return Prediction(
        machine.target, tuple(counted), LEVEL, machine.anchors, machine.doubt, machine.notes, archprof=__version__
    )


# --- networks, counted ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Counted:
    """A network's quantities, or why there are none."""

    name: str
    source: str = ""
    input_shape: Shape = ()
    quantities: Mapping[str, float] | None = None
    uncounted: tuple[str, ...] = ()
    error: str | None = None


def _counted(models: Any, input_shape: Shape | None, tell: Callable[[str], None]) -> list[_Counted]:
    """Each network, recalled where it was counted before; torch is imported where one was not."""
    if isinstance(models, str):
        models = [models]
    if isinstance(models, Sequence) and all(isinstance(one, str) for one in models):
        named: list[tuple[str | None, Any]] = [(None, one) for one in models]
    else:
        from ..models import given

        named = given.named(models)
    if not named:
        raise BadOption("no network is given.", "Name one, such as resnet50.")
    how = {"quantities": _FORMAT, "input_shape": input_shape}
    with Kept() as kept:
        recalled = [kept.recalled(model, how) if isinstance(model, str) else None for _, model in named]
        for (_, model), known in zip(named, recalled, strict=True):
            if known is None and isinstance(model, str):
                from .. import models as sources

                sources.find(model)  # a name that cannot be meant ends it before anything is counted
        found = []
        for (name, model), known in zip(named, recalled, strict=True):
            if known is None:
                tell(f"counting {name or model if isinstance(model, str) else 'a network'}")
                known = _count(name, model, input_shape)
                if isinstance(model, str) and known["error"] is None:
                    kept.remember(model, how, known)
            found.append(_read(known))
    return found


def _count(name: str | None, model: Any, input_shape: Shape | None) -> dict[str, Any]:
    """What is kept of a network, as JSON values."""
    from ..counting import counts

    shown = name or (model if isinstance(model, str) else getattr(model, "__name__", type(model).__name__))
    try:
        profile = counts.profile(model, input_shape=input_shape)
    except ArchprofError as error:
        return {"name": shown, "error": str(error)}
    except Exception as error:  # one network's failure, of whatever kind, is not the end of the others
        return {"name": shown, "error": f"{shown}: {one_line(error)}"}
    return {
        "name": name or profile.name,
        "source": profile.source,
        "input_shape": list(profile.input_shape),
        "quantities": [quantities(profile)[quantity] for quantity in QUANTITIES],
        "uncounted": [one.op for one in profile.uncounted],
        "error": None,
    }


def _read(kept: dict[str, Any]) -> _Counted:
    if kept["error"] is not None:
        return _Counted(kept["name"], error=kept["error"])
    return _Counted(
        kept["name"],
        kept["source"],
        tuple(kept["input_shape"]),
        dict(zip(QUANTITIES, kept["quantities"], strict=True)),
        tuple(kept["uncounted"]),
    )


# --- one network on one device --------------------------------------------------------------------------------------


def _predicted(counted: _Counted, machine: _Published | _Anchored, fitted: Fitted) -> Predicted:
    row = Predicted(counted.name, counted.source, counted.input_shape, error=counted.error)
    if counted.quantities is None:
        return row
    networks = table.networks()
    known = networks.same(counted.quantities, counted.name.removeprefix("timm:"))
    place = place_of(counted.quantities)
    nearest, apart = networks.nearest(place) if place else (None, None)
    outside = _outside(counted, networks, nearest, apart, fitted.farthest)
    likeness: dict[str, Any] = {
        "nearest": "" if nearest is None else networks.shown(known if known is not None else nearest),
        "distance": apart,
    }
    if outside or apart is None:
        return _with(row, outside=outside, **likeness)
    throughput, interval = machine.throughput(counted.quantities, known, max(apart, fitted.closest))
    return _with(
        row,
        predicted_throughput=throughput,
        predicted_interval=interval,
        predicted_shares=shares(counted.quantities, machine.rates),
        published_throughput=machine.published(known),
        **likeness,
    )


def _with(row: Predicted, **more: Any) -> Predicted:
    return Predicted(row.name, row.source, row.input_shape, error=row.error, **more)


def _outside(counted: _Counted, networks: Networks, nearest: int | None, apart: float | None, farthest: float) -> str:
    """In what a network is unlike those of the table; '': in nothing that shows."""
    if counted.uncounted:
        return f"its {counted.uncounted[0]} has no formula, so that its counts are not whole"
    if len(counted.input_shape) != 3:
        shape = " x ".join(map(str, counted.input_shape)) or "several things"
        return f"it reads {shape}, and the table's networks read images"
    if nearest is None or apart is None:
        return "it multiplies nothing"
    if apart > farthest:
        return (
            f"the table's nearest network, {networks.shown(nearest)}, is at distance {apart:.2f}; beyond "
            f"{farthest:.2f} nothing was checked"
        )
    return ""


def shares(found: Mapping[str, float], rates: Array) -> dict[str, float]:
    """What part of the time each group of operators takes, the largest first; what belongs to no kind is left out.

    Groups, because kinds that always come together, such as batch norm and activations, share a rate at will.
    """
    seconds = dict.fromkeys(dict.fromkeys(GROUPS.values()), 0.0)
    for quantity, rate in zip(QUANTITIES, rates, strict=True):
        if kind := KIND_OF[quantity]:
            seconds[GROUPS[kind]] += float(rate) * found[quantity]
    whole = sum(seconds.values()) or 1.0
    return {kind: part / whole for kind, part in sorted(seconds.items(), key=lambda item: -item[1]) if part > 0}


@dataclass(frozen=True)
class _Published:
    """A device of the table."""

    target: Target
    place: int
    fitted: Fitted
    anchors: tuple[Anchor, ...] = ()
    notes: tuple[str, ...] = ()
    doubt: float | None = None

    @classmethod
    def of(cls, one: benchmarks.Benchmark, fitted: Fitted) -> _Published:
        place = fitted.benchmarks.index(one)
        size = fitted.rates[place].batch_size
        setting = (one.device, one.precision, one.channels_last, one.compiled, one.torch, one.cuda)
        return cls(Target(*setting, batch_size=size, table=one.name), place, fitted)

    @property
    def rates(self) -> Array:
        return self.fitted.rates[self.place].rates

    def throughput(self, found: Mapping[str, float], known: int | None, apart: float) -> tuple[float, Interval | None]:
        rate = 1 / max(float(self.rates @ np.array([found[quantity] for quantity in QUANTITIES])), 1e-12)
        return rate, self.fitted.rates[self.place].calibration.interval(rate, apart)

    def published(self, known: int | None) -> float | None:
        seen = float("nan") if known is None else float(table.networks().throughput[self.place, known])
        return None if np.isnan(seen) else seen


@dataclass(frozen=True)
class _Anchored:
    """A device that is known by anchors. `rates` are those of the tables with its settings, on average."""

    target: Target
    transfer: Transfer
    sources: tuple[int, ...]
    rates: Array
    doubt: float
    calibrations: Mapping[str, Calibration] | None
    fitted: Fitted
    anchors: tuple[Anchor, ...]
    notes: tuple[str, ...]

    @classmethod
    def of(cls, measured: anchoring.Measured, fitted: Fitted) -> _Anchored:
        networks = table.networks()
        rows = [networks.row(name.removeprefix("timm:")) for name in measured.names]
        sources = tuple(place for place, one in enumerate(fitted.benchmarks) if one.on_cpu == measured.on_cpu)
        setting = {"channels_last": measured.target.channels_last, "compiled": measured.target.compiled}
        marked = benchmarks.alike([fitted.benchmarks[place] for place in sources], **setting)
        published = -np.log(networks.throughput[np.ix_(sources, rows)])
        share = np.array(marked, float)
        rates = share @ np.array([fitted.rates[place].rates for place in sources]) / share.sum()
        taken = parts(rates, networks.counted[rows])
        given = Anchors(published, -np.log(measured.throughput), taken, share)
        moved = transfer(given)
        seen = np.exp(-moved.log_seconds(published, taken))
        anchors = [Anchor(*each) for each in zip(measured.names, measured.throughput, map(float, seen), strict=True)]
        counts = fitted.anchored["cpu" if measured.on_cpu else "gpu"]
        notes = [*measured.notes]
        if measured.unlike:
            notes.append(
                f"the anchors were measured {' and '.join(measured.unlike)}: no interval was checked for that, "
                "and none is given"
            )
        off, most = doubt(given), _BEYOND * fitted.doubt
        if off > most:
            notes.append(
                f"the anchors miss one another by {100 * np.expm1(off):.0f} % on average, and beyond "
                f"{100 * np.expm1(most):.0f} % nothing was checked: no interval is given"
            )
        calibrations = None if measured.unlike or off > most else counts[len(rows)]
        return cls(measured.target, moved, sources, rates, off, calibrations, fitted, tuple(anchors), tuple(notes))

    def throughput(self, found: Mapping[str, float], known: int | None, apart: float) -> tuple[float, Interval | None]:
        counted = np.array([found[quantity] for quantity in QUANTITIES])
        seconds = np.array([[np.log(max(self.fitted.rates[place].rates @ counted, 1e-12))] for place in self.sources])
        published = np.full_like(seconds, np.nan)
        if known is not None:
            published = -np.log(table.networks().throughput[list(self.sources), known])[:, None]
        seen = bool(np.isfinite(published).any())
        moved = float(self.transfer.log_seconds(filled(published, seconds), parts(self.rates, counted[None]))[0])
        rate = float(np.exp(-moved))
        if self.calibrations is None:
            return rate, None
        calibration = self.calibrations["known" if seen else "unseen"]
        return rate, calibration.interval(rate, self.doubt + (0.0 if seen else apart))

    def published(self, known: int | None) -> float | None:
        return None
