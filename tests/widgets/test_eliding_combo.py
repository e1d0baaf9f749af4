"""A drop-down list in less room than its choice needs."""

from __future__ import annotations

from pytestqt.qtbot import QtBot

from napari_penumbra.widgets.eliding_combo import ElidingCombo

LONG = "r1 · out of the pool · a reader with a name · 22 Nov 00:26"


def test_what_is_cut_off_is_seen_to_be_cut_off(qtbot: QtBot) -> None:
    combo = ElidingCombo("choice", "Choice")
    qtbot.addWidget(combo)
    combo.addItem(LONG)
    combo.resize(180, combo.sizeHint().height())
    combo.show()
    assert combo.shown_text().endswith("…")
    assert LONG.startswith(combo.shown_text()[:-1])
    assert combo.fontMetrics().horizontalAdvance(combo.shown_text()) < combo.width()
    combo.resize(900, combo.height())
    assert combo.shown_text() == LONG
    combo.showPopup()
    assert combo.view().width() >= combo.view().sizeHintForColumn(0)
    combo.hidePopup()
