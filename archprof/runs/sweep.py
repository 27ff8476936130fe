"""Thousands of networks, one line of JSON each, as they finish. Imports no torch: that happens in its processes.

The file is its own state: a sweep that is stopped goes on where it was. `Comparison.from_json` reads it.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import json
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..base import files, json_lines, streams
from ..base.errors import BadFile, BadOutput
from ..base.version import __version__
from ..models.input_spec import InputSpec
from ..results.comparison import BULKY, Comparison, row_json
from ..results.conditions import Conditions, Sampling
from ..results.environment import disagreements
from ..results.profile import Shape
from ..results.saved import SCHEMA_VERSION
from .processes import Executor, Outcome, Processes

#: Seconds after which counting or measuring one network is given up.
TIMEOUT_S = 120.0

#: For each network, of which there may be thousands.
SAMPLING = Sampling(time_budget=2.0)


@dataclass(frozen=True)
class Measuring:
    """How each network of a sweep is measured."""

    batch_sizes: tuple[int, ...] = (1,)
    conditions: Conditions = Conditions()
    sampling: Sampling = SAMPLING


@dataclass(frozen=True)
class SweepRequest:
    """What every network of a sweep is given: an input shape or inputs (default: its own), and how it is measured.

    `measuring` None: networks are counted only.
    """

    input_shape: Shape | None = None
    inputs: tuple[InputSpec, ...] = ()
    measuring: Measuring | None = None

    def header(self) -> dict[str, Any]:
        """What stands in the file's first line: entries made under other conditions do not mix with these."""
        return {
            "input_shape": self.input_shape and list(self.input_shape),
            "inputs": [str(spec) for spec in self.inputs],
        }


@dataclass(frozen=True)
class Summary:
    """How a sweep went: networks in the file that were asked for, those with a profile, and why others have none.

    `earlier` of them were there from a previous run; `seconds` is the time of this one.
    """

    asked: int
    profiled: int
    failed: tuple[tuple[str, str], ...]
    earlier: int
    seconds: float


def sweep(
    models: Sequence[str],
    path: str,
    request: SweepRequest = SweepRequest(),
    *,
    jobs: int = 1,
    timeout: float = TIMEOUT_S,
    executor: Executor | None = None,
    progress: Callable[[str], None] | None = None,
) -> Summary:
    """Count every model in `jobs` processes, then measure them one at a time where `request` says so.

    Each goes into the file at `path` as soon as it is done; a model that raises, does not return within `timeout`
    seconds or takes its process down has an entry with the reason. Models that have their entry are passed over.
    `executor` does the counting (by default local processes). Raises BadFile where the file is something else, or a
    sweep of another request or by another version.
    """
    with files.alone(path):
        return _sweep(models, path, request, jobs, timeout, executor, progress or (lambda doing: None))


def _sweep(
    models: Sequence[str],
    path: str,
    request: SweepRequest,
    jobs: int,
    timeout: float,
    executor: Executor | None,
    tell: Callable[[str], None],
) -> Summary:
    began = time.monotonic()
    entries, out = _opened(path, request)
    earlier = sum(name in entries for name in models)

    def note(outcome: Outcome) -> None:
        entry = _entry(outcome, entries.get(outcome.task))
        entries[outcome.task] = entry
        out.add(entry)

    with contextlib.closing(out):
        todo = [name for name in models if name not in entries]
        count = functools.partial(count_one, request=request)
        start = functools.partial(warm_up, tuple(_libraries(todo)))
        engine = executor or Processes(count, jobs, timeout, start, watch=watched)
        for place, outcome in enumerate(engine.run(todo) if todo else (), start=1):
            note(outcome)
            tell(_so_far("counted", place, len(todo), began, outcome.task))
        if request.measuring is not None:
            asked_for = set(request.measuring.batch_sizes)
            todo = [
                name
                for name in models
                if not entries[name].get("error")
                and (not entries[name]["latency"] or asked_for - _batch_sizes(entries[name]))
            ]
            measure = functools.partial(measure_one, request=request)
            measuring_began = time.monotonic()
            # never side by side: they would take the machine from each other
            alone = Processes(measure, 1, timeout, watch=watched)
            for place, outcome in enumerate(alone.run(todo) if todo else (), start=1):
                note(outcome)
                tell(_so_far("measured", place, len(todo), measuring_began, outcome.task))
    asked = [entries[name] for name in models]
    return Summary(
        len(asked),
        sum("macs" in entry for entry in asked),
        tuple((entry["name"], entry["error"]) for entry in asked if entry.get("error")),
        earlier,
        time.monotonic() - began,
    )


def _batch_sizes(entry: Mapping[str, Any]) -> set[int]:
    return {cell["batch_size"] for cell in entry["latency"]}


def _so_far(done: str, place: int, total: int, began: float, last: str) -> str:
    left = (time.monotonic() - began) / place * (total - place)
    return f"{done} {place} of {total}, about {left:.0f} s left: {last}"


# --- one network, in a process of its own -------------------------------------------------------------------------


def warm_up(libraries: Sequence[str]) -> None:
    """Import what every task needs, so that no task is charged for it. What fails here fails again where it is said."""
    sys.stdout = streams.Printable(sys.stderr)
    warnings.simplefilter("ignore")
    import torch

    from . import compare  # noqa: F401

    torch.set_num_threads(1)
    for library in libraries:
        with contextlib.suppress(Exception):
            __import__(library)
    # a network is hundreds of thousands of objects: looking through them for cycles at the usual rate takes a third of
    # all the time
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


def watched() -> Callable[[], str | None]:
    """What tells whether a network changed the process for those after it."""
    from . import process_state

    return process_state.watched()


def count_one(model: str, request: SweepRequest) -> dict[str, Any]:
    """The entry of one network, counted."""
    from . import compare

    return row_json(compare.counted(model, input_shape=request.input_shape, inputs=_inputs(request)), BULKY)


def measure_one(model: str, request: SweepRequest) -> dict[str, Any]:
    """The entry of one network, counted and measured, in a process that has the machine to itself."""
    from . import compare

    measuring = request.measuring or Measuring()
    with contextlib.redirect_stdout(streams.Printable(sys.stderr)):
        result = compare.compare(
            [model],
            batch_sizes=measuring.batch_sizes,
            conditions=measuring.conditions,
            sampling=measuring.sampling,
            input_shape=request.input_shape,
            inputs=_inputs(request),
        )
    return row_json(result.architectures[0], BULKY)


def _inputs(request: SweepRequest) -> Any:
    if not request.inputs:
        return None
    from ..counting.inputs import given_inputs

    return functools.partial(given_inputs, request.inputs)


def _libraries(models: Sequence[str]) -> list[str]:
    return sorted({name.partition(":")[0] for name in models} & {"timm", "torchvision"})


# --- the file -----------------------------------------------------------------------------------------------------


def _entry(outcome: Outcome, before: Mapping[str, Any] | None) -> dict[str, Any]:
    """What goes into the file for an outcome; what it does not replace of the entry `before` stays."""
    if outcome.error is None:
        again = _batch_sizes(outcome.value)
        kept = [cell for cell in (before or {}).get("latency", ()) if cell["batch_size"] not in again]
        latency = sorted(kept + outcome.value["latency"], key=lambda cell: cell["batch_size"])
        return {**outcome.value, "latency": latency, "seconds": round(outcome.seconds, 3)}
    source = outcome.task.partition(":")[0] if ":" in outcome.task else "zoo"
    failed = {"name": outcome.task, "source": source, "accuracy": [], "memory": [], "latency": []}
    why = {"error": f"{outcome.task}: {outcome.error}", "seconds": round(outcome.seconds, 3)}
    return {**failed, **(before or {}), **why}


class _Lines:
    """The file, a line an entry. Unbuffered: a disk that is full is met at the entry, not again when it is closed."""

    def __init__(self, path: str, mode: str) -> None:
        self.path = path
        try:
            self.file = open(path, mode, buffering=0)  # noqa: SIM115
        except OSError as error:
            raise BadOutput(f"'{path}' cannot be written: {error.strerror}.") from None

    def add(self, entry: Mapping[str, Any]) -> None:
        line = (json.dumps(entry, allow_nan=False) + "\n").encode()
        try:
            while line:
                line = line[self.file.write(line) :]
        except OSError as error:
            raise BadOutput(
                f"'{self.path}' cannot be written: {error.strerror}.", "The same command goes on from what it holds."
            ) from None

    def close(self) -> None:
        self.file.close()


def _opened(path: str, request: SweepRequest) -> tuple[dict[str, Any], _Lines]:
    """Entries that the file has, and the file ready for more; a new one gets its header."""
    target = Path(path)
    if target.exists() and target.stat().st_size:
        entries = _resumed(target, request)
        return entries, _Lines(path, "ab")
    environment = _environment(request)  # before a file is made that it would refuse
    out = _Lines(path, "wb")
    out.add(
        {
            "schema_version": SCHEMA_VERSION,
            "archprof": __version__,
            "sweep": request.header(),
            "environment": environment,
        }
    )
    return {}, out


def _environment(request: SweepRequest) -> dict[str, Any]:
    """What is measured on. Raises BadOption where it cannot be had."""
    from ..measure import device

    conditions = (request.measuring or Measuring()).conditions
    return device.environment(device.check_available(conditions))


def _resumed(target: Path, request: SweepRequest) -> dict[str, Any]:
    """The entries of a sweep that was stopped; a line that was cut off while it was written is removed."""
    with target.open("rb+") as file:
        content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        try:
            header = json_lines.loads(whole.decode())
            made = header["sweep"]
            entries = {entry["name"]: entry for entry in header["architectures"]}
        except (ValueError, KeyError, TypeError):
            raise BadFile(f"'{target}' exists and is not a sweep.", "Name another file.") from None
        try:
            Comparison.checked(header)
        except BadFile as reason:
            raise BadFile(f"'{target}': {reason.message}", reason.remedy) from None
        if header.get("archprof") != __version__ or made != request.header():
            raise BadFile(
                f"'{target}' was made by archprof {header.get('archprof')} with {_told(made)}; "
                f"this is {__version__} with {_told(request.header())}.",
                "Name another file, or remove this one.",
            )
        if request.measuring is not None:  # counts are the same everywhere, latencies are not
            other = disagreements(header.get("environment", {}), _environment(request))
            if other:
                raise BadFile(
                    f"'{target}' was made on another machine or under other conditions: {', '.join(other)}.",
                    "Name another file for these measurements.",
                )
        file.truncate(len(whole))
    return entries


def _told(made: Mapping[str, Any]) -> str:
    if made.get("inputs"):
        return f"inputs {' '.join(made['inputs'])}"
    shape = made.get("input_shape")
    return f"input shape {','.join(map(str, shape))}" if shape else "each network's own input"
