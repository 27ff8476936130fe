"""The file of a sweep: JSON lines, one a network as it finishes, and its own state. Imports no torch.

A sweep that is stopped goes on where it was. `Comparison.from_json` reads the file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..base import json_lines
from ..base.errors import BadFile, BadOutput
from ..base.version import __version__
from ..results.comparison import Comparison
from ..results.environment import disagreements
from ..results.saved import SCHEMA_VERSION
from .asked import SweepRequest
from .engines.processes import Outcome


def batch_sizes_of(entry: Mapping[str, Any]) -> set[int]:
    """The batch sizes at which the network was measured or tried."""
    return {cell["batch_size"] for cell in entry["latency"]}


def entry_of(outcome: Outcome, before: Mapping[str, Any] | None) -> dict[str, Any]:
    """What goes into the file for an outcome; what it does not replace of the entry `before` stays."""
    if outcome.error is None:
        again = batch_sizes_of(outcome.value)
        kept = [cell for cell in (before or {}).get("latency", ()) if cell["batch_size"] not in again]
        latency = sorted(kept + outcome.value["latency"], key=lambda cell: cell["batch_size"])
        return {**outcome.value, "latency": latency, "seconds": round(outcome.seconds, 3)}
    source = outcome.task.partition(":")[0] if ":" in outcome.task else "zoo"
    failed = {"name": outcome.task, "source": source, "accuracy": [], "memory": [], "latency": []}
    why = {"error": f"{outcome.task}: {outcome.error}", "seconds": round(outcome.seconds, 3)}
    return {**failed, **(before or {}), **why}


def to_measure(models: Sequence[str], entries: Mapping[str, Any], request: SweepRequest) -> list[str]:
    """Models that no error rules out and that lack a batch size which `request` asks for."""
    assert request.measuring is not None
    asked_for = set(request.measuring.batch_sizes)

    def lacking(entry: Mapping[str, Any]) -> bool:
        return not entry.get("error") and (not entry["latency"] or bool(asked_for - batch_sizes_of(entry)))

    return [name for name in models if name not in entries or lacking(entries[name])]


class Lines:
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


def opened(
    path: str, request: SweepRequest, environment: Callable[[], Mapping[str, Any]]
) -> tuple[dict[str, Any], Lines]:
    """Entries that the file has, and the file ready for more; a new one gets its header.

    `environment` says what is measured on. Raises BadFile where the file is something else, or a sweep of another
    request or by another version; where `request` measures, also one of another machine.
    """
    target = Path(path)
    if target.exists() and target.stat().st_size:
        entries = _resumed(target, request, environment)
        return entries, Lines(path, "ab")
    found = dict(environment())  # before a file is made that it would refuse
    out = Lines(path, "wb")
    out.add(
        {
            "schema_version": SCHEMA_VERSION,
            "archprof": __version__,
            "sweep": request.header(),
            "environment": found,
        }
    )
    return {}, out


def _resumed(target: Path, request: SweepRequest, environment: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
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
            other = disagreements(header.get("environment", {}), environment())
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
