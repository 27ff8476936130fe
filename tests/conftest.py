"""Fixtures that several test files share."""

from __future__ import annotations

import gc
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from types import ModuleType

import matplotlib
import pytest
from hypothesis import HealthCheck, settings

# The default is the same every time, so that a change fails for what it changed; fuzz looks for new examples. A test
# that needs fewer or more states its part of the profile's: max_examples=settings.default.max_examples // 4.
# No deadline: the first example of a test may import torch.
settings.register_profile("default", max_examples=100, deadline=None, derandomize=True)
settings.register_profile(
    "fuzz", max_examples=4000, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE") or ("fuzz" if os.environ.get("ARCHPROF_FUZZ") else "default")
)


def pytest_configure(config: pytest.Config) -> None:
    """Tests neither read nor fill what is kept for whoever runs them (but the list of fonts, which takes seconds)."""
    folder = tempfile.TemporaryDirectory(prefix="archprof-tests-")
    config.add_cleanup(folder.cleanup)
    os.environ.setdefault("MPLCONFIGDIR", matplotlib.get_cachedir())
    os.environ["XDG_CACHE_HOME"] = os.environ["XDG_STATE_HOME"] = folder.name
    signal.signal(signal.SIGINT, signal.default_int_handler)  # who starts tests in the background may ignore it
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    os.environ.pop("COLUMNS", None)  # how wide tables are is each test's own affair


def pytest_collection_finish() -> None:
    """What thousands of collected tests are made of is no garbage: each look at it would take a second."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _own_modules(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A module that a test wrote, and that its code or formulas were there, is forgotten after it."""
    before = set(sys.modules)
    yield
    written = str(tmp_path_factory.getbasetemp())
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(written):
            del sys.modules[name]
    if code := sys.modules.get("archprof.models.code"):
        code.ran = False
    if registry := sys.modules.get("archprof.costs.registry"):
        registry.own_generation = registry.generation


@pytest.fixture(scope="session")
def torchvision() -> ModuleType:
    """torchvision, made importable on a CPU-only torch; skips where it is not installed."""
    from helpers.torchvision_on_cpu import import_torchvision

    found = import_torchvision()
    if found is None:
        pytest.skip("torchvision is not installed")
    return found
