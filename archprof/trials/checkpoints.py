"""What a training leaves on disk: after each epoch all that it needs to go on, at its end its weights and its record.

Three files a run, named by what it is: `NAME.checkpoint` while it lasts, `NAME.pt` (a state dict) and `NAME.json` once
it has ended. Each is written whole or not at all.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from ..base import files
from ..base.errors import BadFile, BadOutput
from ..results import reading
from ..results.recipe import Recipe
from ..results.trials import Epoch, Run


class Place:
    """Where one run keeps its files."""

    def __init__(self, folder: Path, network: str, recipe: Recipe, seed: int, *identity: object) -> None:
        """`identity` is whatever else the run depends on: the data's fingerprint, the input's shape."""
        key = json.dumps([network, asdict(recipe), seed, [str(part) for part in identity]], sort_keys=True)
        readable = re.sub(r"[^A-Za-z0-9.]+", "-", network).strip("-.")[:60]
        name = f"{readable}-{hashlib.sha256(key.encode()).hexdigest()[:10]}-seed{seed}"
        self.checkpoint, self.weights, self.record = (
            folder / f"{name}.{suffix}" for suffix in ("checkpoint", "pt", "json")
        )

    def save(self, state: dict[str, Any], run: Run) -> None:
        """Keep what the next epoch needs, in place of what this one needed."""
        self._write(self.checkpoint, _bytes({**state, "run": _run_json(run)}))

    def finish(self, model: dict[str, Any], run: Run) -> None:
        """Keep weights and record; the checkpoint goes once both are there."""
        self._write(self.weights, _bytes(model))
        self._write(self.record, _run_json(run) + "\n")
        self.checkpoint.unlink(missing_ok=True)

    def finished(self) -> Run | None:
        """The record of a run that has ended here."""
        if not self.record.exists():
            return None
        try:
            return _run_from(self.record.read_text(encoding="utf-8"), str(self.record))
        except (OSError, UnicodeDecodeError):
            raise BadFile(f"'{self.record}' cannot be read.", "Remove it: the run is then made again.") from None

    def resumed(self) -> tuple[dict[str, Any], Run] | None:
        """What a run that was stopped goes on from; None where nothing is there."""
        try:
            data = self.checkpoint.read_bytes()
        except FileNotFoundError:
            return None
        try:
            saved = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
            return {key: saved[key] for key in ("model", "optimizer")}, _run_from(saved["run"], str(self.checkpoint))
        except BadFile:
            raise
        except Exception:
            raise BadFile(
                f"'{self.checkpoint}' is not a checkpoint of this network.", "Remove it: the run then begins again."
            ) from None

    def _write(self, path: Path, content: bytes | str) -> None:
        try:
            files.write(str(path), content)
        except BadOutput as reason:
            raise BadOutput(reason.message, "Make room: the same command goes on from the last epoch kept.") from None


def _bytes(state: Any) -> bytes:
    """As torch.save writes it; from the CPU, so that any machine reads it."""
    out = io.BytesIO()
    torch.save(_on_cpu(state), out)
    return out.getvalue()


def _on_cpu(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach().cpu()
    if isinstance(value, dict):
        return {key: _on_cpu(item) for key, item in value.items()}
    return [_on_cpu(item) for item in value] if isinstance(value, list) else value


def _run_json(run: Run) -> str:
    epochs = [seen._asdict() for seen in run.epochs]
    return json.dumps({"seed": run.seed, "epochs": epochs, "class_correct": list(run.class_correct)}, allow_nan=False)


def _run_from(text: str, where: str) -> Run:
    try:
        saved = json.loads(text)
    except ValueError:
        raise BadFile(f"'{where}' is not JSON.", "Remove it: the run is then made again.") from None
    found = reading.checked(Run, saved, where)
    assert isinstance(found, Run) and all(isinstance(seen, Epoch) for seen in found.epochs)
    return found
