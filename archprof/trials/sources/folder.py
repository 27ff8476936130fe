"""A folder of images, a folder a class; with parts of its own, or with one from which a share is held out."""

from __future__ import annotations

import concurrent.futures
import importlib.util
import multiprocessing
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ...base.errors import BadFile, BadOption, MissingPackage, printable
from ...measure.device import usable_cpus
from ..data import Data, Split, check_classes, check_memory, check_same_classes, facts_of, held_out, split_words
from .decoding import decode

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
TRAIN = ("train", "training")
TEST = ("test", "val", "validation")

#: Files of one task of a worker.
_CHUNK = 64

#: With fewer files no process is started: starting one takes longer.
_FEW = 256


@dataclass(frozen=True)
class Folder:
    """Image files by class: (path, place of the class) for training and for evaluation."""

    name: str
    train: tuple[tuple[str, int], ...]
    test: tuple[tuple[str, int], ...]
    classes: tuple[str, ...]
    split: str
    hold_out: float | None = None

    def load(self, shape: tuple[int, int, int]) -> Data:
        """Decoded in worker processes; a file that cannot be read is left out, and named."""
        if shape[0] not in (1, 3):
            raise BadOption(
                f"image files are grey or in colours, the network takes {shape[0]} channels;",
                "expected a network that takes 1 or 3: name it with in_channels=3, where it has that option, or see "
                "--input-shape. Other images: an .npz.",
            )
        check_memory((len(self.train) + len(self.test)) * shape[0] * shape[1] * shape[2])
        left_out: list[str] = []
        train, test = (_decoded(files, shape, left_out) for files in (self.train, self.test))
        present = [{int(place) for place in part.labels} for part in (train, test)]
        check_same_classes(
            f"'{self.name}', without the {len(left_out)} files that cannot be read",
            *({self.classes[place] for place in places} for places in present),
        )
        check_classes(f"'{self.name}'", tuple(self.classes[place] for place in sorted(present[0])))
        return Data(train, test, facts_of(self.name, self.classes, train, test, self.split, tuple(left_out), None))


def source(path: Path, hold_out: float) -> Folder:
    """The images below `path`. Raises BadFile, or MissingPackage without Pillow."""
    if importlib.util.find_spec("PIL") is None:
        raise MissingPackage("images are read by Pillow, which is not installed.", "pip install 'archprof[trial]'")
    name = path.resolve().name
    train, test = (_first(path, names) for names in (TRAIN, TEST))
    if (train is None) != (test is None):
        has, lacks = (train, TEST) if train else (test, TRAIN)
        assert has is not None
        raise BadFile(
            f"'{path}' has a folder '{has.name}', but none called {' or '.join(lacks)}.",
            "Add it, or name the folder of the classes themselves to hold a share out.",
        )
    if train and test:
        of_train, of_test = _by_class(train), _by_class(test)
        check_classes(f"'{train}'", tuple(of_train))
        check_same_classes(f"'{path}'", set(of_train), set(of_test))
        classes = tuple(of_train)
        parts = _files(of_train, classes), _files(of_test, classes)
        _refuse_shared(*parts, classes)
        return Folder(name, *parts, classes, f"the folder's own parts, {train.name} and {test.name}")
    found = _by_class(path)
    check_classes(f"'{path}'", tuple(found))
    files = _files(found, tuple(found))
    kept, held = held_out(np.array([place for _, place in files]), hold_out, tuple(found))
    parts = tuple(files[at] for at in kept), tuple(files[at] for at in held)
    _refuse_shared(*parts, tuple(found))
    return Folder(name, *parts, tuple(found), split_words(hold_out), hold_out)


def _refuse_shared(train: Sequence[tuple[str, int]], test: Sequence[tuple[str, int]], classes: tuple[str, ...]) -> None:
    """Raise BadFile where links make one file an image of two classes, or of both parts: accuracies would be wrong."""
    seen: dict[tuple[int, int], tuple[str, tuple[int, str]]] = {}
    for part, files in (("training", train), ("evaluation", test)):
        for path, place in files:
            about = os.stat(path)
            other, its = seen.setdefault((about.st_dev, about.st_ino), (path, (place, part)))
            if its != (place, part):
                one, two = (
                    f"'{printable(classes[where], 40)}' for {which}" for where, which in (its, (place, part))
                )  # fmt: skip
                raise BadFile(
                    f"'{printable(other, 80)}' and '{printable(path, 80)}' are the same file, an image of {one} and of "
                    f"{two}.",
                    "Remove the link.",
                )


def _files(found: Mapping[str, list[str]], classes: tuple[str, ...]) -> tuple[tuple[str, int], ...]:
    return tuple((file, place) for place, label in enumerate(classes) for file in found[label])


def _first(path: Path, names: tuple[str, ...]) -> Path | None:
    return next((path / name for name in names if (path / name).is_dir()), None)


def _by_class(path: Path) -> dict[str, list[str]]:
    """The image files of every folder that has some, in natural order of the folders' names."""
    found = {}
    for folder in sorted((entry for entry in path.iterdir() if entry.is_dir()), key=_natural):
        images = sorted(str(file) for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
        if images:
            # a name that is not UTF-8 cannot be written into a record
            found[os.fsencode(folder.name).decode("utf-8", "backslashreplace")] = images
    if not found and any(file.suffix.lower() in SUFFIXES for file in path.iterdir()):
        raise BadFile(f"'{path}' holds images, but no folder for each class.", "Expected FOLDER/CLASS/*.png.")
    return found


def _natural(path: Path) -> list[tuple[bool, int, str]]:
    parts = re.findall(r"\d+|\D+", path.name)
    return [(part.isdigit(), int(part) if part.isdecimal() else 0, part) for part in parts]


def _decoded(files: tuple[tuple[str, int], ...], shape: tuple[int, int, int], left_out: list[str]) -> Split:
    images = np.empty((len(files), *shape), np.uint8)
    labels: list[int] = []
    for (path, place), found in zip(files, _images([path for path, _ in files], shape), strict=True):
        if isinstance(found, str):
            left_out.append(printable(f"{Path(path).parent.name}/{Path(path).name}: {found}", 160))
        else:
            images[len(labels)] = found
            labels.append(place)
    return Split(torch.from_numpy(images[: len(labels)]), torch.tensor(labels, dtype=torch.int64))


def _images(paths: Sequence[str], shape: tuple[int, int, int]) -> Iterator[np.ndarray | str]:
    """Each file's image, or why there is none, in their order."""
    if len(paths) < _FEW:
        yield from decode(paths, shape)
        return
    chunks = [paths[at : at + _CHUNK] for at in range(0, len(paths), _CHUNK)]
    # not fork: torch's threads hold locks that a copy of the process would never see released
    workers = concurrent.futures.ProcessPoolExecutor(usable_cpus(), multiprocessing.get_context("spawn"))
    try:
        for found in workers.map(decode, chunks, [shape] * len(chunks)):
            yield from found
    except BrokenProcessPool:
        raise BadFile(
            "a process that decodes images ended without an answer.", "Too little memory? Give fewer or smaller images."
        ) from None
    finally:
        workers.shutdown(cancel_futures=True)
