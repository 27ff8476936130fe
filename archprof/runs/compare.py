"""Several architectures side by side: counted, and measured where asked for."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from .. import models
from ..base import units
from ..base.errors import ArchprofError, BadOption, one_line
from ..base.version import __version__
from ..counting import counts, scratch
from ..measure import device, operator_times, per_layer, real, sampling
from ..measure.conditions import Conditions
from ..measure.device import check_available
from ..measure.memory import described
from ..measure.sampling import check_sampling
from ..models import published
from ..results.comparison import Accuracy, ArchitectureResult, Comparison, Division
from ..results.latency import TIME_BUDGET_S, Latency
from ..results.memory import BatchMemory
from ..results.per_layer import with_times
from ..results.profile import Shape, StaticProfile
from ..results.ratios import Stopping
from .prediction import Predictor

if TYPE_CHECKING:
    from ..models.spec import ModelSpec

#: Batch sizes measured when none are asked for: one request, a small and a large batch.
BATCH_SIZES = (1, 8, 32)


class Interrupted(KeyboardInterrupt):
    """Ctrl-C: `comparison` holds everything that was counted and measured until then."""

    def __init__(self, comparison: Comparison) -> None:
        super().__init__("interrupted")
        self.comparison = comparison


@dataclass
class _Subject:
    """One network of a run: as it was asked for, then its result as far as it has come."""

    model: Any
    found: models.Found | None
    result: ArchitectureResult
    module: nn.Module | None = None
    sizes: dict[int, int] = field(default_factory=dict)  # batch size -> bytes that measuring it will take


def compare(
    models: Sequence[str | ModelSpec | nn.Module],
    *,
    batch_sizes: Sequence[int] = BATCH_SIZES,
    device: str = "cpu",
    dtype: str = "float32",
    threads: int | None = None,
    channels_last: bool = False,
    compile: str | None = None,
    cuda_graph: bool = False,
    mode: str = "eval",
    optimizer: str = "sgd",
    keep_memory: bool = True,
    input_shape: Shape | None = None,
    inputs: Callable[[int], models.Arguments] | None = None,
    latency: bool = True,
    divide: bool = False,
    time_budget: float = TIME_BUDGET_S,
    precision: float = 0.02,
    reference: str | None = None,
    accuracies: Sequence[Accuracy] = (),
    dataset: str = "imagenet-1k",
    memory: int | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> Comparison:
    """Count, and unless `latency` is False measure, several networks under the same conditions.

    `models` are names or modules (a module comes back untouched). Static figures are for batch size 1. Ratios are
    taken to `reference`, the last model by default. Every network is given one tensor of `input_shape` (its own by
    default), or what `inputs` makes for a batch size: forward's arguments and keyword arguments. Unless `keep_memory`
    is False, memory that a pass on the CPU frees is kept for the next. `time_budget` (seconds) bounds all measuring
    together. `divide` then measures which part of a pass each of a profile's layers takes (their `seconds`), in a few
    seconds more for each network: eager forward passes on the CPU only. With `memory` (bytes) each result has the
    largest batch that is predicted to fit into it, in inference and in training with `optimizer`. `progress` is called
    with what is being done and the seconds that are left at most.

    A name that cannot be resolved raises before anything is built; a network that cannot be built or run keeps its
    row, with the reason. Raises BadOption for impossible conditions, Interrupted on Ctrl-C with the results so far.
    """
    conditions = check_available(
        Conditions(
            device=device,
            dtype=dtype,
            threads=threads,
            channels_last=channels_last,
            compile=compile,
            cuda_graph=cuda_graph,
            mode=mode,
            optimizer=optimizer,
            keep_memory=keep_memory,
        )
    )
    if latency:
        check_sampling(time_budget, precision)
    if divide:
        operator_times.check_divisible(conditions)
    sizes = checked_batch_sizes(batch_sizes)
    subjects = [_subject(model) for model in models]
    names = [subject.result.name for subject in subjects]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise BadOption(f"'{twice}' is named twice.", "Name each network once.")
    if memory is not None and memory < 1:
        raise BadOption(f"a memory of {memory} bytes is none;", "wanted: such as 8 GiB.")
    run = _Run(conditions, sizes, input_shape, inputs, accuracies, dataset, progress, memory)
    reference = _reference(reference, names)
    try:
        for subject in subjects:
            run.tell(f"counting {subject.result.name}")
            run.count(subject)
        run.refuse_what_holds_nothing(subjects)
        if latency:
            run.refuse_what_cannot_fit(subjects)
            run.measure(subjects, time_budget, precision, reference)
        if latency and divide:
            run.divide(subjects, precision)
    except KeyboardInterrupt:
        for subject in subjects:
            if subject.result.profile is None and subject.result.error is None:
                error = f"{subject.result.name}: interrupted before it was counted"
                subject.result = replace(subject.result, error=error)
        raise Interrupted(run.comparison(subjects, reference, "interrupted: what was not reached is missing")) from None
    return run.comparison(subjects, reference)


def counted(
    model: str | ModelSpec | nn.Module,
    *,
    input_shape: Shape | None = None,
    inputs: Callable[[int], models.Arguments] | None = None,
    accuracies: Sequence[Accuracy] = (),
    dataset: str = "imagenet-1k",
) -> ArchitectureResult:
    """One row of a comparison without measuring, at batch size 1, in a single pass: the cheapest that there is.

    Unlike in `compare`, `memory` at several batch sizes is left out, and a name that cannot be resolved is the row's
    error like any other.
    """
    try:
        subject = _subject(model)
    except ArchprofError as error:
        name = str(getattr(model, "text", model))
        return ArchitectureResult(name, name.partition(":")[0] if ":" in name else "zoo", error=str(error))
    _Run(Conditions(), (), input_shape, inputs, accuracies, dataset, None).count(subject)
    return subject.result


def checked_batch_sizes(batch_sizes: Sequence[int]) -> tuple[int, ...]:
    """Ascending, without repeats. Raises BadOption for anything below 1, or none at all."""
    if not batch_sizes:
        raise BadOption("no batch size is given;", "wanted: one or more, such as 1,8,32.")
    for size in batch_sizes:
        if type(size) is not int or size < 1:
            raise BadOption(f"batch size {size!r} is not a positive whole number;", "wanted: such as 1,8,32.")
    return tuple(sorted(set(batch_sizes)))


def _reference(reference: str | None, names: list[str]) -> str | None:
    if reference is None:
        return names[-1] if len(names) > 1 else None
    if reference not in names:
        raise BadOption(f"reference '{reference}' is not among the networks compared;", f"wanted: {', '.join(names)}.")
    return reference


def _subject(model: str | ModelSpec | nn.Module) -> _Subject:
    if isinstance(model, nn.Module):
        return _Subject(model, None, ArchitectureResult(type(model).__name__, "instance", type(model).__name__))
    found = models.find(model)
    return _Subject(found.spec, found, ArchitectureResult(found.name, found.source, found.family, found.year))


class _Run:
    """One comparison under way."""

    def __init__(
        self,
        conditions: Conditions,
        batch_sizes: tuple[int, ...],
        input_shape: Shape | None,
        inputs: Callable[[int], models.Arguments] | None,
        accuracies: Sequence[Accuracy],
        dataset: str,
        progress: Callable[[str, float], None] | None,
        memory: int | None = None,
    ) -> None:
        self.memory = memory
        self.conditions, self.batch_sizes = conditions, batch_sizes
        self.input_shape, self.inputs = input_shape, inputs
        self.accuracies, self.dataset, self.progress = accuracies, dataset, progress
        self.stopping: Stopping | None = None

    def tell(self, doing: str, left_s: float = 0.0) -> None:
        if self.progress is not None:
            self.progress(doing, left_s)

    # --- counting ---------------------------------------------------------------------------------------------

    def count(self, subject: _Subject) -> None:
        """Fill in the static profile and memory at each batch size, or the error."""
        try:
            prepared = counts.subject_of(subject.model, self.input_shape, self.inputs)
            predictor = self.predictor(prepared)
            profile = counts.profile_of(prepared)
            memory = tuple(predictor.at(size) for size in self.batch_sizes)
            training, *_ = [entry.training_activation_bytes for entry in memory if entry.batch_size == 1] or [None]
            profile = replace(profile, training_activation_bytes=training)
            result = replace(
                subject.result,
                profile=profile,
                memory=memory,
                optimizers=predictor.optimizers(),
                accuracy=self.accuracy(subject, profile),
            )
            if self.memory is not None:
                fits = predictor.largest_batch(result, self.memory, self.conditions.optimizer)
                result = replace(result, largest_batch=fits)
        except ArchprofError as error:
            subject.result = replace(subject.result, error=str(error))
            return
        except Exception as error:  # one network's failure, of whatever kind, is not the end of the others
            subject.result = replace(subject.result, error=f"{subject.result.name}: {one_line(error)}")
            return
        subject.result = result
        subject.sizes = {entry.batch_size: self.needs(result, entry) for entry in memory}

    def predictor(self, prepared: counts.Subject) -> Predictor:
        """What predicts under the run's conditions: scratch space is known for plain float32 on the CPU."""
        asked = self.conditions
        plain = asked.kind == "cpu" and asked.dtype == "float32" and not asked.channels_last and asked.compile is None
        threads = asked.threads or torch.get_num_threads()
        return Predictor(prepared, scratch.cpu_scratch(threads) if plain else None, asked.kind == "cuda")

    def needs(self, result: ArchitectureResult, entry: BatchMemory) -> int:
        """Bytes that a measurement holds at its peak at least: scratch space is left out."""
        entry = replace(entry, scratch_bytes=0, training_scratch_bytes=0)
        training = self.conditions.mode == "train"
        needed = result.training_bytes(entry, self.conditions.optimizer) if training else None
        return needed or result.inference_bytes(entry) or 0

    def refuse_what_holds_nothing(self, subjects: list[_Subject]) -> None:
        """Raise BadOption for a memory that does not even hold the parameters of the smallest network."""
        counted = [subject.result for subject in subjects if subject.result.held_bytes is not None]
        if self.memory is None or not counted:
            return
        least = min(counted, key=lambda result: result.held_bytes or 0)
        if (least.held_bytes or 0) > self.memory:
            assert least.largest_batch is not None
            raise BadOption(
                f"a memory of {units.size(self.memory)} does not hold {least.name}, whose parameters and buffers "
                f"alone take {units.size(least.held_bytes)};",
                f"the least is {units.size(least.largest_batch.least_bytes)}, for inference at batch 1.",
            )

    def accuracy(self, subject: _Subject, profile: StaticProfile) -> tuple[Accuracy, ...]:
        """Published claims for the network as it was named: options change it, so only bare names have them."""
        found = subject.found
        if found is None or not found.published or found.spec.options:
            return ()
        claims = published.claims(found.published, dataset=self.dataset, extra=self.accuracies)
        side = profile.input_shape[-1] if profile.input_shape else None
        if side != found.input_shape[-1] or found.spec.resolution is not None:
            claims = tuple(claim for claim in claims if claim.resolution == side)
        return claims

    # --- measuring --------------------------------------------------------------------------------------------

    def refuse_what_cannot_fit(self, subjects: list[_Subject]) -> None:
        """Raise BadOption for a batch size that no network can be measured at in the memory there is."""
        have = device.available_bytes(self.conditions)
        counted = [subject for subject in subjects if subject.sizes]
        for size in self.batch_sizes:
            if have is None or not counted:
                return
            least = min(counted, key=lambda subject: subject.sizes[size])
            if least.sizes[size] > have:
                raise BadOption(
                    f"batch size {size}: {least.result.name} alone needs {units.size(least.sizes[size])}, and "
                    f"{units.size(have)} are available on {self.conditions.device}.",
                    "Leave it out, or count only: --no-latency.",
                )

    def measure(self, subjects: list[_Subject], time_budget: float, precision: float, reference: str | None) -> None:
        """Measure every network that was counted, all of them in turn; results go into the subjects."""
        have = device.available_bytes(self.conditions)
        cells, refused = [], {}
        for subject in subjects:
            for size, needed in subject.sizes.items():
                key = (subject.result.name, size)
                if have is not None and needed > have:
                    refused[key] = Latency(
                        size, error=f"not tried: it needs {units.size(needed)}, and {units.size(have)} are available"
                    )
                else:
                    cells.append(sampling.Cell(*key, functools.partial(self.step, subject, size)))
        if not cells and not refused:
            return
        began = time.perf_counter()
        try:
            with device.applied(self.conditions):
                measured = sampling.measure(
                    cells,
                    sync=device.sync_for(self.conditions),
                    time_budget=time_budget,
                    precision=precision,
                    reference=reference,
                    progress=lambda seen: self.tell(seen.doing, seen.left_s),
                    witness=device.witness(self.conditions),
                    rearrange=device.rearranger(self.conditions),
                )
        except sampling.Interrupted as stopped:
            self.keep(subjects, stopped.latencies | refused)
            raise
        self.stopping = Stopping(precision, time_budget, time.perf_counter() - began)
        self.keep(subjects, measured | refused)

    def step(self, subject: _Subject, batch_size: int) -> sampling.Step:
        """One prepared pass."""
        args, kwargs = self.given(subject, batch_size)
        return sampling.forward_step(self.module(subject), args, self.conditions, kwargs)

    def module(self, subject: _Subject) -> nn.Module:
        """The network with memory and weights; it is built once, when its first cell is reached."""
        if subject.module is None:
            subject.module = real.module(subject.model, subject.found, self.conditions)
        return subject.module

    def given(self, subject: _Subject, batch_size: int) -> models.Arguments:
        """What its forward is called with."""
        assert subject.result.profile is not None
        given = self.inputs or (subject.found.inputs if subject.found and self.input_shape is None else None)
        return real.inputs(given, subject.result.profile.input_shape, batch_size, self.conditions)

    def keep(self, subjects: list[_Subject], measured: dict[tuple[str, int], Latency]) -> None:
        for subject in subjects:
            mine = tuple(measured[key] for size in self.batch_sizes if (key := (subject.result.name, size)) in measured)
            subject.result = replace(subject.result, latency=mine)

    def divide(self, subjects: list[_Subject], precision: float) -> None:
        """Divide a pass of each network that was measured among the calls of its profile."""
        counted = [subject for subject in subjects if subject.result.profile is not None]
        for place, subject in enumerate(counted, 1):
            try:
                subject.result = self.divided(subject, precision, f" ({place} of {len(counted)})")
            except Exception as failure:
                subject.result = replace(subject.result, division=Division(error=described(failure)))
            subject.module = None

    def divided(self, subject: _Subject, precision: float, place: str) -> ArchitectureResult:
        """The result with its layers' times, or why it has none. Raises what the network raises."""
        result, profile = subject.result, subject.result.profile
        assert profile is not None
        seen = result.latency_at(profile.batch_size)
        tried = [seen] if seen else result.latency
        if not any(cell.measured for cell in tried):
            return replace(result, division=Division(error=tried[0].error if tried else "not measured"))

        def tell(doing: str, left_s: float) -> None:
            self.tell(doing + place, left_s)

        module, given = self.module(subject), self.given(subject, profile.batch_size)
        if seen is None:
            seen = per_layer.undisturbed(
                module,
                given,
                profile,
                self.conditions,
                precision=precision,
                time_budget=per_layer.UNDISTURBED_S,
                tell=tell,
            )
        times = per_layer.divided(
            module, given, profile, seen, self.conditions, tell=tell, most_s=per_layer.PROFILING_S
        )
        return replace(result, profile=with_times(profile, times), division=times.division)

    # --- the record -------------------------------------------------------------------------------------------

    def comparison(self, subjects: list[_Subject], reference: str | None, *warnings: str) -> Comparison:
        return Comparison(
            environment=device.environment(self.conditions),
            architectures=tuple(subject.result for subject in subjects),
            reference=reference,
            warnings=warnings,
            archprof=__version__,
            stopping=self.stopping,
        )
