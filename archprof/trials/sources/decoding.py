"""One image file as bytes of a given size. Imported by worker processes: no torch here."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from ...base.errors import one_line


def decode(paths: Sequence[str], shape: tuple[int, int, int]) -> list[np.ndarray | str]:
    """For each path the image (C, H, W) as uint8, or why it cannot be read.

    The whole of the shorter side is kept: resized (bilinear, antialiased) until it fits, then the middle is cut out.
    """
    return [_one(path, shape) for path in paths]


def _one(path: str, shape: tuple[int, int, int]) -> np.ndarray | str:
    from PIL import Image, ImageOps

    channels, height, width = shape
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as opened:
                image = ImageOps.exif_transpose(opened).convert("L" if channels == 1 else "RGB")
        image = ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
    except Exception as reason:  # decoders raise whatever a broken file makes them raise
        return one_line(reason)
    pixels = np.asarray(image, np.uint8)
    return np.ascontiguousarray(pixels[None] if channels == 1 else pixels.transpose(2, 0, 1))
