"""A headline that folds what lies below it away."""

from __future__ import annotations

from qtpy.QtCore import QTimer
from qtpy.QtGui import QIcon
from qtpy.QtWidgets import QScrollArea, QSizePolicy, QWidget
from superqt import QCollapsible

_OPEN, _SHUT = "▾", "▸"
_SOON_MS = 50
_NO_LIMIT = 16_777_215
"""Qt's own largest size of a widget."""


class Fold(QCollapsible):
    """A widget under a headline, shut at first.

    The arrow is part of the headline's words: as an icon, which superqt makes of it, it would keep the colour that it
    was made with and be black on dark.
    """

    def __init__(self, title: str, content: QWidget, name: str) -> None:
        super().__init__(title, expandedIcon=QIcon(), collapsedIcon=QIcon())
        self.setObjectName(name)
        self.setDuration(0)
        self.title = title
        # On a low screen every fold that is shut takes the height of its headline, and no more.
        self.layout().setContentsMargins(0, 1, 0, 1)
        self.layout().setSpacing(0)
        self.content().layout().setContentsMargins(0, 3, 0, 1)
        self.addWidget(content)
        head = self.toggleButton()
        head.setAccessibleName(title)
        # With large letters a long headline is cut at its end rather than keeping the whole dock wide.
        head.setSizePolicy(QSizePolicy.Policy.Ignored, head.sizePolicy().verticalPolicy())
        head.setToolTip(title)
        self.toggled.connect(self._point)
        # After its content has taken the room that it needs.
        self._soon = QTimer(self, singleShot=True, interval=_SOON_MS)
        self._soon.timeout.connect(self._come_into_view)
        self.toggleButton().clicked.connect(self._soon.start)
        self.collapse(animate=False)
        self._point(False)

    def _point(self, on: bool) -> None:
        self.setText(f"{_OPEN if on else _SHUT}  {self.title}")

    def _come_into_view(self) -> None:
        """Scroll to what was just unfolded, its headline first: below the edge it would seem that nothing happened."""
        above = self.parentWidget()
        while above is not None and not isinstance(above, QScrollArea):
            above = above.parentWidget()
        if above is not None and self.isExpanded():
            for widget in (self, self.toggleButton()):
                above.ensureWidgetVisible(widget, 0, 0)


def free_fold(title: str, content: QWidget, name: str) -> Fold:
    """`Fold` for content that changes its height while it is unfolded.

    The fold itself would hold its content to the height that it had first, and words that wrap would be squeezed.
    """
    group = Fold(title, content, name)
    content.removeEventFilter(group)
    inner = group.content()
    group.toggled.connect(lambda expanded: inner.setMaximumHeight(_NO_LIMIT if expanded else 0))
    return group
