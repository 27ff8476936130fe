"""Measuring on a cluster's machines: each kind its own list of networks, each machine one measurement at a time.

A kind is what shapes a time (`results.environment.fingerprint`), as a worker that measures finds it where it runs.
Imports no torch.
"""

from __future__ import annotations

import re
import time
from collections import Counter, deque
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ...base.errors import BadOption, Unreachable, printable
from .cluster import DEATHS, HEAL_S, LOOK_S, MEASURE, Cluster, Flight, took_down
from .executors import shippable
from .keeper import Job
from .processes import Outcome

#: What a kind may be called, in names of files too.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}")


@dataclass(frozen=True)
class Kind:
    """Machines on which a network takes the same time: a name for them, and what they are as data."""

    name: str
    environment: Mapping[str, Any] = field(hash=False, compare=False, default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """What tells kinds apart."""
        return str(self.environment["fingerprint"])

    def __str__(self) -> str:
        seen = self.environment
        cpus = f"{seen['threads']} of {seen['cpus']} CPUs" if str(seen["device"]) == "cpu" else str(seen["device"])
        name = "" if self.name == self.fingerprint else f"{self.name} = "
        return f"{name}{self.fingerprint} ({seen['device_name']}, {cpus})"


def wished(text: str) -> dict[str, str]:
    """'epyc=3fa9,h100=H100' -> {'epyc': '3fa9', 'h100': 'H100'}: names for kinds, and what tells each from the others.

    Raises BadOption for anything else.
    """
    found: dict[str, str] = {}
    for part in text.split(","):
        name, equals, what = (piece.strip() for piece in part.partition("="))
        if not equals or not what or not _NAME.fullmatch(name):
            raise BadOption(
                f"'{part.strip()}' is not NAME=KIND;",
                "expected a name of letters and digits and the beginning of a fingerprint or a part of the device's "
                "name, such as epyc=3fa92c or h100=H100.",
            )
        if name in found:
            raise BadOption(f"the name '{name}' is given to two kinds;", "give each its own.")
        found[name] = what
    return found


class Machines:
    """The machines of a cluster that measure. `probe` is a job that finds a machine's environment, whatever its task.

    Raises Unreachable where no worker declares the resource, or none can measure under the conditions.
    """

    def __init__(self, cluster: Cluster, probe: Job, on: Mapping[str, str]) -> None:
        self.cluster, self.probe, self.chosen = cluster, shippable(probe), bool(on)
        #: What each worker that measures found where it runs; None: it has not told yet, or cannot measure.
        self.seen: dict[str, Mapping[str, Any] | None] = {}
        self.why: dict[str, str] = {}
        self.kinds: tuple[Kind, ...] = ()
        with Flight(cluster) as flight:
            self._look(flight)
            until = time.monotonic() + cluster.patience + probe.timeout
            while len(flight) and time.monotonic() < until:
                for outcome in flight.landed(LOOK_S) or ():
                    self._told(outcome)
        known = {seen["fingerprint"]: seen for seen in self.seen.values() if seen is not None}
        if not self.seen:
            raise Unreachable(
                f"no worker of {cluster} measures.",
                f"Start one on each machine with: dask worker {cluster.where} --resources '{MEASURE}=1'; or count only "
                "(--no-latency).",
            )
        if not known:
            address, why = next(iter(self.why.items()), (next(iter(self.seen)), "it does not answer"))
            raise Unreachable(f"no worker can measure so; {address}: {why};", "change the conditions, or count only.")
        self.kinds = _named(list(known.values()), on)

    def run(self, job: Job, tasks: Mapping[Kind, Sequence[Any]]) -> Generator[tuple[Kind, Outcome], None, None]:
        """Each task's outcome on each kind, as it comes.

        Raises Unreachable where a kind or the cluster went away and does not come back.
        """
        job = shippable(job)
        waiting = {kind: deque(tasks[kind]) for kind in tasks}
        busy: dict[str, Any] = {}
        deaths: Counter[tuple[Kind, Any]] = Counter()
        looked = alive = started = time.monotonic()
        with Flight(self.cluster) as flight:
            while True:
                busy = {address: future for address, future in busy.items() if future in flight.running}
                for address, kind in self._lanes().items():
                    if address not in busy and waiting.get(kind):
                        task = waiting[kind].popleft()
                        only = {"workers": [address], "allow_other_workers": False, "resources": {MEASURE: 1}}
                        busy[address] = flight.send(job, task, (kind, task), **only)
                if not busy and not any(waiting.values()):
                    return
                if busy:
                    alive = time.monotonic()
                elif time.monotonic() - alive > self.cluster.patience:
                    raise self._gone(waiting)
                elif time.monotonic() - max(alive, started) > HEAL_S:
                    started = time.monotonic()
                    self.cluster.start_another()
                landed = flight.landed(LOOK_S)
                if landed is None:
                    self._back(flight, waiting)
                for outcome in landed or ():
                    kind, task = outcome.task
                    if kind is None:
                        self._told(outcome)
                    else:
                        yield kind, replace(outcome, task=task)
                if time.monotonic() - looked < LOOK_S:
                    continue
                for address in self._look(flight):
                    if (future := busy.get(address)) not in flight.running:
                        continue
                    kind, task = flight.drop(future)
                    deaths[kind, task] += 1
                    if deaths[kind, task] < DEATHS:
                        waiting[kind].append(task)
                    else:
                        yield kind, Outcome(task, None, took_down(DEATHS))
                looked = time.monotonic()

    def _back(self, flight: Flight, waiting: Mapping[Kind, deque[Any]]) -> None:
        """The scheduler is gone: when there is one again, everything that was with it waits again."""
        for kind, task in flight.dropped():
            if kind is not None:
                waiting[kind].appendleft(task)
        self.seen.clear()
        self.cluster.reconnect()

    def _gone(self, waiting: Mapping[Kind, Sequence[Any]]) -> Unreachable:
        missing = [f"{kind} ({len(tasks)} networks to go)" for kind, tasks in waiting.items() if tasks]
        return Unreachable(
            f"no machine is left of: {'; '.join(missing)}.", "The same command goes on when there is one again."
        )

    # --- who is there -------------------------------------------------------------------------------------------------

    def _lanes(self) -> dict[str, Kind]:
        """The workers that measure: of the kinds that are asked for, one for each machine and kind."""
        of = {kind.fingerprint: kind for kind in self.kinds}
        found: dict[tuple[str, Kind], str] = {}
        for address, seen in self.seen.items():
            if seen is not None and (kind := of.get(seen["fingerprint"])) is not None:
                found.setdefault((address.rpartition(":")[0], kind), address)
        return {address: kind for (_, kind), address in found.items()}

    def _look(self, flight: Flight) -> list[str]:
        """Workers that are gone; those that came are asked what they run on."""
        try:
            there = self.cluster.workers()
        except Exception:  # the scheduler is gone, which its futures tell
            return []
        gone = [address for address in self.seen if address not in there]
        for address in gone:
            del self.seen[address]
        for address, worker in there.items():
            if worker["resources"].get(MEASURE, 0) >= 1 and address not in self.seen:
                self.seen[address] = None
                flight.send(self.probe, address, (None, address), workers=[address], allow_other_workers=False)
        return gone

    def _told(self, outcome: Outcome) -> None:
        """What a worker that was asked has found."""
        _, address = outcome.task
        if outcome.error is not None:
            self.why[address] = outcome.error
        elif not _NAME.fullmatch(str(outcome.value["fingerprint"])):  # files are named after it
            self.why[address] = f"its fingerprint is {printable(str(outcome.value['fingerprint']))!r}"
        elif address in self.seen:
            self.seen[address] = outcome.value
            if (
                self.kinds
                and not self.chosen
                and outcome.value["fingerprint"] not in {k.fingerprint for k in self.kinds}
            ):
                kind = Kind(outcome.value["fingerprint"], outcome.value)
                self.cluster.tell(
                    f"{address} came later and is of another kind, {kind}: the same command measures there"
                )


def _named(environments: Sequence[Mapping[str, Any]], on: Mapping[str, str]) -> tuple[Kind, ...]:
    """Kinds under the names that `on` gives them, without `on` all, under their fingerprints."""
    known = [Kind(str(seen["fingerprint"]), seen) for seen in environments]
    if not on:
        return tuple(sorted(known, key=lambda kind: kind.name))
    found = []
    for name, what in on.items():
        fits = [
            kind
            for kind in known
            if kind.fingerprint.startswith(what.lower()) or what.lower() in str(kind.environment["device_name"]).lower()
        ]
        if len(fits) != 1:
            there = "; ".join(map(str, known))
            how = "no kind of machine is" if not fits else f"{len(fits)} kinds of machine are"
            raise BadOption(f"--on {name}={what}: {how} so.", f"There are: {there}.")
        found.append(Kind(name, fits[0].environment))
    if len({kind.fingerprint for kind in found}) < len(found):
        raise BadOption("--on gives one kind of machine two names;", "name each kind once.")
    return tuple(found)
