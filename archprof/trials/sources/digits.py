"""Scikit-learn's handwritten digits: 1,797 images of 8 x 8 that are there without a download."""

from __future__ import annotations

import numpy as np

from ...base.errors import MissingPackage, one_line
from ..data import Arrays, held_out, split_words


def source(hold_out: float) -> Arrays:
    """The digits, their 17 shades spread over 0 to 255. Raises MissingPackage without scikit-learn."""
    try:
        from sklearn.datasets import load_digits
    except Exception as reason:  # a broken installation raises anything
        why = "" if isinstance(reason, ModuleNotFoundError) else f" ({one_line(reason)})"
        raise MissingPackage(
            f"the digits come from scikit-learn, which is not installed{why}.", "pip install 'archprof[trial]'"
        ) from None
    found = load_digits()
    images = np.round(found.images * (255 / 16)).astype(np.uint8)[:, None]
    labels = found.target.astype(np.int64)
    classes = tuple(map(str, found.target_names))
    train, test = held_out(labels, hold_out, classes)
    parts = ((images[train], labels[train]), (images[test], labels[test]))
    return Arrays("digits", parts[0], parts[1], classes, split_words(hold_out), hold_out)
