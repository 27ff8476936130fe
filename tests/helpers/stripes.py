"""Images that a small network learns within seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from archprof.trials.data import Arrays


def stripes() -> Arrays:
    """Lying and standing stripes and checks, with noise: three classes of 30 images, 12 of each held out."""
    draw = np.random.default_rng(1)
    rows, columns = np.indices((8, 8))
    patterns = [rows % 2, columns % 2, (rows + columns) % 2]

    def part(each: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.repeat(np.arange(3), each)
        clean = np.stack([patterns[label] for label in labels])[:, None] * 120
        return (clean + draw.integers(0, 120, clean.shape)).astype(np.uint8), labels

    return Arrays("stripes", part(30), part(12), ("lying", "standing", "checks"), "made up")


def arrays() -> dict[str, np.ndarray]:
    """The same under the names of an .npz."""
    made = stripes()
    return {"x_train": made.train[0], "y_train": made.train[1], "x_test": made.test[0], "y_test": made.test[1]}


def write(path: str | Path) -> None:
    """The same in a file."""
    np.savez(path, **arrays())
