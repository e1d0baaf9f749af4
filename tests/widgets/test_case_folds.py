"""Compare, second reader, history and takings back on the Review page, with real files behind."""

from __future__ import annotations

import json

import nibabel
import numpy as np
import pytest
from array_canvas import SHAPE
from qtpy.QtCore import QPoint
from qtpy.QtWidgets import QMenu

from napari_penumbra.domain.case import CaseState, Closing
from napari_penumbra.domain.grid import zyx_to_ijk
from napari_penumbra.session import reader_name
from napari_penumbra.widgets.compare_controller import SCREEN
from napari_penumbra.widgets.dock import Dock

RUN = "20261121-080000-mean-teacher-abcd"


def predict(session, name: str, labels: np.ndarray) -> None:
    """Write what a prediction worker writes."""
    study = session.study
    folder = study.layout.predictions(name)
    folder.mkdir(exist_ok=True)
    affine = study.grid(name).matrix
    data = {"case": name, "run": RUN, "created": "2026-11-21T08:00:00+00:00"}
    for kind, values in (("labels", labels), ("confidence", np.full(SHAPE, 0.9, np.float32))):
        file = folder / f"{RUN}.{kind}.nii.gz"
        nibabel.save(nibabel.Nifti1Image(zyx_to_ijk(values), affine), file)
        data[kind] = file.relative_to(study.root).as_posix()
    (folder / f"{RUN}.json").write_text(json.dumps(data))
    study.register_predictions()


@pytest.fixture
def dock(study, canvas, qtbot, tmp_path, monkeypatch):
    """p000 is annotated by hand; p001 has a prediction; the champion is on disk."""
    monkeypatch.setattr(reader_name, "file_of_name", lambda: tmp_path / "settings" / "reader.txt")
    dock = Dock(study, canvas)
    study.order = "file"
    qtbot.addWidget(dock)
    study.study.add_run(RUN, "train", "mean-teacher", "laptop")
    study.study.set_champion(RUN)
    labels = np.zeros(SHAPE, np.uint8)
    labels[2:4, 6:12, 8:14] = 1
    predict(study, "p001", labels)
    dock.show()
    dock.show_page("review")
    yield dock
    dock.shut_down()


@pytest.fixture
def folds(dock):
    return dock.review_page.folds


def compared(folds, qtbot):
    qtbot.waitUntil(lambda: folds.compare.result is not None and not folds.compare.busy, timeout=10_000)
    return folds.compare.result


def last(canvas, kind: str):
    return next((call for call in reversed(canvas.calls) if call[0] == kind), None)


def contours_now(canvas) -> bool:
    kinds = [call[0] for call in canvas.calls if call[0] in ("contours", "no contours")]
    return bool(kinds) and kinds[-1] == "contours"


# ---------------------------------------------------------------- compare


def test_prediction_against_the_screen(dock, folds, canvas, qtbot):
    dock.cases.open("p001")
    canvas.paint(((2, 6, 8), (3, 12, 14)), 0)
    folds.compare_fold.expand(animate=False)
    result = compared(folds, qtbot)
    assert folds.compare.pair == (SCREEN, "p1")
    penumbra = result.classes[0]
    assert penumbra.scores.dice == pytest.approx(2 / 3)
    assert folds.compare_box.table.topLevelItem(0).text(1) == "0.67"
    assert "only ┅" in folds.compare_box.places.topLevelItem(0).text(0)
    (_, first, second, names) = last(canvas, "contours")
    assert np.count_nonzero(first) == 36
    assert np.count_nonzero(second) == 72
    assert names == ("on screen", folds.compare.choices()[1].short)
    folds.compare_fold.collapse(animate=False)
    assert not contours_now(canvas)


def test_contours_that_cannot_be_drawn_say_why(dock, folds, canvas):
    folds.compare_fold.expand(animate=False)
    dock.cases.open("p003")
    contours = folds.compare_box.contours
    assert not contours.isEnabled()
    assert "nothing to compare" in contours.toolTip()
    canvas.views.turn(True)
    assert "2D/3D" in contours.toolTip()
    canvas.views.turn(False)
    dock.cases.open("p001")
    assert contours.isEnabled()
    assert "solid yellow" in contours.toolTip()


def test_jump_goes_round_by_size(dock, folds, canvas, qtbot):
    dock.cases.open("p001")
    canvas.paint(((0, 0, 0), (1, 2, 2)), 2)
    canvas.paint(((5, 0, 0), (6, 1, 1)), 2)
    folds.compare_box.jump.click()  # opens the fold first
    compared(folds, qtbot)
    sizes = []
    for _ in range(3):
        sizes.append(folds.compare.places[folds.compare.current].region.voxels)
        folds.compare_box.jump.click()
    assert sizes == [4, 1, 4]
    assert last(canvas, "go")[1] == folds.compare.places[1].region.box
    assert folds.compare_box.places.selectedItems()[0].text(0).startswith("2 ")


def test_painting_makes_the_comparison_anew(dock, folds, canvas, qtbot):
    dock.cases.open("p001")
    folds.compare_fold.expand(animate=False)
    assert compared(folds, qtbot).places == ()
    canvas.paint(((0, 0, 0), (1, 2, 2)), 2)
    qtbot.waitUntil(lambda: bool(folds.compare.places), timeout=10_000)


def test_take_one_of_them(dock, folds, canvas, qtbot):
    dock.cases.open("p001")
    canvas.paint(((2, 6, 8), (3, 12, 14)), 0)
    folds.compare_box.jump.click()
    compared(folds, qtbot)
    folds.compare.go(0)
    for button, value in (("second", 1), ("first", 0), ("unknown", 255), ("background", 0)):
        folds.compare_box.takes[button].click()
        assert (canvas.labels()[2, 6:12, 8:14] == value).all()
    canvas.undo()
    assert (canvas.labels()[2, 6:12, 8:14] == 255).all()


def test_readonly_compares_but_changes_nothing(study, canvas, qtbot, tmp_path):
    predict(study, "p001", np.ones(SHAPE, np.uint8))
    root = study.study.root
    study.close()
    study.open(root, write=False)
    dock = Dock(study, canvas)
    qtbot.addWidget(dock)
    dock.show()
    dock.show_page("review")
    dock.cases.open("p001")
    folds = dock.review_page.folds
    folds.compare.set_pair((SCREEN, "p1"))
    folds.compare_box.jump.click()
    compared(folds, qtbot)
    assert contours_now(canvas)
    for button in (*folds.compare_box.takes.values(), folds.readers_box.start, folds.readers_box.make):
        assert not button.isEnabled()
        assert "read-only" in button.toolTip() or "Pick" in button.toolTip()
    dock.shut_down()


def test_a_file_that_is_gone_is_told(dock, folds, qtbot):
    dock.cases.open("p001")
    study = dock.session.study
    study.layout.absolute(study.predictions("p001")[0].labels).unlink()
    folds.compare_fold.expand(animate=False)
    qtbot.waitUntil(lambda: dock.messages.isVisible(), timeout=10_000)
    assert "nii.gz" in dock.messages.words.text()
    assert folds.compare.result is None
    assert folds.compare_box.places.topLevelItemCount() == 0
    predict(dock.session, "p001", np.ones(SHAPE, np.uint8))  # the file is back: J tries again
    folds.compare_box.jump.click()
    compared(folds, qtbot)


def test_nothing_to_compare_and_nobody_to_agree_with(dock, folds):
    dock.cases.open("p003")
    assert not folds.readers_box.make.isEnabled()
    assert "two readers" in folds.readers_box.make.toolTip()
    assert "nothing to compare" in folds.compare.why_not()
    folds.compare_fold.expand(animate=False)
    assert not folds.compare_box.first.isEnabled()
    assert not folds.compare_box.jump.isEnabled()


def test_one_fold_at_a_time_has_the_page_to_itself(dock, folds, qtbot):
    dock.cases.open("p001")
    page = dock.review_page
    assert page.regions.isVisible()
    folds.compare_fold.expand(animate=False)
    folds.history_fold.expand(animate=False)
    assert not folds.compare_fold.isExpanded()
    assert not page.regions.isVisible()
    assert not page.buttons["reject_region"].isVisible()  # its key must not reject what nobody sees
    folds.history_fold.collapse(animate=False)
    assert page.regions.isVisible()
    assert page.buttons["reject_region"].isVisible()


def test_without_a_prediction_an_open_fold_has_the_page_to_itself_too(dock, folds):
    dock.cases.open("p003")
    page = dock.review_page
    assert page.empty.isVisible()
    folds.history_fold.expand(animate=False)
    assert not page.empty.isVisible()
    assert page.bare_head.isVisible()
    assert page.bare_head.text().startswith("p003 · ")
    folds.history_fold.collapse(animate=False)
    assert page.empty.isVisible()
    assert not page.bare_head.isVisible()


# ---------------------------------------------------------------- second reader and consensus


def read_again(dock, canvas, name: str, box, value: int, reader: str = "reader 2") -> None:
    """A whole second reading with the buttons."""
    folds = dock.review_page.folds
    folds.readers_box.second.setText(reader)
    folds.readers_box.start.click()
    assert dock.session.is_blind(name)
    canvas.paint(box, value)
    dock.annotate_page.complete.click()


def test_a_second_reading_is_blind(dock, folds, canvas):
    dock.cases.open("p000")
    study = dock.session.study
    before, pool = study.annotations("p000"), study.pool()
    folds.readers_box.start.click()
    assert dock.page() == "annotate"
    assert not canvas.labels().any()
    assert dock.reading_bar.isVisible()
    assert "Blind" in dock.reading_bar.words.text()
    assert "new" in dock.annotate_page.head.text()
    dock.show_page("review")
    assert "blind" in dock.review_page.empty.words.text()
    assert "not shown" in folds.compare.why_not()
    assert not folds.readers_box.make.isEnabled()
    folds.history_fold.expand(animate=False)
    assert folds.history_box.tree.topLevelItemCount() == 0
    dock.show_page("annotate")
    canvas.paint(((0, 0, 0), (1, 2, 2)), 1)
    dock.reading_bar.leave.click()
    assert not dock.reading_bar.isVisible()
    assert (study.annotations("p000"), study.pool()) == (before, pool)
    assert canvas.labels().any()
    assert not canvas.labels()[0, 0, 0]
    (reading,) = study.readings("p000")
    assert (reading.reader, reading.closing) == ("reader 2", Closing.DRAFT)


def test_what_was_dirty_is_saved_where_it_belongs(dock, folds, canvas):
    dock.cases.open("p003")
    canvas.paint(((0, 0, 0), (1, 2, 2)), 1)
    folds.readers_box.start.click()
    assert dock.session.is_blind("p003")
    study = dock.session.study
    assert study.readings("p003") == []
    assert np.count_nonzero(study.read_source("p003", "r1")) == 4
    canvas.paint(((0, 0, 0), (1, 4, 4)), 1)
    dock.cases.open("p001")  # leaving for another case saves the reading and ends it
    assert dock.session.blind is None
    assert np.count_nonzero(study.read_source("p003", "s1")) == 16
    assert len(study.annotations("p003")) == 1


def test_finished_it_is_compared(dock, folds, canvas, qtbot):
    dock.cases.open("p000")
    read_again(dock, canvas, "p000", ((2, 6, 8), (4, 12, 10)), 1)
    assert "finished" in dock.reading_bar.words.text()
    dock.reading_bar.leave.click()
    assert dock.page() == "review"
    assert compared(folds, qtbot).places
    assert folds.compare.pair == (SCREEN, "s1")


def test_consensus_by_the_review_keys(dock, folds, canvas, qtbot):
    dock.cases.open("p000")
    first = np.array(canvas.labels())
    read_again(dock, canvas, "p000", ((2, 6, 6), (4, 12, 10)), 1)
    dock.reading_bar.leave.click()
    folds.readers_box.make.click()
    qtbot.waitUntil(lambda: folds.compare.resolving and folds.compare.result is not None, timeout=10_000)
    study, page = dock.session.study, dock.review_page
    assert study.case("p000").state is CaseState.IN_PROGRESS
    assert folds.compare.pair == ("r1", "s1")
    open_ones = folds.compare.unsettled()
    assert open_ones == len(folds.compare.places) >= 3
    assert (canvas.labels() == 255).any()

    places = folds.compare.places
    qtbot.waitUntil(lambda: folds.compare.current == 0)
    for name in ("accept_region", "reject_region", "unknown_region"):
        assert page.buttons[name].isEnabled(), page.buttons[name].toolTip()
        page.buttons[name].click()
    taken = [np.unique(canvas.labels()[p.region.slices][p.region.mask]).tolist() for p in places[:3]]
    assert taken == [[places[0].first or places[0].second], [0], [255]]
    assert folds.compare.unsettled() == open_ones - 3
    assert "left unknown" in folds.compare_box.places.topLevelItem(2).text(2)
    page.buttons["undo_decision"].click()
    page.buttons["undo_decision"].click()
    assert folds.compare.unsettled() == open_ones - 1
    assert folds.compare.current == 1
    while folds.compare.unsettled():
        page.buttons["accept_region"].click()
    page.buttons["accept_case"].click()
    assert not folds.compare.resolving
    assert study.case("p000").state is CaseState.ANNOTATED
    final = study.read("p000").labels
    assert 255 not in final
    union = (first > 0) | (study.read_source("p000", "s1") > 0)
    np.testing.assert_array_equal(final > 0, union)
    made = [e.what for e in study.history("p000") if e.key]
    assert made == ["imported", "second reading", "consensus", "complete"]


def test_the_readers_name(dock, folds):
    dock.cases.open("p000")
    box = folds.readers_box
    assert box.me.text() == ""
    box.me.setText("reader 5")
    box.me.editingFinished.emit()
    assert dock.session.reader == "reader 5"
    box.second.setText("  ")
    box.start.click()
    assert "name" in dock.messages.words.text()
    assert dock.session.blind is None


# ---------------------------------------------------------------- history, back and forth


def test_history_compares_and_restores(dock, folds, canvas, qtbot):
    dock.cases.open("p000")
    before = np.array(canvas.labels())
    canvas.paint(((0, 0, 0), (1, 4, 4)), 2)
    dock.cases.save()
    folds.history_fold.expand(animate=False)
    box = folds.history_box
    rows = [box.tree.topLevelItem(n).text(1).splitlines()[0] for n in range(box.tree.topLevelItemCount())]
    assert rows == ["● r2 draft", "r1 imported", "added"]
    for n in (0, 1):
        box.tree.topLevelItem(n).setSelected(True)
    assert not box.restore.isEnabled()
    box.compare.click()
    assert compared(folds, qtbot).classes[1].second_ml > 0
    assert folds.compare.pair == ("r1", "r2")

    folds.history_fold.expand(animate=False)
    box.tree.clearSelection()
    box.tree.topLevelItem(1).setSelected(True)
    box.restore.click()
    np.testing.assert_array_equal(canvas.labels(), before)
    assert not canvas.dirty()
    assert box.tree.topLevelItem(0).text(1).startswith("● r3 restored")
    box.tree.clearSelection()
    box.tree.topLevelItem(0).setSelected(True)
    assert "now" in box.restore.toolTip()


def test_take_back_and_put_back(dock, folds, canvas):
    dock.cases.open("p000")
    study = dock.session.study
    assert folds.take_back.isVisible()
    folds.take_back.click()
    assert study.case("p000").state is CaseState.IN_PROGRESS
    assert dock.taken_back_bar.isVisible()
    assert "No model has learnt" in dock.taken_back_bar.words.text()
    assert not folds.take_back.isVisible()
    dock.taken_back_bar.back.click()
    assert study.case("p000").state is CaseState.ANNOTATED
    assert not dock.taken_back_bar.isVisible()


def test_painting_ends_the_offer_to_put_back(dock, folds, canvas):
    dock.cases.open("p000")
    folds.take_back.click()
    canvas.paint(((0, 0, 0), (1, 4, 4)), 2)
    dock.cases.save()
    assert not dock.taken_back_bar.back.isEnabled()
    assert "changed since" in dock.taken_back_bar.back.toolTip()


def test_taking_back_a_partial_case_shows_what_was_drawn(dock, canvas):
    dock.cases.open("p003")
    canvas.paint(((2, 0, 0), (3, 4, 4)), 2)
    dock.annotate_page.partial.click()
    dock.cases.open("p003")
    assert (canvas.labels() == 255).any()
    dock.cases.reopen()
    assert not (canvas.labels() == 255).any()
    assert (canvas.labels()[2, :4, :4] == 2).all()


def test_the_menu_of_a_case(dock, canvas):
    dock.cases.open("p001")
    dock.show_page("study")
    menu = dock.case_menu.menu("p000")
    entries = {entry.text(): entry for entry in menu.actions()}
    assert entries["Take back"].isEnabled()
    assert not entries["Put back"].isEnabled()
    entries["Take back"].trigger()
    assert dock.session.study.case("p000").state is CaseState.IN_PROGRESS
    assert dock.taken_back_bar.isVisible()  # although another case is shown
    menu.deleteLater()
    menu = dock.case_menu.menu("p000")
    entries = {entry.text(): entry for entry in menu.actions()}
    assert "not in the labelled pool" in entries["Take back"].toolTip()
    entries["Put back"].trigger()
    assert dock.session.study.case("p000").state is CaseState.ANNOTATED
    table = dock.study_page.table
    count = len(table.findChildren(QMenu, "case_menu"))
    table.customContextMenuRequested.emit(QPoint(2, table.height() - 2))  # beside the cases: no menu
    assert len(table.findChildren(QMenu, "case_menu")) == count
