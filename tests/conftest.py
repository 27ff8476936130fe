"""Fixtures that several test files share."""

from __future__ import annotations

from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def torchvision() -> ModuleType:
    """torchvision, made importable on a CPU-only torch; skips where it is not installed."""
    from helpers.torchvision_on_cpu import import_torchvision

    found = import_torchvision()
    if found is None:
        pytest.skip("torchvision is not installed")
    return found
