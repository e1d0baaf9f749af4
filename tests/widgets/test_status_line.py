"""The line that always tells what is going on."""

from __future__ import annotations

from typing import Any

import pytest

from napari_penumbra.widgets.status_line import StatusLine


@pytest.mark.parametrize("points", [9, 18])
def test_three_lines_are_seen_whole_whatever_the_letters_are(qtbot: Any, points: int) -> None:
    line = StatusLine()
    qtbot.addWidget(line)
    line.show_status("One long sentence about what is going on. " * 3, running=False)
    line.resize(300, 200)
    line.show()
    line.setStyleSheet(f"* {{ font-size: {points}pt; }}")  # as napari does once the dock is in its window
    words = line.words
    qtbot.waitUntil(lambda: words.maximumHeight() >= 3 * words.fontMetrics().lineSpacing(), timeout=2000)
    assert words.minimumHeight() >= 2 * words.fontMetrics().lineSpacing()
