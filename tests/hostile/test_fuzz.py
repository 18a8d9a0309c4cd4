"""Changed bytes for everything that reads bytes of others; `fuzz` does the same for longer."""

from __future__ import annotations

import pytest

from tests.hostile.fuzz import READERS, at_random


@pytest.mark.parametrize("name", READERS)
def test_changed_bytes(name: str) -> None:
    fed, good = at_random(name, seed=1, least=300)
    assert 0 < good < fed
