"""Export… on the Study page of the real window: what is listed is what lies on the disk."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import slicerio
from desk_study import make
from plugin_cases import GRID

from napari_penumbra.plugin.main_widget import PenumbraWidget
from napari_penumbra.study.exporters import nifti
from napari_penumbra.widgets.export_dialog import ExportDialog


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("made"))


@pytest.fixture
def widget(make_napari_viewer: Callable[..., Any], made: Path, tmp_path: Path) -> Iterator[PenumbraWidget]:
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1366, 768)
    _, widget = viewer.window.add_plugin_dock_widget("napari-penumbra", "Penumbra")
    widget.session.auto_predict = False
    widget.open_study(Path(shutil.copytree(made, tmp_path / "study")))
    yield widget
    widget.shut()


class Hand:
    """Works the dialog as a reader does."""

    def __init__(self, widget: PenumbraWidget, qtbot: Any) -> None:
        self.page, self.qtbot = widget.dock.study_page, qtbot
        self.page.export.click()
        self.dialog: ExportDialog = self.page.findChild(ExportDialog, "export_dialog")
        assert self.dialog.isVisible()

    def choose(self, kind: str, folder: Path) -> list[str]:
        """Choose; returns the files as they are listed."""
        self.dialog.form.choose(kind)
        self.dialog.form.folder.set_path(folder)
        return self.listed()

    def listed(self) -> list[str]:
        self.qtbot.wait(300)
        self.qtbot.waitUntil(lambda: self.dialog._planning is None and not self.dialog._soon.isActive(), timeout=20_000)
        found = self.dialog.list
        return [found.item(n).text() for n in range(found.count())]

    def write(self) -> None:
        self.dialog.write.click()
        assert not self.dialog.form.isEnabled()
        self.qtbot.waitUntil(lambda: self.dialog._task is None, timeout=60_000)


def test_export_from_the_window(
    widget: PenumbraWidget, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dock = widget.dock
    assert dock.cases.open("p002")  # only predicted: what is painted now must leave as well
    widget.bridge.layers.labels.data_setitem((np.array([2]), np.array([3]), np.array([4])), 2)
    dock.show_page("study")
    hand = Hand(widget, qtbot)
    dialog = hand.dialog
    assert not dialog.write.isEnabled()
    out = tmp_path / "out"
    listed = hand.choose("nrrd", out)
    assert listed[:3] == ["p001.seg.nrrd", "p003.seg.nrrd", "penumbra_export.json"]
    assert "p002 is left out: only a draft: nobody has closed it" in listed[3]
    assert not out.exists(), "a list writes nothing"
    dialog.form.drafts.click()
    assert hand.listed()[1] == "p002.seg.nrrd"
    hand.write()
    assert {p.name for p in out.iterdir()} == {*(f"p00{n}.seg.nrrd" for n in (1, 2, 3)), "penumbra_export.json"}
    read = slicerio.read_segmentation(str(out / "p002.seg.nrrd"))
    np.testing.assert_allclose(np.diag([-1, -1, 1, 1]) @ read["ijkToLPS"], GRID.matrix, atol=1e-6)
    assert read["voxels"][4, 3, 2] == 2, "the stroke that was on the screen"
    assert "3 files of cases written" in dialog.words.text()
    assert dialog.show_folder.isEnabled()
    assert not dialog.write.isEnabled(), "the folder is no longer what was looked at"

    # The same folder again is refused above the list, until overwriting is asked for.
    assert hand.choose("nnunet", out) == []
    assert "not empty" in dialog.words.text()
    assert dialog.form.images.isChecked()
    assert not dialog.form.images.isEnabled()
    dialog.form.overwrite.click()
    assert "dataset.json" in hand.listed()
    hand.write()
    assert not list(out.glob("*.seg.nrrd"))
    assert json.loads((out / "dataset.json").read_text())["numTraining"] == 3
    scan = nib.load(out / "imagesTr" / "p001_0000.nii.gz")
    np.testing.assert_allclose(scan.affine, GRID.matrix, atol=1e-5)

    for kind, file in (("cohort-table", "cohort.csv"), ("report-page", "report.html")):
        assert file in hand.choose(kind, tmp_path / kind)
        hand.write()
        assert (tmp_path / kind / file).stat().st_size > 100
    assert hand.choose("dicom-seg", tmp_path / "seg") == []
    assert "--dicom" in dialog.words.text()

    # Cancel stops after the case that is being written, and the folder says so.
    hand.choose("nifti", tmp_path / "stopped")
    go_on, real = threading.Event(), nifti.write_labels

    def wait_for_the_click(*args: Any) -> None:
        assert go_on.wait(10)
        real(*args)

    monkeypatch.setattr(nifti, "write_labels", wait_for_the_click)
    dialog.write.click()
    dialog.cancel.click()
    go_on.set()
    qtbot.waitUntil(lambda: dialog._task is None, timeout=20_000)
    record = json.loads((tmp_path / "stopped" / "penumbra_export.json").read_text())
    assert not record["complete"]
    assert {p.name for p in (tmp_path / "stopped").iterdir()} == {"p001.nii.gz", "penumbra_export.json"}
    assert "not finished" in dialog.words.text()
    dialog.close()
    qtbot.waitUntil(lambda: hand.page._dialog is None, timeout=5000)
