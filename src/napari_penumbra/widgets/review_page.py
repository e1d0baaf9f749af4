"""The Review page: the weakest regions first, one key per verdict, then accept the case."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import QCheckBox, QGridLayout, QHBoxLayout, QLabel, QStackedLayout, QVBoxLayout, QWidget
from superqt import QElidingLabel, QLabeledDoubleSlider

from napari_penumbra.domain.case import CaseState, OpenCase, Verdict
from napari_penumbra.session import Session
from napari_penumbra.session.words import share
from napari_penumbra.widgets.annotate_page import scrolled
from napari_penumbra.widgets.buttons import ActionButton
from napari_penumbra.widgets.canvas import Canvas
from napari_penumbra.widgets.case_controller import CaseController
from napari_penumbra.widgets.colors import mute
from napari_penumbra.widgets.empty_state import EmptyState
from napari_penumbra.widgets.region_list import RegionList
from napari_penumbra.widgets.review_controller import ReviewController

_BUTTONS = {
    "next_region": ("Next", "Goes to the next region without a verdict.", "N"),
    "previous_region": ("Previous", "Goes to the region before.", "P"),
    "accept_region": ("Accept", "The region is right as predicted; what you painted in it stays.", "A"),
    "reject_region": ("Reject", "The region becomes background.", "X"),
    "unknown_region": ("Unknown", "You cannot decide: the region teaches nothing wrong.", "U"),
    "accept_rest": ("Accept rest", "Accepts every region that has no verdict yet.", "Shift+A"),
    "undo_decision": ("Undo", "Takes the last verdict back, and the voxels it changed.", "Ctrl+Shift+Z"),
    "accept_case": ("Accept case", "Takes the labels as they now stand into the labelled pool.", "Ctrl+Return"),
    "next_review": ("Next to review", "Saves, then opens the next predicted case.", ""),
    "reload_case": ("Load the newer prediction", "Saves, then shows this case with its newest prediction.", ""),
}


_OVERLAY_TIP = "Shows how sure the model is, over the picture. Off at first: look with your own eyes."


class ReviewPage(QWidget):
    """Reviews the prediction of the shown case.

    Signals
    -------
    wish : (str)
        What the empty state's button asks for: ``study``, ``train``, ``next_review`` or ``predict``.
    """

    wish = Signal(str)

    def __init__(
        self,
        session: Session,
        canvas: Canvas,
        cases: CaseController,
        review: ReviewController,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.session = session
        self.canvas = canvas
        self.cases = cases
        self.review = review
        self._coverage: np.ndarray | None = None
        self._next: str | None = None
        self._active: str | None = None
        self._build()
        self._soon = QTimer(self, singleShot=True, interval=200)
        self._soon.timeout.connect(self.refresh)
        self._threshold_soon = QTimer(self, singleShot=True, interval=300)
        self._threshold_soon.timeout.connect(lambda: review.set_threshold(self.threshold_slider.value()))
        review.regions_changed.connect(self._on_regions)
        review.region_changed.connect(self._on_region)
        review.current_changed.connect(self._on_current)
        review.decided.connect(self._allow)
        review.edited.connect(self._refresh_soon)
        cases.opened.connect(self._on_opened)
        cases.cleared.connect(self.refresh)
        cases.changed.connect(self._refresh_soon)
        session.case_changed.connect(self._refresh_soon, thread="main")
        session.study_changed.connect(self._refresh_soon, thread="main")
        session.status_changed.connect(self._on_status, thread="main")

    def disconnect_all(self) -> None:
        """Stop listening to the session."""
        for signal in (self.session.case_changed, self.session.study_changed):
            signal.disconnect(self._refresh_soon)
        self.session.status_changed.disconnect(self._on_status)

    # ---------------------------------------------------------------- layout

    def _build(self) -> None:
        self.head = QElidingLabel(objectName="review_case")
        font = self.head.font()
        font.setBold(True)
        self.head.setFont(font)
        self.note = QLabel(objectName="review_note", wordWrap=True)
        self.overlay = QCheckBox("Confidence", objectName="confidence_on")
        self.overlay.setToolTip(_OVERLAY_TIP)
        self.meaning = QLabel(objectName="confidence_meaning", wordWrap=True)
        self.meaning.setTextFormat(Qt.TextFormat.PlainText)
        mute(self.meaning)
        self.outline = QCheckBox("Prediction", objectName="prediction_on")
        self.outline.setToolTip("Shows the prediction beside your labels.")
        self.threshold_slider = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        self.threshold_slider.setObjectName("confidence_threshold")
        self.threshold_slider.setAccessibleName("Confidence threshold")
        self.threshold_slider.setRange(0.05, 0.95)
        self.threshold_slider.setDecimals(2)
        self.threshold_slider.setSingleStep(0.05)
        self.threshold_slider.setValue(self.review.threshold)
        self.threshold_slider.setToolTip("Regions less sure than this want a look.")
        self.coverage_line = QLabel(objectName="coverage", wordWrap=True)
        mute(self.coverage_line)
        self.regions = RegionList()
        self.left = QLabel(objectName="regions_left", wordWrap=True)
        mute(self.left)
        self.buttons = {name: ActionButton(text, tip, keys, name) for name, (text, tip, keys) in _BUTTONS.items()}
        self.empty = EmptyState("review_empty")
        self._lay_out()
        self.overlay.toggled.connect(self.canvas.show_confidence)
        self.overlay.toggled.connect(self._say_meaning)
        self.outline.toggled.connect(self.canvas.show_prediction)
        self.threshold_slider.valueChanged.connect(self._on_threshold)
        self.regions.picked.connect(self.review.go)
        self.empty.pressed.connect(self.wish)
        for name, action in self.actions().items():
            self.buttons[name].clicked.connect(action)

    def actions(self) -> dict[str, object]:
        """Return what each button does, by its object name."""
        return {
            "next_region": lambda: self.review.go_next(1),
            "previous_region": lambda: self.review.go_next(-1),
            "accept_region": lambda: self.review.decide(Verdict.ACCEPT),
            "reject_region": lambda: self.review.decide(Verdict.REJECT),
            "unknown_region": lambda: self.review.decide(Verdict.UNKNOWN),
            "accept_rest": lambda: self.review.accept_rest(),
            "undo_decision": lambda: self.review.undo(),
            "accept_case": lambda: self.cases.accept(),
            "next_review": lambda: self.open_next_predicted(),
            "reload_case": lambda: self.cases.open(self.cases.name) if self.cases.name else None,
        }

    def _lay_out(self) -> None:
        inner = QWidget()
        body = QVBoxLayout(inner)
        body.setContentsMargins(0, 0, 0, 0)
        body.addWidget(self.head)
        body.addWidget(self.note)
        body.addWidget(self.buttons["reload_case"])
        looks = QHBoxLayout()
        looks.addWidget(self.overlay)
        looks.addWidget(self.outline)
        looks.addStretch(1)
        body.addLayout(looks)
        body.addWidget(self.meaning)
        slider = QHBoxLayout()
        slider.addWidget(QLabel("Weak below"))
        slider.addWidget(self.threshold_slider, 1)
        body.addLayout(slider)
        body.addWidget(self.coverage_line)
        body.addWidget(self.regions, 1)
        body.addWidget(self.left)
        filled = QWidget()
        layout = QVBoxLayout(filled)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addWidget(scrolled(inner), 1)
        grid = QGridLayout()
        grid.setSpacing(4)
        for row, names in enumerate(
            (
                ("accept_region", "reject_region", "unknown_region"),
                ("previous_region", "next_region", "accept_rest"),
            )
        ):
            for column, name in enumerate(names):
                grid.addWidget(self.buttons[name], row, column)
        layout.addLayout(grid)
        for pair in (("undo_decision", "accept_case"), ("next_review",)):
            line = QHBoxLayout()
            for name in pair:
                line.addWidget(self.buttons[name], 1)
            layout.addLayout(line)
        self._filled = filled
        self._stack = QStackedLayout(self)
        self._stack.addWidget(filled)
        self._stack.addWidget(self.empty)

    # ---------------------------------------------------------------- canvas and session → page

    def _on_opened(self, case: OpenCase) -> None:
        self._coverage = None
        if case.confidence is not None:
            levels, _ = np.histogram(case.confidence, bins=100, range=(0.0, 1.0))
            self._coverage = np.cumsum(levels[::-1])[::-1] / max(1, case.confidence.size)
        for box in (self.overlay, self.outline):
            box.blockSignals(True)
        self.overlay.setChecked(False)  # the overlay starts off: the reader looks first
        self.outline.setChecked(True)
        for box in (self.overlay, self.outline):
            box.blockSignals(False)
        self.canvas.set_confidence_threshold(self.threshold_slider.value())
        self.meaning.setText(self.session.confidence_means(case.name) if case.confidence is not None else "")
        self.overlay.setToolTip(f"{_OVERLAY_TIP}\n{self.meaning.text()}".strip())
        self._say_meaning()
        self.refresh()

    def _say_meaning(self, _on: object = None) -> None:
        """What the colours mean stands under the switch while they are shown, and in its tip always."""
        self.meaning.setVisible(self.overlay.isChecked() and bool(self.meaning.text()))

    def _refresh_soon(self, _what: object = None) -> None:
        if not self._soon.isActive():
            self._soon.start()

    def _on_status(self, _words: str) -> None:
        """Words change four times a second while a run goes on; what to do next only when it starts or ends."""
        active = self.session.active
        if active != self._active:
            self._active = active
            self._refresh_soon()

    def showEvent(self, event: Any) -> None:
        """Catch up: a hidden page reads nothing."""
        super().showEvent(event)
        self.refresh()

    def refresh(self) -> None:
        """Read anew what is shown and what can be decided, if anybody sees it."""
        if not self.isVisible():
            return
        with self.cases.messages.guard("reading the review"):
            self._next = self.next_predicted()
            self._say_empty()
            self._say_head()
            self._allow()

    def _say_head(self) -> None:
        case, dice = self.review.case, self.review.dice
        row = self.cases.row() if case is not None else None
        if case is None or row is None:
            return
        value = dice.value() if dice is not None else None
        agreement = "" if value is None else f" · Dice to your last edit {share(value)}"
        self.head.setText(f"{case.name} · {row.state.value}{agreement}")
        note = "A newer model has predicted this case." if self.review.outdated() else self.cases.why_not_edit()
        self.note.setText(note)
        self.note.setVisible(bool(note))
        self.buttons["reload_case"].setVisible(self.review.outdated())
        level = self.threshold_slider.value()
        if self._coverage is not None:
            percent = 100 * float(self._coverage[min(99, int(level * 100))])
            self.coverage_line.setText(f"The model is surer than that of {percent:.1f} % of the voxels.")
        review = self.review
        total, left = len(review.regions), len(review.undecided)
        if self.review.loading:
            words = "Looking for weak regions…"
        elif not total:
            words = "No weak region at this threshold. Look through the slices, then accept the case."
        else:
            words = (
                f"{left} of {total} regions want a decision."
                if left
                else "Every region has a verdict: accept the case."
            )
        current = review.current
        if current is not None and current < total:
            words = f"{current + 1}: {review.regions[current].why}\n{words}"  # the column is too narrow for it
        self.left.setText(words)

    def _allow(self) -> None:
        review, buttons = self.review, self.buttons
        why = review.why_not()
        none = "There is no region at this threshold." if not review.regions else ""
        if review.loading:
            none = "Still looking for weak regions."
        pick = none or ("Pick a region first: press N." if review.current is None else "")
        for name in ("next_region", "previous_region"):
            buttons[name].allow(none)
        for name in ("accept_region", "reject_region", "unknown_region"):
            buttons[name].allow(why or pick)
        buttons["accept_rest"].allow(why or none or ("" if review.undecided else "Every region has a verdict."))
        buttons["undo_decision"].allow(self.cases.why_not_edit() or self._why_not_undo())
        row = self.cases.row() if review.case is not None else None
        done = row is not None and row.state is CaseState.ACCEPTED and not self.canvas.dirty()
        buttons["accept_case"].allow(why or ("The case is accepted; nothing has changed since." if done else ""))
        unseen = len(review.undecided)
        tip = _BUTTONS["accept_case"][1]
        buttons["accept_case"].explain(f"{tip} {unseen} regions have no verdict." if unseen else tip)
        buttons["next_review"].allow("" if self._next else "No other case waits for a review.")
        has_map = review.case is not None and review.case.confidence is not None
        for widget in (self.overlay, self.threshold_slider):
            widget.setEnabled(has_map)

    def _why_not_undo(self) -> str:
        study, case = self.session.study, self.review.case
        if study is None or case is None or not study.decisions(case.name):
            return "There is no decision to take back."
        return ""

    def _say_empty(self) -> None:
        study, name = self.session.study, self.cases.name
        if study is not None and name is not None and (self.review.case is not None or self.review.outdated()):
            self._stack.setCurrentWidget(self._filled)
            return
        self._stack.setCurrentWidget(self.empty)
        waiting = self._next
        if study is None:
            self.empty.say("No study open.", "Go to Study", "study", "Shows the Study page.")
        elif waiting:
            who = "No case is open" if name is None else f"{name} has no prediction"
            self.empty.say(f"{who}. {waiting} waits for a review.", "Open it", "next_review", f"Opens {waiting}.")
        elif study.champion() is None:
            self.empty.say(
                "No model yet: label two cases, then train.", "Go to Train", "train", "Shows the Train page."
            )
        elif self.session.active is not None:
            self.empty.say("No prediction yet. The status line below tells how far the model is.")
        else:
            self.empty.say(
                "There is a model, but no case waits for a review.",
                "Predict the unlabelled cases",
                "predict",
                "Lets the model ★ predict every case that is not labelled, in the background.",
            )

    def _on_regions(self) -> None:
        study = self.session.study
        if study is not None:
            case = self.review.case
            flat = case is not None and case.grid.is_picture
            self.regions.set_regions(self.review.regions, study.labels, pixels=flat)
        self.refresh()

    def _on_region(self, n: int) -> None:
        self.regions.update_region(n, self.review.regions[n])
        self._refresh_soon()

    def _on_current(self) -> None:
        self.regions.select(self.review.current)
        self._say_head()
        self._allow()

    # ---------------------------------------------------------------- page → canvas and session

    def _on_threshold(self, value: float) -> None:
        self.canvas.set_confidence_threshold(float(value))
        self._threshold_soon.start()
        self._say_head()

    def next_predicted(self) -> str | None:
        """Name the next case that waits for a review, after the shown one."""
        rows = self.cases.rows()
        waiting = (CaseState.PREDICTED, CaseState.IN_REVIEW)
        here = next((n for n, row in enumerate(rows) if row.name == self.cases.name), -1)
        around = (*rows[here + 1 :], *rows[: max(here, 0)])
        return next((row.name for row in around if row.state in waiting), None)

    def open_next_predicted(self) -> bool:
        """Save, then open the next case that waits for a review."""
        name = self.next_predicted()
        return name is not None and self.cases.open(name)
