"""What a row or a failure leaves behind is not the next row's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hostile.watching import put_back, world


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    before = world()
    yield
    put_back(before)
