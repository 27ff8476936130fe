"""Static costs of the networks of the zoo, torchvision and timm, kept between runs: an SQLite file in the cache folder.

Each source's networks stand there under the versions that their counts depend on: archprof (and a digest of its own
sources), torch and the library. Under any other versions they are thrown away and counted again. What is missing is
counted when it is asked for, in processes of a sweep, each network in a transaction of its own: a run that is stopped
goes on where it was. Your own code is never kept.

Nothing here imports torch, but for what counts: `complete` where something is missing.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import json
import os
import sqlite3
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ..base import cache
from ..base.errors import ArchprofError
from ..results.profile import Shape
from . import catalogue, survey
from .engines.processes import Engine, Outcome, Processes

#: Source -> the package beside torch that its networks come from.
SOURCES: dict[str, str | None] = {"zoo": None, "torchvision": "torchvision", "timm": "timm"}

#: Raised whenever the tables change.
FORMAT = 1

#: Seconds between two transactions while networks are counted.
_COMMIT_S = 1.0

#: Figures of a profile that are kept, in base units.
FIGURES = (
    *("parameters", "trainable_parameters", "buffers", "macs", "activations"),
    *("parameter_bytes", "buffer_bytes", "peak_activation_bytes", "saved_bytes"),
)

_TABLES = f"""
create table if not exists source (name text primary key, versions text not null, listed integer not null default 0);
create table if not exists network (
    spec text primary key, source text not null, place integer not null, base text not null, claims text not null,
    family text, year integer, input_shape text, uncounted integer, error text, seconds real,
    {", ".join(f"{figure} integer" for figure in FIGURES)}
);
create table if not exists record (
    spec text not null, how text not null, versions text not null, content blob not null, primary key (spec, how)
);
"""


class Progress(Protocol):
    """Called with how many networks are counted, of how many, and the last one."""

    def __call__(self, done: int, total: int, last: str) -> None: ...


@dataclass(frozen=True)
class Known:
    """One network as it is kept; `figures` are None until it is counted, and where `error` says why not."""

    spec: str
    source: str
    base: str
    claims: str
    family: str = ""
    year: int | None = None
    input_shape: Shape = ()
    uncounted: int = 0
    error: str | None = None
    figures: dict[str, int] | None = None

    @property
    def plain(self) -> bool:
        """Whether this is the network as its source gives it: at its own resolution, without options or a tag."""
        return self.spec == self.base if self.source == "zoo" else self.spec == f"{self.source}:{self.base}"


def index_file() -> Path:
    """archprof/index.sqlite in the user's cache folder, as the platform has it."""
    return catalogue.cache_file().with_name(cache.INDEX)


def versions(source: str) -> str | None:
    """What that source's counts depend on, None where its library is not installed."""
    package = SOURCES[source]
    parts = [f"format {FORMAT}", f"archprof {_digested()}"]
    try:
        if package:
            parts.append(f"{package} {importlib.metadata.version(package)}")
    except importlib.metadata.PackageNotFoundError:
        return None
    return "; ".join(parts)


@functools.cache
def _digested() -> str:
    return catalogue.cache_key()


class Index:
    """The file, opened; `said` holds sentences about what was thrown away. Use it in a `with` block."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = index_file() if path is None else path
        self.said: list[str] = []
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.file = self._opened()
        except (OSError, sqlite3.Error) as error:
            self.said.append(f"counts cannot be kept in {self.path} ({_reason(error)})")
            self.file = sqlite3.connect(":memory:")
            self.file.executescript(_TABLES)

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def _opened(self) -> sqlite3.Connection:
        try:
            return self._connected()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):  # locked, or not to be opened: not damaged
                raise
        self._throw_away()
        return self._connected()

    def _throw_away(self) -> None:
        self.said.append(f"the index {self.path} was damaged; its networks are counted again")
        for path in (self.path, self.path.with_name(f"{self.path.name}-journal")):
            path.unlink(missing_ok=True)

    def _connected(self) -> sqlite3.Connection:
        file = sqlite3.connect(self.path, timeout=30, isolation_level=None)
        try:
            file.executescript(_TABLES)
            columns = [row[1] for row in file.execute("pragma table_info(network)")]
            if columns[-len(FIGURES) :] != list(FIGURES):  # tables of another version
                file.executescript(f"drop table source; drop table network; {_TABLES}")
            file.execute("select count(*), sum(macs) from network").fetchone()
        except BaseException:
            file.close()
            raise
        return file

    def read(self, sources: Iterable[str] = SOURCES) -> list[Known]:
        """Every network of these sources that the file holds under today's versions, in the sources' own order."""
        try:
            return [known for source in sources if self._current(source) for known in self._rows(source)]
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            self.file.close()
            self._throw_away()
            self.file = self._connected()
            return []

    def _rows(self, source: str) -> Iterator[Known]:
        fields = "spec, source, base, claims, family, year, input_shape, uncounted, error"
        query = f"select {fields}, {', '.join(FIGURES)} from network where source = ? order by place"
        for row in self.file.execute(query, (source,)):
            shape = tuple(json.loads(row[6])) if row[6] else ()
            figures = dict(zip(FIGURES, row[9:], strict=True)) if row[9] is not None else None
            spec, _, base, claims, family, year, _, uncounted, error = row[:9]
            yield Known(spec, source, base, claims, family or "", year, shape, uncounted or 0, error, figures)

    def _current(self, source: str) -> bool:
        """Whether the source's networks are listed under today's versions; others are thrown away, and said."""
        now = versions(source)
        row = self.file.execute("select versions, listed from source where name = ?", (source,)).fetchone()
        if row is None or now is None:
            return False
        if row[0] != now:
            self.said.append(f"{_changed(source, row[0], now)}: its networks are counted again")
            with self._transaction():
                self.file.execute("delete from network where source = ?", (source,))
                self.file.execute("delete from source where name = ?", (source,))
            return False
        return bool(row[1])

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self.file.execute("begin immediate")
        try:
            yield
        except BaseException:
            self.file.execute("rollback")
            raise
        self.file.execute("commit")

    # --- what is missing --------------------------------------------------------------------------------------------

    def list_source(self, source: str, networks: Sequence[survey.Listed]) -> None:
        """Write down what the source offers, under today's versions."""
        with self._transaction():
            self.file.execute("delete from network where source = ?", (source,))
            self.file.execute(
                "insert or replace into source (name, versions, listed) values (?, ?, 1)", (source, versions(source))
            )
            self.file.executemany(
                "insert or ignore into network (spec, source, place, base, claims) values (?, ?, ?, ?, ?)",
                [(one.spec, source, place, one.base, one.claims) for place, one in enumerate(networks)],
            )

    def keep(self, outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
        """Write each outcome of `count_one` down as it comes, and pass it on."""
        pending: list[Outcome] = []
        last = time.monotonic()
        try:
            for outcome in outcomes:
                pending.append(outcome)
                yield outcome
                if time.monotonic() - last > _COMMIT_S:
                    self._write(pending)
                    pending, last = [], time.monotonic()
        finally:
            self._write(pending)

    def _write(self, outcomes: Sequence[Outcome]) -> None:
        columns = ("family", "year", "input_shape", "uncounted", "error", "seconds", *FIGURES)
        query = f"update network set {', '.join(f'{column} = ?' for column in columns)} where spec = ?"
        with self._transaction():
            self.file.executemany(query, [(*_values(outcome), outcome.task) for outcome in outcomes])

    # --- whole records of networks that commands have counted ---------------------------------------------------------

    def recalled(self, spec: str, how: str, versions: str) -> Any:
        """What was remembered of that network, counted in that way under these versions; None: nothing."""
        try:
            query = "select content from record where spec = ? and how = ? and versions = ?"
            row = self.file.execute(query, (spec, how, versions)).fetchone()
            return None if row is None else json.loads(zlib.decompress(row[0]))
        except (sqlite3.Error, zlib.error, ValueError):
            return None

    def remember(self, spec: str, how: str, versions: str, content: Any) -> None:
        """Keep a record (JSON values), where it can be kept; what was kept under other versions goes."""
        self.remember_all([(spec, how, versions, content)])

    def remember_all(self, records: Sequence[tuple[str, str, str, Any]]) -> None:
        """As `remember`, many at once."""
        with contextlib.suppress(sqlite3.Error), self._transaction():
            for spec, how, versions, content in records:
                packed = zlib.compress(json.dumps(content).encode(), 1)
                self.file.execute("delete from record where spec = ? and versions != ?", (spec, versions))
                self.file.execute("insert or replace into record values (?, ?, ?, ?)", (spec, how, versions, packed))

    @contextlib.contextmanager
    def alone(self, waiting: Callable[[], None]) -> Iterator[None]:
        """Only one process counts at a time; `waiting` is called where another one does."""
        from filelock import FileLock, Timeout

        lock = FileLock(f"{self.path}.lock")
        try:
            try:
                lock.acquire(blocking=False)
            except Timeout:
                waiting()
                lock.acquire()
        except OSError:  # where counts cannot be kept there is nothing to guard
            yield
            return
        try:
            yield
        finally:
            lock.release()


def _values(outcome: Outcome) -> tuple[Any, ...]:
    entry = outcome.value or {}
    error = outcome.error or entry.get("error")
    shape = json.dumps(entry["input_shape"]) if entry.get("input_shape") else None
    uncounted = sum(item["calls"] for item in entry.get("uncounted", ()))
    facts = (entry.get("family"), entry.get("year"), shape, uncounted, error, round(outcome.seconds, 3))
    return (*facts, *(entry.get(figure) for figure in FIGURES))


def counting(networks: Sequence[str], executor: Engine | None = None) -> Iterator[Outcome]:
    """Each network's outcome as it is counted: by `executor`, or in as many processes as there are CPUs."""
    from . import asked, tasks

    libraries = tuple({name.partition(":")[0] for name in networks if ":" in name})
    count = functools.partial(tasks.count_one, request=asked.SweepRequest())
    start = functools.partial(asked.warm_up, libraries)
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    engine = executor or Processes(count, cpus, asked.TIMEOUT_S, start, watch=asked.watched)
    return engine.run(networks)


def offered(index: Index, sources: Iterable[str], missing: Callable[[str], None]) -> list[Known]:
    """Every network of the sources, listed if it was not. `missing` is told of a source that cannot be had."""
    sources = list(sources)
    known = index.read(sources)
    listed = {one.source for one in known}
    for source in sources:
        if source in listed:
            continue
        if versions(source) is None:
            missing(f"{source} is not installed: its networks are not among these")
            continue
        try:
            index.list_source(source, survey.networks(source))
        except ArchprofError as error:
            missing(f"{error.message} Its networks are not among these")
            continue
        known = index.read(sources)
    return known


def complete(
    index: Index,
    wanted: Sequence[Known],
    *,
    progress: Progress = lambda done, total, last: None,
    waiting: Callable[[], None] = lambda: None,
    executor: Engine | None = None,
) -> list[Known]:
    """The same networks, those counted that were not."""
    if not any(_uncounted(one) for one in wanted):
        return list(wanted)
    with index.alone(waiting):
        now = {one.spec: one for one in index.read()}  # another process may have counted meanwhile
        todo = [one.spec for one in wanted if _uncounted(now.get(one.spec, one))]
        if todo:
            for place, outcome in enumerate(index.keep(counting(todo, executor)), start=1):
                progress(place, len(todo), outcome.task)
            now = {one.spec: one for one in index.read()}
    return [now.get(one.spec, one) for one in wanted]


def _uncounted(one: Known) -> bool:
    return one.figures is None and one.error is None


def _changed(source: str, before: str, now: str) -> str:
    """'timm 1.0.30 is now 1.0.31', as far as it can be told."""
    for old, new in zip(before.split("; "), now.split("; "), strict=False):
        if old == new:
            continue
        name, _, version = new.partition(" ")
        if name == SOURCES[source]:
            return f"{old} is now {version}"
        was, torch_was, *_ = [*old.partition(" ")[2].split(), "", ""]
        own, torch_now, *_ = [*version.split(), "", ""]
        if name == "archprof" and was != own:
            return f"{source}: archprof {was} is now {own}"
        if name == "archprof" and torch_was != torch_now:
            return f"{source}: torch {torch_was} is now {torch_now}"
    return f"{source}: archprof's code has changed"


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
