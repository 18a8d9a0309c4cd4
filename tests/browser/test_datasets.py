"""The panel of datasets as a person uses it: drop, choose, type a path, walk, look, delete; both themes."""

from __future__ import annotations

import base64
import gzip
import re

import numpy as np
import pytest

from .conftest import CARD, CUT_OFF, STICKING_OUT, faults

SETUP = """
import numpy as np
import hanami
session = hanami.local()
rng = np.random.default_rng(0)
upload = session.dataset.upload_data
for number in range(23):
    upload(f"small set {number:02d}", {"width": rng.normal(size=40), "height": rng.random(40)})
blobs = np.zeros((300, 28, 28))
for image in blobs:
    y, x = rng.integers(6, 20, 2)
    image[y - 5:y + 5, x - 2:x + 3] = rng.integers(120, 255)
blobs = upload("blobs", blobs.reshape(300, 784), rng.integers(0, 10, 300))
"""
SHOW = "panel = hanami.Datasets(session)\npanel"
DROP = """(area, files) => {
    const data = new DataTransfer();
    for (const { name, content } of files) {
        const bytes = Uint8Array.from(atob(content), letter => letter.charCodeAt(0));
        data.items.add(new File([bytes], name));
    }
    for (const type of ["dragover", "drop"]) {
        area.dispatchEvent(new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true }));
    }
}"""


def idx_pair(count=50):
    rng = np.random.default_rng(1)
    sizes = b"".join(size.to_bytes(4, "big") for size in (count, 8, 8))
    images = b"\0\0\x08\x03" + sizes + rng.integers(0, 255, count * 64, dtype=np.uint8).tobytes()
    labels = b"\0\0\x08\x01" + count.to_bytes(4, "big") + rng.integers(0, 10, count, dtype=np.uint8).tobytes()
    return images, labels


@pytest.fixture
def shown(open_notebook):
    def open_panel(theme="light", *more):
        notebook = open_notebook([SETUP, SHOW, *more], theme=theme)
        notebook.run_all()
        card = notebook.page.locator(CARD).first
        card.get_by_text("of 24").wait_for()
        return notebook, card

    return open_panel


def drop(card, **files):
    """Drop files on the card as from a folder."""
    told = [{"name": name, "content": base64.b64encode(content).decode()} for name, content in files.items()]
    card.locator("table, .hanami-choose").first.evaluate(DROP, told)


def test_it_fits_at_every_width_in_both_themes(shown, theme):
    notebook, card = shown(theme)
    page = notebook.page
    card.get_by_role("columnheader", name="Created").get_by_role("button").click()
    card.get_by_label("Filter datasets").fill("blobs")
    card.get_by_text("1 that match").wait_for()
    card.get_by_role("row", name="blobs").click()
    card.get_by_role("img", name="Histogram of label").wait_for()
    card.get_by_role("img", name="picture of row 4").wait_for()
    card.get_by_label("Filter datasets").fill("s")
    card.get_by_text("of 24").wait_for()
    for width in (1400, 480):
        page.set_viewport_size({"width": width, "height": 1300})
        card.scroll_into_view_if_needed()
        assert card.evaluate(STICKING_OUT) == []
        assert card.evaluate(CUT_OFF) == []
        notebook.screenshot(f"datasets-{theme}-{width}", card)
    assert faults(page) == []


def test_dropped_files_are_named_paired_and_uploaded(shown, theme):
    notebook, card = shown(theme)
    images, labels = idx_pair()
    files = {
        "flowers.csv": b"width,height\n" + b"1.5,2\n" * 150_000,
        "train-labels-idx1-ubyte.gz": gzip.compress(labels),
        "train-images-idx3-ubyte.gz": gzip.compress(images),
        "cat.png": b"\x89PNG\r\n",
    }
    drop(card, **files)
    card.get_by_text("'cat.png' is a PNG picture.").wait_for()
    fields = card.get_by_label("Name", exact=True)
    assert [field.input_value() for field in fields.all()] == ["flowers", "train"]
    card.get_by_text("train-images-idx3-ubyte.gz and train-labels-idx1-ubyte.gz").wait_for()
    fields.first.fill("f")
    card.get_by_text("A name has 4 to 254 characters.").wait_for()
    assert card.get_by_role("button", name="Upload", exact=True).is_enabled()  # the other is fine
    fields.first.fill("many flowers")
    notebook.screenshot(f"datasets-drafts-{theme}", card)
    assert faults(notebook.page) == []
    card.get_by_role("button", name="Upload 2 datasets").click()
    card.get_by_text("26 datasets").wait_for()
    preview = card.get_by_role("region", name=re.compile("dataset (train|many flowers)"))
    preview.wait_for()
    rows = "{row['name']: row['uuid'] for row in panel.rows.page(limit=100)['rows']}"
    sizes = f"[int(session.dataset.get_dataset({rows}[name])['number_of_rows']) for name in NAMES]"
    assert notebook.ask(sizes.replace("NAMES", "('many flowers', 'train')")) == "[150000, 50]"
    assert notebook.ask("panel.uploads") == "[]"


def test_a_chosen_file_and_a_path_and_a_wrong_cell(shown, tmp_path):
    notebook, card = shown()
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("width,height\n1,2\n3,four\n")
    card.get_by_label("Files", exact=True).set_input_files(wrong)
    card.get_by_label("Name", exact=True).fill("wrong cells")
    card.get_by_role("button", name="Upload", exact=True).click()
    card.get_by_text("four").wait_for()
    notebook.screenshot("datasets-failed", card)
    card.get_by_role("button", name="Dismiss upload of wrong cells").click()
    card.get_by_text("four").wait_for(state="detached")
    (notebook.path.parent / "beside.csv").write_text("a,b\n1,2\n")
    path = card.get_by_label("or a path on the kernel's disk")
    path.fill("nowhere.csv")
    path.press("Enter")
    card.get_by_text("'nowhere.csv' is not on the kernel's disk").wait_for()
    path.fill("beside.csv")
    path.press("Enter")
    card.get_by_text("beside.csv · 8 bytes").wait_for()
    card.get_by_role("button", name="Upload", exact=True).click()
    card.get_by_role("region", name="dataset beside").wait_for()


def test_an_upload_is_cancelled_under_way(shown):
    notebook, card = shown()
    drop(card, **{"large.csv": b"a,b\n" + b"1,2\n" * 8_000_000})
    card.get_by_role("button", name="Upload", exact=True).click()
    card.get_by_role("button", name="Cancel upload of large").click()
    card.get_by_role("button", name="Cancel upload of large").wait_for(state="detached")
    assert notebook.ask("panel._uploads") == "{}"
    assert notebook.ask("len(session.dataset.list_datasets())") == "24"
    assert card.get_by_text("cancelled").count() == 0


def test_everything_by_keyboard_alone(shown):
    notebook, card = shown()
    page = notebook.page
    card.get_by_label("Filter datasets").focus()
    page.keyboard.type("small ddzz")
    card.get_by_text("Nothing among 24 matches.").wait_for()
    for _ in " ddzz":
        page.keyboard.press("Backspace")
    card.get_by_text("of 23 that match").wait_for()
    focused = "document.activeElement.closest('tr')?.innerText ?? ''"
    while "small set" not in page.evaluate(focused):
        page.keyboard.press("Tab")
    page.keyboard.press("End")
    page.wait_for_function(f"({focused}).includes('small set 22')")
    page.keyboard.press("PageUp")
    page.wait_for_function(f"({focused}).includes('small set 12')")
    page.keyboard.press("ArrowDown")
    page.wait_for_function(f"({focused}).includes('small set 13')")
    page.keyboard.press("Enter")
    card.get_by_role("region", name="dataset small set 13").wait_for()
    page.keyboard.press("Home")
    page.wait_for_function(f"({focused}).includes('small set 00')")
    page.keyboard.press(" ")
    page.keyboard.press("ArrowDown")
    page.keyboard.press(" ")
    card.get_by_text("2 marked").wait_for()
    delete = card.get_by_role("button", name="Delete 2 datasets")
    while not delete.evaluate("button => button === document.activeElement"):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    card.get_by_text("Delete 2 datasets? Their rows cannot be brought back.").wait_for()
    notebook.screenshot("datasets-ask", card)
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    card.get_by_text("22 datasets").wait_for()
    assert page.locator(".jp-Cell").count() == 2  # typing dd deletes no cell


def test_selecting_in_one_place_shows_it_in_the_others_each_with_its_own_page(shown):
    other = "import traitlets\nother = hanami.Datasets(session)\n"
    link = "link = traitlets.link((panel, 'selected'), (other, 'selected'))\nother"
    notebook, card = shown("light", "panel", other + link)
    cards = notebook.page.locator(CARD)
    assert cards.count() == 3
    second, third = cards.nth(1), cards.nth(2)
    second.get_by_label("Filter datasets").fill("blobs")
    second.get_by_role("row", name="blobs").click()
    for one in (card, second, third):
        one.get_by_role("region", name="dataset blobs").wait_for()
    card.locator("tr[aria-selected=true]").get_by_text("blobs").wait_for()  # it went to that page
    third.locator("tr[aria-selected=true]").get_by_text("blobs").wait_for()
    third.get_by_role("button", name="Previous datasets").click()
    third.get_by_text("small set 10").wait_for()
    card.locator("tr[aria-selected=true]").get_by_text("blobs").wait_for()
    third.get_by_role("button", name="Close").click()
    card.get_by_role("region", name="dataset blobs").wait_for(state="detached")
    assert notebook.ask("(panel.selected, other.selected)") == "('', '')"


def test_a_gone_kernel_is_said_and_nothing_can_be_pressed(shown):
    notebook, card = shown()
    notebook.restart_kernel()
    card.get_by_text("The kernel is gone. Run the cell again.").wait_for()
    for name in ("Next datasets", "Choose files", "Refresh datasets"):
        assert card.get_by_role("button", name=name).is_disabled()
