"""The backend of these tests is that of tests/backend."""

from __future__ import annotations

import pytest

from tests.backend.conftest import Client, admin, backend, folder  # noqa: F401 - fixtures
from tests.hostile.world import World


@pytest.fixture(scope="module")
def world(admin: Client) -> World:  # noqa: F811 - the fixture
    return World(admin)
