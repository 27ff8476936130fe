"""Arrays in an .npz: images and labels, with or without a test part. Object arrays, which are pickles, are refused."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...base.errors import ArchprofError, BadFile, one_line, printable
from ..data import Arrays, check_classes, check_memory, check_same_classes, held_out, split_words

#: Names under which data sets in circulation keep their arrays, each (images, labels).
TRAIN = (("x_train", "y_train"), ("X_train", "y_train"), ("train_images", "train_labels"))
TEST = (("x_test", "y_test"), ("X_test", "y_test"), ("test_images", "test_labels"))
WHOLE = (("images", "labels"), ("x", "y"), ("X", "y"), ("data", "target"))


def source(path: Path, hold_out: float) -> Arrays:
    """The arrays of that file, by name. Raises BadFile, which says what was found and what is expected."""
    where = f"'{path}'"
    try:
        file = np.load(path, allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise BadFile(f"{where} holds a single array, and no labels.", "Expected a file of numpy.savez.")
        with file:
            assert file.zip is not None
            # what is not asked for is not read: it may be anything
            wanted = _wanted(file.files, where)
            check_memory(sum(_size(file.zip, name) for name in wanted), "Give fewer images, as uint8.")
            arrays = {name: file[name] for name in wanted}
    except ArchprofError:
        raise
    except Exception as reason:  # numpy and zipfile raise whatever a broken file makes them raise
        if "Object arrays" in str(reason) or "pickled" in str(reason):
            raise BadFile(
                f"{where} holds an array of Python objects: a pickle, which runs code when it is opened.",
                "Save plain arrays: images as uint8, labels as whole numbers.",
            ) from None
        raise BadFile(f"{where} cannot be read: {one_line(reason)}.", "Expected a file of numpy.savez.") from None
    return of_arrays(arrays, path.stem, where, hold_out)


def _size(file: zipfile.ZipFile, name: str) -> int:
    """Bytes that an array will take, from what its header says, before any of them is read."""
    with file.open(name if name in file.namelist() else f"{name}.npy") as stream:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
    return int(math.prod(shape) * dtype.itemsize)


def of_arrays(given: Mapping[str, Any], name: str, where: str, hold_out: float) -> Arrays:
    """Images and labels under the names that an .npz has, already read. `where` is what messages call them.

    Raises BadFile, which says what was found and what is expected.
    """
    arrays = {}
    for key in _wanted(list(given), where):
        try:
            arrays[key] = np.asarray(given[key])
        except Exception as reason:  # whatever a foreign array raises
            raise BadFile(f"{where}: {key} is no array: {one_line(reason)}.") from None
        if arrays[key].dtype.hasobject:
            raise BadFile(f"{where}: {key} holds Python objects;", "expected numbers, in one shape for all images.")
    train, test, whole = (_pair(arrays, names) for names in (TRAIN, TEST, WHOLE))
    pair = train or whole
    assert pair is not None  # _wanted saw to it
    x, y = _images(arrays, pair[0], where), _labels(arrays, *pair, where)
    if train and test:
        x_test, y_test = _images(arrays, test[0], where), _labels(arrays, *test, where)
        check_same_classes(where, set(y.tolist()), set(y_test.tolist()))
        split = "the file's own parts"
    else:
        x_test, y_test, split = x[:0], y[:0], split_words(hold_out)
    values = np.unique(y)
    classes = tuple(map(str, values.tolist()))
    check_classes(where, classes)
    y, y_test = np.searchsorted(values, y), np.searchsorted(values, y_test)
    whole_share = None if len(x_test) else hold_out
    if whole_share is not None:
        kept, held = held_out(y, hold_out, classes)
        x, y, x_test, y_test = x[kept], y[kept], x[held], y[held]
    if x.shape[1:] != x_test.shape[1:]:
        raise BadFile(
            f"{where}: images for training are {_by(x)}, those for evaluation {_by(x_test)};", "make them alike."
        )
    return Arrays(name, (x, y), (x_test, y_test), classes, split, whole_share)


def _wanted(names: Sequence[Any], where: str) -> list[str]:
    """Those of the names that are read. Raises BadFile where images or labels are not among them."""
    train, test, whole = (_pair(names, known) for known in (TRAIN, TEST, WHOLE))
    if (train is None and whole is None) or (train and not test):
        seen = ", ".join(printable(str(name), 40) for name in names[:12]) or "none"
        raise BadFile(
            f"{where} lacks arrays of known names; it has: {seen}.",
            "Expected x_train, y_train, x_test and y_test, or images and labels.",
        )
    return [*train, *test] if train and test else [*(whole or ())]


def _pair(arrays: Container[Any], names: tuple[tuple[str, str], ...]) -> tuple[str, str] | None:
    return next((pair for pair in names if pair[0] in arrays and pair[1] in arrays), None)


def _by(images: np.ndarray) -> str:
    return "x".join(map(str, images.shape[1:]))


def _images(arrays: Mapping[str, np.ndarray], name: str, where: str) -> np.ndarray:
    """(N, C, H, W) uint8, whichever place the channels had."""
    found = arrays[name]
    if found.dtype.kind not in "uif":
        raise BadFile(f"{where}: {name} is {found.dtype};", "expected whole numbers, or floats from 0 to 1.")
    if found.ndim == 3:
        found = found[:, None]
    elif found.ndim == 4 and found.shape[3] in (1, 3, 4):
        found = found.transpose(0, 3, 1, 2)
    elif found.ndim != 4 or found.shape[1] not in (1, 3, 4):
        raise BadFile(
            f"{where}: {name} has the shape {found.shape};", "expected (N, H, W), (N, H, W, C) or (N, C, H, W)."
        )
    if 0 in found.shape:
        raise BadFile(f"{where}: {name} holds no images (its shape is {arrays[name].shape}).")
    if found.dtype == np.uint8:
        return np.ascontiguousarray(found)
    low, high = found.min(), found.max()
    if np.issubdtype(found.dtype, np.floating) and low >= 0 and high <= 1:
        return np.ascontiguousarray(np.round(found * 255).astype(np.uint8))
    if np.issubdtype(found.dtype, np.integer) and low >= 0 and high <= 255:
        return np.ascontiguousarray(found.astype(np.uint8))
    raise BadFile(
        f"{where}: {name} is {found.dtype} from {low} to {high};",
        "expected whole numbers from 0 to 255, or floats from 0 to 1.",
    )


def _labels(arrays: Mapping[str, np.ndarray], images: str, name: str, where: str) -> np.ndarray:
    found = arrays[name]
    found = found[:, 0] if found.ndim == 2 and found.shape[1] == 1 else found
    if found.ndim != 1 or not (np.issubdtype(found.dtype, np.integer) or found.dtype.kind == "U"):
        raise BadFile(
            f"{where}: {name} is {found.dtype} of shape {found.shape};", "expected one whole number or text an image."
        )
    if len(found) != len(arrays[images]):
        raise BadFile(f"{where}: {len(arrays[images])} {images}, but {len(found)} {name}.", "One label an image.")
    return found
