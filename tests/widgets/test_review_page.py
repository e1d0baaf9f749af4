from __future__ import annotations

import json
from dataclasses import replace

import nibabel
import numpy as np
import pytest
from array_canvas import SHAPE
from qtpy.QtCore import Qt

from napari_penumbra.domain.case import Verdict
from napari_penumbra.widgets.dock import Dock
from napari_penumbra.widgets.fold import Fold

RUN = "20261121-051200-mean-teacher-a1b2"
MEANING = "The lead of the first class over the second: 0 at a tie, 1 when certain."


def predict(session, name: str, run: str = RUN, empty: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Write what the prediction worker writes: labels, confidence, and the sidecar last."""
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[2:4, 6:12, 8:14] = 1
    labels[2:4, 8:10, 10:12] = 2
    confidence = np.full(SHAPE, 0.95, dtype=np.float32)
    confidence[2:4, 6:8, 8:14] = 0.2  # the posterior border of the lesion
    confidence[4:6, 15:18, 2:6] = 0.3  # a place where something may have been missed
    confidence[3:4, 11:12, 8:14] = 0.4
    if empty:
        labels[:], confidence[:] = 0, 1
    study = session.study
    folder = next(p for p in study.layout.cases.iterdir() if p.name == name) / "predictions"
    folder.mkdir(exist_ok=True)
    affine = study.grid(name).matrix
    nibabel.save(nibabel.Nifti1Image(labels.T.copy(), affine), folder / f"{run}.labels.nii.gz")
    nibabel.save(nibabel.Nifti1Image(confidence.T.copy(), affine), folder / f"{run}.confidence.nii.gz")
    sidecar = {
        "case": name,
        "run": run,
        "labels": f"cases/{name}/predictions/{run}.labels.nii.gz",
        "confidence": f"cases/{name}/predictions/{run}.confidence.nii.gz",
        "confidence_means": MEANING,
        "created": "2026-11-21T05:12:00+00:00",
    }
    (folder / f"{run}.json").write_text(json.dumps(sidecar))
    study.register_predictions()
    return labels, confidence


@pytest.fixture
def dock(study, canvas, qtbot):
    dock = Dock(study, canvas)
    study.order = "file"
    qtbot.addWidget(dock)
    study.study.add_run(RUN, "train", "mean-teacher", "laptop")
    study.study.set_champion(RUN)
    predict(study, "p001")
    predict(study, "p002")
    study.study_changed.emit()
    dock.show()
    dock.show_page("review")
    yield dock
    dock.close()


@pytest.fixture
def review(dock, qtbot):
    dock.cases.open("p001")
    qtbot.waitUntil(lambda: len(dock.review.regions) >= 2, timeout=5000)
    return dock.review


def press(dock, name: str) -> None:
    button = dock.review_page.buttons[name]
    assert button.isEnabled(), button.toolTip()
    button.click()


def verdicts(review) -> list[Verdict | None]:
    return [region.verdict for region in review.regions]


def test_without_a_case_it_offers_the_next_predicted_one(dock, canvas):
    assert "p001 waits for a review" in dock.review_page.empty.words.text()
    dock.review_page.empty.button.click()
    assert canvas.case == "p001"


def test_without_a_model_it_says_label_and_train(session, study, canvas, qtbot):
    dock = Dock(study, canvas)
    qtbot.addWidget(dock)
    dock.show()
    dock.show_page("review")
    assert dock.review_page.empty.words.text() == "No model yet: label two cases, then train."
    dock.review_page.empty.button.click()
    assert dock.page() == "train"
    dock.close()


def test_a_prediction_of_nothing_says_what_to_do(dock, study, qtbot):
    run = f"{RUN}b"
    study.study.add_run(run, "train", "mean-teacher", "laptop")
    predict(study, "p003", run, empty=True)
    assert dock.cases.open("p003")
    page = dock.review_page
    qtbot.waitUntil(lambda: "No weak region" in page.left.text(), timeout=5000)
    assert "look through the slices, then accept the case" in page.left.text()
    assert "no region" in page.buttons["next_region"].toolTip()
    assert page.buttons["accept_case"].isEnabled()


def test_lists_the_regions_most_rewarding_first(dock, review):
    benefits = [region.benefit for region in review.regions]
    assert benefits == sorted(benefits, reverse=True)
    assert dock.review_page.regions.topLevelItemCount() == len(review.regions)
    assert dock.review_page.left.text().startswith(f"0 of {len(review.regions)} decided · ")
    assert dock.review_page.left.text().endswith(" ml left")


def test_the_overlay_starts_off_and_can_be_switched(dock, review, canvas):
    page = dock.review_page
    assert not page.overlay.isChecked()
    page.overlay.click()
    assert canvas.calls[-1] == ("confidence", True)
    page.threshold_slider.setValue(0.35)
    assert ("threshold", pytest.approx(0.35)) in canvas.calls


def test_the_threshold_changes_the_list(dock, review, qtbot):
    before = len(review.regions)
    dock.review_page.threshold_slider.setValue(0.1)
    qtbot.waitUntil(lambda: not review.loading and len(review.regions) < before, timeout=5000)


def test_next_jumps_to_the_region(dock, review, canvas):
    press(dock, "next_region")
    assert canvas.calls[-1] == ("go", review.regions[0].box)
    press(dock, "next_region")
    assert canvas.calls[-1] == ("go", review.regions[1].box)
    press(dock, "previous_region")
    assert review.current == 0


def test_a_verdict_needs_a_region(dock, review):
    button = dock.review_page.buttons["accept_region"]
    assert not button.isEnabled()
    assert "press N" in button.toolTip()


@pytest.mark.parametrize(
    ("button", "verdict", "value"),
    [
        ("reject_region", Verdict.REJECT, 0),
        ("unknown_region", Verdict.UNKNOWN, 255),
        ("accept_region", Verdict.ACCEPT, None),
    ],
)
def test_a_verdict_changes_voxels_goes_on_and_can_be_undone(dock, review, canvas, study, button, verdict, value):
    before = canvas.labels().copy()
    predicted = dock.cases.shown.predicted
    press(dock, "next_region")
    region = review.regions[0]
    press(dock, button)
    assert verdicts(review)[0] is verdict
    assert review.current == 1
    inside = canvas.labels()[region.slices][region.mask]
    assert (inside == (predicted[region.slices][region.mask] if value is None else value)).all()
    outside = np.ones(SHAPE, dtype=bool)
    outside[region.slices] = ~region.mask
    assert np.array_equal(canvas.labels()[outside], before[outside])
    assert [d.verdict for d in study.study.decisions("p001")] == [verdict]
    press(dock, "undo_decision")
    assert verdicts(review)[0] is None
    assert review.current == 0
    assert np.array_equal(canvas.labels(), before)
    assert study.study.decisions("p001") == []


def test_painting_in_the_region_marks_it_fixed_and_accept_keeps_the_paint(dock, review, canvas, study):
    press(dock, "next_region")
    region = review.regions[0]
    z, y, x = region.center
    canvas.paint(((z, y, x), (z + 1, y + 1, x + 1)), 2)
    assert verdicts(review)[0] is Verdict.FIXED
    assert review.current == 0, "painting goes on where it is"
    press(dock, "accept_region")
    assert verdicts(review)[0] is Verdict.FIXED
    assert canvas.labels()[z, y, x] == 2


def test_accepting_the_rest_never_overwrites_paint(dock, review, canvas):
    region = review.regions[1]  # not the one that is looked at
    z, y, x = region.center
    new = 2 if canvas.labels()[z, y, x] != 2 else 1
    canvas.paint(((z, y, x), (z + 1, y + 1, x + 1)), new)
    press(dock, "accept_rest")
    assert canvas.labels()[z, y, x] == new
    assert verdicts(review)[1] is Verdict.FIXED
    assert None not in verdicts(review)
    dock.review_page.refresh()
    assert dock.review_page.left.text() == f"All {len(review.regions)} decided: accept the case."


def test_what_was_drawn_while_the_regions_were_sought_is_kept(dock, canvas, qtbot):
    dock.cases.open("p001")
    assert dock.review.loading
    canvas.paint(((2, 6, 8), (3, 8, 9)), 2)
    qtbot.waitUntil(lambda: len(dock.review.regions) >= 2, timeout=5000)
    press(dock, "accept_rest")
    assert (canvas.labels()[2, 6:8, 8] == 2).all()


def test_drawings_of_before_the_prediction_are_kept_and_the_rest_is_taken(dock, canvas, study, qtbot):
    dock.cases.open("p003")
    canvas.paint(((2, 6, 8), (3, 8, 9)), 2)
    dock.cases.save()
    predicted, _ = predict(study, "p003")
    dock.cases.open("p003")
    qtbot.waitUntil(lambda: len(dock.review.regions) >= 2, timeout=5000)
    assert canvas.labels()[3, 6, 8] == 0
    press(dock, "accept_rest")
    assert (canvas.labels()[2, 6:8, 8] == 2).all()
    region = next(r for r in dock.review.regions if r.verdict is Verdict.FIXED)
    taken = canvas.labels()[region.slices] == predicted[region.slices]
    taken[2 - region.box[0][0], :, 8 - region.box[0][2]] = True
    assert taken[region.mask].all()


def test_undoing_a_second_verdict_brings_the_first_one_back(dock, review, canvas, study):
    press(dock, "next_region")
    press(dock, "reject_region")
    press(dock, "reject_region")
    review.go(0)
    press(dock, "unknown_region")
    assert verdicts(review)[:2] == [Verdict.UNKNOWN, Verdict.REJECT]
    press(dock, "undo_decision")
    assert verdicts(review)[:2] == [Verdict.REJECT, Verdict.REJECT]
    assert {d.verdict for d in study.study.decisions("p001")} == {Verdict.REJECT}
    press(dock, "undo_decision")
    assert verdicts(review)[:2] == [Verdict.REJECT, None]
    press(dock, "undo_decision")
    assert study.study.decisions("p001") == []
    assert np.array_equal(canvas.labels(), dock.cases.shown.predicted)


def test_accept_the_rest_is_one_step_of_undo(dock, review, study):
    press(dock, "accept_rest")
    assert set(verdicts(review)) == {Verdict.ACCEPT}
    assert len(study.study.decisions("p001")) == len(review.regions)
    press(dock, "undo_decision")
    assert set(verdicts(review)) == {None}
    assert study.study.decisions("p001") == []


def test_undo_goes_back_step_by_step_through_verdicts_and_strokes(dock, review, canvas, study):
    start = canvas.labels().copy()
    press(dock, "next_region")
    region = review.regions[0]
    press(dock, "reject_region")  # goes on to the next region
    rejected = canvas.labels().copy()
    z, y, x = region.center
    canvas.paint(((z, y, x), (z + 1, y + 1, x + 1)), 2)
    canvas.paint(((z, y, x), (z + 1, y + 1, x + 1)), 1)
    assert verdicts(review)[0] is Verdict.FIXED
    assert review.current == 1
    press(dock, "accept_region")  # changes no voxel
    assert verdicts(review)[1] is Verdict.ACCEPT
    press(dock, "undo_decision")
    assert verdicts(review)[:2] == [Verdict.FIXED, None]
    assert canvas.labels()[z, y, x] == 1
    press(dock, "undo_decision")
    assert canvas.labels()[z, y, x] == 2
    assert verdicts(review)[0] is Verdict.FIXED
    press(dock, "undo_decision")
    assert np.array_equal(canvas.labels(), rejected)
    assert verdicts(review)[0] is Verdict.REJECT
    assert [d.verdict for d in study.study.decisions("p001")] == [Verdict.REJECT]
    press(dock, "undo_decision")
    assert np.array_equal(canvas.labels(), start)
    assert set(verdicts(review)) == {None}
    assert study.study.decisions("p001") == []
    dock.review_page.refresh()
    assert dock.review_page.buttons["undo_decision"].toolTip() == "There is nothing to take back."


def test_undo_on_the_annotate_page_takes_the_verdict_along(dock, review, canvas, study):
    start = canvas.labels().copy()
    press(dock, "next_region")
    press(dock, "reject_region")
    press(dock, "accept_region")
    dock.show_page("annotate")
    canvas.undo()
    assert np.array_equal(canvas.labels(), start)
    assert verdicts(review)[:2] == [None, Verdict.ACCEPT]
    assert [d.verdict for d in study.study.decisions("p001")] == [Verdict.ACCEPT]
    dock.show_page("review")
    press(dock, "undo_decision")
    assert study.study.decisions("p001") == []


def test_a_verdict_on_a_fixed_region_keeps_its_history(dock, review, canvas, study):
    press(dock, "next_region")
    region = review.regions[0]
    z, y, x = region.center
    canvas.paint(((z, y, x), (z + 1, y + 1, x + 1)), 2)
    painted = canvas.labels().copy()
    press(dock, "unknown_region")
    assert (canvas.labels()[region.slices][region.mask] == 255).all()
    press(dock, "undo_decision")
    assert verdicts(review)[0] is Verdict.FIXED
    assert np.array_equal(canvas.labels(), painted)
    press(dock, "undo_decision")
    assert set(verdicts(review)) == {None}
    assert study.study.decisions("p001") == []
    review.go(0)
    press(dock, "accept_region")
    assert verdicts(review)[0] is Verdict.ACCEPT, "nothing of the reader's own is left in it"


def test_accept_rest_changes_all_its_voxels_in_one_stroke(dock, canvas, study, qtbot):
    dock.cases.open("p003")  # drawn on before there was a prediction: accepting takes the predicted voxels
    canvas.paint(((0, 0, 0), (1, 2, 2)), 2)
    dock.cases.save()
    predict(study, "p003")
    dock.cases.open("p003")
    qtbot.waitUntil(lambda: len(dock.review.regions) >= 2, timeout=5000)
    before = canvas.labels().copy()
    strokes = []
    canvas.stroke.connect(lambda box, after: strokes.append(box))
    press(dock, "accept_rest")
    assert len(strokes) == 1
    assert (canvas.labels()[0, :2, :2] == 2).all()
    press(dock, "undo_decision")
    assert np.array_equal(canvas.labels(), before)
    assert study.study.decisions("p003") == []


@pytest.mark.parametrize("sure", [0.0, 0.25, 1.0])
def test_accept_rest_takes_only_what_is_sure_enough_and_says_so(dock, review, canvas, study, sure):
    page = dock.review_page
    page.rest.slider.setValue(sure)
    wanted = [region for region in review.regions if region.confidence >= sure]
    voxels = sum(int(region.mask.sum()) for region in wanted)
    words = page.rest.words.text()
    if not wanted:
        assert words == f"None of {len(review.regions)} is that sure."
        assert "move the slider" in page.rest.button.toolTip()
        return
    who = f"{len(wanted)} of {len(review.regions)}" if len(wanted) < len(review.regions) else f"all {len(wanted)}"
    assert f"Accepts {who} regions, {voxels:,} voxels, " in words
    assert f"{voxels * 0.02:,.1f} ml" in words or voxels * 0.02 < 0.1
    assert "how often right: not yet known (0 of 3 corrected cases)" in words
    press(dock, "accept_rest")
    decided = {d.box for d in study.study.decisions("p001")}
    assert decided == {region.box for region in wanted}
    assert all((r.verdict is Verdict.ACCEPT) == (r.confidence >= sure) for r in review.regions)
    press(dock, "undo_decision")
    assert study.study.decisions("p001") == []


def test_verdicts_put_what_is_far_from_them_first_and_leave_the_rows_that_were_seen(dock, review, study):
    regions = list(review.regions)
    press(dock, "next_region")
    press(dock, "accept_region")
    assert review.regions[0].box == regions[0].box
    assert review.regions[1].box == dock.review.regions[review.current].box
    later = [r.benefit for r in review.regions[2:] if r.confidence < 0.5]
    assert later == sorted(later, reverse=True)
    for region in review.regions[1:]:
        alone = next(r for r in regions if r.box == region.box).benefit
        assert region.benefit <= alone
    assert any(r.benefit < next(o for o in regions if o.box == r.box).benefit for r in review.regions[1:])
    shown = [dock.review_page.regions.topLevelItem(n).text(2) for n in range(len(regions))]
    assert shown == [f"{r.confidence * 100:.0f} %" for r in review.regions], "the list shows the order in force"


def test_what_is_not_listed_is_counted_and_can_be_shown(dock, review, qtbot):
    page = dock.review_page
    hidden = review.hidden
    assert hidden.regions == 0
    assert not page.buttons["show_more"].isVisible()
    review._most = 2
    review.fetch()
    qtbot.waitUntil(lambda: not review.loading, timeout=5000)
    page.refresh()
    assert len(review.regions) == 2
    assert f"{review.hidden.regions} more places are not listed: {review.hidden.voxels:,} voxels" in (
        page.hidden_line.text()
    )
    assert "not listed are taken as they stand" in page.buttons["accept_case"].toolTip()
    press(dock, "show_more")
    qtbot.waitUntil(lambda: not review.loading and review.hidden.regions == 0, timeout=5000)
    assert not page.buttons["show_more"].isVisible()


def test_the_list_gives_way_before_the_page_scrolls_and_takes_what_room_there_is(dock, review, qtbot):
    page, found = dock.review_page, review.regions[0]
    page.regions.set_regions([found] * 40, dock.session.study.labels)
    dock.resize(400, 1000)
    bar = page.regions.verticalScrollBar()
    assert page.regions.minimumHeight() < 7 * page.regions.sizeHintForRow(0)
    qtbot.waitUntil(lambda: page.regions.height() > 2 * page.regions.minimumHeight(), timeout=2000)
    assert bar.maximum() > 0
    outer = page.regions.parentWidget().parentWidget().parentWidget()
    assert outer.verticalScrollBar().maximum() == 0, "one scroll bar is enough"


def test_a_row_does_not_name_its_class_twice(dock, review):
    regions = dock.review_page.regions
    found = replace(review.regions[0], value=1, why="isolated small piece of penumbra", verdict=None)
    regions.set_regions([found], dock.session.study.labels)
    row = regions.topLevelItem(0)
    assert (row.text(0), row.text(3)) == ("1 penumbra", "isolated small piece")
    assert row.toolTip(3) == "isolated small piece of penumbra"


def test_unknown_voxels_are_counted_on_the_page(dock, review, canvas):
    page = dock.review_page
    assert "unknown" not in page.left.text()
    press(dock, "next_region")
    region = review.regions[0]
    press(dock, "unknown_region")
    page.refresh()
    count = int(region.mask.sum())
    assert f" · unknown: {count * 0.02:.1f} ml ({count} voxels)" in page.left.text()
    assert f"{count} voxels, {count * 0.02:.1f} ml stay unknown" in page.buttons["accept_case"].toolTip()
    press(dock, "undo_decision")
    page.refresh()
    assert "unknown" not in page.left.text()


def test_decisions_of_an_earlier_opening_are_shown_and_can_be_undone(dock, review, canvas, qtbot):
    predicted = dock.cases.shown.predicted.copy()
    press(dock, "next_region")
    box = review.regions[0].box
    press(dock, "reject_region")
    dock.cases.open("p002")
    dock.cases.open("p001")
    qtbot.waitUntil(lambda: Verdict.REJECT in verdicts(review), timeout=5000)
    press(dock, "undo_decision")
    qtbot.waitUntil(lambda: not review.loading and set(verdicts(review)) == {None}, timeout=5000)
    region = next(r for r in review.regions if r.box == box)
    assert np.array_equal(canvas.labels()[region.slices], predicted[region.slices])


def test_accept_case_joins_the_labelled_pool(dock, review, canvas, study, qtbot):
    labelled = study.counts().labelled
    press(dock, "next_region")
    press(dock, "reject_region")
    press(dock, "accept_rest")
    press(dock, "accept_case")
    assert study.study.case("p001").state.value == "accepted"
    assert study.counts().labelled == labelled + 1
    assert np.array_equal(study.study.read("p001").labels, canvas.labels())
    qtbot.waitUntil(lambda: not dock.review_page.buttons["accept_case"].isEnabled())
    press(dock, "next_review")
    assert canvas.case == "p002"


def test_dice_is_told_only_after_an_edit(dock, review, canvas, qtbot):
    head = dock.review_page.head
    qtbot.waitUntil(lambda: head.text() == "p001 · predicted · as predicted")
    press(dock, "next_region")
    press(dock, "accept_region")
    dock.review_page.refresh()
    assert head.text() == "p001 · in review · as predicted", "accepting what is there is no edit"
    review.go(0)
    press(dock, "reject_region")
    predicted = dock.cases.shown.predicted > 0
    drawn = canvas.labels() > 0
    dice = (
        2
        * (predicted & drawn & (dock.cases.shown.predicted == canvas.labels())).sum()
        / (predicted.sum() + drawn.sum())
    )
    qtbot.waitUntil(lambda: f"Dice to your last edit {dice:.2f}".replace(" 0.", " .") in head.text())
    press(dock, "undo_decision")
    dock.review_page.refresh()
    assert head.text() == "p001 · in review · as predicted"


def test_a_newer_prediction_is_offered_and_old_regions_are_not_decided(dock, review, study, qtbot):
    press(dock, "next_region")
    run = "20261121-061200-mean-teacher-c3d4"
    study.study.add_run(run, "train", "mean-teacher", "laptop")
    predict(study, "p001", run)
    study.case_changed.emit("p001")
    page = dock.review_page
    qtbot.waitUntil(lambda: page.buttons["reload_case"].isVisible())
    qtbot.waitUntil(lambda: not page.buttons["accept_region"].isEnabled())
    press(dock, "reload_case")
    qtbot.waitUntil(lambda: not review.loading and len(review.regions) >= 2, timeout=5000)
    assert not page.buttons["reload_case"].isVisible()


def test_keys_only_while_the_page_shows(dock, review, qtbot):
    dock.activateWindow()
    qtbot.waitUntil(dock.isActiveWindow)
    dock.setFocus()
    qtbot.keyClick(dock, Qt.Key.Key_N)
    assert review.current == 0
    qtbot.keyClick(dock, Qt.Key.Key_U)
    assert verdicts(review)[0] is Verdict.UNKNOWN
    qtbot.waitUntil(lambda: dock.review_page.buttons["undo_decision"].isEnabled())
    qtbot.keyClick(dock, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert verdicts(review)[0] is None
    dock.show_page("annotate")
    qtbot.keyClick(dock, Qt.Key.Key_X)
    assert verdicts(review)[0] is None
    dock.show_page("review")
    qtbot.keyClick(dock, Qt.Key.Key_A, Qt.KeyboardModifier.ShiftModifier)
    assert None not in verdicts(review)


def test_what_the_confidence_means_is_the_tip_of_its_switch_and_heads_its_fold(dock, qtbot):
    page = dock.review_page
    dock.cases.open("p001")
    assert MEANING in page.overlay.toolTip()
    assert page.trust_view.meaning.text() == MEANING
    assert page.trust_view.meaning.visibleRegion().isEmpty(), "its lines belong to the regions"
    page.findChild(Fold, "trust_fold").expand(animate=False)
    qtbot.waitUntil(lambda: not page.trust_view.meaning.visibleRegion().isEmpty())
    dock.cases.open("p003")
    assert page.trust_view.meaning.isHidden(), "a case without a prediction"


@pytest.mark.parametrize("sidecar", ['{"case": "p001"}', "{", "[]", '{"confidence_means": null}'])
def test_a_prediction_that_does_not_tell_shows_no_empty_line(dock, study, sidecar):
    for file in study.study.layout.cases.glob(f"p001/predictions/{RUN}.json"):
        file.write_text(sidecar)
    assert study.confidence_means("p001") == ""
    dock.cases.open("p001")
    assert dock.review_page.trust_view.meaning.isHidden()


def test_redo_does_again_what_undo_took_back_verdicts_and_strokes(dock, review, canvas, study):
    states = [(canvas.labels().copy(), verdicts(review), len(study.study.decisions("p001")))]

    def note():
        states.append((canvas.labels().copy(), verdicts(review), len(study.study.decisions("p001"))))

    assert "Nothing was taken back" in dock.review_page.buttons["redo_decision"].toolTip()
    press(dock, "next_region")
    press(dock, "reject_region")
    note()
    canvas.paint(((0, 0, 0), (1, 3, 3)), 1)  # outside every region: a stroke and no verdict
    note()
    press(dock, "unknown_region")
    note()
    canvas.paint(((5, 0, 0), (6, 3, 3)), 2)
    note()
    for _ in range(2):
        for labels, given, decided in reversed(states[:-1]):
            press(dock, "undo_decision")
            np.testing.assert_array_equal(canvas.labels(), labels)
            assert verdicts(review) == given
            assert len(study.study.decisions("p001")) == decided
        for labels, given, decided in states[1:]:
            press(dock, "redo_decision")
            np.testing.assert_array_equal(canvas.labels(), labels)
            assert verdicts(review) == given
            assert len(study.study.decisions("p001")) == decided
        assert not dock.review_page.buttons["redo_decision"].isEnabled()
    assert not review.redo()


def test_redo_of_paint_on_a_region_makes_it_fixed_again(dock, review, canvas):
    press(dock, "next_region")
    box = review.regions[review.current].box
    canvas.paint((box[0], tuple(n + 1 for n in box[0])), 2)
    assert Verdict.FIXED in verdicts(review)
    after = canvas.labels().copy()
    press(dock, "undo_decision")
    assert Verdict.FIXED not in verdicts(review)
    press(dock, "redo_decision")
    assert Verdict.FIXED in verdicts(review)
    np.testing.assert_array_equal(canvas.labels(), after)


def test_the_rest_is_accepted_again_as_one_step(dock, review):
    press(dock, "accept_rest")
    given = verdicts(review)
    press(dock, "undo_decision")
    press(dock, "redo_decision")
    assert verdicts(review) == given
    press(dock, "undo_decision")
    assert set(verdicts(review)) == {None}


@pytest.mark.parametrize("new", ["verdict", "stroke"])
def test_something_new_ends_what_can_be_done_again(dock, review, canvas, new):
    press(dock, "next_region")
    press(dock, "reject_region")
    press(dock, "undo_decision")
    assert dock.review_page.buttons["redo_decision"].isEnabled()
    if new == "verdict":
        press(dock, "unknown_region")
    else:
        canvas.paint(((0, 0, 0), (1, 3, 3)), 1)
    assert not dock.review_page.buttons["redo_decision"].isEnabled()
