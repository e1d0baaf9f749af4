"""Accept the rest: a slider for how sure a region must be, and what that would accept, live."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget
from superqt import QLabeledDoubleSlider

from napari_penumbra.domain.regions import LEVELS, Region
from napari_penumbra.evaluation.track_record import TrackRecord
from napari_penumbra.widgets.buttons import ActionButton
from napari_penumbra.widgets.colors import mute
from napari_penumbra.widgets.review_progress import Amount
from napari_penumbra.widgets.trust_words import such

_TIP = "Accepts every region without a verdict that is at least as sure as the slider says, as one step of undo."


class RestBox(QWidget):
    """The slider, the sentence under it, and the button.

    Signals
    -------
    pressed
        Accept the rest, down to `sure`.
    changed
        Another `sure`.
    """

    pressed = Signal()
    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.slider = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        self.slider.setObjectName("rest_sure")
        self.slider.setAccessibleName("Accept the rest: mean confidence of a region, at least")
        self.slider.setRange(0.0, 1.0)
        self.slider.setDecimals(2)
        self.slider.setSingleStep(0.05)
        self.slider.setValue(0.0)
        self.slider.setToolTip("How sure a region must be, on average, to be accepted with the rest. At 0 all are.")
        self.button = ActionButton("Accept rest", _TIP, "Shift+A", "accept_rest")
        self.words = QLabel(objectName="rest_words", wordWrap=True)
        self.words.setTextFormat(Qt.TextFormat.PlainText)
        mute(self.words)
        line = QHBoxLayout()
        line.addWidget(QLabel("Rest surer than"))
        line.addWidget(self.slider, 1)
        line.addWidget(self.button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(line)
        layout.addWidget(self.words)
        self.slider.valueChanged.connect(self.changed)
        self.button.clicked.connect(self.pressed)

    @property
    def sure(self) -> float:
        """Mean confidence from which on a region is accepted with the rest."""
        return float(self.slider.value())

    def show_rest(self, rest: Sequence[Region], record: TrackRecord, undecided: int, pixels: bool = False) -> None:
        """Say what pressing the button accepts, and how often such voxels were right.

        Parameters
        ----------
        rest
            Regions without a verdict that are sure enough.
        undecided
            All regions without a verdict.
        pixels
            The case is a picture, whose voxels have no volume.
        """
        if not undecided:
            self.words.setText("")
        elif not rest:
            self.words.setText(f"None of {undecided} is that sure.")
        else:
            amount = Amount(sum(r.voxels for r in rest), sum(r.ml for r in rest), pixels)
            who = f"{len(rest)} of {undecided} regions" if len(rest) < undecided else f"all {undecided} regions"
            who = "the last region" if undecided == 1 else who
            share = record.expected(levels_of(rest))
            self.words.setText(f"Accepts {who}, {amount}; {such(share, record)}.")

    def allow(self, why_not: str) -> None:
        """Enable the button, or say why not."""
        self.button.allow(why_not)


def levels_of(regions: Sequence[Region]) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Count the voxels of regions by stored confidence; those whose voxels nobody has counted, by their mean."""
    total = np.zeros(LEVELS, dtype=np.int64)
    for region in regions:
        if region.levels is None:
            total[round(region.confidence * (LEVELS - 1))] += region.voxels
        else:
            total += region.levels
    return total
