"""Every panel, as the tests of what holds for all of them make it: a new panel adds one entry to ``PANELS``.

``test_every_panel.py`` here and in ``tests/browser`` run over the list.
"""

from __future__ import annotations

from dataclasses import dataclass, field

# leaves what the panels are made of; `session` is there already
SETUP = """
import time
import numpy as np
import hanami
rng = np.random.default_rng(0)
pictures, labels = rng.integers(0, 255, (300, 64)), rng.integers(0, 10, 300)
outputs = rng.random((300, 10)) * 0.6
outputs[np.arange(300), labels] += 0.45
dataset = session.dataset.upload_data("rows", pictures, labels)
columns = list(session.dataset.get_dataset(dataset)["description"])
template = "version: 1 settings: refractory_time: 1 hexagons: 1,1,1 2,1,1 2,1,2 "
template += "inputs: a: 1,1,1 outputs: b: 2,1,2"
cluster = session.cluster.create_cluster("digits", template, replace=True)["uuid"]

def train(name="epoch 1", dataset=dataset):
    return session.task.create_train_task(
        name, cluster,
        [{"dataset_uuid": dataset, "dataset_column": columns[0], "hexagon_name": "a"}],
        [{"dataset_uuid": dataset, "dataset_column": columns[1], "hexagon_name": "b"}],
    )["uuid"]

session.task.wait(train(), cluster)
"""


@dataclass(frozen=True)
class Case:
    """A panel, and what the rules' tests need to know of it."""

    name: str
    """Of its class."""
    bundle: str
    """Of its files in ``static/``."""
    code: str
    """Makes ``panel`` from what ``SETUP`` left; ``owner`` is a session or a login that it follows."""
    shows: tuple[str, ...]
    """Words of its static picture."""
    ready: str
    """Words on the card in a browser as soon as all has come."""
    stir: str
    """A statement that changes what it shows, quick enough to be run a hundred times a second."""
    asks: str = "refresh"
    """A command that needs the server, if it needs one."""
    values: dict[str, str] = field(default_factory=dict)
    """The command's values, as expressions of what ``SETUP`` left; ``attached`` travels as a buffer."""
    served: bool = True
    """Whether it works with a server."""
    watches: bool = True
    """Whether it reads the server by itself, and so notices by itself when that fails."""
    rename: str = "panel.write(title='Renamed')"
    """A statement that gives its card another title, for good."""
    kilobytes: int = 60
    """What its bundle may have at most: every saved notebook carries it."""


PANELS = [
    Case(
        "Login",
        "login",
        "panel = hanami.Login(session.address, session.user_id)",
        shows=("Nobody is signed in.",),
        ready="Sign in",
        stir="panel.user += 'x'",
        asks="sign_in",
        values={
            "address": "session.address",
            "user": "session.user_id",
            "verify": "True",
            "attached": "running.password.encode()",
        },
        watches=False,
    ),
    Case(
        "TemplateEditor",
        "template_editor",
        "panel = hanami.TemplateEditor.of_cluster(owner, cluster)\npanel.tint = 'blocks'",
        shows=("valid", "refractory_time", "</svg>", "<th>synapses</th>"),
        ready="Tint by grown",
        stir="panel.text += ' '",
        asks="create",
        values={"name": "f'drawn {time.monotonic_ns()}'", "text": "template"},
        kilobytes=450,
    ),
    Case(
        "TaskProgress",
        "task_progress",
        "panel = hanami.TaskProgress(owner, cluster)",
        shows=("Tasks of digits", "1 finished", "epoch 1"),
        ready="1 finished",
        stir="panel.refresh(); train(f'again {time.monotonic_ns()}')",
        asks="options",
    ),
    Case(
        "Accuracy",
        "accuracy",
        "digits = hanami.data.sample()\n"
        "read = hanami.data.read_idx\n"
        "true = read(digits.test_labels)[:300]\n"
        "panel = hanami.Accuracy(true, read(digits.test_images)[:300])\n"
        "for run, sure in (('wide', 0.5), ('deep', 0.6)):\n"
        "    for epoch in range(4):\n"
        "        noise = rng.random((300, 10))\n"
        "        panel.add(noise + (sure + 0.1 * epoch) * np.eye(10)[true], run=run, seconds=0.2)",
        shows=("of 300", "<table", "data:image/png"),
        ready="→",
        stir="panel.add(rng.random((300, 10)))",
        served=False,
        watches=False,
    ),
    Case(
        "Datasets",
        "datasets",
        "panel = hanami.Datasets(owner)",
        shows=("Datasets", "<table", "rows</td>", "Created"),
        ready="rows",
        stir="session.dataset.upload_data('again', pictures[:1], labels[:1]); panel.refresh()",
        asks="describe",
        values={"dataset": "dataset"},
    ),
    Case(
        "SweepProgress",
        "sweep",
        "panel = hanami.SweepProgress()\n"
        "found = session.sweep({'two in a row': template}, dataset, dataset, progress=panel)",
        shows=("1 of 1 finished", "two in a row", "</svg>"),
        ready="1 of 1 finished",
        stir="panel._networks[0].seconds += 1; panel(panel._networks)",
        served=False,
        watches=False,
    ),
    Case(
        "Clusters",
        "resources",
        "from hanami_jupyter.panels.lists import Clusters\npanel = Clusters(owner)",
        shows=("Clusters", "digits", "<table"),
        ready="digits",
        stir="panel.write(said=str(time.monotonic_ns()))",
        asks="about",
        values={"key": "cluster"},
    ),
    Case(
        "Machine",
        "machine",
        "from hanami_jupyter.panels.machine import Machine\npanel = Machine(owner)",
        shows=("Machine", "Power", "Clock"),
        ready="core",
        stir="panel.write(title=str(time.monotonic_ns()))",
        # after the look at the server that may be under way
        rename="panel.rest(); panel._feed.call(lambda panel=panel: panel.write(title='Renamed'))",
    ),
    Case(
        "Dashboard",
        "resources",
        "panel = hanami.Dashboard(owner)\npanel.shown = 'Hosts'",
        shows=("Hosts", "Clusters", "digits"),
        ready="Cores",
        stir="panel.selection.cluster = '' if panel.selection.cluster else cluster",
        served=False,
        rename="panel._panels['Hosts'][0].write(title='Renamed')",
    ),
]
SERVED = [case for case in PANELS if case.served]


def name(case: Case) -> str:
    """Return what a parametrised test calls a case."""
    return case.name
