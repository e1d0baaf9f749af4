"""Where in a log the trouble is."""

from __future__ import annotations

import re

from qtpy.QtGui import QTextCursor
from qtpy.QtWidgets import QPlainTextEdit

# What ends a traceback, or any line that calls itself an error; a traceback without one was cut off.
_ERROR = re.compile(r"^[\w.]*(Error|Exception|Interrupt)\b|\berror\b", re.IGNORECASE)
_TRACEBACK = "Traceback (most recent call last)"


def error_line(text: str) -> int | None:
    """Return the number of the last line that tells of an error, from 0; None when no line does."""
    lines = text.splitlines()
    for tells in (_ERROR.search, lambda line: _TRACEBACK in line):
        found = [n for n, line in enumerate(lines) if tells(line)]
        if found:
            return found[-1]
    return None


def show_error_line(log: QPlainTextEdit) -> None:
    """Select the last line that tells of an error and scroll to it; a log without one stays where it is."""
    line = error_line(log.toPlainText())
    if line is None:
        return
    block = log.document().findBlockByNumber(line)
    cursor = QTextCursor(block)
    cursor.movePosition(QTextCursor.MoveOperation.EndOfBlock)
    # Backwards, so that a long line is shown from its beginning.
    cursor.movePosition(QTextCursor.MoveOperation.StartOfBlock, QTextCursor.MoveMode.KeepAnchor)
    log.setTextCursor(cursor)
    log.centerCursor()
