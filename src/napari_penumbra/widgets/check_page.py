"""The check of all cases, in place of the list on the Study page: findings, pictures, one click to put each right."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QProgressBar,
    QVBoxLayout,
    QWidget,
)

from napari_penumbra.session import Session
from napari_penumbra.session.checking import SIGNS, button_of, summary
from napari_penumbra.study.checks import Finding
from napari_penumbra.study.fixing import Prepared
from napari_penumbra.widgets.buttons import ActionButton
from napari_penumbra.widgets.case_controller import CaseController
from napari_penumbra.widgets.check_controller import CheckController
from napari_penumbra.widgets.colors import mute

_FINDING = int(Qt.ItemDataRole.UserRole) + 1
_PICTURE_HEIGHT = 184


class CheckPage(QWidget):
    """What a check has found.

    Signals
    -------
    left
        The reader wants the list of cases back.
    opened : (str)
        The reader wants to see this case.
    """

    left = Signal()
    opened = Signal(str)

    def __init__(self, session: Session, cases: CaseController, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("check_page")
        self.session = session
        self.control = CheckController(session, cases, self)
        self._shown: tuple[Finding, ...] = ()
        self._build()
        self._lay_out()
        self.control.changed.connect(self.refresh)
        self.control.picture.connect(self._on_picture)
        self.control.proposed.connect(self._on_proposed)
        self.list.currentItemChanged.connect(lambda _now, _before: self._on_chosen())
        self.refresh()

    def disconnect_all(self) -> None:
        """Stop listening to the session."""
        self.control.disconnect_all()

    # ---------------------------------------------------------------- layout

    def _build(self) -> None:
        self.back = ActionButton("◂ Cases", "Shows the list of cases again.", name="check_back")
        self.again = ActionButton(
            "Check again", "Checks all cases. What has not changed is not measured again.", name="check_again"
        )
        self.stop = ActionButton("Stop", "Stops the check; what was found so far stays.", name="check_stop")
        self.bar = QProgressBar(objectName="check_progress", textVisible=False)
        self.bar.setMaximumHeight(8)
        self.words = _label("check_summary")
        self.list = QListWidget(objectName="check_findings", wordWrap=True)
        self.list.setAccessibleName("What the check has found")
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setMinimumHeight(5 * self.fontMetrics().lineSpacing())
        self.list.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.remedy = _label("check_remedy")
        mute(self.remedy)
        self.picture = QLabel(objectName="check_picture", alignment=Qt.AlignmentFlag.AlignCenter)
        self.picture.setMinimumWidth(1)  # a wide picture must not widen the dock
        self.ways = QWidget(objectName="check_ways")
        self.proposal = QFrame(objectName="check_proposal", frameShape=QFrame.Shape.StyledPanel)
        self.proposed = _label("check_proposed")
        self.use = ActionButton("Use it", "The case counts like this from now on. Can be undone.", name="check_use")
        self.refuse = ActionButton("Leave as it was", "Forgets the result; nothing changes.", name="check_refuse")
        self.done = QFrame(objectName="check_done", frameShape=QFrame.Shape.StyledPanel)
        self.did = _label("check_did")
        self.undo = ActionButton("Undo", "Puts the case back as it was before this.", name="check_undo")
        self.back.clicked.connect(self.left)
        self.again.clicked.connect(self.control.start)
        self.stop.clicked.connect(self.control.stop)
        self.use.clicked.connect(self.control.accept)
        self.refuse.clicked.connect(self.control.refuse)
        self.undo.clicked.connect(self.control.undo)

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        head = QHBoxLayout()
        head.addWidget(self.back)
        head.addStretch(1)
        head.addWidget(self.again)
        head.addWidget(self.stop)
        layout.addLayout(head)
        layout.addWidget(self.words)
        layout.addWidget(self.bar)
        layout.addWidget(self.list, 1)
        layout.addWidget(self.remedy)
        layout.addWidget(self.picture)
        self._ways = QGridLayout(self.ways)
        self._ways.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.ways)
        for frame, label, buttons in (
            (self.proposal, self.proposed, (self.use, self.refuse)),
            (self.done, self.did, (self.undo,)),
        ):
            inside = QVBoxLayout(frame)
            inside.setContentsMargins(6, 4, 6, 4)
            inside.addWidget(label)
            row = QHBoxLayout()
            for button in buttons:
                row.addWidget(button)
            inside.addLayout(row)
            layout.addWidget(frame)

    # ---------------------------------------------------------------- show

    def begin(self) -> None:
        """The page is shown: check, if nothing was yet."""
        if self.control.step is None:
            self.control.start()
        self.refresh()

    def refresh(self) -> None:
        """Show how far the check is and what it has found."""
        control, step = self.control, self.control.step
        self.stop.setVisible(control.checking)
        self.again.setVisible(not control.checking)
        self.bar.setVisible(control.checking)
        if step is not None:
            self.bar.setRange(0, max(1, step.cases))
            self.bar.setValue(step.done)
        if control.working:
            self.words.setText(f"{control.working}…")
        elif control.checking:
            far = f"{step.done} of {step.cases}" if step is not None else "reading headers"
            self.words.setText(f"Checking: {far}…")
        elif step is None:
            self.words.setText("Nothing was checked yet.")
        else:
            stopped = "" if step.over else " Stopped before the end."
            self.words.setText(summary(step) + stopped)
        if step is not None and step.findings != self._shown:
            self._show_findings(step.findings)
        self.proposal.setVisible(control.pending is not None)
        self.ways.setVisible(control.pending is None)
        self.done.setVisible(control.last is not None and control.pending is None)
        if control.last is not None:
            self.did.setText(f"{control.last.case}: {control.last.words}.")
            self.undo.allow(control.why_not_fix(control.last.case))
        if step is None:
            self._show_findings(())
        self._allow_ways()

    def _show_findings(self, findings: tuple[Finding, ...]) -> None:
        """Fill the list; the finding that was chosen stays chosen if it is still there."""
        chosen = self.chosen()
        self._shown = findings
        self.list.blockSignals(True)
        self.list.clear()
        for finding in findings:
            sign, word = SIGNS[finding.severity], finding.severity.value
            item = QListWidgetItem(f"{sign} {word} · {finding.case}: {finding.message}")
            item.setData(_FINDING, finding)
            item.setToolTip(finding.text)
            self.list.addItem(item)
        at = findings.index(chosen) if chosen in findings else (0 if findings else -1)
        self.list.setCurrentRow(at)
        self.list.blockSignals(False)
        if chosen is None or chosen not in findings:
            self._on_chosen()

    def chosen(self) -> Finding | None:
        """The finding that is shown below the list."""
        item = self.list.currentItem()
        return None if item is None else item.data(_FINDING)

    def _on_chosen(self) -> None:
        finding = self.chosen()
        while self._ways.count():
            old = self._ways.takeAt(0).widget()
            if old is not None:
                old.hide()
                old.deleteLater()
        if self.control.pending is None:
            self.picture.clear()
            self.picture.hide()
        self.remedy.setText("" if finding is None else finding.remedy)
        self.remedy.setVisible(finding is not None and bool(finding.remedy))
        if finding is None:
            return
        for offer in finding.offers:
            words, tip = button_of(offer)
            button = ActionButton(words, tip, name=f"check_fix_{offer.kind}")
            button.clicked.connect(lambda _=False, o=offer: self.control.fix(finding.case, o))
            self._add_way(button)
        look = ActionButton("Open the case", "Shows it on the canvas; what is shown is saved first.", name="check_open")
        look.clicked.connect(lambda _=False: self.opened.emit(finding.case))
        self._add_way(look)
        self._allow_ways()
        if self.control.pending is None:
            self.control.draw(finding)

    def _add_way(self, button: ActionButton) -> None:
        n = self._ways.count()
        self._ways.addWidget(button, n // 2, n % 2)

    def _allow_ways(self) -> None:
        finding = self.chosen()
        reason = "" if finding is None else self.control.why_not_fix(finding.case)
        for n in range(self._ways.count()):
            button: Any = self._ways.itemAt(n).widget()
            if button.objectName() != "check_open":
                button.allow(reason)

    def _on_picture(self, finding: Finding, data: bytes | None) -> None:
        if finding == self.chosen() and self.control.pending is None:
            self._draw(data, finding.message)

    def _on_proposed(self, prepared: Prepared, data: bytes | None) -> None:
        self.proposed.setText(f"{prepared.case}: {prepared.words}. Use it?")
        self._draw(data, f"Before and after: {prepared.words}")

    def _draw(self, data: bytes | None, words: str) -> None:
        pixmap = QPixmap()
        if data is None or not pixmap.loadFromData(data):
            self.picture.clear()
            self.picture.hide()
            return
        width = max(200, self.width() - 4)
        if pixmap.width() > width or pixmap.height() > _PICTURE_HEIGHT:
            keep, smooth = Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
            pixmap = pixmap.scaled(width, _PICTURE_HEIGHT, keep, smooth)
        self.picture.setPixmap(pixmap)
        self.picture.setFixedHeight(pixmap.height())
        self.picture.setAccessibleName(words)
        self.picture.show()


def _label(name: str) -> QLabel:
    label = QLabel(objectName=name, wordWrap=True)
    label.setTextFormat(Qt.TextFormat.PlainText)  # names of cases may hold what looks like markup
    return label
