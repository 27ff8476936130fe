"""Files of images as somebody who means harm would write them, or a disk that lost a part: each with what is said."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from helpers.stripes import arrays

GOOD = arrays()


def header(shape: tuple, descr: str = "|u1") -> bytes:
    """What stands in front of an array's values, true or not."""
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"shape": shape, "descr": descr, "fortran_order": False})
    return out.getvalue()


def npz(path: Path, **members: bytes) -> None:
    """A file of savez in which some members are these bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, values in GOOD.items():
            out = io.BytesIO()
            np.save(out, values)
            file.writestr(f"{name}.npy", members.get(name, out.getvalue()))


_OBJECTS = "holds an array of Python objects: a pickle"
_RUNS = b"cos\nsystem\n(S'touch unpickled'\ntR."
_START = b"\x93NUMPY\x01\x00"

#: What x_train is -> what is said. None: it is taken as it is.
ARRAYS: Mapping[str, tuple[np.ndarray, str | None]] = {
    "complex numbers": (GOOD["x_train"].astype(complex), "x_train is complex128"),
    "true and false": (GOOD["x_train"] > 3, "x_train is bool"),
    "records": (np.zeros((90, 8, 8), [("a", "u1")]), "x_train is [('a', 'u1')]"),
    "words": (np.full((90, 8, 8), "x"), "x_train is <U1"),
    "dates": (np.zeros((90, 8, 8), "M8[s]"), "x_train is datetime64[s]"),
    "not a number": (np.full((90, 8, 8), np.nan), "x_train is float64 from nan to nan"),
    "infinite": (np.full((90, 8, 8), np.inf), "x_train is float64 from inf to inf"),
    "below zero": (-GOOD["x_train"].astype(int), "x_train is int64 from -"),
    "half floats": ((GOOD["x_train"] / 255).astype("f2"), None),
    "one dimension": (np.zeros(90, "u1"), "x_train has the shape (90,)"),
    "five dimensions": (np.zeros((90, 1, 1, 8, 8), "u1"), "x_train has the shape (90, 1, 1, 8, 8)"),
    "no width": (np.zeros((90, 8, 0), "u1"), "x_train holds no images (its shape is (90, 8, 0))"),
    "two channels": (np.zeros((90, 8, 8, 2), "u1"), "x_train has the shape (90, 8, 8, 2)"),
    "objects": (np.array([{}] * 90, object), _OBJECTS),
}

#: The bytes of x_train's member -> what is said.
MEMBERS: Mapping[str, tuple[bytes, str]] = {
    "a header of terabytes": (header((10**12, 8, 8)) + b"\0" * 100, "the images take 58.2 TiB in memory"),
    "a header beyond all numbers": (header((2**62, 2**62, 8)), "TiB in memory"),
    "a bomb": (header((4 * 10**10, 8, 8)) + b"\0" * 10**6, "the images take 2.33 TiB in memory"),
    "negative": (header((-90, 8, 8)) + b"\0" * 5760, "negative dimensions"),
    "too short": (header((90, 8, 8)) + b"\0" * 100, "expected 5760 bytes got 100"),
    "another version": (b"\x93NUMPY\x09\x00garbage", "cannot be read"),
    "half a header": (_START + b"\x10\x00{'descr': __import__", "cannot be read"),
    "a header that would run": (
        _START + (60).to_bytes(2, "little") + b"__import__('os').system('touch unpickled')".ljust(59) + b"\n",
        "cannot be read",
    ),
    "a header nested deeply": (_START + (60000).to_bytes(2, "little") + b"(" * 60000, "cannot be read"),
    "a header of gigabytes": (b"\x93NUMPY\x02\x00" + (2**31).to_bytes(4, "little") + b"(" * 1000, "cannot be read"),
    "half an image": (header((20.5, 8, 8)) + b"\0" * 2000, "shape is not valid"),  # type: ignore[arg-type]
    "a pickle": (header((90, 8, 8), "|O") + _RUNS, _OBJECTS),
}


def _single(path: Path) -> None:
    np.save(path.open("wb"), np.zeros((3, 8, 8), "u1"))


def _elsewhere(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("../../x_train.npy", b"x")


#: Whole files -> what is said.
FILES: Mapping[str, tuple[Callable[[Path], object], str]] = {
    "nothing": (lambda path: path.write_bytes(b""), "cannot be read: EOFError"),
    "a folder": (lambda path: path.mkdir(), "Is a directory"),
    "a single array": (_single, "holds a single array, and no labels"),
    "names that lead elsewhere": (_elsewhere, "it has: ../../x_train"),
    "a pickle": (lambda path: path.write_bytes(_RUNS), _OBJECTS),
    "the end is missing": (lambda path: (npz(path), path.write_bytes(path.read_bytes()[:-40])), "not a zip file"),
}


# --- folders ----------------------------------------------------------------------------------------------------------


def picture(path: Path) -> None:
    """8 x 8 pixels of noise."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(len(str(path))).integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(path)


def pets(path: Path, classes: tuple[str, ...] = ("cat", "dog"), images: int = 5) -> None:
    for name in classes:
        for number in range(images):
            picture(path / name / f"{number}.png")


def _loops(path: Path) -> None:
    (path / "cat" / "self.png").symlink_to("self.png")
    (path / "ring").symlink_to("ring")
    (path / "cat" / "up").symlink_to("..")


def _cut(path: Path) -> None:
    file = path / "cat" / "cut.png"
    picture(file)
    file.write_bytes(file.read_bytes()[:60])


#: What is done to a folder of two classes -> what is said; None: it is taken, and `Left` of its files are left out.
FOLDERS: Mapping[str, tuple[Callable[[Path], object], str | None]] = {
    "links in a ring": (_loops, None),
    "a class that is the whole folder": (
        lambda path: (path / "fish").symlink_to("."),
        "are the same file, an image of",
    ),
    "a file of two classes": (lambda path: os.link(path / "cat" / "0.png", path / "dog" / "9.png"), "the same file"),
    "a pipe": (lambda path: os.mkfifo(path / "cat" / "pipe.png"), None),
    "an image that was cut off": (_cut, None),
    "a folder called like an image": (lambda path: (path / "cat" / "a.png").mkdir(), None),
}

#: Names of classes that would break a line, a table, a page or a terminal.
CLASSES = (
    "a\nb",
    "\x1b[31mred",
    "<b>|x|",
    "ünïcode",
    "-o",
    "=1+1",
    "日本",
    " ",
    os.fsdecode(b"\xff\xfe"),
    "\u202eleft",
)
