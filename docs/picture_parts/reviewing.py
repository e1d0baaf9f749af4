"""Pictures of the review, and of what can be done with any case: compare, read again, look back."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import Qt

from picture_parts.desk import Desk

LONGER_S = 8.0
"""Tmax from which the second reader counts tissue as penumbra; the simulation's own labels begin at 6 s."""


def review(desk: Desk) -> None:
    """Show the weakest regions with the confidence over the picture, the whole window."""
    _begin_review(desk, "trained")
    desk.click("confidence_on")
    desk.click("next_region")
    desk.shoot()


def deciding(desk: Desk) -> None:
    """Show a review under way in a study whose confidence has a record."""
    _begin_review(desk, "corrected")
    for key in (Qt.Key.Key_N, Qt.Key.Key_A, Qt.Key.Key_U):
        desk.press(key)
    desk.widget.dock.review_page.rest.slider.setValue(0.25)
    desk.settle(800)
    desk.shoot(desk.canvas_and_dock())


def confidence(desk: Desk) -> None:
    """Show how often voxels of each confidence were right."""
    _begin_review(desk, "corrected")
    desk.unfold("trust_fold")
    desk.settle(500)
    desk.shoot_widget(desk.find("trust_fold"))


def compare(desk: Desk) -> None:
    """Show the case's annotation against a second reading, at the largest disagreement."""
    _read_again(desk)
    desk.press(Qt.Key.Key_J)
    desk.shoot(desk.canvas_and_dock())


def second_reader(desk: Desk) -> None:
    """Show a consensus that is being settled, the first place done."""
    _read_again(desk)
    desk.unfold("readers_fold")
    desk.click("make_consensus")
    control = desk.widget.dock.review_page.folds.compare
    desk.wait("the consensus", lambda: control.resolving and control.result is not None and not control.busy, 60)
    desk.wait("the first place", lambda: control.current == 0, 10)
    desk.press(Qt.Key.Key_A)
    desk.settle(800)
    desk.shoot(desk.canvas_and_dock())


def history(desk: Desk) -> None:
    """Show a case just taken back from which the model that predicts has learnt."""
    desk.use("overruled")
    case = _accepted(desk)
    desk.open_case(case)
    desk.page("review")
    desk.click("take_back")
    z, y, x = (int(v) for v in np.argwhere(desk.truth(case) == 1)[0])
    desk.page("annotate")
    desk.drag([(z, y, x), (z, y, x + 4)], 2)
    desk.click("case_complete")
    desk.page("review")
    desk.click("take_back")
    desk.unfold("history_fold")
    desk.shoot(desk.canvas_and_dock())


def _begin_review(desk: Desk, study: str) -> None:
    """Open the waiting case in which the model sees the most of both classes."""
    desk.use(study)
    session = desk.widget.session
    waiting = [row.name for row in session.cases() if row.state.value == "predicted"]
    desk.open_case(max(waiting, key=lambda name: _of_both(desk, name)))
    desk.page("review")
    desk.wait("the list of regions", lambda: desk.find("region_list").model().rowCount() > 0, 30)


def _accepted(desk: Desk) -> str:
    """A case that was predicted, corrected and accepted."""
    return next(row.name for row in desk.widget.session.cases() if row.state.value == "accepted")


def _of_both(desk: Desk, name: str) -> int:
    predicted = desk.widget.session.opened().read(name).predicted
    return 0 if predicted is None else min(int((predicted == value).sum()) for value in (1, 2))


def _read_again(desk: Desk) -> None:
    """A second reader takes what the maps propose, for tissue that waits longer, without seeing the first reading."""
    from napari_penumbra.widgets.edit_controller import State

    desk.use("corrected")
    desk.open_case(_accepted(desk))
    desk.page("review")
    desk.unfold("readers_fold")
    desk.click("read_again")
    desk.press(Qt.Key.Key_T, Qt.KeyboardModifier.ShiftModifier)
    controller = desk.widget.dock.annotate_page.edits.controller
    desk.wait("the proposal", lambda: controller.state is State.PREVIEW, 60)
    desk.find("edit_option_tmax_s").setValue(LONGER_S)
    desk.settle(500)
    desk.wait("the new proposal", lambda: controller.state is State.PREVIEW, 60)
    desk.click("edit_apply")
    desk.click("edit_cancel")
    desk.click("case_complete")
    desk.click("leave_reading")
    control = desk.widget.dock.review_page.folds.compare
    desk.wait("the comparison", lambda: control.result is not None and not control.busy, 60)


PICTURES = {
    "review": review,
    "tools/review": deciding,
    "tools/confidence": confidence,
    "tools/compare": compare,
    "tools/second-reader": second_reader,
    "tools/history": history,
}
