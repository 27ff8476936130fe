"""Under which conditions a network is measured, and how it is sampled: frozen values, checked when they are made.

Each field is an option (`base.options`): adding one here gives it its flag in every command that measures, its Python
keyword, its key in the environment of a saved measurement, its part in the fingerprint, and its place in the command
that repeats a report.

Words are checked here, without torch; whether the device, the dtype or a compiler can really be had is for
`measure.device.check_available` to say.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..base.errors import BadOption, did_you_mean
from ..base.options import one_of, option, positive, whole
from .environment import released
from .optimizers import OPTIMIZERS

DTYPES = ("float32", "bfloat16", "float16")
MODES = ("eval", "train")
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
    `optimizer` matters in mode 'train' and where the largest batch that fits is asked for. `keep_memory`: on the CPU,
    what a pass frees is kept for the next, where the C library can be told to; otherwise passes pay for fresh memory,
    now and then or always.
    Raises BadOption for a word that is unknown, and for two that do not go together.
    """

    device: str = option("cpu", "cpu, cuda, cuda:N or mps", metavar="DEVICE")
    dtype: str = option("float32", ", ".join(DTYPES[:-1]) + f" or {DTYPES[-1]}", metavar="TYPE")
    threads: int | None = option(None, "CPU threads", metavar="N", parse=whole, default_said="torch's own choice")
    channels_last: bool = option(False, "weights and inputs in NHWC layout")
    compile: str | None = option(None, "measure under torch.compile", metavar="MODE", alone="default")
    cuda_graph: bool = option(False, "replay a captured CUDA graph")
    mode: str = option("eval", "eval: forward pass; train: whole training step", metavar="MODE")
    optimizer: str = option(
        "sgd", f"of a training step: {', '.join(OPTIMIZERS)}", applies=lambda record: record.mode == "train"
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
        one_of("optimizer", self.optimizer, OPTIMIZERS)
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

    def refuse_unused_optimizer(self, for_largest_batch: bool = False) -> None:
        """Raise BadOption for another optimizer than the default where no step is measured or predicted with it."""
        if self.mode != "train" and self.optimizer != Conditions.optimizer and not for_largest_batch:
            raise BadOption(
                f"optimizer '{self.optimizer}' has no effect on a forward pass.", "Add '--mode train', or leave it out."
            )

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
