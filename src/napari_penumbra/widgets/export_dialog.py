"""Exports: labels for other tools, the cohort table, the report page. Says what will be written before anything is."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import QTimer, QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QDialog, QDialogButtonBox, QLabel, QListWidget, QProgressBar, QVBoxLayout, QWidget

from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.session import Session
from napari_penumbra.study.exporters import Plan, Written
from napari_penumbra.widgets.buttons import ActionButton
from napari_penumbra.widgets.export_form import ExportForm
from napari_penumbra.widgets.messages import MessageBar
from napari_penumbra.widgets.worker_thread import Task

MOST_LINES = 400
"""Lines of the list of files; more are counted, not listed."""


class ExportDialog(QDialog):
    """Choose, look at what would be written, write it in another thread with progress and Cancel.

    Parameters
    ----------
    session
        Its study is exported; may be open read-only.
    """

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("export_dialog")
        self.setWindowTitle(f"Export from {session.opened().name}")
        self.session = session
        self._plan: Plan | None = None
        self._planning: Task | None = None
        self._task: Task | None = None
        self._written: list[str] = []
        self._failed = 0
        self._folder: Path | None = None
        self._build()
        self._soon = QTimer(self, singleShot=True, interval=250)
        self._soon.timeout.connect(self._look)
        self.form.changed.connect(self._on_changed)
        self._on_changed()

    # ---------------------------------------------------------------- layout

    def _build(self) -> None:
        self.form = ExportForm(self.session.export_kinds())
        self.words = QLabel(objectName="export_words", wordWrap=True)
        self.list = QListWidget(objectName="export_list")
        self.list.setMinimumHeight(7 * self.fontMetrics().lineSpacing())
        self.progress = QProgressBar(objectName="export_progress")
        self.progress.hide()
        self.messages = MessageBar()
        self.write = ActionButton("Export", "Writes the files listed above.", name="export_write")
        self.cancel = ActionButton(
            "Cancel", "Stops after the case that is being written; the folder then says that it is not all.",
            name="export_cancel",
        )  # fmt: skip
        self.show_folder = ActionButton("Open folder", "Shows the folder in the file manager.", name="export_open")
        self.close_button = ActionButton("Close", "Closes this window.", name="export_close")
        buttons = QDialogButtonBox()
        for button in (self.write, self.cancel, self.show_folder):
            buttons.addButton(button, QDialogButtonBox.ButtonRole.ActionRole)
        buttons.addButton(self.close_button, QDialogButtonBox.ButtonRole.RejectRole)
        layout = QVBoxLayout(self)
        for widget in (self.form, self.words, self.list, self.progress, self.messages, buttons):
            layout.addWidget(widget, 1 if widget is self.list else 0)
        self.setMinimumWidth(72 * self.fontMetrics().averageCharWidth())
        self.write.clicked.connect(self._write)
        self.cancel.clicked.connect(self._cancel)
        self.show_folder.clicked.connect(self._open_folder)
        self.close_button.clicked.connect(self.reject)

    # ---------------------------------------------------------------- what would be written

    def _on_changed(self) -> None:
        self._plan = None
        if self.form.target() is not None:
            self.list.clear()
            self.words.setText("Looking what would be written…")
        self._soon.start()
        self._allow()

    def _look(self) -> None:
        """Plan in another thread: with many cases, or DICOM, it takes a while."""
        folder = self.form.target()
        if self._planning is not None:
            self._planning.cancel()
            self._planning = None
        if folder is None:
            self.list.clear()
            self.words.setText("Choose the folder to write to; the files are listed here before anything is written.")
            return
        kind, options, references = self.form.current().name, self.form.options(), self.form.reference_folder()
        task = Task(lambda: self.session.plan_export(folder, kind, options, references), "planning the export")
        task.done.connect(self._on_plan)
        task.failed.connect(self._on_no_plan)
        self._planning = task.start()

    def _on_plan(self, plan: Plan) -> None:
        self._planning, self._plan = None, plan
        self.messages.clear()
        self.list.clear()
        for case, file in plan.files[:MOST_LINES]:
            self.list.addItem(f"{file}   ({case})" if case and case not in file else file)
        if len(plan.files) > MOST_LINES:
            self.list.addItem(f"… and {len(plan.files) - MOST_LINES:,} more files")
        for case, why in plan.left[:MOST_LINES]:
            self.list.addItem(f"– {case} is left out: {why}")
        cases = len({case for case, _ in plan.files if case})
        of = f" of {cases} case{'' if cases == 1 else 's'}" if cases else ""
        files = f"{len(plan.files):,} file{'' if len(plan.files) == 1 else 's'}"
        said = [f"{files}{of} will be written to {plan.folder.name}."]
        if plan.left:
            said.append(f"{len(plan.left)} case{' is' if len(plan.left) == 1 else 's are'} left out.")
        self.words.setText(" ".join([*said, *(f"ℹ {note}" for note in plan.notes)]))
        self._allow()

    def _on_no_plan(self, error: PenumbraError) -> None:
        self._planning = self._plan = None
        self.list.clear()
        self.words.setText(f"⚠ {error}")
        self._allow()

    def _allow(self) -> None:
        running = self._task is not None
        self.form.setEnabled(not running)
        why = "" if self._plan is not None else "Choose a folder first; what is in the way is said above the list."
        self.write.allow("The files are being written." if running else why)
        self.cancel.setVisible(running)
        there = self._folder is not None and self._folder.is_dir()
        self.show_folder.allow("" if there else "Nothing was written yet.")

    # ---------------------------------------------------------------- write

    def _write(self) -> None:
        plan = self._plan
        if plan is None or self._task is not None:
            return
        self.messages.clear()
        self.list.clear()
        self._written, self._failed, self._folder = [], 0, plan.folder
        self.progress.setRange(0, max(1, plan.steps))
        self.progress.setValue(0)
        self.progress.show()
        self.cancel.allow()
        task = Task(plan.run, "exporting")
        task.step.connect(self._on_step)
        task.failed.connect(self.messages.show_error)
        task.over.connect(lambda: self._on_over(plan))
        self._task = task.start()
        self._allow()

    def _on_step(self, step: Written) -> None:
        self.progress.setValue(self.progress.value() + 1)
        self._written += step.files
        if step.error is not None:
            self._failed += 1
            self.list.addItem(f"✗ {step.name}: {step.error}")
        elif step.files:
            self.list.addItem(f"✓ {step.files[0]}" + (f" and {len(step.files) - 1} more" if step.files[1:] else ""))
        self.list.scrollToBottom()

    def _on_over(self, plan: Plan) -> None:
        self._task = None
        whole = self.progress.value() >= plan.steps
        self.progress.hide()
        said = f"{len(self._written):,} file{'' if len(self._written) == 1 else 's'} of cases written to {plan.folder}."
        if plan.files and not plan.files[0][0]:
            said = f"Written to {plan.folder}." if whole else "Stopped."
        if not whole:
            said += " It was not finished: what is there is not the whole export."
        if self._failed:
            said += f" {self._failed} case{'' if self._failed == 1 else 's'} could not be written; the list says why."
        self._plan = None  # the folder is no longer what the plan was made for
        self.words.setText(said)
        self._allow()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.stop()
            self.cancel.allow("It stops after the case that is being written.")

    def _open_folder(self) -> None:
        if self._folder is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._folder)))

    def done(self, result: int) -> None:
        """Stop when the window is closed; what comes after has nowhere to be shown."""
        self._soon.stop()
        for task in (self._planning, self._task):
            if task is not None:
                task.cancel()
        self._planning = self._task = None
        super().done(result)
