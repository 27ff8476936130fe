"""How a network is trained and evaluated, as data: a frozen value, checked when it is made. Standard library only.

Each field is an option (`base.options`): it has its flag in `archprof trial`, its key in a recipe's TOML file and in
the record of a trial, and may be an axis of a grid.
"""

from __future__ import annotations

import math
import numbers as numbers_
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from ..base.errors import BadFile, BadOption, did_you_mean, printable
from ..base.options import Named, one_of, option, options_of, whole

#: The name of an optimizer -> its class in torch.optim. Its other arguments are torch's defaults.
OPTIMIZER_CLASSES = {
    "sgd": "SGD",
    "adam": "Adam",
    "adamw": "AdamW",
    "rmsprop": "RMSprop",
    "adadelta": "Adadelta",
    "adamax": "Adamax",
    "asgd": "ASGD",
}

#: Those that have a momentum to set; the others have none, or one of their own.
WITH_MOMENTUM = ("sgd", "rmsprop")

#: What of a recipe an evaluation follows; the rest is of training alone.
OF_EVALUATION = ("batch_size", "normalise", "mean", "deviation", "crop_ratio", "dtype")

SCHEDULES = ("constant", "step", "cosine")
TRAINING_DTYPES = ("float32", "bfloat16")


def number(text: str) -> float:
    """A finite number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BadOption(f"'{text}' is not a number.")
    return value


def numbers(text: str) -> tuple[float, ...]:
    """'0.485,0.456,0.406' -> three numbers."""
    return tuple(number(part) for part in text.split(","))


def whole_or_none(text: str) -> int:
    """A whole number from 0 on."""
    return 0 if text.strip() == "0" else whole(text)


@dataclass(frozen=True)
class Recipe:
    """Everything that is chosen about a training, but for the network, the data and the seed.

    The learning rate rises linearly over `warmup_epochs`, then follows `schedule`: constant, times `step_factor` every
    `step_epochs`, or along a half cosine to zero at the end (Loshchilov and Hutter 2017, without restarts).
    `crop_padding` pixels of zeros are put around a training image, of which a random part of the network's size is
    taken; `flip` mirrors every second one. `normalise` subtracts the training set's mean and divides by its deviation,
    channel by channel; `mean` and `deviation`, as shares of the largest value, replace these (weights from elsewhere
    have theirs). `crop_ratio` is the side of the network's input over that to which images are resized: 0.875
    resizes to 256 for 224. `dtype` bfloat16 computes under autocast, weights staying in float32.
    """

    optimizer: str = option("adam", ", ".join(OPTIMIZER_CLASSES))
    lr: float = option(3e-4, "learning rate", metavar="RATE", parse=number)
    momentum: float = option(0.0, "of sgd and rmsprop", metavar="FRACTION", parse=number)
    weight_decay: float = option(0.0, "times each weight, added to its gradient", metavar="FACTOR", parse=number)
    schedule: str = option("constant", ", ".join(SCHEDULES))
    step_epochs: int = option(30, "of schedule step: the rate falls after so many", metavar="N", parse=whole)
    step_factor: float = option(0.1, "of schedule step: times this", metavar="FACTOR", parse=number)
    warmup_epochs: int = option(0, "the rate rises linearly over so many", metavar="N", parse=whole_or_none)
    label_smoothing: float = option(0.0, "share of the target spread over all classes", metavar="SHARE", parse=number)
    batch_size: int = option(64, "images of a training step", metavar="N", parse=whole)
    epochs: int = option(10, "passes over the training images", metavar="N", parse=whole)
    crop_padding: int = option(0, "pixels around a training image before its crop", metavar="N", parse=whole_or_none)
    flip: bool = option(False, "mirror every second training image")
    normalise: bool = option(True, "leave pixels between 0 and 1")
    crop_ratio: float = option(1.0, "side of the input over that of the resized image", metavar="RATIO", parse=number)
    mean: tuple[float, ...] = option(
        (), "to subtract, a number a channel", metavar="M,M,M", parse=numbers, default_said="the training images'"
    )
    deviation: tuple[float, ...] = option(
        (), "to divide by, a number a channel", metavar="D,D,D", parse=numbers, default_said="the training images'"
    )
    dtype: str = option("float32", "float32, or bfloat16 by autocast", metavar="TYPE")

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            object.__setattr__(self, name, _typed(name, value, getattr(Recipe, name)))
        one_of("optimizer", self.optimizer, OPTIMIZER_CLASSES)
        one_of("schedule", self.schedule, SCHEDULES)
        one_of("dtype of training", self.dtype, TRAINING_DTYPES)
        for name in ("batch_size", "epochs", "step_epochs"):
            _within(name, getattr(self, name), 1, 2**31)
        _within("warmup_epochs", self.warmup_epochs, 0, 2**31)
        _within("crop_padding", self.crop_padding, 0, 2**16)
        if not 0 < self.lr <= 1e6:
            raise BadOption(f"learning rate is {self.lr:g};", "expected a number above 0, such as 0.001.")
        for name in ("momentum", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise BadOption(f"{name} is {getattr(self, name):g};", "expected a number from 0 to below 1.")
        if not 0 <= self.weight_decay <= 1:
            raise BadOption(f"weight_decay is {self.weight_decay:g};", "expected a number from 0 to 1, such as 0.0001.")
        if not 0 < self.step_factor <= 1:
            raise BadOption(f"step_factor is {self.step_factor:g};", "expected a number above 0, at most 1.")
        if not 0.1 <= self.crop_ratio <= 1:
            raise BadOption(f"crop_ratio is {self.crop_ratio:g};", "expected a number from 0.1 to 1, such as 0.875.")
        if bool(self.mean) != bool(self.deviation) or len(self.mean) != len(self.deviation):
            raise BadOption("mean and deviation go together, a number a channel each;", "give both, or neither.")
        if self.mean and not self.normalise:
            raise BadOption("mean and deviation have no effect where images are not normalised.", "Leave them out.")
        if not all(map(math.isfinite, (*self.mean, *self.deviation))):
            raise BadOption("mean and deviation are not finite;", "expected numbers such as 0.485,0.456,0.406.")
        if not all(value > 0 for value in self.deviation):
            raise BadOption("a deviation is not above 0;", "expected numbers such as 0.229,0.224,0.225.")
        if self.momentum and self.optimizer not in WITH_MOMENTUM:
            raise BadOption(
                f"momentum has no effect on {self.optimizer}.", f"It is of {' and '.join(WITH_MOMENTUM)}: leave it out."
            )
        if self.schedule != "step":
            for name in ("step_epochs", "step_factor"):
                if getattr(self, name) != getattr(Recipe, name):
                    raise BadOption(f"{name} has no effect on schedule {self.schedule}.", "Leave it out.")
        if self.warmup_epochs >= self.epochs:
            raise BadOption(
                f"warmup_epochs is {self.warmup_epochs} of {self.epochs} epochs;", "expected fewer than there are."
            )

    @property
    def grows(self) -> bool:
        """Whether a longer training begins with the very steps of a shorter one: its rates do not depend on the end."""
        return self.schedule != "cosine"

    def stored(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """The size (C, H, W) to which images are resized for a network that takes `shape`."""
        return shape[0], round(shape[1] / self.crop_ratio), round(shape[2] / self.crop_ratio)

    def rate(self, epoch: float) -> float:
        """The learning rate after so many epochs, a fraction within one."""
        if epoch < self.warmup_epochs:
            return self.lr * epoch / self.warmup_epochs
        if self.schedule == "step":
            return float(self.lr * self.step_factor ** int(epoch / self.step_epochs))
        if self.schedule == "cosine":
            done = (epoch - self.warmup_epochs) / (self.epochs - self.warmup_epochs)
            return self.lr * (1 + math.cos(math.pi * min(done, 1.0))) / 2
        return self.lr

    def with_text(self, **texts: str) -> Recipe:
        """The same recipe with fields as a command line or a grid writes them. Raises BadOption."""
        fields = fields_by_name()
        return replace(self, **{name: _read(fields[name], text) for name, text in texts.items()})


def _read(named: Named, text: str) -> Any:
    """A field's value; a switch is written true or false."""
    if not isinstance(named.default, bool):
        return named.option.parse(text)
    one_of(named.name, text, ("true", "false"))
    return text == "true"


def fields_by_name() -> dict[str, Named]:
    """The recipe's options by the names of their fields."""
    return {named.name: named for named in options_of(Recipe)}


_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", tuple: "numbers"}


def _typed(name: str, value: Any, default: Any) -> Any:
    """The value in the type of the field's default: whole numbers stand for numbers, a list for a tuple.

    Raises BadOption for any other type.
    """
    kind = type(default)
    if kind is float and _is_number(value):
        return float(value) if not abs(value) >= 1e300 else math.inf
    if kind is int and isinstance(value, numbers_.Integral) and not isinstance(value, bool):
        return int(value)
    if kind is tuple and isinstance(value, list | tuple) and all(map(_is_number, value)):
        return tuple(map(float, value))
    if type(value) is not kind:
        raise BadOption(f"{name} is {printable(repr(value), 60)};", f"expected {_KINDS[kind]}.")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers_.Real) and not isinstance(value, bool)


def _within(name: str, value: int, least: int, most: int) -> None:
    if type(value) is not int or not least <= value <= most:
        raise BadOption(f"{name} is {value!r};", f"expected a whole number from {least} to {most}.")


def from_toml(text: str, where: str) -> Recipe:
    """The recipe that a TOML file writes; keys left out have their defaults. Raises BadFile, naming `where`."""
    try:
        saved = tomllib.loads(text)
    except tomllib.TOMLDecodeError as reason:
        raise BadFile(f"{where} is not TOML: {printable(str(reason))}.", "See 'archprof trial --recipes'.") from None
    return checked(saved, where)


def checked(saved: Mapping[str, Any], where: str) -> Recipe:
    """The recipe of these keys. Raises BadFile for an unknown key, or a value of another type."""
    fields = fields_by_name()
    values: dict[str, Any] = {}
    for key, value in saved.items():
        if key not in fields:
            known = ", ".join(fields)
            raise BadFile(
                f"{where}: a recipe has no key '{printable(key, 60)}'.{did_you_mean(key, fields)}", f"Known: {known}."
            )
        try:
            value = _typed(key, value, fields[key].default)
        except BadOption as reason:
            raise BadFile(f"{where}: {reason.message}", reason.remedy) from None
        values[key] = value
    try:
        return Recipe(**values)
    except BadOption as reason:
        raise BadFile(f"{where}: {reason.message}", reason.remedy) from None


def to_toml(recipe: Recipe) -> str:
    """TOML of every key, in the order of the fields."""
    return "".join(f"{name} = {_toml(value)}\n" for name, value in asdict(recipe).items())


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return repr(list(value))
    return f'"{value}"' if isinstance(value, str) else repr(value)


def words(recipe: Recipe) -> str:
    """'adam, learning rate 0.0003, constant, batch 64, 10 epochs': what a reader needs first."""
    said = [
        recipe.optimizer,
        f"learning rate {recipe.lr:g}",
        f"{recipe.schedule} schedule",
        f"batch {recipe.batch_size}",
    ]
    if recipe.momentum:
        said.insert(1, f"momentum {recipe.momentum:g}")
    if recipe.weight_decay:
        said.append(f"weight decay {recipe.weight_decay:g}")
    if recipe.warmup_epochs:
        said.append(f"warm-up over {recipe.warmup_epochs} epoch{'s' if recipe.warmup_epochs > 1 else ''}")
    if recipe.label_smoothing:
        said.append(f"label smoothing {recipe.label_smoothing:g}")
    if recipe.crop_padding:
        said.append(f"random crops with {recipe.crop_padding} pixels of padding")
    if recipe.flip:
        said.append("flips")
    if recipe.dtype != "float32":
        said.append(f"{recipe.dtype} by autocast")
    return ", ".join([*said, f"{recipe.epochs} epochs"])
