"""The accuracy panel: counts, epochs and runs, galleries, pictures, what does not fit."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from matplotlib import image

from hanami_jupyter.panels.accuracy import Accuracy

from .conftest import flush

LABELS = np.array([0, 1, 2, 2])
OUTPUTS = np.array([[0.9, 0.0, 0.1], [0.2, 0.7, 0.6], [0.1, 0.4, 0.3], [0.0, 0.8, 0.4]])
IMAGES = np.arange(16, dtype=np.uint8).reshape(4, 4)


def test_each_epoch_of_each_run_is_counted():
    panel = Accuracy(LABELS)
    panel.add(OUTPUTS, run="wide", seconds=0.5)
    panel.add(np.eye(3)[LABELS], run="wide", seconds=0.5)
    panel.add(OUTPUTS, run="deep")
    flush(panel)
    assert panel.runs == [
        {"name": "wide", "epochs": [{"right": 0.5, "seconds": 0.5}, {"right": 1.0, "seconds": 0.5}]},
        {"name": "deep", "epochs": [{"right": 0.5, "seconds": None}]},
    ]
    assert panel.selected == "deep"
    assert panel.headline == "50.0 % of 4, 2 wrong"
    assert panel.matrix == [[1, 0, 0], [0, 1, 0], [0, 2, 0]]


def test_another_run_can_be_selected(front):
    panel = Accuracy(LABELS)
    panel.add(np.eye(3)[LABELS], run="wide")
    panel.add(OUTPUTS, run="deep")
    assert front(panel).ask("select", run="wide") == {"id": "select-0", "ok": True, "result": None}
    assert panel.headline == "100.0 % of 4, 0 wrong"
    answer = front(panel).ask("select", run="none")
    assert (answer["ok"], answer["error"]) == (False, "There is no run 'none'. Add one first.")


def test_the_gallery_shows_mistakes_by_sureness_cells_and_the_least_certain(front):
    panel = Accuracy(LABELS, IMAGES)
    panel.add(OUTPUTS)
    ask = front(panel).ask
    wrong = ask("gallery", order="wrong")["result"]
    assert (wrong["count"], [row["index"] for row in wrong["rows"]]) == (2, [3, 2])
    assert wrong["rows"][0] | {"image": ""} == {
        "index": 3,
        "true": 2,
        "predicted": 1,
        "sure": 0.8,
        "image": "",
    }
    uncertain = ask("gallery", order="uncertain")["result"]
    assert [row["index"] for row in uncertain["rows"]] == [1, 2, 3, 0]
    cell = ask("gallery", order="cell", true=1, predicted=1)["result"]
    assert [row["index"] for row in cell["rows"]] == [1]
    picture = image.imread(io.BytesIO(base64.b64decode(wrong["rows"][0]["image"].partition(",")[2])))
    assert picture.shape[:2] == (2, 2)
    assert np.allclose(picture[..., 0].ravel(), np.linspace(0, 1, 4), atol=0.01)


def test_it_works_without_images_for_any_classes_and_for_plain_class_numbers(front):
    panel = Accuracy([1, 0], class_names=["cat", "dog", "cow"])
    panel.add([1, 2])
    row = front(panel).ask("gallery")["result"]["rows"][0]
    assert (row["image"], row["sure"], row["predicted"]) == (None, None, 2)
    assert panel.classes == ["cat", "dog", "cow"]


def test_three_names_do_for_ten_columns_of_which_three_occur():
    panel = Accuracy(np.eye(10)[LABELS], class_names=["cat", "dog", "cow"])
    panel.add(np.pad(OUTPUTS, ((0, 0), (0, 7))))
    flush(panel)
    assert (panel.classes, len(panel.matrix)) == (["cat", "dog", "cow"], 3)
    assert len(Accuracy(np.eye(10)[LABELS]).classes) == 10


def test_the_static_picture_is_readable(front):
    panel = Accuracy(LABELS, IMAGES, class_names=["<cat>", "dog", "cow"])
    assert "no results yet" in panel._html()
    panel.add(OUTPUTS)
    picture = panel.snapshot()
    assert repr(picture) == "<hanami.Accuracy snapshot>"
    for words in ("50.0 % of 4, 2 wrong", "&lt;cat&gt;", "cow → dog", "<td>100.0</td>", "data:image/png"):
        assert words in picture._repr_html_()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Accuracy(LABELS, IMAGES[:2]), "Images have the shape"),
        (lambda: Accuracy([0, 500]), "501 classes"),
        (lambda: Accuracy(LABELS, class_names=["one"]), "1 class names"),
        (lambda: Accuracy(LABELS).add([0]), "1 answers stand against 4 labels"),
        (lambda: Accuracy(LABELS).add([0, 1, 2, 3]), "class 3"),
    ],
)
def test_what_does_not_fit_is_said_in_one_sentence(make, says):
    with pytest.raises(ValueError, match=says):
        make()
