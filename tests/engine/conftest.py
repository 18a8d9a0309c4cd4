import pytest

from hanami_jupyter.engine import Cluster


@pytest.fixture(scope="session")
def make():
    """Make a cluster of hexagons in a row, inputs and outputs by name and place."""

    def make(length=3, *, seed=1, inputs=None, outputs=None, hexagons=None, **settings):
        hexagons = hexagons or [(x, 1, 1) for x in range(1, length + 1)]
        inputs = inputs or {"in": hexagons[0]}
        outputs = outputs or {"out": hexagons[-1]}
        settings = {"refractory_time": 1, **settings}

        def place(position):
            return ",".join(map(str, position))

        lines = [
            "version: 1",
            "settings:",
            *(f"    {name}: {str(value).lower()}" for name, value in settings.items()),
            "hexagons:",
            *(f"    {place(position)}" for position in hexagons),
            "inputs:",
            *(f"    {name}: {place(position)}" for name, position in inputs.items()),
            "outputs:",
            *(f"    {name}: {place(position)}" for name, position in outputs.items()),
        ]
        return Cluster.from_template("\n".join(lines) + "\n", seed=seed)

    return make
