"""The export form shows what a kind knows, and asks for nothing that it does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from array_canvas import SCHEME, ArrayCanvas

from napari_penumbra.session import Session
from napari_penumbra.study.exporters import ExportOptions
from napari_penumbra.widgets.case_controller import CaseController
from napari_penumbra.widgets.export_form import ExportForm
from napari_penumbra.widgets.messages import MessageBar
from napari_penumbra.widgets.study_page import StudyPage


@pytest.fixture
def form(qtbot: Any) -> ExportForm:
    made = ExportForm(Session().export_kinds())
    qtbot.addWidget(made)
    made.show()
    return made


@pytest.mark.parametrize(
    ("kind", "shown", "options"),
    [
        ("nifti", "unknown confidence images", {"unknown": "keep", "confidence": True, "images": True}),
        ("nnunet", "unknown confidence images places", {"unknown": "ignore", "confidence": True}),
        ("msd", "unknown confidence images places", {"unknown": "keep", "confidence": True}),
        ("bids", "unknown confidence images", {"unknown": "keep", "confidence": True, "images": True}),
        ("dicom-seg", "unknown dicom", {"unknown": "keep", "dicom": Path("/series")}),
        ("nrrd", "unknown confidence images", {"unknown": "keep", "confidence": True, "images": True}),
        ("cohort-table", "references", {}),
        ("report-page", "references", {}),
    ],
)
def test_each_kind_has_its_own_fields(form: ExportForm, kind: str, shown: str, options: dict[str, Any]) -> None:
    form.dicom.set_path(Path("/series"))
    form.references.set_path(Path("/references"))
    form.confidence.setChecked(True)
    form.images.setChecked(True)
    form.choose(kind)
    fields = ("unknown", "confidence", "images", "places", "dicom", "references")
    assert [name for name in fields if getattr(form, name).isVisible()] == sorted(shown.split(), key=fields.index)
    assert form.options() == ExportOptions(**options)
    assert form.reference_folder() == (Path("/references") if "references" in shown else None)
    assert form.readers.text().startswith("Read by: ")


def test_a_format_that_needs_images_does_not_make_the_next_copy_them(form: ExportForm) -> None:
    form.choose("nnunet")
    assert form.images.isChecked()
    assert not form.images.isEnabled()
    assert "always has the images" in form.images.toolTip()
    form.choose("bids")
    assert not form.images.isChecked()
    assert form.images.isEnabled()
    form.images.click()
    form.choose("msd")
    form.choose("nifti")
    assert form.options().images


def test_who_reads_it_is_said_in_full_whatever_room_the_form_gives(form: ExportForm, qtbot: Any) -> None:
    words = form.readers
    form.setFixedWidth(words.fontMetrics().horizontalAdvance("n") * 50)
    for kind in ("nnunet", "msd"):
        form.choose(kind)
        form.setFixedHeight(form.minimumSizeHint().height())
        qtbot.waitUntil(lambda: words.height() >= words.minimumHeight() > 0, timeout=2000)
        assert words.minimumHeight() == words.heightForWidth(words.width())


def test_the_button_waits_for_cases(qtbot: Any, session: Session, canvas: ArrayCanvas, tmp_path: Path) -> None:
    bar = MessageBar()
    qtbot.addWidget(bar)
    controller = CaseController(session, canvas, bar)
    page = StudyPage(session, controller)
    qtbot.addWidget(page)
    page.show()
    assert not page.export.isVisible()
    session.create(tmp_path / "study", "Empty", ["DWI"], SCHEME)
    qtbot.waitUntil(page.export.isVisible, timeout=5000)
    assert not page.export.isEnabled()
    assert page.export.toolTip() == "There are no cases yet."
    page.disconnect_all()
    controller.disconnect_all()
