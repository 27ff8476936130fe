"""From what --data says to a source of images."""

from __future__ import annotations

from pathlib import Path

from ..base.errors import BadFile, BadOption, did_you_mean, printable
from ..results.trials import HOLD_OUT
from .data import KINDS, Source
from .sources import cifar, digits, folder, npz


def find(data: str, hold_out: float = HOLD_OUT) -> Source:
    """The source that `data` names. Raises BadOption, BadFile, MissingPackage, each with its way out."""
    if data == "digits":
        return digits.source(hold_out)
    path = Path(data)
    if not path.exists():
        raise BadOption(
            f"there are no data '{printable(data)}'.{did_you_mean(data, ['digits'])}", f"Accepted: {KINDS}."
        )
    if path.suffix == ".npz":
        return npz.source(path, hold_out)
    if cifar.is_one(path):
        return cifar.source(path)
    if path.is_dir():
        return folder.source(path, hold_out)
    if path.suffix in (".pkl", ".pickle", ".pt", ".pth", ".npy"):
        raise BadFile(
            f"'{data}' is not read, for its kind of file may run code when it is opened, or lacks the labels;",
            "save the arrays with numpy.savez(FILE, x_train=..., y_train=..., x_test=..., y_test=...).",
        )
    raise BadFile(f"'{data}' is none of the kinds of data that are read.", f"Accepted: {KINDS}.")
