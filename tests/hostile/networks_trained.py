"""Networks that change what is around them while they are trained, or end what they are part of.

Each takes (1, 8, 8) and has `num_classes` outputs. `fails` is what their row of a trial has to say; empty: they are
trained to their end.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy
import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook


class Plain(nn.Module):
    """One that does nothing of the kind, and draws random numbers of every sort."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.fc = nn.Linear(256, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.nn.functional.relu(self.norm(self.conv(x)))
        x = torch.nn.functional.dropout(x, 0.1, training=True)  # in evaluation too
        scale = 1 + 0.01 * random.random() + 0.01 * numpy.random.rand()
        return self.fc(x.flatten(1)) * scale


@dataclass(frozen=True)
class Row:
    name: str
    network: type[nn.Module]
    fails: str


ROWS: list[Row] = []


def row(name: str, fails: str = "", where: str = "both") -> Callable[[Callable[[Any, Tensor], Any]], Any]:
    """A network that does so before it computes: always, in training alone, or in evaluation alone."""

    def add(does: Callable[[Any, Tensor], Any]) -> Any:
        class Network(Plain):
            def forward(self, x: Tensor) -> Tensor:
                if where == "both" or self.training == (where == "train"):
                    does(self, x)
                return super().forward(x)

        ROWS.append(Row(name, Network, fails))
        return does

    return add


@row("ends the process", fails="SystemExit: 3", where="train")
def _(self: Any, x: Tensor) -> None:
    sys.exit(3)


@row("ends the process where it is evaluated", fails="SystemExit: bye")
def _(self: Any, x: Tensor) -> None:
    if not self.training and len(x) > 2:
        sys.exit("bye")


@row("another default dtype")
def _(self: Any, x: Tensor) -> None:
    torch.set_default_dtype(torch.float64)


@row("no gradients from here on", fails="does not require grad", where="train")
def _(self: Any, x: Tensor) -> None:
    torch.set_grad_enabled(False)


@row("no gradients behind an evaluation", where="eval")
def _(self: Any, x: Tensor) -> None:
    torch.set_grad_enabled(False)


@row("deterministic algorithms")
def _(self: Any, x: Tensor) -> None:
    torch.use_deterministic_algorithms(True)


@row("denormal numbers are zero")
def _(self: Any, x: Tensor) -> None:
    torch.set_flush_denormal(True)


@row("anomalies are looked for")
def _(self: Any, x: Tensor) -> None:
    torch.autograd.set_detect_anomaly(True)


@row("another device by default", where="eval")
def _(self: Any, x: Tensor) -> None:
    torch.set_default_device("meta")


@row("a hook on every module")
def _(self: Any, x: Tensor) -> None:
    nn.modules.module.register_module_forward_hook(lambda module, args, output: output * 1.01)


@row("a hook before every module")
def _(self: Any, x: Tensor) -> None:
    nn.modules.module.register_module_forward_pre_hook(lambda module, args: tuple(each + 0.01 for each in args))


@row("hooks on every optimizer")
def _(self: Any, x: Tensor) -> None:
    def shrink(optimizer: Any, args: Any, kwargs: Any) -> None:
        for group in optimizer.param_groups:
            for each in group["params"]:
                each.data.mul_(0.9)

    register_optimizer_step_post_hook(shrink)


@row("autocast is left on")
def _(self: Any, x: Tensor) -> None:
    torch.set_autocast_enabled("cpu", True)


@row("another relu for everybody")
def _(self: Any, x: Tensor) -> None:
    torch.nn.functional.relu = torch.nn.functional.gelu


@row("another loss for everybody")
def _(self: Any, x: Tensor) -> None:
    torch.nn.functional.cross_entropy = lambda *args, **kwargs: args[0].sum() * 0


@row("another forward for every convolution")
def _(self: Any, x: Tensor) -> None:
    was = nn.Conv2d._conv_forward
    nn.Conv2d._conv_forward = lambda self, *args: was(self, *args) * 1.01


@row("another step for every optimizer")
def _(self: Any, x: Tensor) -> None:
    torch.optim.Adam.step = lambda self, closure=None: None


@row("the random numbers of everybody")
def _(self: Any, x: Tensor) -> None:
    torch.manual_seed(7), random.seed(7), numpy.random.seed(7)


@row("another folder to work in")
def _(self: Any, x: Tensor) -> None:
    os.chdir("/")


@row("two threads")
def _(self: Any, x: Tensor) -> None:
    torch.set_num_threads(2)


@row("its images are overwritten")
def _(self: Any, x: Tensor) -> None:
    x.zero_()


@row("losses that are no numbers", where="train")
def _(self: Any, x: Tensor) -> None:
    self.fc.weight.data.fill_(float("nan"))


@row("an attribute of the class that the next one reads")
def _(self: Any, x: Tensor) -> None:
    Plain.forward.__globals__["Plain"].seen = getattr(Plain, "seen", 0) + 1


@row("weights that come and go", where="train")
def _(self: Any, x: Tensor) -> None:
    self.late = nn.Linear(2, 2)


@row("raises what no handler of exceptions sees", fails="GeneratorExit", where="train")
def _(self: Any, x: Tensor) -> None:
    raise GeneratorExit


@row("an error whose text cannot be read", fails="its text cannot be read", where="train")
def _(self: Any, x: Tensor) -> None:
    class Unreadable(Exception):
        def __str__(self) -> str:
            raise ValueError

    raise Unreadable


@row("an input that it calls itself with, for ever", fails="RecursionError", where="train")
def _(self: Any, x: Tensor) -> None:
    self.forward(x)


@row("weights that cannot be saved", fails="pickle", where="train")
def _(self: Any, x: Tensor) -> None:
    self.state_dict = lambda: {"a": lambda: 0}
