"""The plane of symmetry of a head, and a class mirrored across it."""

from __future__ import annotations

import numpy as np
import pytest
from edit_scenes import ball, dice, keeps_to_the_rules

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.imaging.edits._symmetry import Plane, find_plane
from napari_penumbra.imaging.edits.base import Over, Stopped
from napari_penumbra.imaging.edits.mirror import mirror

SPACING = (5.0, 2.0, 2.0)
SHAPE = (18, 90, 76)


def head(shift: float, turn: float, tilt: float) -> tuple[np.ndarray, Plane]:
    """A head with ears, eyes and ventricles, lying aslant, and its true plane."""
    z, y, x = np.meshgrid(
        *((np.arange(n) - (n - 1) / 2) * s for n, s in zip(SHAPE, SPACING, strict=True)), indexing="ij"
    )
    normal = np.array([np.tan(np.radians(tilt)), np.tan(np.radians(turn)), 1.0])
    normal /= np.linalg.norm(normal)
    up = np.array([1.0, 0, 0]) - normal[0] * normal
    up /= np.linalg.norm(up)
    back = np.cross(normal, up)
    place = np.stack([z, y, x - shift])
    across, z, y = (np.tensordot(axis, place, 1) for axis in (normal, up, back))
    inside = (z / 60) ** 2 + (y / 80) ** 2 + (across / 62) ** 2 < 1
    image = 100.0 * inside
    for spot, (a, b, c), size in ((40, (10, -50, 25), 9), (-60, (5, 5, 12), 10), (30, (-15, 30, 35), 14)):
        for side in (-1, 1):
            image += spot * inside * np.exp(-((z - a) ** 2 + (y - b) ** 2 + (across - side * c) ** 2) / (2 * size**2))
    image += np.random.default_rng(0).normal(0, 4, SHAPE) * inside
    middle = [(n - 1) / 2 * s for n, s in zip(SHAPE, SPACING, strict=True)]
    return image.astype(np.float32), Plane((middle[0], middle[1], middle[2] + shift), tuple(normal), 1.0)


@pytest.mark.parametrize(("shift", "turn", "tilt"), [(0, 0, 0), (7, 0, 0), (-4, 9, 0), (3, -7, 6), (0, 14, -9)])
def test_the_plane_is_found_however_the_head_lies(shift, turn, tilt):
    image, true = head(shift, turn, tilt)
    found = find_plane(image, SPACING)
    angle = np.degrees(np.arccos(np.clip(np.dot(found.normal, true.normal), -1, 1)))
    assert angle < 1.5
    assert abs(np.dot(np.array(found.point) - true.point, true.normal)) < 1.5
    assert found.likeness > 0.9


def test_a_lesion_on_one_side_does_not_draw_the_plane():
    image, true = head(0, 5, 0)
    image[ball(SHAPE, (45, 90, 110), 22, SPACING) & (image > 0)] *= 3
    found = find_plane(image, SPACING)
    assert np.degrees(np.arccos(np.dot(found.normal, true.normal))) < 4
    assert abs(np.dot(np.array(found.point) - true.point, true.normal)) < 2


def test_mirrored_twice_is_where_it_was():
    plane = Plane((10.0, 20.0, 30.0), (0.0, 0.6, 0.8), 1.0)
    points = np.random.default_rng(0).normal(size=(3, 50))
    np.testing.assert_allclose(plane.mirrored(plane.mirrored(points)), points)
    on_it = np.array([[7.0], [20 + 0.8 * 4], [30 - 0.6 * 4]])
    np.testing.assert_allclose(plane.mirrored(on_it), on_it)


def test_a_class_lands_on_the_other_side_with_its_volume():
    image, true = head(4, 8, 0)
    center = np.array([45.0, 90.0, 112.0])
    labels = ball(SHAPE, tuple(center), 14, SPACING).astype(np.uint8)
    after = keeps_to_the_rules(labels, mirror(labels, image, SPACING, 1, into=2))
    expected = ball(SHAPE, tuple(true.mirrored(center[:, None])[:, 0]), 14, SPACING)
    assert dice(after == 2, expected) > 0.9
    assert np.count_nonzero(after == 2) == pytest.approx(np.count_nonzero(labels), rel=0.05)
    assert (after[labels == 1] == 1).all()


def test_what_is_painted_on_the_other_side_stays_unless_asked():
    image, true = head(0, 0, 0)
    labels = ball(SHAPE, (45, 90, 112), 14, SPACING).astype(np.uint8)
    other = ball(SHAPE, tuple(true.mirrored(np.array([[45.0], [90.0], [112.0]]))[:, 0]), 6, SPACING)
    labels[other] = 3
    keeps_to_the_rules(labels, mirror(labels, image, SPACING, 1, plane=true))
    over = keeps_to_the_rules(labels, mirror(labels, image, SPACING, 1, plane=true, over=Over.CLASSES), (0, 3))
    assert not (over[other] == 3).all()


def test_outside_the_scan_and_unpainted_are_told():
    image, _ = head(0, 0, 0)
    far = Plane((0.0, 0.0, -100.0), (0.0, 0.0, 1.0), 0.1)
    labels = ball(SHAPE, (45, 90, 112), 14, SPACING).astype(np.uint8)
    edit = mirror(labels, image, SPACING, 1, plane=far)
    assert edit.empty
    assert "The other side is not on the scan." in edit.notes
    assert any("little alike" in note for note in edit.notes)
    with pytest.raises(UsageError, match="Nothing is painted as core"):
        mirror(labels, image, SPACING, 2, name="core")


def test_can_be_stopped():
    image, _ = head(0, 0, 0)
    labels = ball(SHAPE, (45, 90, 112), 14, SPACING).astype(np.uint8)

    def enough(share: float) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        mirror(labels, image, SPACING, 1, report=enough)
