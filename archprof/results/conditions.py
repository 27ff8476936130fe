"""Under which conditions a network is measured, and how it is sampled: frozen values, checked when they are made.

Each field is an option (`base.options`): adding one here gives it its flag in every command that measures, its Python
keyword, its key in the environment of a saved measurement, its part in the fingerprint, and its place in the command
that repeats a report.

Words are checked here, without torch; whether the device, the dtype or a compiler can really be had is for
`measure.device.check_available` to say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..base.errors import BadOption, did_you_mean
from ..base.options import one_of, option, options_of, positive, whole
from .environment import fingerprint, released
from .optimizers import OPTIMIZERS, chosen

DTYPES = ("float32", "bfloat16", "float16")
AUTOCAST = ("bfloat16", "float16")
MODES = ("eval", "train")
#: What becomes of gradients between steps: let go, as torch does of itself, or set to zero where they are.
ZERO_GRAD = ("none", "zero")
COMPILE_MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")

#: Batch sizes measured when none are asked for: one request, a small and a large batch.
BATCH_SIZES = (1, 8, 32)

#: Seconds for all measuring of a run when none are asked for: enough for FEWEST_BLOCKS of three large networks at
#: batch sizes 1, 8 and 32 on two cores, and little enough for an answer within half a minute.
TIME_BUDGET_S = 22.0


@dataclass(frozen=True)
class Conditions:
    """Everything the caller chooses that shapes a time.

    `threads` None keeps torch's own number; `compile` None is eager, otherwise torch.compile's mode.
    `autocast` computes in that type what torch.autocast does, on weights of float32. `optimizer` (`optimizers.chosen`),
    `accumulate` (a batch is run in so many equal parts, whose gradients are added up) and `zero_grad` matter in mode
    'train' and where the largest batch that fits is asked for. `keep_memory`: on the CPU, what a pass frees is kept for
    the next, where the C library can be told to; otherwise passes pay for fresh memory, now and then or always.
    Raises BadOption for a word that is unknown, and for two that do not go together.
    """

    device: str = option("cpu", "cpu, cuda, cuda:N or mps", metavar="DEVICE")
    dtype: str = option("float32", ", ".join(DTYPES[:-1]) + f" or {DTYPES[-1]}", metavar="TYPE")
    autocast: str | None = option(
        None,
        "compute in it what torch.autocast does: " + " or ".join(AUTOCAST),
        metavar="TYPE",
        alone="bfloat16",
        added=True,
    )
    threads: int | None = option(None, "CPU threads", metavar="N", parse=whole, default_said="torch's own choice")
    channels_last: bool = option(False, "weights and inputs in NHWC layout")
    compile: str | None = option(None, "measure under torch.compile", metavar="MODE", alone="default")
    cuda_graph: bool = option(False, "replay a captured CUDA graph")
    mode: str = option("eval", "eval: forward pass; train: whole training step", metavar="MODE")
    optimizer: str = option(
        "sgd",
        f"of a training step: {', '.join(OPTIMIZERS)}, or with options: 'adamw(fused=true)'",
        applies=lambda record: record.mode == "train",
    )
    accumulate: int = option(
        1,
        "equal parts of a batch whose gradients are added up before an update",
        metavar="N",
        parse=whole,
        applies=lambda record: record.mode == "train",
        added=True,
    )
    zero_grad: str = option(
        "none",
        "gradients between steps are let go (none) or set to zero (zero)",
        metavar="HOW",
        applies=lambda record: record.mode == "train",
        added=True,
    )
    keep_memory: bool = option(
        True,
        "let the C library give memory back after each pass, as a plain process does",
        applies=lambda record: record.kind == "cpu",
        repeats=released,
    )

    def __post_init__(self) -> None:
        one_of("dtype", self.dtype, DTYPES)
        one_of("mode", self.mode, MODES)
        chosen(self.optimizer)
        one_of("choice of zero_grad", self.zero_grad, ZERO_GRAD)
        if type(self.accumulate) is not int or self.accumulate < 1:
            raise BadOption(f"accumulate is {self.accumulate!r};", "expected a whole number above 0.")
        if self.autocast is not None:
            one_of("type of autocast", self.autocast, AUTOCAST)
            if self.dtype != "float32":
                raise BadOption(
                    f"autocast is for weights of float32; the dtype is {self.dtype}.",
                    "Leave out '--dtype' or '--autocast'.",
                )
        if self.compile is not None:
            one_of("compile mode", self.compile, COMPILE_MODES)
        if self.threads is not None and self.threads < 1:
            raise BadOption(f"threads is {self.threads};", "expected a whole number above 0.")
        if not re.fullmatch(r"cpu|mps|cuda(:[0-9]+)?", self.device):
            near = did_you_mean(self.device, ("cpu", "cuda", "mps"))
            raise BadOption(f"unknown device '{self.device}'.{near}", "Accepted: cpu, cuda, cuda:N, mps.")
        if self.cuda_graph and self.kind != "cuda":
            raise BadOption(
                f"a CUDA graph needs a CUDA device; the device is '{self.device}'.",
                "Add '--device cuda' or leave out '--cuda-graph'.",
            )
        if self.cuda_graph and self.mode == "train":
            raise BadOption(
                "a CUDA graph holds the forward pass only, not a training step.",
                "Leave out '--cuda-graph' or '--mode train'.",
            )
        if not self.keep_memory and self.kind != "cpu":
            raise BadOption(
                f"whether memory is kept between passes applies to the CPU only; the device is '{self.device}'.",
                "Leave out '--no-keep-memory'.",
            )

    def refuse_unused(self, for_largest_batch: bool = False) -> None:
        """Raise BadOption for an option of training steps where no step is measured or predicted."""
        if self.mode == "train" or for_largest_batch:
            return
        for named in options_of(self):
            if named.name in ("optimizer", "accumulate", "zero_grad") and named.default != getattr(
                Conditions, named.name
            ):
                raise BadOption(
                    f"{named.name} '{named.default}' has no effect on a forward pass.",
                    "Add '--mode train', or leave it out.",
                )

    def part_of(self, batch_size: int) -> int:
        """The samples that one pass of a training step takes. Raises BadOption for a batch that has no equal parts."""
        if batch_size % self.accumulate:
            raise BadOption(
                f"a batch of {batch_size} has no {self.accumulate} equal parts;",
                f"expected batch sizes that --accumulate {self.accumulate} divides, such as {self.accumulate * 8}.",
            )
        return batch_size // self.accumulate

    @property
    def kind(self) -> str:
        """'cpu', 'cuda' or 'mps', without the index."""
        return self.device.partition(":")[0]

    @property
    def divisible(self) -> bool:
        """Whether a pass's calls can be told apart by their times: eager forward passes on the CPU."""
        return self.kind == "cpu" and self.compile is None and self.mode == "eval"


@dataclass(frozen=True)
class Sampling:
    """When measuring ends: every 95 % interval is within `precision` (a fraction), or `time_budget` seconds are over.

    Raises BadOption for a time budget or a precision that makes no sense.
    """

    time_budget: float = option(
        TIME_BUDGET_S, "for all measuring together", metavar="SECONDS", parse=positive, key="time_budget_s"
    )
    precision: float = option(0.02, "stop when every 95 % interval is within this", metavar="FRACTION", parse=positive)

    def __post_init__(self) -> None:
        if not self.time_budget > 0:
            raise BadOption(f"time budget is {self.time_budget:g} s;", "expected more than 0 seconds.")
        if not 0 < self.precision < 1:
            raise BadOption(f"precision is {self.precision:g};", "expected a fraction between 0 and 1, such as 0.02.")


#: Conditions that say what a pass computes, not what it is computed on.
OF_THE_PASS = frozenset(named.key for named in options_of(Conditions)) - {"device", "threads"}


def machine(environment: Mapping[str, Any]) -> str:
    """The fingerprint of the machine itself: what was learned of it holds for every network, type and mode."""
    return fingerprint({key: value for key, value in environment.items() if key not in OF_THE_PASS})
