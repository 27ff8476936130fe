"""A headless Chromium for the tests that look at a page."""

from __future__ import annotations

import shutil

import pytest

#: No sandbox, for containers have none; no network of its own.
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def chromium():
    """A browser; skips where there is no Chromium, no playwright or no chart library."""
    pytest.importorskip("vl_convert")
    sync_api = pytest.importorskip("playwright.sync_api")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(_ARGUMENTS), timeout=120_000)
        yield browser
        browser.close()
