"""What the tests of both faces share."""

import pytest

TEMPLATE = """version: 1
settings:
    refractory_time: 1
hexagons:
    1,1,1
    2,1,1
    3,1,1
inputs:
    picture: 1,1,1
outputs:
    label: 3,1,1
"""


@pytest.fixture
def template():
    return TEMPLATE
