"""The right-click menu of the list of cases."""

from __future__ import annotations

from qtpy.QtCore import QObject, QPoint, Qt
from qtpy.QtWidgets import QMenu

from napari_penumbra.widgets.case_table import CaseTable
from napari_penumbra.widgets.reader_controller import ReaderController


class CaseMenu(QObject):
    """Opens a case, takes one back out of the labelled pool, or puts it back.

    Parameters
    ----------
    table
        The list whose rows get the menu.
    control
        What does it.
    """

    def __init__(self, table: CaseTable, control: ReaderController) -> None:
        super().__init__(table)
        self.table = table
        self.control = control
        table.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        table.customContextMenuRequested.connect(self._on_asked)

    def _on_asked(self, at: QPoint) -> None:
        index = self.table.indexAt(at)
        if index.isValid():
            menu = self.menu(str(index.data()))
            menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            menu.popup(self.table.viewport().mapToGlobal(at))

    def menu(self, name: str) -> QMenu:
        """Make the menu of a case; an entry that cannot be used says why in its tip."""
        control = self.control
        menu = QMenu(self.table, objectName="case_menu")
        menu.setToolTipsVisible(True)
        why_not = control.why_readonly()
        row = next((row for row in control.cases.rows() if row.name == name), None)
        closed = row is not None and row.state.labelled
        no_undo = "" if control.session.study is None else control.session.why_not_put_back(name)
        not_closed = "" if closed else "The case is not in the labelled pool."
        pinned = row is not None and row.pinned
        finished = "It is finished: take it back first." if closed else ""
        for text, why, tip, action in (
            ("Open", "", "Opens the case; what is shown is saved first.", self.table.opened.emit),
            (
                "Not next any more" if pinned else "Label this one next",
                why_not or finished,
                "Lets the order decide again." if pinned else "Puts it first, whatever the order says.",
                lambda name: self.table.pin_wished.emit(name, not pinned),
            ),
            (
                "Take back",
                why_not or not_closed,
                "Takes it out of the labelled pool. Can be undone.",
                control.take_back,
            ),
            ("Put back", why_not or no_undo, "Undoes a taking back: it teaches again.", control.undo_taking_back),
        ):
            entry = menu.addAction(text)
            entry.setEnabled(not why)
            entry.setToolTip(why or tip)
            entry.triggered.connect(lambda _=False, action=action: action(name))
        return menu
