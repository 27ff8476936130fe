"""What commands have counted already, answered from the index: comparisons without times, and profiles of networks.

A record is answered only where everything that it depends on is as it was: the versions of archprof, torch and the
library, the batch sizes, the conditions, and what the environment says of the machine. Your own code, files, and
inputs of your own are never kept. Nothing here imports torch.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import json
import os
import platform
import socket
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..base import cache
from ..base.options import recorded
from ..base.version import __version__
from ..models import spec
from ..models.published import own
from ..results import reading
from ..results.comparison import Accuracy, Comparison, row_json
from ..results.conditions import Conditions
from ..results.profile import StaticProfile
from ..results.saved import as_json, field_names
from .index import SOURCES, Index, versions

#: Variables that change how torch counts threads or computes, by prefix.
_VARIABLES = ("OMP_", "GOMP_", "KMP_", "MKL_", "DNNL_", "ONEDNN_", "MALLOC_", "LD_PRELOAD", "THP_", "ATEN_", "TORCH_")

#: Where the environment of a comparison stands among the records: no spec is spelled so.
_MACHINE = "@machine"


def comparison(
    models: Sequence[str],
    batch_sizes: Sequence[int],
    conditions: Conditions,
    *,
    reference: str | None = None,
    accuracies: Sequence[Accuracy] = (),
    dataset: str = "imagenet-1k",
) -> Comparison | None:
    """The comparison without times that `compare` would make; None where anything of it would have to be counted."""
    under = [_under(model) for model in models]
    if not _of_archprof_alone():
        return None
    if conditions.kind != "cpu" or None in under or len(set(models)) < len(models) or not models:
        return None
    if reference is not None and reference not in models:
        return None
    how = _how(batch_sizes, conditions)
    with Index() as index:
        environment = index.recalled(_MACHINE, how, versions("zoo") or "")
        entries = [index.recalled(model, how, now or "") for model, now in zip(models, under, strict=True)]
    if environment is None or None in entries:
        return None
    rows = []
    read = Comparison.checked({"schema_version": 1, "environment": {}, "architectures": [e["row"] for e in entries]})
    for row, entry in zip(read.architectures, entries, strict=True):
        side = row.profile.input_shape[-1] if row.profile and row.profile.input_shape else None
        claims = own.of_network(row.name, side, entry["published"], entry["side"], accuracies, dataset)
        rows.append(replace(row, accuracy=claims))
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    found = Comparison(
        environment=environment | {"date": now},
        architectures=tuple(rows),
        reference=reference or (models[-1] if len(models) > 1 else None),
        archprof=__version__,
    )
    return replace(found, warnings=own.unused(found, accuracies, dataset))


def remember(found: Comparison, batch_sizes: Sequence[int], conditions: Conditions) -> None:
    """Keep what was counted of the networks of a comparison without times, as far as it can be kept."""
    if conditions.kind != "cpu" or not (cache.may_keep and _of_archprof_alone()):
        return
    from .. import models
    from .counted_rows import published_as

    how = _how(batch_sizes, conditions)
    with Index() as index:
        for row in found.architectures:
            under = _under(row.name)
            if under is None or row.profile is None or row.error is not None or row.largest_batch is not None:
                continue
            named, side = published_as(models.find(row.name))
            bare = replace(row, accuracy=(), latency=(), division=None)
            index.remember(row.name, how, under, {"row": row_json(bare), "published": named, "side": side})
        index.remember(_MACHINE, how, versions("zoo") or "", dict(found.environment))


class Kept:
    """Records of single networks, kept between runs; used in a `with` block, at whose end new ones are written.

    `how` (any JSON values) says what a record is: how its network was counted.
    """

    def __init__(self) -> None:
        self._index = Index()
        self._fresh: list[tuple[str, str, str, Any]] = []

    def __enter__(self) -> Kept:
        return self

    def __exit__(self, *_: object) -> None:
        with self._index as index:
            if self._fresh:
                index.remember_all(self._fresh)

    def recalled(self, model: str, how: dict[str, Any]) -> Any:
        """The record (JSON values), None where there is none."""
        under = _under(model) if _of_archprof_alone() else None
        return None if under is None else self._index.recalled(model, json.dumps(how, sort_keys=True), under)

    def remember(self, model: str, how: dict[str, Any], content: Any) -> None:
        """Keep a record, where its network is one that may be kept."""
        under = _under(model) if cache.may_keep and _of_archprof_alone() else None
        if under is not None:
            self._fresh.append((model, json.dumps(how, sort_keys=True), under, content))

    def profile(self, model: str, how: dict[str, Any]) -> StaticProfile | None:
        """The profile of that network counted in that way; None where it is not known."""
        content = self.recalled(model, how)
        return None if content is None else reading.checked(StaticProfile, content)

    def remember_profile(self, model: str, how: dict[str, Any], counted: StaticProfile) -> None:
        """Keep a profile."""
        content = {
            name: [as_json(item) for item in value] if name in ("uncounted", "by_type", "layers", "modules") else value
            for name in field_names(counted)
            for value in (getattr(counted, name),)
        }
        self.remember(model, how, content)


def _of_archprof_alone() -> bool:
    """Whether counts of this process are those of any other: no code of others was named, no formula registered."""
    registry, code = sys.modules.get("archprof.costs.registry"), sys.modules.get("archprof.models.code")
    if registry is not None and registry.generation != registry.own_generation:
        return False
    return code is None or not code.ran


@functools.lru_cache(maxsize=4096)
def _under(model: str) -> str | None:
    """The versions that counts of that network depend on; None where it is not to be kept."""
    with contextlib.suppress(Exception):
        parsed = spec.parse(model)
        if parsed.source in SOURCES and parsed.text == model:
            return versions(parsed.source)
    return None


def _how(batch_sizes: Sequence[int], conditions: Conditions) -> str:
    """Everything that a comparison without times and its environment depend on, networks and versions left out."""
    variables = {name: value for name, value in sorted(os.environ.items()) if name.startswith(_VARIABLES)}
    machine = [socket.gethostname(), platform.platform(), sys.version, _cpus()]
    policy = ""
    with contextlib.suppress(OSError), open("/sys/kernel/mm/transparent_hugepage/enabled") as file:
        policy = file.read()
    whole = [sorted(set(batch_sizes)), recorded(conditions), variables, machine, policy]
    return json.dumps(whole, sort_keys=True, default=str)


def _cpus() -> list[int]:
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [os.cpu_count() or 1]
