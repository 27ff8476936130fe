"""One network's training, an epoch at a time, and the pass that evaluates it.

Every epoch draws its random numbers (order, crops, flips, dropout) from the seed and its own number. So the weights
after an epoch depend on the weights before it and on nothing else, and a training that was stopped goes on with the
same bits.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from ..measure import device as machine
from ..measure import power
from ..results.conditions import Conditions
from ..results.recipe import OPTIMIZER_CLASSES, WITH_MOMENTUM, Recipe
from ..results.trials import Epoch
from .augment import Pipeline
from .data import Data, Split
from .isolation import isolated, mixed, seeded
from .networks import main_output, outputs_of

#: What an auxiliary head's loss counts beside the classifier's (Szegedy et al. 2015, section 5).
AUXILIARY = 0.3

#: After so many steps it is looked whether the loss is still finite: on a GPU every look waits for it.
LOOK = 20

#: Called after each step with the share of the epoch's training that is done.
Progress = Callable[[float], None]


class Evaluated(NamedTuple):
    """What a pass over images gave. `loss` is their mean, None where it is not finite."""

    loss: float | None
    correct: int
    correct5: int | None
    class_correct: tuple[int, ...]
    seconds: float


class Training:
    """A network in training: weights, optimizer, and the images it sees."""

    def __init__(
        self, module: nn.Module, recipe: Recipe, data: Data, shape: tuple[int, int, int], where: Conditions, seed: int
    ) -> None:
        self.recipe, self.data, self.where, self.seed = recipe, data, where, seed
        self.device = torch.device(where.device)
        self.module = module.to(self.device)
        self.called = callable_of(self.module, where)
        self.optimizer = optimizer_of(self.module, recipe)
        self.pipeline = Pipeline(recipe, shape, data.train.images, self.device)
        self.sync = machine.sync_for(where)
        self.meter, _ = power.offered(where.device)

    def state(self) -> dict[str, Any]:
        """Weights and the optimizer's state: all that the next epoch depends on."""
        return {"model": self.module.state_dict(), "optimizer": self.optimizer.state_dict()}

    def resume(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.module.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])

    def epoch(self, place: int, progress: Progress | None = None) -> tuple[Epoch, tuple[int, ...]]:
        """Train once over all images as epoch number `place` (from 0), then evaluate; right answers by class beside it.

        Where the loss is no longer finite the pass ends there.
        """
        with isolated(self.module), seeded(mixed(self.seed, place)):
            draw = torch.Generator().manual_seed(mixed(self.seed, place, "images"))
            before = self.meter.read() if self.meter else None
            loss, correct, seconds = self._pass(place, draw, progress)
            joules = self.meter.joules(before, seconds) if self.meter else None
        found = evaluate(self.called, self.module, self.data.test, self.pipeline, self.recipe, self.where)
        epoch = Epoch(loss, correct, found.loss, found.correct, found.correct5, seconds, found.seconds, joules)
        return epoch, found.class_correct

    def _pass(self, place: int, draw: torch.Generator, progress: Progress | None) -> tuple[float | None, int, float]:
        train = self.data.train
        self.module.train()
        batches = batches_of(len(train), self.recipe.batch_size, draw)
        total = torch.zeros((), dtype=torch.float64, device=self._where_sums_are())
        correct = torch.zeros((), dtype=torch.int64, device=self.device)
        self.sync()
        start = time.perf_counter()
        for step, places in enumerate(batches):
            rate = self.recipe.rate(place + (step + 0.5) / len(batches))
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            images = self.pipeline.for_training(train.images[places].to(self.device), draw)
            labels = train.labels[places].to(self.device)
            self.optimizer.zero_grad(set_to_none=True)
            with autocast(self.recipe, self.device):
                outputs = outputs_of(self.called(images))
            loss = self._loss(outputs, labels)
            loss.backward()
            self.optimizer.step()
            total += loss.detach().to(total.device) * len(places)
            correct += (outputs[0].detach().argmax(1) == labels).sum()
            if progress is not None:
                progress((step + 1) / len(batches))
            if (step + 1) % LOOK == 0 and not math.isfinite(float(total)):
                break
        self.sync()
        seconds = time.perf_counter() - start
        mean = float(total) / len(train)
        return (mean if math.isfinite(mean) else None), int(correct), seconds

    def _where_sums_are(self) -> torch.device:
        return torch.device("cpu") if self.device.type == "mps" else self.device  # Metal has no float64

    def _loss(self, outputs: list[torch.Tensor], labels: torch.Tensor) -> torch.Tensor:
        losses = [
            cross_entropy(output.float(), labels, label_smoothing=self.recipe.label_smoothing) for output in outputs
        ]
        return losses[0] + AUXILIARY * torch.stack(losses[1:]).sum() if len(losses) > 1 else losses[0]


def callable_of(module: nn.Module, where: Conditions) -> Callable[..., Any]:
    """The module, under torch.compile where that is asked for."""
    if where.compile is None:
        return cast(Callable[..., Any], module)
    compiled = torch.compile(module, mode=None if where.compile == "default" else where.compile)
    return cast(Callable[..., Any], compiled)


def evaluate(
    called: Callable[..., Any],
    module: nn.Module,
    images: Split,
    pipeline: Pipeline,
    recipe: Recipe,
    where: Conditions,
    crops: int = 1,
) -> Evaluated:
    """Count the images that the network gets right; with several crops, by the mean of their probabilities.

    An answer that is not finite is wrong. A network that draws random numbers draws the same ones each time.
    """
    with isolated(module), seeded(0):
        return _evaluated(called, module, images, pipeline, recipe, where, crops)


def _evaluated(
    called: Callable[..., Any],
    module: nn.Module,
    images: Split,
    pipeline: Pipeline,
    recipe: Recipe,
    where: Conditions,
    crops: int,
) -> Evaluated:
    device, classes = torch.device(where.device), int(images.labels.max()) + 1
    sync = machine.sync_for(where)
    module.eval()
    total, first, five = 0.0, 0, 0
    by_class = torch.zeros(classes, dtype=torch.int64)
    sync()
    start = time.perf_counter()
    with torch.inference_mode():
        for some, labels in zip(
            images.images.split(recipe.batch_size), images.labels.split(recipe.batch_size), strict=True
        ):
            logs = _log_probabilities(called, pipeline, some.to(device), recipe, device, crops).cpu()
            total += float(-logs.gather(1, labels[:, None]).double().sum())
            order = logs.argsort(dim=1, descending=True, stable=True)[:, :5]
            hits = (order == labels[:, None]) & logs.isfinite().all(1, keepdim=True)
            first += int(hits[:, 0].sum())
            five += int(hits.any(1).sum())
            by_class += torch.bincount(labels[hits[:, 0]], minlength=classes)
    sync()
    seconds = time.perf_counter() - start
    mean = total / len(images)
    return Evaluated(
        mean if math.isfinite(mean) else None,
        first,
        five if logs.shape[1] > 5 else None,
        tuple(by_class.tolist()),
        seconds,
    )


def _log_probabilities(
    called: Callable[..., Any],
    pipeline: Pipeline,
    images: torch.Tensor,
    recipe: Recipe,
    device: torch.device,
    crops: int,
) -> torch.Tensor:
    """Logarithms of each class's probability (N, classes); of several views, of their mean probability."""
    with autocast(recipe, device):
        views = [main_output(called(view)).float() for view in pipeline.crops(images, crops)]
    logs = torch.stack([view.log_softmax(1) for view in views])
    return logs[0] if crops == 1 else logs.logsumexp(0) - math.log(len(views))


def optimizer_of(module: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """torch's optimizer of that name, with torch's defaults but for the rate, the momentum and the decay of weights.

    AdamW's own default of 0.01 for the decay is not taken: the recipe's holds for every optimizer alike.
    """
    more = {"momentum": recipe.momentum} if recipe.optimizer in WITH_MOMENTUM else {}
    made = getattr(torch.optim, OPTIMIZER_CLASSES[recipe.optimizer])(
        module.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay, **more
    )
    assert isinstance(made, torch.optim.Optimizer)
    return made


def batches_of(images: int, batch_size: int, draw: torch.Generator) -> list[torch.Tensor]:
    """Places of images in a random order, batch by batch. A last one alone joins those before it: batch
    normalisation cannot be trained on a single value."""
    batches = list(torch.randperm(images, generator=draw).split(batch_size))
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches


@contextmanager
def autocast(recipe: Recipe, device: torch.device) -> Iterator[None]:
    """Inside, torch computes in the recipe's dtype where that is safe, and in float32 elsewhere."""
    if recipe.dtype == "float32":
        yield
        return
    with torch.autocast(device.type, getattr(torch, recipe.dtype)):
        yield
