"""What every page of the dialog that adds cases has: what it would add, why not yet, and the work itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget

from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.session import Session

Outcome = tuple[str, list[str] | PenumbraError]
"""Name of a case, and its warnings or why it was not added."""


class Branch(QWidget):
    """One way to bring cases in: a page of `AddCasesDialog`, in a file of its own.

    Parameters
    ----------
    session
        Its study takes the cases.

    Signals
    -------
    changed
        What `why_not` or `expected` answer may be another now.
    failed
        A `PenumbraError` to show.
    """

    title = ""
    """What the tab says."""
    changed = Signal()
    failed = Signal(object)

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session

    def fill(self, files: Sequence[Path]) -> bool:
        """Take dropped files or a folder; False when they are for another page."""
        return False

    def why_not(self) -> str:
        """Say why nothing can be added yet; empty when it can."""
        raise NotImplementedError

    def expected(self) -> int:
        """How many cases `work` will name; 0 when that is not known."""
        return 0

    def work(self) -> Callable[[], Iterator[Outcome]]:
        """Return what adds the cases, with everything it needs from the widgets: it runs in another thread."""
        raise NotImplementedError

    def refresh(self) -> None:
        """Look again: cases were added."""

    def leave(self) -> None:
        """Stop whatever still looks into files; the dialog closes."""
