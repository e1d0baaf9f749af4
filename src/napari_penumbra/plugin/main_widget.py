"""The dock's host: joins session, canvas and dock, and sees to it that nothing drawn is lost when any of them goes."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QObject, QTimer
from qtpy.QtGui import QHideEvent
from qtpy.QtWidgets import QApplication, QMainWindow, QVBoxLayout, QWidget

from napari_penumbra.domain.errors import PenumbraError

if TYPE_CHECKING:
    from napari_penumbra.session import Session

STUDY_VARIABLE = "PENUMBRA_STUDY"
"""Environment variable that names a study's folder to open at start."""


class PenumbraWidget(QWidget):
    """The "Penumbra" dock (npe2 widget contribution).

    Parameters
    ----------
    napari_viewer
        Given by napari under this name.

    Attributes
    ----------
    session, bridge, dock
        The document, the canvas and the four pages.
    """

    def __init__(self, napari_viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        # Imported here: importing the plugin must cost next to nothing before the dock is opened.
        from napari_penumbra.plugin.layer_bridge import LayerBridge
        from napari_penumbra.session import Session
        from napari_penumbra.widgets.dock import Dock

        self.session = Session()
        self.bridge = LayerBridge(napari_viewer, self.session)
        self.dock = Dock(self.session, self.bridge, self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.dock)
        self._shut = False
        window = getattr(self.bridge.viewer, "window", None)
        self._window: QMainWindow | None = getattr(window, "_qt_window", None)
        if self._window is not None:
            self._window.installEventFilter(self)
        application = QApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(self.shut)
        # viewer.close() removes all layers before it takes the window apart: the last moment with everything alive.
        self.bridge.labels_removed.connect(self.save)
        self._open_named_study()

    def save(self) -> None:
        """Write the shown case's labels as a draft if they have changed; a failure is told, and the journal stays."""
        bridge, session = self.bridge, self.session
        session.finish_draft()  # if that failed, the labels are dirty again
        if bridge.case is None or not bridge.dirty() or not session.may_write(bridge.case):
            return
        try:
            session.save(bridge.case, bridge.labels(), bridge.seconds())
            bridge.mark_saved()
        except PenumbraError as error:
            session.failed.emit(error)

    def open_study(self, folder: Path) -> None:
        """Open a study; what goes wrong is told in the dock, and a server that is not reached is asked for."""
        from napari_penumbra.study.team.errors import UnreachedError

        try:
            self.session.open(folder)
        except UnreachedError as error:
            # When there is a window to ask in; the default keeps what Python forgets at the end of the clause.
            QTimer.singleShot(0, lambda why=error: self._ask_join(folder, why))
        except PenumbraError as error:
            self.session.failed.emit(error)

    def _ask_join(self, folder: Path, why: PenumbraError) -> None:
        if not self._shut:
            self.dock.study_page.teamwork.ask_join(folder, why)

    def shut(self) -> None:
        """Save, let go of the viewer and of the study's writer role. Safe to call twice."""
        if self._shut:
            return
        self._shut = True
        self.save()
        with suppress(RuntimeError):  # napari may have deleted the dock's widgets already
            self.dock.shut_down()
        self.bridge.close()
        close_session(self.session)
        self._window = None  # or a closed window could not be collected

    def hideEvent(self, event: QHideEvent) -> None:
        """The dock was closed or tabbed away: a good moment to save."""
        with suppress(RuntimeError):  # napari may have deleted the dock's widgets already
            self.dock.cases.save_soon()
        super().hideEvent(event)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Save before napari's window closes; whether it then does is napari's and the reader's affair."""
        if event is not None and event.type() == QEvent.Type.Close:
            self.save()
            if event.spontaneous():
                QTimer.singleShot(0, self._after_close)  # napari may ask, and the reader say no
            else:
                self.shut()
        return bool(super().eventFilter(watched, event))

    def _after_close(self) -> None:
        if self._window is not None and not self._window.isVisible():
            self.shut()

    def _open_named_study(self) -> None:
        folder = os.environ.get(STUDY_VARIABLE)
        if folder:
            self.open_study(Path(folder))


def close_session(session: Session) -> None:
    """Close the study if one is open; what fails is told."""
    try:
        session.close()
    except PenumbraError as error:
        session.failed.emit(error)
