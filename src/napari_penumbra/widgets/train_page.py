"""The Train page: which method, with what, for how long; what it will cost; how it goes."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QHBoxLayout, QPlainTextEdit, QStackedLayout, QVBoxLayout, QWidget

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.domain.progress import Kind, Progress
from napari_penumbra.jobs.methods_info import MethodInfo
from napari_penumbra.session import Preflight, Recommendation, Session
from napari_penumbra.session.steering import STUBBORN_SECONDS
from napari_penumbra.widgets.annotate_page import scrolled
from napari_penumbra.widgets.buttons import ActionButton
from napari_penumbra.widgets.case_controller import CaseController
from napari_penumbra.widgets.curves import Curves
from napari_penumbra.widgets.empty_state import EmptyState
from napari_penumbra.widgets.fold import Fold, free_fold
from napari_penumbra.widgets.log_place import show_error_line
from napari_penumbra.widgets.method_advisor import MethodAdvisor
from napari_penumbra.widgets.method_form import MethodForm
from napari_penumbra.widgets.models_box import ModelsBox
from napari_penumbra.widgets.preflight_box import PreflightBox
from napari_penumbra.widgets.run_list import RunList
from napari_penumbra.widgets.start_from_line import StartFromLine
from napari_penumbra.widgets.status_line import STOP_TIP, show_stop
from napari_penumbra.widgets.where_form import WhereForm

STUBBORN_MS = int(1000 * STUBBORN_SECONDS) + 1000
"""When to look whether a run that was asked to stop has done so."""

_START_TIP = "Learns in the background; you can go on painting."
_QUEUE_TIP = "Waits until the training that runs now has ended, then learns in the background."


class TrainPage(QWidget):
    """Starts, follows, stops and resumes trainings.

    Signals
    -------
    wish : (str)
        What the empty state's button asks for: ``study`` or ``next``.
    """

    wish = Signal(str)

    def __init__(self, session: Session, cases: CaseController, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.cases = cases
        self.messages = cases.messages
        self._active: str | None = None
        self.advisor = MethodAdvisor(session, self)
        self._build()
        self._soon = QTimer(self, singleShot=True, interval=200)
        self._soon.timeout.connect(self.refresh)
        self._stubborn = QTimer(self, singleShot=True, interval=STUBBORN_MS)
        self._stubborn.timeout.connect(self._allow)
        session.study_changed.connect(self._on_study, thread="main")
        session.case_changed.connect(self._on_case, thread="main")
        session.run_event.connect(self._on_event, thread="main")
        session.status_changed.connect(self._on_status, thread="main")

    def disconnect_all(self) -> None:
        """Stop listening to the session."""
        self.session.study_changed.disconnect(self._on_study)
        self.session.case_changed.disconnect(self._on_case)
        self.session.run_event.disconnect(self._on_event)
        self.session.status_changed.disconnect(self._on_status)
        self.session.models_changed.disconnect(self._refresh_soon)
        self.models.disconnect_all()
        self.preflight.stop()
        self.advisor.stop()

    # ---------------------------------------------------------------- layout

    def _build(self) -> None:
        self.form = MethodForm()
        self.where = WhereForm()
        self.preflight = PreflightBox(self.session)
        self.start = ActionButton("Start training", _START_TIP, name="start")
        self.stop = ActionButton("Stop", STOP_TIP, name="stop")
        self.curves = Curves()
        self.runs = RunList()
        self.origin = StartFromLine()
        self.models = ModelsBox(self.session, self.messages)
        self.log = QPlainTextEdit(objectName="log", readOnly=True, accessibleName="Log of the run")
        self.log.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.log.setMinimumHeight(10 * self.fontMetrics().lineSpacing())
        self.empty = EmptyState("train_empty")
        self._lay_out()
        self.advisor.asking.connect(self.refresh)
        self.advisor.failed.connect(self.refresh)
        self.advisor.listed.connect(self._on_methods)
        self.advisor.advised.connect(self.form.set_advice)
        self.form.changed.connect(self._on_settings)
        self.where.changed.connect(self._on_where)
        self.preflight.looked.connect(self._on_looked)
        self.start.clicked.connect(self.start_training)
        self.stop.clicked.connect(self.stop_run)
        self.runs.selected.connect(self.show_run)
        self.runs.resumed.connect(self._resume)
        self.runs.crowned.connect(self._crown)
        self.runs.paused.connect(self._pause)
        self.runs.cancelled.connect(self._cancel)
        self.logs.toggled.connect(self._show_log)
        self.models.start_wished.connect(self.start_from)
        self.origin.changed.connect(self._on_origin)
        self.session.models_changed.connect(self._refresh_soon, thread="main")
        self.empty.pressed.connect(self._on_wish)

    def _lay_out(self) -> None:
        inner = QWidget()
        body = QVBoxLayout(inner)
        body.setContentsMargins(6, 6, 6, 6)
        body.addWidget(self.form)
        body.addWidget(free_fold("Where it runs", self.where, "where"))
        body.addWidget(self.preflight)
        body.addWidget(self.origin)
        row = QHBoxLayout()
        row.addWidget(self.start, 2)
        row.addWidget(self.stop, 1)
        body.addLayout(row)
        body.addWidget(self.curves)
        self.run_group = Fold("Runs", self.runs, "runs")
        self.run_group.expand(animate=False)
        self.logs = Fold("Log", self.log, "logs")
        body.addWidget(self.run_group)
        self.model_group = Fold("Models", self.models, "models")
        body.addWidget(self.model_group)
        body.addWidget(self.logs)
        body.addStretch(1)
        self.scroll = scrolled(inner)
        self._stack = QStackedLayout(self)
        self._stack.addWidget(self.scroll)
        self._stack.addWidget(self.empty)

    # ---------------------------------------------------------------- methods

    def showEvent(self, event: Any) -> None:
        """Fetch the methods the first time; look ahead every time."""
        super().showEvent(event)
        if not self.form.infos:
            self.advisor.fetch()
        self._advise()
        self.refresh()
        self._look_ahead()

    def hideEvent(self, event: Any) -> None:
        """Drop a measurement that nobody looks at."""
        super().hideEvent(event)
        self.preflight.stop()

    def _on_methods(self, methods: Sequence[MethodInfo], advice: Recommendation | None) -> None:
        self.form.set_methods(methods, advice)
        self.refresh()

    def _advise(self) -> None:
        """Recommend anew, if anybody sees it: the pools or the study have changed."""
        if self.isVisible():
            self.advisor.advise()

    def _on_settings(self) -> None:
        self._allow()
        self._look_ahead()

    def _on_where(self) -> None:
        self._allow()
        with contextlib.suppress(UsageError):
            if self.preflight.work_as(self.where.choice()):
                self._look_ahead()

    def _look_ahead(self) -> None:
        if self.session.study is None or not self.isVisible():
            return
        try:
            choice = self.form.choice()
        except UsageError:
            self.preflight.stop()
            return
        if choice is not None:
            self.preflight.ask(choice.method, choice.preset, choice.config, choice.steps)

    def _on_looked(self, _preflight: Preflight | None) -> None:
        self._allow()

    # ---------------------------------------------------------------- session → page

    def _on_case(self, _name: str) -> None:
        if self.isVisible():
            self.advisor.advise_soon()
        self._refresh_soon()

    def _refresh_soon(self, _what: object = None) -> None:
        if not self._soon.isActive():
            self._soon.start()

    def _on_status(self, _words: str) -> None:
        """Words change four times a second while a run goes on; what can be done only when it starts or ends."""
        active = self.session.active
        if active != self._active:
            self._active = active
            self._refresh_soon()
            self._look_ahead()

    def _on_study(self) -> None:
        self.curves.set_history([])
        self.log.clear()
        if self.origin.model and self.origin.model not in {info.id for info in self.session.models()}:
            self.origin.clear()
        self._advise()
        self.refresh()
        self._look_ahead()

    def refresh(self) -> None:
        """Read the runs and what may be done anew, if anybody sees it."""
        if not self.isVisible():
            return
        with self.messages.guard("reading the runs"):
            self._say_empty()
            busy = self.session.blocking is not None and not self.session.queueable
            why = "Another run is going on: wait for it or stop it." if busy else self._why_readonly()
            self.runs.set_runs(self.session.runs(), why)
            self.models.refresh()
            self._allow()

    def _say_empty(self) -> None:
        counts = self.session.counts()
        runs = self.session.study is not None and bool(self.session.study.runs())
        if self.session.study is None:
            self.empty.say("No study open.", "Go to Study", "study", "Shows the Study page.")
        elif not counts.cases:
            self.empty.say("This study has no cases to learn from.", "Go to Study", "study", "Shows the Study page.")
        elif not counts.labelled + counts.validation and not runs:
            self.empty.say(
                "Nothing to learn from yet: label two cases, then train.",
                "Open next case",
                "next",
                "Opens the next case of the study's order.",
            )
        elif (error := self.advisor.error) is not None:
            tip = "Asks again which methods are installed."
            self.empty.say(str(error), "Try again", "methods", tip, error.details)
        else:
            self._stack.setCurrentWidget(self.scroll)
            return
        self._stack.setCurrentWidget(self.empty)

    def _why_readonly(self) -> str:
        return "This study is open read-only: another window writes to it." if self.session.readonly else ""

    def _allow(self) -> None:
        active = self.session.active
        ahead = self.preflight.preflight
        why = self._why_readonly()
        queue = self.session.queueable
        self.start.setText("Queue training" if queue else "Start training")
        self.start.explain(_QUEUE_TIP if queue else _START_TIP)
        if not why and self.session.blocking is not None and not queue:
            why = "Another run is going on: wait for it or stop it."
        if not why and not self.form.infos:
            why = "Still asking which methods are installed."
        if not why and ahead is not None and not ahead.can_start:
            why = f"{ahead.problem} {ahead.remedy}".strip()
        if not why:
            try:
                self.form.choice()
                self.where.choice()
            except UsageError as error:
                why = str(error)
        self.start.allow(why)
        hangs = active is not None and self.session.hangs(active)
        why = self.session.why_not_end(active) if active is not None else "Nothing is running."
        show_stop(self.stop, hangs, why)

    def _on_event(self, run: str, event: Progress) -> None:
        if self.runs.current() == run:
            self.curves.add(event)
            if self.logs.isExpanded():
                self._show_log()
        if event.kind is not Kind.STEP:
            self._refresh_soon()

    def show_run(self, run: str) -> None:
        """Show the curves and the log of a run."""
        with self.messages.guard("reading the run"):
            self.curves.set_history(self.session.history(run))
            self._show_log()

    def _show_log(self, _open: object = None) -> None:
        run = self.runs.current()
        if run is None or not self.logs.isExpanded():
            return
        with self.messages.guard("reading the log"):
            text = self.session.log(run) or "The run has printed nothing."
            if text != self.log.toPlainText():
                self.log.setPlainText(text)
                bar = self.log.verticalScrollBar()
                bar.setValue(bar.maximum())

    def open_log(self, failed: str = "") -> None:
        """Unfold the log and bring it into view: that of a run that failed at its error, else that of what runs."""
        if self.runs.current() is None:
            return
        self.runs.select(failed or self.session.active)
        self.logs.expand(animate=False)
        self._show_log()
        if failed:
            show_error_line(self.log)
        QTimer.singleShot(0, lambda: self.scroll.ensureWidgetVisible(self.log))

    # ---------------------------------------------------------------- page → session

    def start_training(self) -> None:
        """Save the shown case and start."""
        self.preflight.stop()
        with self.messages.guard("starting the training"):
            choice = self.form.choice()
            if choice is None:
                return
            self.cases.save_now()
            more: dict[str, Any] = {"queue": True} if self.session.queueable else {}
            way = self.where.choice()
            if not way.plain:
                more["way"] = way
            if self.where.board.isChecked():
                more["tensorboard"] = True
            if self.origin.model:
                more["start_from"] = self.origin.model
            run = self.session.train(
                choice.method,
                choice.preset,
                steps=choice.steps,
                config=choice.config,
                reference=choice.reference,
                **more,
            )
            self.origin.clear()
            self.refresh()
            self.runs.select(run)
        self._allow()

    def start_from(self, model: str) -> None:
        """Let the next training start from a model, with its method and the parameters that its networks need."""
        with self.messages.guard("choosing the model to start from"):
            self.form.take(*self.session.start_settings(model))
            self.origin.take(self.session.model(model), self.session.start_warning(model))
            # Only once the line has its place can the page be scrolled there.
            QTimer.singleShot(0, lambda: self.scroll.ensureWidgetVisible(self.preflight))

    def _on_origin(self) -> None:
        self.preflight.begin_from(self.origin.model)
        self._look_ahead()
        self._allow()

    def stop_run(self) -> None:
        """Ask what runs to end at the next step."""
        with self.messages.guard("stopping"):
            if self.session.active is not None:
                self.session.stop(self.session.active)
                self.stop.allow("It stops at the next step.")
                self._stubborn.start()

    def _resume(self, run: str) -> None:
        with self.messages.guard("resuming"):
            self.session.resume(run, queue=self.session.queueable)
            self.refresh()
            self.runs.select(run)

    def _pause(self, run: str) -> None:
        with self.messages.guard("pausing"):
            self.session.pause(run)
            self.refresh()

    def _cancel(self, run: str) -> None:
        with self.messages.guard("taking it out of the queue"):
            self.session.stop(run)
            self.refresh()

    def _crown(self, run: str) -> None:
        with self.messages.guard("changing the model that predicts"):
            self.session.make_champion(run)
            self.refresh()

    def _on_wish(self, wish: str) -> None:
        if wish == "methods":
            self.advisor.fetch()
        else:
            self.wish.emit(wish)
