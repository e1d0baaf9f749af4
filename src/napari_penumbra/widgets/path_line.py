"""A line for a file or a folder, with a button that browses for it."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QLineEdit, QWidget

from napari_penumbra.imaging.files import SUFFIXES
from napari_penumbra.widgets.buttons import ActionButton

_FILTER = f"Images ({' '.join(f'*{suffix}' for suffix in SUFFIXES)});;All files (*)"


class PathLine(QWidget):
    """A line for a file or folder, with a button that browses for it."""

    def __init__(self, name: str, *, folder: bool, hint: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._folder = folder
        self.line = QLineEdit(objectName=name)
        self.line.setPlaceholderText(hint)
        self.browse = ActionButton(
            "Browse…", "Picks the folder." if folder else "Picks the file.", name=f"{name}_browse"
        )
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.line, 1)
        layout.addWidget(self.browse)
        self.browse.clicked.connect(self._browse)

    def path(self) -> Path | None:
        """Return what is written there."""
        text = self.line.text().strip()
        return Path(text).expanduser() if text else None

    def set_path(self, path: Path) -> None:
        """Write a path there."""
        self.line.setText(str(path))

    def _browse(self) -> None:
        if self._folder:
            found = QFileDialog.getExistingDirectory(self, "Pick a folder")
        else:
            found, _ = QFileDialog.getOpenFileName(self, "Pick an image", filter=_FILTER)
        if found:
            self.line.setText(found)
