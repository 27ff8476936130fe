"""From what --data says to a source of images."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..base.errors import BadFile, BadOption, did_you_mean, one_line, printable
from ..results.trials import HOLD_OUT
from .data import KINDS, Source
from .sources import cifar, digits, folder, npz


def source(data: Any, hold_out: float | None) -> Source:
    """Where images come from: a name or path, a dict of arrays, or a source. Raises what `find` raises, and BadOption
    for a share to hold out where there is a test part."""
    share = HOLD_OUT if hold_out is None else hold_out
    if isinstance(data, str | Path):
        found = find(str(data), share)
    elif isinstance(data, Mapping):
        found = npz.of_arrays(data, "data", "the data", share)
    elif hasattr(data, "load") and hasattr(data, "classes"):
        found = data
    else:
        raise BadOption(
            f"data cannot be of type {printable(type(data).__name__, 60)};",
            "expected 'digits', a path, or a dict of arrays such as {'images': x, 'labels': y}.",
        )
    if hold_out is not None and found.hold_out is None:
        raise BadOption("a share to hold out has no effect: the data have a test part.", "Leave out --hold-out.")
    return found


def find(data: str, hold_out: float = HOLD_OUT) -> Source:
    """The source that `data` names. Raises BadOption, BadFile, MissingPackage, each with its way out."""
    if data == "digits":
        return digits.source(hold_out)
    path = Path(data)
    if not os.path.exists(data):  # unlike Path's, never an error: for a name that is too long, say
        raise BadOption(
            f"there are no data '{printable(data)}'.{did_you_mean(data, ['digits'])}", f"Accepted: {KINDS}."
        )
    if path.suffix == ".npz":
        return npz.source(path, hold_out)
    try:
        if cifar.is_one(path):
            return cifar.source(path)
        if path.is_dir():
            return folder.source(path, hold_out)
    except OSError as reason:  # a folder below it that may not be read
        raise BadFile(f"'{data}' cannot be read: {one_line(reason, kind=False)}.") from None
    if path.suffix in (".pkl", ".pickle", ".pt", ".pth", ".npy"):
        raise BadFile(
            f"'{data}' is not read, for its kind of file may run code when it is opened, or lacks the labels;",
            "save the arrays with numpy.savez(FILE, x_train=..., y_train=..., x_test=..., y_test=...).",
        )
    raise BadFile(f"'{data}' is none of the kinds of data that are read.", f"Accepted: {KINDS}.")
