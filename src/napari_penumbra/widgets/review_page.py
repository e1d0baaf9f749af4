"""The Review page: the weakest regions first, one key per verdict, then accept the case."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import QCheckBox, QLabel, QStackedLayout, QVBoxLayout, QWidget
from superqt import QElidingLabel, QLabeledDoubleSlider

from napari_penumbra.domain.case import CaseRow, CaseState, OpenCase, Verdict
from napari_penumbra.session import Session
from napari_penumbra.widgets.annotate_page import scrolled
from napari_penumbra.widgets.buttons import ActionButton, allow
from napari_penumbra.widgets.canvas import Canvas
from napari_penumbra.widgets.case_controller import CaseController
from napari_penumbra.widgets.case_folds import CaseFolds
from napari_penumbra.widgets.colors import mute
from napari_penumbra.widgets.empty_state import EmptyState
from napari_penumbra.widgets.region_list import RegionList
from napari_penumbra.widgets.rest_box import RestBox
from napari_penumbra.widgets.review_controller import ReviewController
from napari_penumbra.widgets.review_empty import say_what_next
from napari_penumbra.widgets.review_layout import BUTTONS, ON_REGIONS, key_part, scrolling_part
from napari_penumbra.widgets.review_words import ReviewWords, surer_shares
from napari_penumbra.widgets.trust_keeper import TrustKeeper
from napari_penumbra.widgets.trust_view import TrustView
from napari_penumbra.widgets.volume_line import VolumeLine

_OVERLAY_TIP = "Shows how sure the model is, over the picture. Off at first: look with your own eyes."
_THRESHOLD_TIP = "Regions less sure than this want a look."
_NO_MAP = "No prediction of this case is reviewed now, so there is no confidence to show."


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
        self.trust = TrustKeeper(session, cases.messages, self)
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
        review.decided.connect(self._on_decided)
        review.edited.connect(self._refresh_soon)
        self.trust.changed.connect(self._on_trust)
        cases.opened.connect(self._on_opened)
        cases.cleared.connect(self.refresh)
        cases.changed.connect(self._refresh_soon)
        session.case_changed.connect(self._refresh_soon, thread="main")
        session.study_changed.connect(self._refresh_soon, thread="main")
        session.status_changed.connect(self._on_status, thread="main")

    def disconnect_all(self) -> None:
        """Stop listening to the session."""
        self.trust.disconnect_all()
        self.folds.disconnect_all()
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
        self.volumes = VolumeLine()
        self.overlay = QCheckBox("Confidence", objectName="confidence_on")
        self.overlay.setToolTip(_OVERLAY_TIP)
        self.outline = QCheckBox("Prediction", objectName="prediction_on")
        self.outline.setToolTip("Shows the prediction beside your labels.")
        self.threshold_slider = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        self.threshold_slider.setObjectName("confidence_threshold")
        self.threshold_slider.setAccessibleName("Confidence threshold")
        self.threshold_slider.setRange(0.05, 0.95)
        self.threshold_slider.setDecimals(2)
        self.threshold_slider.setSingleStep(0.05)
        self.threshold_slider.setValue(self.review.threshold)
        self.threshold_slider.setToolTip(_THRESHOLD_TIP)
        self.coverage_line = QLabel(objectName="coverage", wordWrap=True)
        mute(self.coverage_line)
        self.regions = RegionList()
        self.hidden_line = QLabel(objectName="regions_hidden", wordWrap=True)
        mute(self.hidden_line)
        self.current_line = QLabel(objectName="region_words", wordWrap=True)
        self.left = QLabel(objectName="regions_left", wordWrap=True)
        for label in (self.current_line, self.left, self.hidden_line, self.coverage_line):
            label.setTextFormat(Qt.TextFormat.PlainText)
        mute(self.left)
        self.rest = RestBox()
        self.trust_view = TrustView()
        self.buttons = {name: ActionButton(text, tip, keys, name) for name, (text, tip, keys) in BUTTONS.items()}
        self.buttons["accept_rest"] = self.rest.button
        self.empty = EmptyState("review_empty")
        self.bare_head = QElidingLabel(objectName="review_bare_case")
        self.bare_head.setFont(font)
        self.folds = CaseFolds(self.session, self.canvas, self.cases)
        self._lay_out()
        self.overlay.toggled.connect(self.canvas.show_confidence)
        self.outline.toggled.connect(self.canvas.show_prediction)
        self.threshold_slider.valueChanged.connect(self._on_threshold)
        self.regions.picked.connect(self.review.go)
        self.empty.pressed.connect(self.wish)
        self.rest.changed.connect(self._say_rest)
        for name, action in self.actions().items():
            self.buttons[name].clicked.connect(partial(self._press, name, action))
        self.folds.wish.connect(self.wish)
        self.folds.opened.connect(self._on_fold)
        self.folds.compare.current_changed.connect(self.refresh)

    def actions(self) -> dict[str, Callable[[], object]]:
        """Return what each button does, by its object name."""
        return {
            "next_region": lambda: self.review.go_next(1),
            "previous_region": lambda: self.review.go_next(-1),
            "accept_region": lambda: self.review.decide(Verdict.ACCEPT),
            "reject_region": lambda: self.review.decide(Verdict.REJECT),
            "unknown_region": lambda: self.review.decide(Verdict.UNKNOWN),
            "accept_rest": lambda: self.review.accept_rest(self.rest.sure),
            "undo_decision": self._undo,
            "redo_decision": self._redo,
            "show_more": lambda: self.review.show_more(),
            "accept_case": lambda: self.cases.accept(),
            "next_review": lambda: self.open_next_predicted(),
            "reload_case": lambda: self.cases.open(self.cases.name) if self.cases.name else None,
        }

    def _press(self, name: str, action: Callable[[], object], _checked: bool = False) -> None:
        """Do what a button says; while a consensus is settled its places are what the buttons mean."""
        if not self.folds.press(name):
            action()

    def undo(self) -> None:
        """Take back what came last on this case: a settling, a verdict or a stroke, whether or not a button shows."""
        self._press("undo_decision", self._undo)

    def _undo(self) -> None:
        # A stroke made while a fold is open, or on a case without a prediction, is none of the review's.
        if not self.review.undo() and not self.cases.why_not_edit():
            self.canvas.undo()

    def redo(self) -> None:
        """Do again what was taken back last on this case, whether or not a button shows."""
        self._press("redo_decision", self._redo)

    def _redo(self) -> None:
        if not self.review.redo() and not self.cases.why_not_edit():
            self.canvas.redo()

    def _on_fold(self, on: bool) -> None:
        """A fold that is open has the page to itself: what is not seen must not answer to keys either."""
        self.folds.cover(self._body, on, (self.head, self.note))
        for widget in (self.rest, self.current_line, self.left):
            widget.setVisible(not on)
        for name in ON_REGIONS:
            self.buttons[name].setVisible(not on or self.folds.compare.resolving)
        self.refresh()

    def _lay_out(self) -> None:
        inner, self._body = scrolling_part(self)
        filled = QWidget()
        layout = QVBoxLayout(filled)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.setSpacing(4)
        layout.addWidget(scrolled(inner), 1)
        layout.addWidget(self.current_line)
        layout.addWidget(self.left)
        key_part(self, layout)
        self._filled = filled
        self._stack = QStackedLayout(self)
        self._stack.addWidget(filled)
        # A case without a prediction can be compared, read again and looked back on all the same.
        below = QWidget()
        self._below = QVBoxLayout(below)
        self._below.setContentsMargins(0, 0, 0, 0)
        self._nothing = QWidget()
        layout = QVBoxLayout(self._nothing)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addWidget(self.bare_head)
        layout.addWidget(self.empty)
        layout.addWidget(scrolled(below), 1)
        self._stack.addWidget(self._nothing)

    # ---------------------------------------------------------------- canvas and session → page

    def _on_opened(self, case: OpenCase) -> None:
        self._coverage = None
        for box in (self.overlay, self.outline):
            box.blockSignals(True)
        self.overlay.setChecked(False)  # the overlay starts off: the reader looks first
        self.outline.setChecked(True)
        for box in (self.overlay, self.outline):
            box.blockSignals(False)
        self.canvas.set_confidence_threshold(self.threshold_slider.value())
        self.trust_view.say_meaning(self.session.confidence_means(case.name) if case.confidence is not None else "")
        self.refresh()

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
            row = self.cases.row()
            self._say_head(row)
            self._say_regions()
            self._allow(row)

    def _say_head(self, row: CaseRow | None) -> None:
        case = self.review.case
        if self.folds.any_open() and row is not None:
            for head in (self.head, self.bare_head):
                head.setText(f"{row.name} · {row.state.value}")
            return
        if case is None or row is None:
            return
        words = ReviewWords(self.review, self.trust.record)
        self.head.setText(f"{case.name} · {row.state.value} · {words.agreement()}")
        self.head.setToolTip(words.agreement_tip())
        note = "A newer model has predicted this case." if self.review.outdated() else self.cases.why_not_edit()
        self.note.setText(note)
        self.note.setVisible(bool(note))
        self.buttons["reload_case"].setVisible(self.review.outdated())
        self._say_threshold()

    def _say_threshold(self) -> None:
        level = self.threshold_slider.value()
        confidence = None if self.review.case is None else self.review.case.confidence
        if confidence is None or self.folds.any_open():
            return
        if self._coverage is None:
            self._coverage = surer_shares(confidence)
        covered = float(self._coverage[min(99, int(level * 100))])
        self.coverage_line.setText(ReviewWords(self.review, self.trust.record).threshold(level, covered))

    def _say_regions(self) -> None:
        """What is looked at, decided, left and not listed: known without asking the study."""
        if self.review.case is None or self.folds.any_open():
            return
        words = ReviewWords(self.review, self.trust.record)
        for label, text in (
            (self.current_line, words.current()),
            (self.left, words.progress()),
            (self.hidden_line, words.hidden()),
        ):
            label.setText(text)
            label.setVisible(bool(text))
        self.buttons["show_more"].setVisible(bool(words.hidden()))
        self._say_rest()

    def _say_rest(self) -> None:
        """Say what "Accept rest" would take; called for every step of its slider."""
        review = self.review
        rest = [review.regions[n] for n in review.rest(self.rest.sure)]
        flat = review.case is not None and review.case.grid.is_picture
        self.rest.show_rest(rest, self.trust.record, len(review.undecided), flat)
        self.rest.allow(self._why_not_rest(bool(rest)))

    def _why_not_rest(self, some: bool) -> str:
        why = self.review.why_not() or self._no_region()
        if not why and not self.review.undecided:
            why = "Every region has a verdict."
        return why or ("" if some else "No region without a verdict is that sure: move the slider to the left.")

    def _no_region(self) -> str:
        if self.review.loading:
            return "Still looking for weak regions."
        return "" if self.review.regions else "There is no region at this threshold."

    def _allow_verdicts(self) -> str:
        """Enable what is pressed again and again, at once; returns why nothing can be decided, if so."""
        review, buttons = self.review, self.buttons
        why, none = review.why_not(), self._no_region()
        pick = none or ("Pick a region first: press N." if review.current is None else "")
        for name in ("next_region", "previous_region"):
            buttons[name].allow(none)
        for name in ("accept_region", "reject_region", "unknown_region"):
            buttons[name].allow(why or pick)
        buttons["undo_decision"].allow(review.why_not_undo())
        buttons["redo_decision"].allow(review.why_not_redo())
        self.folds.allow(buttons)
        return why

    def _allow(self, row: CaseRow | None) -> None:
        review, buttons = self.review, self.buttons
        why = self._allow_verdicts()
        done = row is not None and row.state is CaseState.ACCEPTED and not self.cases.unsaved()
        buttons["accept_case"].allow(why or ("The case is accepted; nothing has changed since." if done else ""))
        words = ReviewWords(review, self.trust.record)
        buttons["accept_case"].explain(f"{BUTTONS['accept_case'][1]} {words.on_accepting()}".strip())
        buttons["next_review"].allow("" if self._next else "No other case waits for a review.")
        no_map = "" if review.case is not None and review.case.confidence is not None else _NO_MAP
        allow(self.overlay, no_map, f"{_OVERLAY_TIP}\n{self.trust_view.meaning.text()}".strip())
        allow(self.threshold_slider, no_map, _THRESHOLD_TIP)
        self.folds.allow(buttons)

    def _say_empty(self) -> None:
        name = self.cases.name
        settling = self.folds.compare.resolving
        if name is not None and (self.review.case is not None or self.review.outdated() or settling):
            self._stack.setCurrentWidget(self._filled)
            self.folds.move_to(self._body)
            return
        self._stack.setCurrentWidget(self._nothing)
        self.folds.move_to(self._below)
        # A fold that is open has this page to itself, too; blind, there is nothing in it to see.
        alone = name is not None and self.folds.any_open() and not self.session.is_blind(name)
        self.bare_head.setVisible(alone)
        self.empty.setVisible(not alone)
        if self.session.is_blind(name):
            self.empty.say(f"{name} is being read again, blind.", "Go to Annotate", "annotate", "Shows the page.")
            return
        say_what_next(self.empty, self.session, name, self._next)

    def _on_regions(self) -> None:
        study = self.session.study
        if study is not None:
            case = self.review.case
            flat = case is not None and case.grid.is_picture
            self.regions.set_regions(self.review.regions, study.labels, pixels=flat)
        self._on_decided()

    def _on_region(self, n: int) -> None:
        self.regions.update_region(n, self.review.regions[n])
        self._refresh_soon()

    def _on_trust(self) -> None:
        self.trust_view.show_calibration(self.trust.calibration)
        self.refresh()

    def _on_current(self) -> None:
        self.regions.select(self.review.current)
        self._on_decided()

    def _on_decided(self) -> None:
        """Answer a key at once; what must be asked of the study follows when the keys pause."""
        if self.isVisible():
            self._say_regions()
            self._allow_verdicts()
            self._refresh_soon()

    # ---------------------------------------------------------------- page → canvas and session

    def _on_threshold(self, value: float) -> None:
        self.canvas.set_confidence_threshold(float(value))
        self._threshold_soon.start()
        self._say_threshold()

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
