"""The figures say what is in the data, take every form of labels, and follow the notebook's theme."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib as mpl

mpl.use("agg")

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from hanami_jupyter import plots
from hanami_jupyter.protocol.template import parse
from hanami_jupyter.shown import confusion, notebook

TRUE = np.array([0, 1, 2, 2])
OUTPUTS = np.array([[0.9, 0.0, 0.1], [0.2, 0.7, 0.0], [0.1, 0.2, 0.3], [0.0, 0.8, 0.4]])
TEMPLATE = """
version: 1
settings:
    max_connection_distance: 1
hexagons:
    1,1,1
    2,1,1
    2,1,2
inputs:
    picture: 1,1,1
outputs:
    label: 2,1,2
"""

SWEEP = pd.DataFrame(
    {
        "template": ["thin", "thin", "wide", "bad", "broken"],
        "width": pd.array([1, 1, 3, 2, 4], dtype="Int64"),
        "seed": pd.array([0, 1, 0, 0, 0], dtype="Int64"),
        "accuracy": [95.0, 94.0, 95.2, 80.0, np.nan],
        "synapses": pd.array([100, 120, 440, 500, None], dtype="Int64"),
        "memory_bytes": [1000, 1200, 900, 5000, 0],
    }
)


@pytest.fixture(autouse=True)
def _close(monkeypatch):
    monkeypatch.delenv("HANAMI_THEME", raising=False)
    yield
    plt.close("all")


@pytest.mark.parametrize("true", [TRUE, TRUE.tolist(), TRUE[:, None], np.eye(3)[TRUE]])
@pytest.mark.parametrize("predicted", [OUTPUTS, OUTPUTS.argmax(axis=1), OUTPUTS.astype("float32")])
def test_accuracy_takes_labels_and_one_hot_rows(true, predicted):
    assert plots.plot_accuracy(true, predicted).get_title() == "75.0 % of 4 rows right"


def test_accuracy_shows_each_class_and_all():
    ax = plots.plot_accuracy(TRUE, OUTPUTS, class_names=["cat", "dog", "cow"])
    assert [round(bar.get_height()) for bar in ax.patches] == [100, 100, 50]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["cat", "dog", "cow"]
    assert "all\n75.0" in [text.get_text() for text in ax.texts]
    assert ax.get_ylabel() == "right (%)"


def test_labels_may_be_words():
    outputs = np.eye(3)[[0, 1, 2, 2]]
    true = pd.Series(["ant", "bee", "cat", "bee"])
    axes = plots.plot_accuracy(true, outputs)
    assert axes.get_title() == "75.0 % of 4 rows right"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["ant", "bee", "cat"]
    assert plots.plot_accuracy(true, true).get_title() == "100.0 % of 4 rows right"
    turned = plots.plot_confusion_matrix(true, outputs[:, ::-1], class_names=["cat", "bee", "ant"])
    assert turned.get_title() == plots.plot_confusion_matrix(true, outputs).get_title()
    with pytest.raises(ValueError, match="3 words, which stand against 4 outputs"):
        plots.plot_accuracy(true, np.eye(4))
    with pytest.raises(ValueError, match="Label 'cat' is not among the class_names"):
        plots.plot_accuracy(true, outputs, class_names=["ant", "bee"])


def test_a_class_without_rows_has_no_bar():
    assert plots.plot_accuracy([0, 2], [0, 2]).patches[1].get_height() == 0


def test_ten_classes_are_called_digits_and_a_given_axes_is_used():
    _, ax = plt.subplots()
    labels = np.arange(10)
    assert plots.plot_accuracy(labels, labels, ax=ax) is ax
    assert ax.get_title() == "100.0 % of 10 digits right"


def test_ten_columns_with_few_classes_are_rows_and_three_names_do_for_them():
    labels = np.repeat([0, 1, 2], 50)
    wide, kinds = np.eye(10)[labels], ["setosa", "versicolor", "virginica"]
    assert plots.plot_accuracy(wide, wide).get_title() == "100.0 % of 150 rows right"
    ax = plots.plot_accuracy(wide, wide, class_names=kinds)
    assert [label.get_text() for label in ax.get_xticklabels()] == kinds
    ax = plots.plot_confusion_matrix(wide, wide, class_names=kinds)
    assert [label.get_text() for label in ax.get_yticklabels()] == kinds
    with pytest.raises(ValueError, match="2 class names"):
        plots.plot_accuracy(wide, wide, class_names=kinds[:2])


@pytest.mark.parametrize("length", [3, 12, 30, 200])
@pytest.mark.parametrize("classes", [2, 3, 10])
def test_the_title_of_the_matrix_lies_inside_the_figure(length, classes, tmp_path):
    names = [f"{number} {'class name ' * 20}"[:length] for number in range(classes)]
    true = np.arange(classes)
    ax = plots.plot_confusion_matrix(true, np.roll(true, 1), class_names=names)
    ax.figure.savefig(tmp_path / "figure.png")
    extent, figure = ax.title.get_window_extent(), ax.figure.bbox
    assert extent.x0 >= 0
    assert extent.y0 >= 0
    assert extent.x1 <= figure.width
    assert extent.y1 <= figure.height
    assert ax.get_window_extent().width > figure.width / 5  # room is left for the matrix
    title = ax.get_title().replace("\n", " ")
    assert title.startswith(f"{classes} of {classes} wrong, most often 0 ")
    assert "taken for" in title


def test_confusion_counts_and_names_the_worst_mistake():
    assert confusion(TRUE, OUTPUTS).tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 1]]
    ax = plots.plot_confusion_matrix(TRUE, OUTPUTS)
    assert ax.get_title() == "1 of 4 wrong, most often 2 taken for 1"
    assert isinstance(ax.images[0].norm, mpl.colors.LogNorm)
    assert sorted(text.get_text() for text in ax.texts) == ["1", "1", "1", "1"]
    assert plots.plot_confusion_matrix(TRUE, TRUE).get_title() == "None of 4 wrong"


def test_a_sweep_says_the_best_and_the_small_one_that_comes_near():
    _, ax = plt.subplots()
    assert plots.plot_sweep(SWEEP, ax=ax) is ax
    title = ax.get_title().replace("\n", " ")
    assert title == "wide is best with 95.2 %, thin comes close with 25 % of its synapses"
    points = np.concatenate([marks.get_offsets() for marks in ax.collections])
    assert points.tolist() == [[110.0, 94.5], [500.0, 80.0], [440.0, 95.2]]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["1", "2", "3"]
    assert ax.lines[0].get_xydata().tolist() == [[110.0, 94.5], [440.0, 95.2]]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("synapses", "right (%)")


def test_a_sweep_is_drawn_against_any_size_by_any_column():
    ax = plots.plot_sweep(SWEEP, size="memory_bytes", by="template")
    assert ax.get_title().endswith("nothing smaller comes close")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["bad", "thin", "wide"]
    assert plots.plot_sweep(SWEEP[["template", "accuracy", "synapses"]]).get_legend() is None


def test_misclassified_shows_the_surest_mistakes_first():
    images = np.arange(4 * 6).reshape(4, 6)
    true = [0, 0, 2, 2]
    axes = plots.plot_misclassified(images, true, OUTPUTS, shape=(2, 3))
    assert [ax.get_title() for ax in axes if ax.images] == ["2 → 1", "0 → 1"]
    assert axes[0].figure.get_suptitle() == "2 of 4 wrong"
    assert axes[0].images[0].get_array().tolist() == images[3].reshape(2, 3).tolist()
    assert (
        sum(bool(ax.images) for ax in plots.plot_misclassified(images, true, OUTPUTS, count=1, shape=(2, 3)))
        == 1
    )


def test_history_compares_runs():
    ax = plots.plot_history({"wide": [91.0, 95.2], "deep": [90.0, 96.1]})
    assert ax.get_title() == "deep: 96.1 % after 2 epochs"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["wide", "deep"]
    assert plots.plot_history([50.0]).get_title() == "50.0 % after 1 epoch"


def test_history_takes_what_fit_returns():
    fitted = pd.DataFrame({"accuracy": [91.0, 95.2], "seconds": [0.4, 0.3]}, index=[1, 2])
    ax = plots.plot_history(fitted)
    assert ax.get_title() == "95.2 % after 2 epochs"
    assert [list(line.get_ydata()) for line in ax.lines] == [[91.0, 95.2]]
    both = plots.plot_history({"wide": fitted, "deep": [90.0]})
    assert both.get_title() == "wide: 95.2 % after 2 epochs"


ERRORS = pd.DataFrame({"error": [0.2, 0.051], "seconds": [0.4, 0.3]})


def test_history_compares_errors_by_the_least():
    ax = plots.plot_history({"wide": ERRORS, "deep": ERRORS.assign(error=0.25)})
    assert ax.get_title() == "wide: error 0.051 after 2 epochs"
    assert ax.get_ylabel() == "mean absolute error"


def test_template_is_drawn_layer_by_layer():
    axes = plots.show_template(TEMPLATE)
    assert [ax.get_title() for ax in axes] == ["layer z = 1", "layer z = 2"]
    assert [len(ax.patches) for ax in axes] == [2, 1]
    assert [text.get_text() for ax in axes for text in ax.texts] == ["picture", "label"]
    assert axes[0].patches[0].get_facecolor() == mpl.colors.to_rgba(plots.CATEGORIES[0])
    assert axes[1].patches[0].get_facecolor() == mpl.colors.to_rgba(plots.CATEGORIES[1])
    parsed = plots.show_template(parse(TEMPLATE))
    assert len(parsed) == 2


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: plots.plot_accuracy([0, 1], [0]), "2 true labels stand against 1"),
        (lambda: plots.plot_accuracy([], []), "shape"),
        (lambda: plots.plot_accuracy([-1], [0]), "Label -1 is no class.*whole numbers"),
        (lambda: plots.plot_accuracy([1, 0.25], [0, 1]), "Label 0.25 is no class.*scatter"),
        (lambda: plots.plot_history({"a": [90.0], "b": ERRORS}), "Draw them apart"),
        (lambda: plots.plot_accuracy(["a"], [0]), "Give class_names in the order"),
        (lambda: plots.plot_accuracy([0], [[np.nan, 1.0]]), "NaN"),
        (lambda: plots.plot_accuracy([0, 1], [0, 1], class_names=["one"]), "1 class names"),
        (lambda: plots.plot_misclassified(np.zeros((1, 6)), [0], [[0.1, 0.9]]), "shape="),
        (lambda: plots.plot_misclassified(np.zeros((2, 4)), [0], [[0.1, 0.9]]), "Images have the shape"),
        (lambda: plots.plot_history([]), "no epoch"),
        (lambda: plots.plot_history(pd.DataFrame({"accuracy": [np.nan], "seconds": [1.0]})), "test="),
        (lambda: plots.plot_history(pd.DataFrame({"seconds": [1.0]})), "test="),
        (lambda: plots.plot_history(pd.DataFrame({"accuracy": [], "seconds": []})), "no epoch"),
        (lambda: plots.plot_sweep(SWEEP, size="weight"), "no column 'weight'"),
        (lambda: plots.plot_sweep(SWEEP.assign(accuracy=np.nan)), "test="),
    ],
)
def test_what_does_not_fit_is_said_in_one_sentence(call, says):
    with pytest.raises(ValueError, match=says):
        call()
    assert not plt.get_fignums()


@pytest.mark.parametrize("draw", [
    lambda: plots.plot_accuracy(TRUE, OUTPUTS).figure,
    lambda: plots.plot_confusion_matrix(TRUE, OUTPUTS).figure,
    lambda: plots.plot_misclassified(np.zeros((4, 4)), TRUE, OUTPUTS)[0].figure,
    lambda: plots.plot_history([1.0, 2.0]).figure,
    lambda: plots.plot_sweep(SWEEP).figure,
    lambda: plots.show_template(TEMPLATE)[0].figure,
])  # fmt: skip
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_figures_follow_the_theme_and_leave_the_style_alone(draw, theme, monkeypatch, tmp_path):
    before = dict(mpl.rcParams)
    monkeypatch.setenv("HANAMI_THEME", theme)
    figure = draw()
    assert (figure.get_facecolor()[0] < 0.5) is (theme == "dark")
    assert dict(mpl.rcParams) == before
    figure.savefig(tmp_path / "figure.png")


def test_a_dark_style_is_followed():
    assert not plots.is_dark()
    with plt.style.context("dark_background"):
        assert plots.is_dark()


def test_what_a_shown_panel_tells_goes_before_the_style_and_behind_the_variable(monkeypatch):
    monkeypatch.setattr(notebook, "dark", True)
    assert plots.is_dark()
    monkeypatch.setenv("HANAMI_THEME", "light")
    assert not plots.is_dark()


def test_colours_are_those_of_the_one_palette_file():
    path = Path(plots.__file__).parent / "palette.json"
    assert json.loads(path.read_text())["categories"] == plots.CATEGORIES
    viridis = mpl.colormaps["viridis"]
    for share in (0.0, 0.5, 1.0):
        assert np.allclose(plots.QUANTITIES(share)[:3], viridis(share)[:3], atol=0.02)


@pytest.mark.parametrize(
    ("settings", "dark"),
    [
        ('{\n    // chosen\n    "theme": "JupyterLab Dark"\n}', True),
        ('{"theme": "JupyterLab Light"}', False),
        ('{\n    "theme": "JupyterLab Dark",\n    "adaptive-theme": true\n}', False),
        ("", False),
    ],
)
def test_before_the_first_panel_the_theme_in_the_settings_counts(settings, dark, monkeypatch, tmp_path):
    path = tmp_path / "@jupyterlab" / "apputils-extension" / "themes.jupyterlab-settings"
    path.parent.mkdir(parents=True)
    path.write_text(settings)
    monkeypatch.setattr(notebook, "dark", None)
    monkeypatch.setenv("JUPYTERLAB_SETTINGS_DIR", str(tmp_path))
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    assert not plots.is_dark()  # no notebook runs us
    monkeypatch.setenv("JPY_SESSION_NAME", "notebook.ipynb")
    assert plots.is_dark() is dark
    monkeypatch.setattr(notebook, "dark", not dark)
    assert plots.is_dark() is not dark  # what a panel told goes before
