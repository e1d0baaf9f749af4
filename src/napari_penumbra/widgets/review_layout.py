"""Where things stand on the Review page: what scrolls, and the keys below that always stay in sight."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_penumbra.widgets.fold import Fold
from napari_penumbra.widgets.trust_view import TrustView

if TYPE_CHECKING:
    from napari_penumbra.widgets.review_page import ReviewPage

# Name: words, what it does, key.
BUTTONS = {
    "next_region": ("Next", "Goes to the next region without a verdict.", "N"),
    "previous_region": ("Previous", "Goes to the region before.", "P"),
    "accept_region": ("Accept", "The region is right as predicted; what you painted in it stays.", "A"),
    "reject_region": ("Reject", "The region becomes background.", "X"),
    "unknown_region": ("Unknown", "You cannot decide: the region teaches nothing wrong.", "U"),
    "undo_decision": ("Undo", "Takes back what came last: a verdict and the voxels it changed, or a stroke.", ""),
    "redo_decision": ("Redo", "Does again what Undo took back last: a verdict and its voxels, or a stroke.", ""),
    "accept_case": ("Accept case", "Takes the labels as they now stand into the labelled pool.", "Ctrl+Return"),
    "next_review": ("Next to review", "Saves, then opens the next predicted case.", ""),
    "show_more": ("Show more", "Lists more places, small ones, too.", ""),
    "reload_case": ("Load the newer prediction", "Saves, then shows this case with its newest prediction.", ""),
}


ON_REGIONS = (
    "accept_region",
    "reject_region",
    "unknown_region",
    "next_region",
    "previous_region",
    "undo_decision",
    "redo_decision",
)
"""Those that decide about regions, or walk them."""
_NO_LIMIT = (1 << 24) - 1


def scrolling_part(page: ReviewPage) -> tuple[QWidget, QVBoxLayout]:
    """Put what may scroll together; returns its widget and layout."""
    inner = QWidget()
    body = QVBoxLayout(inner)
    body.setContentsMargins(0, 0, 0, 0)
    body.setSpacing(2)  # so that all of it is seen at once on a screen of 768 lines
    body.addWidget(page.head)
    body.addWidget(page.note)
    body.addWidget(page.volumes)
    body.addWidget(page.buttons["reload_case"])
    looks = QHBoxLayout()
    looks.addWidget(page.overlay)
    looks.addWidget(page.outline)
    looks.addStretch(1)
    body.addLayout(looks)
    slider = QHBoxLayout()
    slider.addWidget(QLabel("Weak below"))
    slider.addWidget(page.threshold_slider, 1)
    body.addLayout(slider)
    body.addWidget(page.coverage_line)
    body.addWidget(page.regions, 1)
    more = QHBoxLayout()
    more.addWidget(page.hidden_line, 1)
    more.addWidget(page.buttons["show_more"], 0, Qt.AlignmentFlag.AlignTop)
    body.addLayout(more)
    body.addWidget(trust_fold(page.trust_view))
    body.addWidget(page.folds)
    return inner, body


def key_part(page: ReviewPage, layout: QVBoxLayout) -> None:
    """Put the buttons that are pressed again and again, and those that end a review, into a layout."""
    grid = QGridLayout()
    grid.setSpacing(4)
    rows = (
        ("accept_region", "reject_region", "unknown_region"),
        ("previous_region", "next_region", "undo_decision", "redo_decision"),
    )
    for row, names in enumerate(rows):
        width = 12 // len(names)
        for column, name in enumerate(names):
            grid.addWidget(page.buttons[name], row, column * width, 1, width)
    layout.addLayout(grid)
    layout.addWidget(page.rest)
    line = QHBoxLayout()
    for name in ("accept_case", "next_review"):
        line.addWidget(page.buttons[name], 1)
    layout.addLayout(line)


def trust_fold(view: TrustView) -> Fold:
    """Fold the reliability plot away; it is drawn when it is unfolded."""
    group = Fold("How far to believe the confidence", view, "trust_fold")
    group.toggled.connect(view.activate)
    # A fold gives its content the height that it would have without wrapping its lines.
    view.removeEventFilter(group)
    view.grown.connect(lambda: group.content().setMaximumHeight(_NO_LIMIT))
    return group
