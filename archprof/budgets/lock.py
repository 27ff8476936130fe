"""The baseline file: what each budget's model had when it was last accepted. Standard library only.

One line a layer in the network's own order, budgets in alphabetical order, so that a change reads well in
a diff. History of the schema: 1, the first.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..base import json_lines
from ..base.errors import BadFile
from ..results.profile import Shape, StaticProfile
from .limits import MEASURES

SCHEMA_VERSION = 1
FILE_NAME = "archprof.lock.json"
#: The file of budgets where nothing else is said.
CONFIG_NAME = "archprof.toml"


@dataclass(frozen=True)
class LayerSummary:
    """What the operator calls of one module add up to; parameters are the module's own."""

    type: str
    parameters: int = 0
    trainable_parameters: int = 0
    macs: int = 0
    activations: int = 0


@dataclass(frozen=True)
class Baseline:
    """One model's counts at the time of acceptance: `counts` by measure, `layers` by module path.

    `inputs` are the arguments that its budget states, where it states any; `config` is the file beside the lock that
    states the budget.
    """

    model: str
    input_shape: Shape
    batch_size: int
    counts: Mapping[str, int] = field(default_factory=dict)
    layers: Mapping[str, LayerSummary] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    config: str = CONFIG_NAME


@dataclass(frozen=True)
class LayerChange:
    """A layer whose count differs from the baseline's; 0 stands for a layer that is not there."""

    layer: str
    type: str
    before: int
    after: int


@dataclass(frozen=True)
class Before:
    """What a budget's model had at another commit, as far as that is known.

    `source` says how: 'counted' from that commit's code, 'lock' as its lock has it, '' not at all. `why` is a sentence
    about what is missing, or why the lock had to do. `new` is true where that commit neither states the budget nor has
    the model.
    """

    baseline: Baseline | None = None
    source: str = ""
    why: str = ""
    new: bool = False


def baseline_of(
    model: str,
    profile: StaticProfile,
    training: bool = False,
    inputs: tuple[str, ...] = (),
    config: str = CONFIG_NAME,
) -> Baseline:
    """What the lock keeps of a profile; `training_bytes` only where a training pass was counted."""
    counts = {
        name: measure.value(profile) for name, measure in MEASURES.items() if training or name != "training_bytes"
    }
    return Baseline(model, profile.input_shape, profile.batch_size, counts, layers_of(profile), inputs, config)


def layers_of(profile: StaticProfile) -> dict[str, LayerSummary]:
    """The modules that hold or cost something, in the order in which they run (then those that never ran).

    A module's type is that of its costliest call, or its class where it made none.
    """
    owned = {module.path: module for module in profile.modules}
    costliest: dict[str, tuple[int, str]] = {}
    macs: dict[str, int] = {}
    activations: dict[str, int] = {}
    read: dict[str, int] = {}
    for call in profile.layers:
        cost = (call.macs or 0, call.type)
        costliest[call.module] = max(costliest.get(call.module, cost), cost, key=lambda pair: pair[0])
        macs[call.module] = macs.get(call.module, 0) + (call.macs or 0)
        activations[call.module] = activations.get(call.module, 0) + call.activations
        read[call.module] = read.get(call.module, 0) + call.parameters
    layers = {}
    for path in dict.fromkeys((*costliest, *owned)):
        module = owned.get(path)
        layer = LayerSummary(
            type=costliest[path][1] if path in costliest else owned[path].kind,
            parameters=module.parameters if module else (0 if owned else read[path]),
            trainable_parameters=module.trainable_parameters if module else (0 if owned else read[path]),
            macs=macs.get(path, 0),
            activations=activations.get(path, 0),
        )
        if layer.parameters or layer.macs or layer.activations:
            layers[path] = layer
    return layers


def changes(before: Mapping[str, LayerSummary], after: Mapping[str, LayerSummary], key: str) -> list[LayerChange]:
    """The layers whose `key` differs, the largest difference first."""
    found = [
        LayerChange(
            path,
            (after.get(path) or before[path]).type,
            getattr(before.get(path), key, 0),
            getattr(after.get(path), key, 0),
        )
        for path in dict.fromkeys((*before, *after))
    ]
    return sorted(
        (change for change in found if change.before != change.after),
        key=lambda change: -abs(change.after - change.before),
    )


def to_json(baselines: Mapping[str, Baseline]) -> str:
    """The lock's text."""
    lines = ["{", f' "schema_version": {SCHEMA_VERSION},', ' "budgets": {']
    blocks = []
    for name in sorted(baselines):
        entry = baselines[name]
        head = {
            "model": entry.model,
            "input_shape": list(entry.input_shape),
            **({"config": entry.config} if entry.config != CONFIG_NAME else {}),
            **({"input": list(entry.inputs)} if entry.inputs else {}),
            "batch_size": entry.batch_size,
            **entry.counts,
        }
        keys = [f"   {json.dumps(key)}: {json.dumps(value)}," for key, value in head.items()]
        layers = _joined(f"    {json.dumps(path)}: {json.dumps(asdict(layer))}" for path, layer in entry.layers.items())
        block = [f"  {json.dumps(name)}: {{", *keys, '   "layers": {', *layers, "   }", "  }"]
        blocks.append("\n".join(block))
    return "\n".join([*lines, *_joined(blocks), " }", "}", ""])


def from_json(text: str, where: str = FILE_NAME) -> dict[str, Baseline]:
    """Read back what `to_json` wrote. Raises BadFile for anything else, or for another schema."""
    from ..results import reading  # it is slow to import, and few runs have a baseline

    anew = "Restore it from version control, or write it anew with 'archprof check --update'."
    try:
        saved = json_lines.loads(text)
    except ValueError as reason:
        raise BadFile(f"{where} is not JSON: {reason}.", anew) from None
    try:
        reading.check_version(saved, SCHEMA_VERSION, "Use the archprof that wrote it.")
        budgets = reading.checked(dict[str, dict[str, Any]], saved.get("budgets"), "budgets")
        return {name: _entry(entry, f"budgets['{name}']") for name, entry in budgets.items()}
    except BadFile as reason:
        raise BadFile(f"{where}: {reason.message}", anew) from None


def shown_path(path: Path) -> str:
    """The path, from the working directory where it lies in there."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_absolute() and path.is_relative_to(here) else path)


def read(path: Path) -> dict[str, Baseline]:
    """The baselines in the file; none where there is no file."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return {}
    except OSError as reason:
        raise BadFile(f"{shown_path(path)} cannot be read: {reason.strerror}.") from None
    except UnicodeDecodeError:
        raise BadFile(f"{shown_path(path)} is not text in UTF-8.") from None
    return from_json(text, shown_path(path))


def read_for_update(path: Path, whole: bool) -> dict[str, Baseline]:
    """The baselines in the file, to be shown and replaced.

    Where the `whole` file will be written anew, one that cannot be read is no obstacle.
    """
    try:
        return read(path)
    except BadFile:
        if not whole:
            raise
        return {}


def _entry(saved: Mapping[str, Any], where: str) -> Baseline:
    from ..results import reading

    layers = {
        path: reading.checked(LayerSummary, layer, f"{where}.layers['{path}']", whole=True)
        for path, layer in reading.checked(dict[str, Any], saved.get("layers"), f"{where}.layers").items()
    }
    counts = {name: reading.checked(int, saved[name], f"{where}.{name}") for name in MEASURES if name in saved}
    inputs = reading.checked(tuple[str, ...], saved.get("input", ()), f"{where}.input")
    baseline: Baseline = reading.checked(Baseline, saved, where, counts=counts, layers=layers, inputs=inputs)
    return baseline


def _joined(items: Iterable[str]) -> list[str]:
    """The items with commas between them."""
    listed = list(items)
    return [f"{item}," for item in listed[:-1]] + listed[-1:]
