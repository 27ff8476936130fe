"""Under which conditions a network is measured: one frozen value, checked when it is made.

Words are checked here, without torch; whether the device, the dtype or a compiler can really be had is for
`device.check_available` to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ..base.errors import BadOption, did_you_mean
from ..results.optimizers import OPTIMIZERS

DTYPES = ("float32", "bfloat16", "float16")
MODES = ("eval", "train")

COMPILE_MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")


@dataclass(frozen=True)
class Conditions:
    """Everything the caller chooses that shapes a time.

    `threads` None keeps torch's own number; `compile` None is eager, otherwise torch.compile's mode.
    `optimizer` matters in mode 'train' only. `keep_memory`: on the CPU, what a pass frees is kept for the next, where
    the C library can be told to (`allocator`); otherwise passes pay for fresh memory, now and then or always.
    Raises BadOption for a word that is unknown, and for two that do not go together.
    """

    device: str = "cpu"
    dtype: str = "float32"
    threads: int | None = None
    channels_last: bool = False
    compile: str | None = None
    cuda_graph: bool = False
    mode: str = "eval"
    optimizer: str = "sgd"
    keep_memory: bool = True

    def __post_init__(self) -> None:
        one_of("dtype", self.dtype, DTYPES)
        one_of("mode", self.mode, MODES)
        one_of("optimizer", self.optimizer, OPTIMIZERS)
        if self.compile is not None:
            one_of("compile mode", self.compile, COMPILE_MODES)
        if self.threads is not None and self.threads < 1:
            raise BadOption(f"threads is {self.threads};", "wanted: a whole number from 1 on.")
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

    @property
    def kind(self) -> str:
        """'cpu', 'cuda' or 'mps', without the index."""
        return self.device.partition(":")[0]

    @property
    def divisible(self) -> bool:
        """Whether a pass's calls can be told apart by their times: eager forward passes on the CPU."""
        return self.kind == "cpu" and self.compile is None and self.mode == "eval"


def one_of(what: str, seen: str, known: Iterable[str]) -> None:
    """Raise BadOption unless `seen` is one of `known`."""
    known = tuple(known)
    if seen not in known:
        near = did_you_mean(seen, known)
        raise BadOption(f"unknown {what} '{seen}'.{near}", f"Accepted: {', '.join(known)}.")
