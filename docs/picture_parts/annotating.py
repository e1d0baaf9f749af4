"""Pictures of drawing by hand, of the mismatch, and of the ways to look."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import Qt

from picture_parts.desk import SHIFT, Desk


def annotate(desk: Desk) -> None:
    """Show a case that was painted slice by slice, the whole window."""
    desk.use("fresh")
    desk.open_case("stroke-005")
    desk.page("annotate")
    truth = desk.truth("stroke-005")
    desk.paint(truth)
    desk.go_to(largest(truth == 2))
    desk.shoot()


def painting(desk: Desk) -> None:
    """Show a stroke with the ball, only where Tmax is 6 s and more."""
    _paint_in_range(desk)
    desk.shoot(desk.canvas_and_dock())


def views(desk: Desk) -> None:
    """Show the three planes with their crosshair, where the last stroke was."""
    _paint_in_range(desk)
    desk.press(Qt.Key.Key_L)
    desk.press(Qt.Key.Key_O)
    z, y, x = _middle(desk.truth("stroke-006") > 0)
    desk.stroke([(z, y + 2, x)])
    desk.shoot(desk.canvas_and_dock())


def mismatch(desk: Desk) -> None:
    """Show core and penumbra that Mismatch proposes, on the Tmax map."""
    desk.use("maps")
    desk.open_case("stroke-004")
    desk.page("annotate")
    desk.widget.bridge.show_modality("Tmax")
    desk.press(Qt.Key.Key_T, SHIFT)
    wait_for_preview(desk)
    desk.go_to(largest(desk.truth("stroke-004") > 0))
    desk.shoot(desk.canvas_and_dock())


def shortcuts(desk: Desk) -> None:
    """Show the sheet of all keys with one picked."""
    desk.use("small")
    desk.press(Qt.Key.Key_F1)
    sheet = desk.widget.dock.key_sheet
    sheet.pick("tool_erase")
    desk.shoot_widget(sheet)


def _paint_in_range(desk: Desk) -> None:
    desk.use("fresh")
    desk.open_case("stroke-006")
    desk.page("annotate")
    desk.press(Qt.Key.Key_B, SHIFT)
    desk.find("brush_mm").setValue(30.0)
    desk.press(Qt.Key.Key_L)
    desk.find("range_modality").setCurrentText("Tmax")
    slider = desk.find("range_slider")
    slider.setValue((6.0, slider.maximum()))
    z, y, x = _middle(desk.truth("stroke-006") > 0)
    desk.go_to(z)
    desk.stroke([(z, y - 3, x)])


def wait_for_preview(desk: Desk) -> None:
    """Wait until the opened tool shows what it would change."""
    from napari_penumbra.widgets.edit_controller import State

    controller = desk.widget.dock.annotate_page.edits.controller
    desk.wait("the preview", lambda: controller.state is State.PREVIEW, 60)


def largest(mask: np.ndarray) -> int:
    """Slice with the most of it."""
    return int(mask.sum(axis=(1, 2)).argmax())


def _middle(mask: np.ndarray) -> tuple[int, int, int]:
    """Middle of the slice with the most of it."""
    z = largest(mask)
    y, x = np.argwhere(mask[z]).mean(axis=0).round().astype(int)
    return z, int(y), int(x)


PICTURES = {
    "annotate": annotate,
    "tools/painting": painting,
    "tools/views": views,
    "tools/mismatch": mismatch,
    "tools/shortcuts": shortcuts,
}
