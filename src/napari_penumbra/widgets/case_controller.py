"""Opens, saves and closes cases on the canvas for every page, so that no page can forget to save first."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from psygnal import Signal
from qtpy.QtCore import QObject, Qt, QTimer
from qtpy.QtWidgets import QApplication

from napari_penumbra.domain.case import CaseRow, CaseState, Closing, OpenCase
from napari_penumbra.domain.errors import UsageError
from napari_penumbra.session import Session
from napari_penumbra.study.store import Study
from napari_penumbra.study.team.errors import ServerGoneError
from napari_penumbra.widgets.canvas import Canvas
from napari_penumbra.widgets.messages import MessageBar

AUTOSAVE_MS = 30_000
RETRY_MS = 1_000
MOST_RETRIES = 20
"""Qt may believe in a pressed button for ever, when another window got the release. No stroke takes this long."""
OLDEST_S = 10.0
"""After how long the list of cases is read anew even if nobody has said that it changed."""


class CaseController(QObject):
    """The case on the canvas and its way to disk.

    Drafts are written by another thread: the journal keeps each stroke until a revision on the disk holds it. Whatever
    else is done with the case waits for that first.

    Signals
    -------
    opened : (OpenCase)
        A case is shown.
    cleared
        No case is shown any more.
    closed : (str)
        The named case was closed as complete or partial, or accepted.
    reopened : (str)
        The named case was taken back out of the labelled pool.
    changed
        What may be done with the shown case may have changed (saved, reopened, dirty).
    """

    opened = Signal(OpenCase)
    cleared = Signal()
    closed = Signal(str)
    reopened = Signal(str)
    changed = Signal()

    def __init__(self, session: Session, canvas: Canvas, messages: MessageBar, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.canvas = canvas
        self.messages = messages
        self.shown: OpenCase | None = None
        self._of: Study | None = None
        self._rows: list[CaseRow] | None = None
        self._rows_order = ""
        self.order_words = ""
        self._read = 0.0
        self._walk: list[str] = []
        self._walk_order = ""
        self._put_off = 0
        self._autosave = QTimer(self)
        self._autosave.setInterval(AUTOSAVE_MS)
        self._autosave.timeout.connect(self.autosave)
        self._autosave.start()
        canvas.dirty_changed.connect(self._on_dirty)
        session.draft_written.connect(self._on_written)
        session.draft_failed.connect(self._on_not_written)
        session.study_changed.connect(self._on_study, thread="main")
        session.case_changed.connect(self._on_case_changed, thread="main")
        session.team_changed.connect(self._on_team, thread="main")

    def disconnect_all(self) -> None:
        """Stop listening and saving; called once when the dock goes."""
        self._autosave.stop()
        self.canvas.dirty_changed.disconnect(self._on_dirty)
        self.session.draft_written.disconnect(self._on_written)
        self.session.draft_failed.disconnect(self._on_not_written)
        self.session.study_changed.disconnect(self._on_study)
        self.session.case_changed.disconnect(self._on_case_changed)
        self.session.team_changed.disconnect(self._on_team)

    # ---------------------------------------------------------------- what is shown

    @property
    def name(self) -> str | None:
        """Name of the shown case."""
        return self.canvas.case

    def row(self) -> CaseRow | None:
        """Return the shown case's line of the table."""
        study, name = self.session.study, self.name
        if study is None or name is None or study is not self._of:
            return None
        if not study.server_gone:
            with suppress(ServerGoneError):  # just now, and this is the first to notice: the team's keeper tells it
                return self.session.row_of(name)
        return next((row for row in self._rows or () if row.name == name), None)

    def rows(self) -> list[CaseRow]:
        """Return all cases in the session's order: asked of the study once for all pages, until something changes."""
        study, order = self.session.study, self.session.order
        if study is None:
            return []
        fresh = time.monotonic() - self._read < OLDEST_S or study.server_gone
        if self._rows is None or self._rows_order != order or not fresh:
            with suppress(ServerGoneError):  # as in `row`
                arranged = study.arranged(order)
                self._rows, self._rows_order = self.session.with_holders(arranged.rows), order
                self._read, self.order_words = time.monotonic(), arranged.words
        return self._rows or []

    def why_not_edit(self) -> str:
        """Say why the shown case's labels cannot be saved; empty when they can."""
        if self.session.study is None:
            return "No study is open."
        if self.session.readonly or self.name is not None:
            return self.session.why_not_write(self.name)
        return "No case is open: double-click one on the Study page."

    # ---------------------------------------------------------------- open

    def open(self, name: str) -> bool:
        """Save the shown case if it is dirty, then show another. On any error the shown one stays."""
        with self.messages.guard(f"opening {name}"):
            if name == self.name or self.session.blind is not None:
                self.save_now()  # what is read may be what is written, and a second reading ends by reading on
            with _busy():
                self._begin_saving()
                case = self.session.load(name)
                self.save_now()  # waits for it; once more if it failed, and then the shown case stays
                self.canvas.show(case)
            self.shown, self._of = case, self.session.study
            self._autosave.start()
            if case.restored:
                strokes = "1 stroke was" if case.restored == 1 else f"{case.restored} strokes were"
                self.messages.show_notice(f"{name}: {strokes} brought back that had not been saved.")
            self.opened.emit(case)
            self.changed.emit()
            return True
        return False

    def open_next(self, step: int = 1) -> bool:
        """Open the next (or previous) case of the study's order; what is shown is saved first."""
        with self.messages.guard("looking for the next case"):
            name = self.next_name(step)
            if name is None:
                raise UsageError(
                    "There is no case further on that is not finished.", "Pick one in the list on the Study page."
                )
            return self.open(name)
        return False

    def next_name(self, step: int = 1) -> str | None:
        """Name the next (or previous) case.

        An order that depends on the cases' states moves a case as soon as it is worked on. Walking along it would go
        back and forth between begun cases, so the walk is kept until other cases have changed (a new prediction).
        """
        session, name = self.session, self.name
        if session.study is None:
            return None
        if name is None or session.order == "file":
            return session.next_case(name, step)
        if self._walk_order != session.order or name not in self._walk:
            self._walk, self._walk_order = [row.name for row in self.rows()], session.order
        names, at = self._walk, self._walk.index(name)
        if step < 0:
            return next((other for other in names[at - 1 :: -1] if self.session.free(other)), None) if at > 0 else None
        finished = {row.name for row in self.rows() if row.state.labelled or row.held}
        ahead = [other for other in (*names[at + 1 :], *names[:at]) if other not in finished]
        return ahead[0] if ahead else None

    def _on_team(self) -> None:
        self._read = -math.inf
        self.changed.emit()

    def _on_case_changed(self, name: str) -> None:
        self._read = -math.inf
        if name != self.name:
            self._walk_order = ""

    # ---------------------------------------------------------------- save

    def unsaved(self) -> bool:
        """Whether something drawn on the shown case is in no revision on the disk yet."""
        return self.canvas.dirty() or (self.name is not None and self.session.saving == self.name)

    def save_now(self) -> bool:
        """Write the labels as a draft if they are dirty; raises what `Session.save` raises.

        When this returns, everything drawn so far is in a revision on the disk.
        """
        self.session.finish_draft()  # if that failed, the labels are dirty again
        name = self.canvas.case
        if name is None or not self.canvas.dirty() or not self.session.may_write(name):
            return False
        saved = self.session.save(name, self.canvas.labels(), self.canvas.seconds())
        self.canvas.mark_saved()
        self.changed.emit()
        return bool(saved)

    def autosave(self) -> None:
        """Save, but never while a mouse button is down: a stroke is going on."""
        if QApplication.mouseButtons() != Qt.MouseButton.NoButton and self._put_off < MOST_RETRIES:
            self._put_off += 1
            QTimer.singleShot(RETRY_MS, self.autosave)
            return
        self._put_off = 0
        self.save_soon()

    def save_soon(self) -> None:
        """Have the labels written as a draft by another thread if they are dirty; errors are shown."""
        if self.session.saving is None:
            with self.messages.guard("saving"):
                self._begin_saving()

    def _begin_saving(self) -> None:
        name = self.canvas.case
        if name is None or not self.canvas.dirty() or not self.session.may_write(name):
            return
        self.session.save_soon(name, self.canvas.labels(), self.canvas.seconds())
        self.canvas.mark_saved()
        self.changed.emit()

    def save(self) -> bool:
        """`save_now` with errors shown."""
        with self.messages.guard("saving"):
            self.save_now()
            return True
        return False

    # ---------------------------------------------------------------- close and reopen

    def close_case(self, closing: Closing) -> bool:
        """Close the shown case as complete or partial: it teaches from now on."""
        name = self.canvas.case
        if name is None or self.why_not_edit():
            return False
        with self.messages.guard(f"closing {name}"):
            canvas = self.canvas
            touched = canvas.touched_slices()
            self.session.close_case(name, canvas.labels(), closing, canvas.seconds(), touched)
            canvas.mark_saved()
            self.closed.emit(name)
            self.changed.emit()
            return True
        return False

    def accept(self) -> bool:
        """Accept the reviewed labels of the shown case."""
        name = self.canvas.case
        if name is None or self.why_not_edit():
            return False
        with self.messages.guard(f"accepting {name}"):
            shown = self.shown.prediction.id if self.shown is not None and self.shown.prediction is not None else None
            labels, seconds = self.canvas.labels(), self.canvas.seconds()
            self.session.accept(name, labels, Closing.COMPLETE, seconds, prediction_id=shown)
            self.canvas.mark_saved()
            self.closed.emit(name)
            self.changed.emit()
            return True
        return False

    def reopen(self) -> bool:
        """Take the shown case back out of the labelled pool; its labels stay as they are."""
        name = self.canvas.case
        if name is None or self.why_not_edit():
            return False
        with self.messages.guard(f"reopening {name}"):
            was_closed = is_closed(self.row())
            self.save_now()  # what was painted since makes it a draft already
            taken = self.session.reopen_case(name)
            if taken is not None and taken.closing is Closing.PARTIAL:
                self.open(name)  # the unknown slices of a partial closing are no part of what was drawn
            self.changed.emit()
            if was_closed:
                self.reopened.emit(name)
            return True
        return False

    # ---------------------------------------------------------------- listening

    def _on_dirty(self, dirty: bool) -> None:
        self.changed.emit()

    def _on_written(self, name: str) -> None:
        self.changed.emit()

    def _on_not_written(self, name: str, seconds: float) -> None:
        if name == self.name:
            self.canvas.mark_unsaved(seconds)

    def _on_study(self) -> None:
        self._rows = None
        self._walk_order = ""
        with self.messages.guard("leaving the case"):
            study, name = self.session.study, self.canvas.case
            if name is not None and (study is None or not self._still_there(name)):
                self.canvas.clear()
                self.shown = None
                self.cleared.emit()
        self.changed.emit()

    def _still_there(self, name: str) -> bool:
        """Whether the shown case belongs to the open study; another study may have a case of the same name."""
        study = self.session.study
        return study is self._of and name in {row.name for row in self.rows()}


@contextmanager
def _busy() -> Iterator[None]:
    """Show the waiting cursor."""
    QApplication.setOverrideCursor(Qt.CursorShape.WaitCursor)
    try:
        yield
    finally:
        QApplication.restoreOverrideCursor()


def is_closed(row: CaseRow | None) -> bool:
    """Whether a case is in the labelled pool."""
    return row is not None and row.state.labelled


__all__ = ["AUTOSAVE_MS", "CaseController", "CaseState", "is_closed"]
