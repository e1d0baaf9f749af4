"""The preview of a DICOM import: a tree of cases and their series, names and modalities changeable in place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from qtpy.QtCore import QModelIndex, Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QComboBox, QHeaderView, QSpinBox, QStyledItemDelegate, QTreeWidget, QTreeWidgetItem, QWidget

from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.study.importers.dicom import DicomCase, DicomPlan, DicomRow
from napari_penumbra.study.importers.dicom_changes import with_row
from napari_penumbra.widgets.colors import grey

NAME, MODALITY, TIME, REMARKS = range(4)
LEAVE_OUT = "leave out"
_OPEN_CASES = 12


class DicomTable(QTreeWidget):
    """Shows a plan and keeps what the reader changes in it.

    Parameters
    ----------
    modalities
        The study's.

    Signals
    -------
    changed
        `plan` is another now.
    failed
        A `PenumbraError` to show: what was asked for cannot be done, and nothing was changed.
    """

    changed = Signal()
    failed = Signal(object)

    def __init__(self, modalities: Sequence[str], parent: QWidget | None = None) -> None:
        super().__init__(parent, objectName="dicom_table")
        self.plan: DicomPlan | None = None
        self.folders = False
        self._modalities = tuple(modalities)
        self._filling = False
        self.setHeaderLabels(["Case · series", "Modality", "Time", "What is to be known"])
        self.setUniformRowHeights(True)
        self.setEditTriggers(QTreeWidget.EditTrigger.AllEditTriggers)
        self.setItemDelegate(_Delegate(self))
        for column in (NAME, MODALITY, TIME):
            self.header().setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        self.itemChanged.connect(self._on_change)

    def show_plan(self, plan: DicomPlan | None) -> None:
        """Show a plan, or nothing."""
        self.plan = plan
        self._filling = True
        self.clear()
        for n, case in enumerate(plan.cases if plan else ()):
            item = QTreeWidgetItem(self)
            self._fill_case(item, case)
            for row in case.rows:
                self._fill_row(QTreeWidgetItem(item), case, row)
            item.setExpanded(n < _OPEN_CASES and not case.present)
        several = any(row.offer.times > 1 for case in (plan.cases if plan else ()) for row in case.rows)
        self.setColumnHidden(TIME, not several)
        self._filling = False

    def show_folders(self, shown: bool) -> None:
        """Show where each case's files lie, on the screen only."""
        self.folders = shown
        self.show_plan(self.plan)

    # ---------------------------------------------------------------- rows

    def _fill_case(self, item: QTreeWidgetItem, case: DicomCase) -> None:
        item.setText(NAME, case.name or case.title)
        item.setToolTip(NAME, "Click to change the name. The patient's own name is nowhere taken from the files.")
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        if case.present:
            item.setText(REMARKS, f"{case.title}: in the study already")
            item.setForeground(NAME, self._faint())
        elif not case.name:
            item.setText(REMARKS, "nothing that can be added")
            item.setForeground(NAME, self._faint())
        else:
            flags |= Qt.ItemFlag.ItemIsUserCheckable | Qt.ItemFlag.ItemIsEditable
            item.setCheckState(NAME, Qt.CheckState.Checked if case.wanted else Qt.CheckState.Unchecked)
            count = len(case.rows)
            item.setText(REMARKS, f"{case.title}: {count} series, {case.files} files" if count else case.title)
        if self.folders:
            item.setText(REMARKS, f"{item.text(REMARKS)} · {case.folder}")
        item.setFlags(flags)

    def _fill_row(self, item: QTreeWidgetItem, case: DicomCase, row: DicomRow) -> None:
        offer = row.offer
        item.setText(NAME, offer.label)
        item.setText(MODALITY, row.modality or ("" if offer.problem else LEAVE_OUT))
        item.setToolTip(MODALITY, "Click to choose which of the study's modalities this series is.")
        item.setText(TIME, f"{row.time + 1} of {offer.times}" if offer.times > 1 else "")
        item.setToolTip(TIME, "Click to choose another point in time." if offer.times > 1 else "")
        told = [offer.problem] if offer.problem else list(offer.notes)
        size = "" if offer.grid is None else " × ".join(f"{n}" for n in offer.grid.shape)
        item.setText(REMARKS, " ".join(_short(note, offer.what) for note in told) or size)
        item.setToolTip(REMARKS, "\n".join([*told, size]).strip())
        flags = Qt.ItemFlag.ItemIsSelectable
        if not offer.problem and not case.present:
            flags |= Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsEditable
        item.setFlags(flags)
        if not row.modality:
            item.setForeground(MODALITY, self._faint())

    def _faint(self) -> QColor:
        return grey(self.palette().text().color(), self.palette().base().color())

    # ---------------------------------------------------------------- changes

    def _on_change(self, item: QTreeWidgetItem, column: int) -> None:
        if self._filling or self.plan is None:
            return
        parent = item.parent()
        at = self.indexOfTopLevelItem(item if parent is None else parent)
        try:
            if parent is None:
                self._change_case(item, at)
            else:
                self._change_row(item, at, parent.indexOfChild(item), column)
        except PenumbraError as error:
            self.failed.emit(error)
        self._show_again(at)
        self.changed.emit()

    def _change_case(self, item: QTreeWidgetItem, at: int) -> None:
        assert self.plan is not None  # _on_change asked
        case = self.plan.cases[at]
        wanted = item.checkState(NAME) == Qt.CheckState.Checked and not case.present
        self._put(at, replace(case, name=item.text(NAME).strip() or case.name, wanted=wanted))

    def _change_row(self, item: QTreeWidgetItem, at: int, row: int, column: int) -> None:
        assert self.plan is not None  # _on_change asked
        case = self.plan.cases[at]
        old = case.rows[row]
        modality = item.text(MODALITY) if column == MODALITY else old.modality
        modality = "" if modality == LEAVE_OUT else modality
        time = int(item.text(TIME).split()[0]) - 1 if column == TIME else old.time
        self.plan = with_row(self.plan, at + 1, row + 1, modality, time, self._modalities)

    def _put(self, at: int, case: DicomCase) -> None:
        assert self.plan is not None  # _on_change asked
        cases = tuple(case if n == at else one for n, one in enumerate(self.plan.cases))
        self.plan = replace(self.plan, cases=cases)

    def _show_again(self, at: int) -> None:
        assert self.plan is not None  # _on_change asked
        case, top = self.plan.cases[at], self.topLevelItem(at)
        self._filling = True
        self._fill_case(top, case)
        for n, row in enumerate(case.rows):
            self._fill_row(top.child(n), case, row)
        self._filling = False


def _short(note: str, what: str) -> str:
    """Leave out of a sentence what its row says already."""
    rest = note.removeprefix(what)
    if rest == note:
        return note
    rest = rest.lstrip(": ")
    return rest[:1].upper() + rest[1:]


class _Delegate(QStyledItemDelegate):
    """Editors: a line for a case's name, a list for a modality, a number for a point in time; none elsewhere."""

    def __init__(self, table: DicomTable) -> None:
        super().__init__(table)
        self._table = table

    def initStyleOption(self, option: Any, index: QModelIndex) -> None:
        """Mark what opens a list."""
        super().initStyleOption(option, index)
        changeable = index.flags() & Qt.ItemFlag.ItemIsEditable and index.parent().isValid()
        if changeable and option.text and index.column() in (MODALITY, TIME):
            option.text += " ▾"

    def createEditor(self, parent: QWidget, option: Any, index: QModelIndex) -> QWidget | None:
        """Make the editor of one cell."""
        is_case = not index.parent().isValid()
        if is_case:
            return super().createEditor(parent, option, index) if index.column() == NAME else None
        if index.column() == MODALITY:
            box = QComboBox(parent)
            box.addItems([LEAVE_OUT, *self._table._modalities])
            box.setCurrentText(index.data())
            box.activated.connect(lambda _: self._done(box))
            return box
        if index.column() == TIME and index.data():
            now, times = (int(word) for word in index.data().split(" of "))
            spin = QSpinBox(parent, minimum=1, maximum=times)
            spin.setValue(now)
            return spin
        return None

    def setEditorData(self, editor: QWidget, index: QModelIndex) -> None:
        """Show what the cell holds; lists and numbers know already."""
        if not isinstance(editor, QComboBox | QSpinBox):
            super().setEditorData(editor, index)

    def setModelData(self, editor: QWidget, model: Any, index: QModelIndex) -> None:
        """Write what was chosen; the table makes a plan of it."""
        if isinstance(editor, QComboBox):
            model.setData(index, editor.currentText())
        elif isinstance(editor, QSpinBox):
            model.setData(index, f"{editor.value()} of {editor.maximum()}")
        else:
            super().setModelData(editor, model, index)

    def _done(self, editor: QWidget) -> None:
        self.commitData.emit(editor)
        self.closeEditor.emit(editor)
