from __future__ import annotations

from pathlib import Path

import pytest
from array_canvas import SCHEME, write_image, write_labels
from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDropEvent

from napari_penumbra.domain.case import Closing, PoolCounts
from napari_penumbra.widgets.add_case_branch import CaseBranch, case_name, names_modality
from napari_penumbra.widgets.add_cases_dialog import AddCasesDialog
from napari_penumbra.widgets.add_folder_branch import FolderBranch
from napari_penumbra.widgets.case_controller import CaseController
from napari_penumbra.widgets.messages import MessageBar
from napari_penumbra.widgets.new_study_dialog import NewStudyDialog
from napari_penumbra.widgets.study_page import StudyPage, count_words


@pytest.fixture
def page(session, canvas, qtbot):
    bar = MessageBar()
    qtbot.addWidget(bar)
    controller = CaseController(session, canvas, bar)
    page = StudyPage(session, controller)
    qtbot.addWidget(page)
    page.show()
    yield page
    page.disconnect_all()
    controller.disconnect_all()


def names(page: StudyPage) -> list[str]:
    return [page.table.filter.index(n, 0).data() for n in range(page.table.filter.rowCount())]


def test_without_a_study_it_says_what_to_do(page, qtbot):
    assert "New study" in page.empty.button.text()
    assert not page.empty.isHidden()
    page.empty.button.click()
    dialog = page._dialog
    assert isinstance(dialog, NewStudyDialog)
    assert dialog.isVisible()
    assert not dialog.isModal()
    dialog.reject()
    qtbot.waitUntil(lambda: page._dialog is None)


def test_a_new_study_is_made_by_the_dialog(page, session, tmp_path, qtbot):
    page.new.click()
    dialog = page._dialog
    assert not dialog.create.isEnabled()
    dialog.name.setText("Stroke cohort")
    dialog.folder.setText(str(tmp_path / "mine"))
    dialog.modalities.setText("DWI, T2")
    assert "label class" in dialog.missing.text()
    dialog.labels.setPlainText("penumbra\n2=core")
    assert dialog.create.isEnabled()
    dialog.create.click()
    assert session.study.name == "Stroke cohort"
    assert session.study.labels == SCHEME
    assert page.empty.button.text() == "Add cases…"
    qtbot.waitUntil(lambda: page._dialog is None)


def test_a_folder_that_is_not_empty_is_refused_in_the_dialog(page, tmp_path, qtbot):
    (tmp_path / "thing.txt").write_text("x")
    page.new.click()
    dialog = page._dialog
    dialog.name.setText("Study")
    dialog.folder.setText(str(tmp_path))
    dialog.modalities.setText("DWI")
    dialog.labels.setPlainText("core")
    assert not dialog.create.isEnabled()
    assert "not empty" in dialog.create.toolTip()
    dialog.reject()
    qtbot.waitUntil(lambda: page._dialog is None)


def test_lists_the_cases_and_counts(study, page):
    assert sorted(names(page)) == ["p000", "p001", "p002", "p003"]
    assert names(page)[-1] == "p000", "what is labelled comes last"
    page.order.setCurrentIndex(page.order.findData("file"))
    assert names(page) == ["p000", "p001", "p002", "p003"]
    assert page.count_line.text() == "4 cases · 1 labelled"
    assert page.title.text() == "Stroke cohort"
    assert str(study.study.root) in page.title.toolTip()


def test_the_counts_have_a_line_of_their_own(study, page, qtbot):
    page.resize(390, 600)
    page.count_line.setText(count_words(PoolCounts(124, 16, 2, 0, 100)))
    line = page.count_line
    qtbot.waitUntil(lambda: page.width() == 390 and line.width() > 350)
    assert line.heightForWidth(line.width()) < 2 * line.fontMetrics().lineSpacing()
    assert page.check.y() > line.y()


def test_open_next_and_double_click(study, page, canvas, qtbot):
    with qtbot.waitSignal(page.case_opened):
        page.next.click()
    assert canvas.case == names(page)[0], "the first of the list"
    with qtbot.waitSignal(page.case_opened):
        page.table.opened.emit("p003")
    assert canvas.case == "p003"
    assert page.table.selected() == "p003"


def test_when_every_case_is_finished_next_says_so(study, page):
    for row in study.cases():
        if not row.state.labelled:
            study.close_case(row.name, study.load(row.name).labels, Closing.COMPLETE)
    page.open_case("p000")
    page.next.click()
    assert "no case further on that is not finished" in page.messages.words.text()
    assert page.cases.name == "p000"


def test_opening_another_case_saves_first(study, page, canvas):
    page.open_case("p001")
    canvas.paint(((2, 2, 2), (3, 6, 6)), 1)
    page.open_case("p002")
    assert not canvas.dirty()
    assert study.study.read("p001").labels[2, 3, 3] == 1


def test_rows_follow_the_study(study, page, canvas, qtbot):
    page.open_case("p001")
    canvas.paint(((2, 2, 2), (3, 6, 6)), 1)
    page.cases.save()
    qtbot.waitUntil(lambda: "in progress" in {row.state.value for row in page.table.cases.rows})


def drop(page: StudyPage, *files: Path) -> None:
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path)) for path in files])
    buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    page.dropEvent(QDropEvent(QPointF(5, 5), Qt.DropAction.CopyAction, mime, buttons, keys))


def test_dropped_files_fill_the_dialog_and_are_added(study, page, tmp_path, qtbot):
    drop(page, write_image(tmp_path / "q1_T2.nii.gz"), write_image(tmp_path / "q1_DWI.nii.gz"))
    dialog = page._dialog
    assert isinstance(dialog, AddCasesDialog)
    case = dialog.branch(CaseBranch)
    assert case.name.text() == "q1"
    assert case.files["T2"].path().name == "q1_T2.nii.gz"
    dialog.add.click()
    qtbot.waitUntil(lambda: "q1" in names(page), timeout=10_000)
    qtbot.waitUntil(lambda: dialog._task is None)
    assert "1 case added." in dialog.report.item(dialog.report.count() - 1).text()
    dialog.reject()
    qtbot.waitUntil(lambda: page._dialog is None)


def test_dialogs_stand_beside_the_window_one_at_a_time_and_go_with_their_study(study, page, tmp_path, qtbot):
    page.add.click()
    dialog = page._dialog
    assert dialog.isVisible()
    assert not dialog.isModal(), "an import takes its time: painting goes on meanwhile"
    page.export.click()
    page.new.click()
    page.ask_team()
    assert page._dialog is dialog
    drop(page, write_image(tmp_path / "q1_T2.nii.gz"))
    assert dialog.branch(CaseBranch).name.text() == "q1", "what is dropped is for the dialog that is open"
    study.study_changed.emit()
    assert page._dialog is dialog, "the same study"
    study.create(tmp_path / "second", "Second", ["DWI", "T2"], SCHEME)
    assert page._dialog is None, "or its cases would be added to another study"
    assert not dialog.isVisible()


def test_a_case_that_cannot_be_added_is_told_in_the_dialog(study, page, tmp_path, qtbot):
    (tmp_path / "q1_DWI.nii.gz").write_bytes(b"no image")
    drop(page, tmp_path / "q1_DWI.nii.gz")
    dialog = page._dialog
    dialog.add.click()
    qtbot.waitUntil(lambda: not dialog.messages.isHidden(), timeout=10_000)
    assert "q1_DWI" in dialog.messages.words.text()
    dialog.reject()
    qtbot.waitUntil(lambda: page._dialog is None)
    assert "q1" not in names(page)


def test_a_folder_is_previewed_and_added_with_masks(study, page, tmp_path, qtbot):
    images, masks = tmp_path / "images", tmp_path / "masks"
    images.mkdir()
    masks.mkdir()
    for name in ("q1", "q2"):
        for modality in ("DWI", "T2"):
            write_image(images / f"{name}_{modality}.nii.gz")
    write_labels(masks / "q1.nii.gz")
    drop(page, images)
    dialog = page._dialog
    folder = dialog.branch(FolderBranch)
    folder.labels.set_path(masks)
    qtbot.waitUntil(lambda: folder.view.summary.text() == "2 cases will be added, 1 with a mask.", timeout=5000)
    assert folder.pattern.currentText() == "{case}_{modality}.nii.gz"
    assert folder.view.cells() == [
        ["q1", "q1_DWI.nii.gz", "q1_T2.nii.gz", "q1.nii.gz", ""],
        ["q2", "q2_DWI.nii.gz", "q2_T2.nii.gz", "–", ""],
    ]
    dialog.add.click()
    qtbot.waitUntil(lambda: {"q1", "q2"} <= set(names(page)), timeout=10_000)
    qtbot.waitUntil(lambda: dialog._task is None)
    dialog.reject()
    qtbot.waitUntil(lambda: page._dialog is None)


def test_guesses_of_names():
    assert names_modality(Path("p007_DWI.nii.gz"), "dwi")
    assert not names_modality(Path("p007_DWI.nii.gz"), "T2")
    assert case_name(Path("p007_DWI.nii.gz"), ["DWI"]) == "p007"
    assert case_name(Path("/scans/p007/dwi.nii"), ["DWI"]) == "p007"
    assert case_name(Path("p.007.nii.gz"), ["LGE"]) == "p.007"


def test_next_walks_on_although_begun_cases_move_to_the_top(study, page, canvas):
    seen = []
    for _ in range(3):
        page.next.click()
        seen.append(canvas.case)
        canvas.paint(((2, 2, 2), (3, 6, 6)), 1)
    assert sorted(seen) == ["p001", "p002", "p003"], "each case that is not finished once"
    page.cases.open_next(-1)
    assert canvas.case == seen[1]
    page.cases.open_next(1)
    assert canvas.case == seen[2]
