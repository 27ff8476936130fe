"""CIFAR-10's binary files, in their folder or in the archive as it is downloaded.

Each record is one byte of class and 3,072 of pixels: 1,024 red, 1,024 green, 1,024 blue, row by row
(https://www.cs.toronto.edu/~kriz/cifar.html, "Binary version").
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ...base.errors import BadFile, one_line
from ..data import Arrays, check_same_classes

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
RECORD = 1 + 3 * 32 * 32
TEST = "test_batch.bin"

_TRAIN = re.compile(r"data_batch_[1-9]\.bin")
_PICKLED = re.compile(r"data_batch_[1-9]|test_batch|batches\.meta")
_ARCHIVES = (".tar.gz", ".tgz", ".tar")


def is_one(path: Path) -> bool:
    """Whether `path` is an archive, a binary file, or a folder that holds either kind of CIFAR-10's files."""
    if path.is_dir():
        folders = [path, *(path / name for name in ("cifar-10-batches-bin", "cifar-10-batches-py"))]
        return any(
            _TRAIN.fullmatch(file.name) or _PICKLED.fullmatch(file.name)
            for folder in folders
            if folder.is_dir()
            for file in folder.iterdir()
        )
    return path.name.endswith(_ARCHIVES) or bool(_TRAIN.fullmatch(path.name)) or path.name == TEST


def source(path: Path) -> Arrays:
    """CIFAR-10, its own 50,000 images for training and 10,000 for evaluation. Raises BadFile."""
    if path.is_file() and not path.name.endswith(_ARCHIVES):
        raise BadFile(f"'{path}' is one of CIFAR-10's files.", f"Name its folder: {path.parent}.")
    try:
        files = _of_archive(path) if path.is_file() else _of_folder(path)
    except (OSError, tarfile.TarError, EOFError) as reason:
        raise BadFile(f"'{path}' cannot be read: {one_line(reason)}.") from None
    train = [data for name, data in sorted(files.items()) if name != TEST]
    if not train or TEST not in files:
        lacking = TEST if train else "data_batch_1.bin"
        raise BadFile(
            f"'{path}' lacks {lacking}.", "Expected the files of CIFAR-10's binary version (cifar-10-binary.tar.gz)."
        )
    x, y = _records(b"".join(train), f"'{path}'")
    x_test, y_test = _records(files[TEST], f"'{path}', {TEST}")
    check_same_classes(f"'{path}'", set(y.tolist()), set(y_test.tolist()))
    return Arrays("cifar10", (x, y), (x_test, y_test), CLASSES, "CIFAR-10's own parts")


def _of_folder(path: Path) -> Mapping[str, bytes]:
    inner = path / "cifar-10-batches-bin"
    folder = inner if inner.is_dir() else path
    found = {file.name: file.read_bytes() for file in folder.iterdir() if _wanted(file.name)}
    if not found:
        _refuse_pickles(path)
    return found


def _of_archive(path: Path) -> Mapping[str, bytes]:
    """The members by name, read in memory: nothing is extracted, so no name in it can lead anywhere."""
    found, pickled = {}, False
    with tarfile.open(path) as archive:
        for member in archive:
            name = Path(member.name).name
            pickled |= bool(_PICKLED.fullmatch(name))
            if member.isfile() and _wanted(name) and (stream := archive.extractfile(member)):
                found[name] = stream.read()
    if not found and pickled:
        _refuse_pickles(path)
    return found


def _wanted(name: str) -> bool:
    return bool(_TRAIN.fullmatch(name)) or name == TEST


def _refuse_pickles(path: Path) -> None:
    raise BadFile(
        f"'{path}' is CIFAR-10's Python version: pickles, which run code when opened, and are not opened here.",
        "Take the binary version of the same images: https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    )


def _records(data: bytes, where: str) -> tuple[np.ndarray, np.ndarray]:
    if not data or len(data) % RECORD:
        raise BadFile(
            f"{where}: {len(data):,} bytes are no whole number of records of {RECORD:,}.", "Download the files again."
        )
    rows = np.frombuffer(data, np.uint8).reshape(-1, RECORD)
    labels = rows[:, 0]
    if labels.max() >= len(CLASSES):
        raise BadFile(f"{where}: a record is of class {labels.max()}; CIFAR-10 has 0 to 9.", "Is it CIFAR-100's?")
    return rows[:, 1:].reshape(-1, 3, 32, 32).copy(), labels.copy()
