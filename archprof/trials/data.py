"""The images of a trial: where they come from, and both parts as tensors of the size that a network takes.

Nothing is unpickled, whatever the file is called. Images are kept as bytes (uint8) in memory, resized once.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from ..base import units
from ..base.errors import BadFile, BadOption, printable
from ..results.recipe import Recipe
from ..results.trials import DataFacts

#: Images of one call of torch's resizing, which works in float32.
_AT_ONCE = 512

#: Share of the machine's free memory that images may take.
_SHARE = 0.7

KINDS = (
    "digits, a folder of images (FOLDER/train/CLASS/*.png and FOLDER/test/CLASS/*.png, or FOLDER/CLASS/*.png), "
    "CIFAR-10's binary files or their .tar.gz, or an .npz"
)


@dataclass(frozen=True)
class Split:
    """Images (N, C, H, W) as uint8, 0 to 255, and the places of their classes (N,) as int64."""

    images: torch.Tensor
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Data:
    """What is trained on, what is evaluated on, and the facts about both that a record keeps."""

    train: Split
    test: Split
    facts: DataFacts


class Source(Protocol):
    """Where images come from. `load` gives them at (C, H, W), which is what a network takes."""

    @property
    def classes(self) -> tuple[str, ...]: ...

    @property
    def hold_out(self) -> float | None: ...

    def load(self, shape: tuple[int, int, int]) -> Data: ...


class Images:
    """The data at each size that some network takes; loaded once for each."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.loaded: dict[tuple[int, int, int], Data] = {}

    @property
    def classes(self) -> int:
        """How many there are."""
        return len(self.source.classes)

    @property
    def hold_out(self) -> float | None:
        """The share of each class that is held out; None where the data have a test part."""
        return self.source.hold_out

    @property
    def facts(self) -> DataFacts:
        """Of the data as they were first loaded; a network that takes another size sees the same images."""
        return next(iter(self.loaded.values())).facts

    def at(self, shape: tuple[int, int, int], recipe: Recipe) -> Data:
        """The data for a network that takes (C, H, W), resized to more where the recipe crops."""
        stored = recipe.stored(shape)
        if stored not in self.loaded:
            self.loaded[stored] = self.source.load(stored)
        return self.loaded[stored]


@dataclass(frozen=True)
class Arrays:
    """Images that are in memory already: (N, C, H, W) uint8 and (N,) whole numbers, for training and for evaluation."""

    name: str
    train: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]
    classes: tuple[str, ...]
    split: str
    hold_out: float | None = None

    def load(self, shape: tuple[int, int, int]) -> Data:
        """Both parts, resized where the network takes another size (bilinear), colours as it takes them."""
        images = len(self.train[0]) + len(self.test[0])
        channels = 1 if self.train[0].shape[1] == 1 else shape[0]
        check_memory(images * channels * shape[1] * shape[2])
        train, test = (
            Split(
                fitted(torch.from_numpy(np.require(x, requirements="W")), shape), torch.from_numpy(y.astype(np.int64))
            )
            for x, y in (self.train, self.test)
        )
        facts = facts_of(self.name, self.classes, train, test, self.split, (), self.train[0].shape[1:])
        return Data(train, test, facts)


def _writable(array: np.ndarray) -> np.ndarray:
    """Itself, or a copy: torch warns of tensors that share memory nobody may write."""
    return np.require(array, requirements="W")


def facts_of(
    name: str,
    classes: tuple[str, ...],
    train: Split,
    test: Split,
    split: str,
    left_out: tuple[str, ...],
    shape: tuple[int, ...] | None,
) -> DataFacts:
    """What a record says of the data; the fingerprint is of the images as they are trained on."""
    digest = hashlib.sha256()
    for part in (train, test):
        digest.update(part.images.numpy().tobytes())
        digest.update(part.labels.numpy().tobytes())
    return DataFacts(
        name=name,
        classes=classes,
        train_images=len(train),
        test_images=len(test),
        image_shape=tuple(shape) if shape is not None else None,
        split=split,
        test_by_class=tuple(torch.bincount(test.labels, minlength=len(classes)).tolist()),
        left_out=left_out,
        fingerprint=digest.hexdigest()[:12],
    )


def held_out(labels: np.ndarray, share: float, classes: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Places of training and of test images: that share of each class, at least one, drawn with a fixed seed."""
    if not 0 < share < 1:
        raise BadOption(f"the share that is held out is {share:g};", "expected a number between 0 and 1, such as 0.2.")
    draw = np.random.default_rng(0)
    train, test = [], []
    for place in range(len(classes)):
        mine = np.flatnonzero(labels == place)
        if len(mine) < 2:
            raise BadFile(
                f"class '{printable(classes[place], 60)}' has {len(mine)} image{'s' if len(mine) != 1 else ''}; one "
                "for training and one for evaluation are needed.",
                "Add images of it, or leave the class out.",
            )
        draw.shuffle(mine)
        cut = min(max(round(share * len(mine)), 1), len(mine) - 1)
        test.append(mine[:cut])
        train.append(mine[cut:])
    return np.sort(np.concatenate(train)), np.sort(np.concatenate(test))


def split_words(share: float) -> str:
    """How `held_out` came to its parts."""
    return f"{100 * share:g} % of each class held out, drawn with a fixed seed"


def check_classes(where: str, classes: tuple[str, ...]) -> None:
    """Raise BadFile for fewer than two classes: there would be nothing to tell apart."""
    if not classes:
        raise BadFile(f"there are no images in {where}.", f"Accepted: {KINDS}.")
    if len(classes) == 1:
        raise BadFile(
            f"all images of {where} are of one class, '{printable(classes[0], 60)}'.",
            "Two classes are needed at least.",
        )


def check_same_classes(where: str, train: set[Any], test: set[Any]) -> None:
    """Raise BadFile where a class has images for training alone, or for evaluation alone."""
    for one, other, what, lacks in ((train, test, "training", "evaluation"), (test, train, "evaluation", "training")):
        if only := sorted(one - other, key=str):
            shown = ", ".join(f"'{printable(str(name), 40)}'" for name in only[:3])
            more = f" and {len(only) - 3} more" if len(only) > 3 else ""
            raise BadFile(
                f"{where}: {shown}{more} {'has' if len(only) == 1 else 'have'} images for {what} and none for {lacks};",
                "both parts need the same classes.",
            )


def check_memory(size: int, remedy: str = "Give fewer, or name the network at a smaller resolution: NAME@128.") -> None:
    """Raise BadOption for more bytes of images than this machine holds."""
    from ..measure import device
    from ..results.conditions import Conditions

    free = device.available_bytes(Conditions())
    if free is not None and size > _SHARE * free:
        raise BadOption(
            f"the images take {units.size(size)} in memory, where they are kept; {units.size(free)} are free.",
            remedy,
        )


def fitted(images: torch.Tensor, shape: tuple[int, int, int]) -> torch.Tensor:
    """(N, C, H, W) uint8 at the height and width of `shape`; grey stays one channel, colours become grey for one.

    Resized bilinearly, with antialiasing where images shrink, and rounded. Raises BadOption for other channels.
    """
    channels = images.shape[1]
    fits = {1: (1, 3), 3: (1, 3)}.get(channels, (channels,))
    if shape[0] not in fits:
        raise BadOption(
            f"the images have {channels} channel{'s' if channels > 1 else ''}, the network takes {shape[0]};",
            f"expected {' (grey) or '.join(map(str, fits))}{' (colours)' if fits[1:] else ''}: name it with "
            f"in_channels={fits[-1]}, where it has that option, or see --input-shape.",
        )
    if channels == 3 and shape[0] == 1:
        # ITU-R BT.601, as Pillow's convert("L")
        weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
        images = torch.cat([(part * weights).sum(1, keepdim=True).round().byte() for part in images.split(_AT_ONCE)])
    if images.shape[2:] == shape[1:]:
        return images.contiguous()
    shrinks = shape[1] < images.shape[2] or shape[2] < images.shape[3]
    parts = []
    for part in images.split(_AT_ONCE):
        grown = torch.nn.functional.interpolate(
            part.float(), shape[1:], mode="bilinear", align_corners=False, antialias=shrinks
        )
        parts.append(grown.round().clamp(0, 255).byte())
    return torch.cat(parts)
