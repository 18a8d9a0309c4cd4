"""Every example in a public docstring runs, against a real backend."""

from __future__ import annotations

import doctest
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import hanami_jupyter
from hanami_jupyter import hanami_exceptions

if TYPE_CHECKING:
    from types import ModuleType

    from hanami_jupyter.launcher import Running
    from hanami_jupyter.session import Session

PACKAGE = Path(hanami_jupyter.__file__).parent
MODULES = [
    *(f"hanami_jupyter.client.{path.stem}" for path in sorted((PACKAGE / "client").glob("[!_]*.py"))),
    "hanami_jupyter.session",
    "hanami_jupyter.launcher",
]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.fixture(scope="module")
def surroundings(
    session: Session,
    server: Running,
    files: tuple[Path, Path],
    template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, Any]]:
    """What the examples take for granted."""
    dataset_uuid = session.dataset.upload_mnist_files("examples", *files)
    cluster_uuid = session.cluster.create_cluster("of the examples", template)["uuid"]
    session.fit(cluster_uuid, dataset_uuid)
    saved = session.cluster.save_cluster("trained", cluster_uuid)
    session.task.wait(saved["uuid"], cluster_uuid)
    session.project.create_project("garden", "Garden")
    session.user.create_user("someone", "Someone", "someone's password", False)
    yield {
        "session": session,
        "token": session.token,
        "address": server.address,
        "user": server.user,
        "password": server.password,
        "template": template,
        "dataset_uuid": dataset_uuid,
        "cluster_uuid": cluster_uuid,
        "checkpoint_uuid": saved["uuid"],
        "images_path": files[0],
        "labels_path": files[1],
        "folder": tmp_path_factory.mktemp("examples"),
        "hanami_exceptions": hanami_exceptions,
        "hanami": hanami_jupyter,
    }
    session.user.delete_user("someone")
    session.project.delete_project("garden")
    session.checkpoint.delete_checkpoint(saved["uuid"])
    session.cluster.delete_cluster(cluster_uuid)
    session.dataset.delete_dataset(dataset_uuid)


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str, surroundings: dict[str, Any]) -> None:
    module = importlib.import_module(name)
    names = {**surroundings, **vars(module), **_unhidden(surroundings, module)}
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    said: list[str] = []
    found = [test for test in doctest.DocTestFinder(recurse=True).find(module, name) if test.examples]
    source = inspect.getsource(module)
    for test in sorted(found, key=lambda test: source.find(str(test.docstring))):  # as they stand in the file
        test.globs = names
        runner.run(test, out=said.append, clear_globs=False)
    assert not runner.failures, "".join(said)


def _unhidden(surroundings: dict[str, Any], module: ModuleType) -> dict[str, Any]:
    """The examples' own names come before what the module calls the same, but for its functions."""
    return {
        name: value for name, value in surroundings.items() if not inspect.isfunction(vars(module).get(name))
    }


@pytest.mark.parametrize("name", MODULES)
def test_public_functions_are_documented(name: str) -> None:
    module = importlib.import_module(name)
    for function in (getattr(module, name) for name in getattr(module, "__all__", ())):
        text = inspect.getdoc(function) or ""
        for section in ("Parameters", "Examples"):
            assert f"{section}\n{'-' * len(section)}" in text, f"{name}.{function.__name__} has no {section}"
        if inspect.signature(function).return_annotation not in {"None", None}:
            assert "Returns\n-------" in text, f"{name}.{function.__name__}"
        for parameter in inspect.signature(function).parameters:
            assert parameter in text, f"{name}.{function.__name__} does not explain {parameter}"
