"""Colour pictures in the dialogs: one button for the study, one line for the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_penumbra.domain.colour import COLOUR
from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.session import Session
from napari_penumbra.widgets.add_case_branch import CaseBranch
from napari_penumbra.widgets.add_cases_dialog import AddCasesDialog
from napari_penumbra.widgets.add_folder_branch import FolderBranch
from napari_penumbra.widgets.class_list import ClassList
from napari_penumbra.widgets.new_study_dialog import NewStudyDialog
from napari_penumbra.widgets.region_list import RegionList

SCHEME = LabelScheme.parse(["1=polyp"])


def picture(path: Path, white: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((20, 30, 3), np.uint8)
    pixels[5:12, 8:20] = 255 if white else (200, 80, 60)
    Image.fromarray(pixels[..., 0] if white else pixels).save(path)
    return path


@pytest.fixture
def colour_session(tmp_path):
    session = Session()
    session.create(tmp_path / "study", "Polyps", ["RGB"], SCHEME)
    yield session
    session.close()


def test_the_button_fills_in_the_three_colours(qtbot, tmp_path):
    dialog = NewStudyDialog()
    qtbot.addWidget(dialog)
    dialog.colour.click()
    assert dialog.modalities.text() == "Red, Green, Blue"
    dialog.name.setText("Polyps")
    dialog.folder.setText(str(tmp_path / "new"))
    dialog.labels.setPlainText("polyp")
    assert dialog.read().modalities == COLOUR
    dialog.modalities.setText("Depth, RGB")
    assert dialog.read().modalities == ("Depth", *COLOUR)


def test_a_folder_of_pictures_is_added(colour_session, qtbot, tmp_path):
    picture(tmp_path / "images" / "a.jpg")
    picture(tmp_path / "images" / "b.png")
    picture(tmp_path / "masks" / "a.png", white=True)
    dialog = AddCasesDialog(colour_session)
    qtbot.addWidget(dialog)
    folder = dialog.branch(FolderBranch)
    folder.images.set_path(tmp_path / "images")
    folder.labels.set_path(tmp_path / "masks")
    qtbot.waitUntil(lambda: len(folder.view.cells()) == 2 and folder.expected() == 2, timeout=5000)
    qtbot.waitUntil(lambda: folder.view.cells()[0] == ["a", "a.jpg", "a.png", ""], timeout=5000)
    qtbot.waitUntil(dialog.add.isEnabled, timeout=5000)
    dialog.add.click()
    qtbot.waitUntil(lambda: dialog._task is None, timeout=20000)
    lines = [dialog.report.item(n).text() for n in range(dialog.report.count())]
    assert "255 is read as 1 polyp" in lines[0]
    assert "one pixel counts as 1 mm" in lines[0]
    assert lines[1:] == ["✓ b", "2 cases added."]
    assert colour_session.opened().read("a").labels.sum() == 7 * 12


def test_one_picture_takes_one_line(colour_session, qtbot, tmp_path):
    path = picture(tmp_path / "polyp7.png")
    dialog = AddCasesDialog(colour_session, [path])
    qtbot.addWidget(dialog)
    case = dialog.branch(CaseBranch)
    assert list(case.files) == ["RGB"]
    assert case.files["RGB"].path() == path
    assert case.name.text() == "polyp7"
    dialog.add.click()
    qtbot.waitUntil(lambda: dialog._task is None, timeout=20000)
    assert tuple(colour_session.opened().read("polyp7").images) == COLOUR


def test_sizes_of_a_picture_are_pixels(qtbot):
    classes, regions = ClassList(), RegionList()
    qtbot.addWidget(classes)
    qtbot.addWidget(regions)
    classes.set_scheme(SCHEME)
    classes.set_volumes({1: 12345.0}, pixels=True)
    assert (classes.headerItem().text(1), classes.topLevelItem(0).text(1)) == ("px", "12,345")
    classes.set_volumes({1: 1.5})
    assert (classes.headerItem().text(1), classes.topLevelItem(0).text(1)) == ("ml", "1.50")
    regions.set_regions([], SCHEME, pixels=True)
    assert regions.headerItem().text(1) == "px"
