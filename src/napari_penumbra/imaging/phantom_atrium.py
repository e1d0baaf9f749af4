"""A simulated left atrium with its pulmonary veins: late-enhancement MR of the heart as a task, not as a patient.

**Everything made here is simulated.** The atrium is a bent ellipsoid with four or five veins and an appendage, drawn
anew for every case; beside it lie the other chambers and the great vessels, whose blood is as bright as the atrium's,
separated from it by a thin dark wall or, at the mitral valve, by nothing. The label is the atrium's cavity with its
appendage and the first `VEIN_MM` of every vein. Nothing here is evidence of clinical performance.

Nuisance varies widely on purpose: contrast of blood, muscle, fat and lung (drawn per case, muscle may be nearly as
bright as blood), shading, noise, blur, pose, size, number and place of the veins, scar in the wall. Three
or four labelled cases do not cover it. There is no label noise.

The generator is frozen: `tests/imaging/test_phantom_cohorts.py` holds a hash of its labels and figures of its images.
A change needs a new `VERSION`. Seeds from 1000 on are meant for tuning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from napari_penumbra.imaging._phantom_lesion import smooth_noise
from napari_penumbra.imaging._phantom_shapes import (
    Field,
    centred_grid,
    ellipsoid,
    joined,
    millimetres,
    over,
    posed,
    scanned,
    soft,
    tube,
)
from napari_penumbra.imaging.phantom import PhantomCase

VERSION = 1

MODALITIES = ("LGE",)
LABELS: Mapping[int, str] = {1: "left atrium"}

SHAPE = (36, 56, 64)
"""Voxels along z, y, x."""
SPACING = (1.6, 1.6, 1.6)
"""Edges of a voxel along z, y, x in mm."""
VEIN_MM = 9.0
"""How far along a pulmonary vein, from the atrium's body, the label goes."""
_WALL_MM = 2.2


@dataclass(frozen=True, slots=True)
class _Heart:
    """Signed distances in mm of what is drawn; ``label`` is the atrium as labelled."""

    body: Field
    veins: tuple[Field, ...]
    label: Field
    ventricle: Field
    right: Field
    aorta: Field
    root: Field
    chest: Field


def make_case(seed: int) -> PhantomCase:
    """Draw the simulated case of this seed; the same seed gives the same case.

    Parameters
    ----------
    seed
        Any whole number from 0. Seeds from 1000 on are meant for tuning, so that reported cases stay unseen.

    Returns
    -------
    PhantomCase
        One modality, complete labels: 0 background, 1 left atrium.
    """
    # One stream per stage: a stage that draws more numbers does not shift the others.
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence([1, VERSION, seed]).spawn(4)]
    place = posed(streams[0], millimetres(SHAPE, SPACING), 9.0, 4.0, (0.80, 1.18), 2.2, 16.0)
    heart = _heart(streams[1], place)
    signal = _signal(streams[2], heart, place)
    image = scanned(streams[3], signal, SPACING, (7.0, 24.0), (0.04, 0.30), (120.0, 900.0))
    labels = (heart.label < 0).astype(np.uint8)
    return PhantomCase({MODALITIES[0]: image}, labels, centred_grid(SHAPE, SPACING))


def _heart(rng: Generator, mm: Field) -> _Heart:
    """Place the chambers; coordinates are mm towards S, P, L from the atrium's middle."""
    radii = np.array([rng.uniform(17, 23), rng.uniform(13, 19), rng.uniform(20, 27)])
    body = ellipsoid(mm, (0, 0, 0), radii)
    # The roof is flat or domed, the back is pressed in by gullet and spine.
    body = body + rng.uniform(0, 2.5) * np.exp(-(((mm[2] - rng.normal(-2, 6)) / 9) ** 2)) * (mm[1] > 0)
    veins, stubs = [], body
    for side in (-1, 1):
        heights = [rng.uniform(5, 11), rng.uniform(-11, -4)]
        if rng.random() < 0.22:
            heights = [rng.uniform(-4, 4)] if side == 1 else [*heights, rng.uniform(-2, 2)]
        for height in heights:
            vein, stub = _vein(rng, mm, radii, side, height)
            veins.append(vein)
            stubs = joined(stubs, stub, 2.5)
    start = np.array([rng.uniform(2, 8), -0.55 * radii[1], 0.75 * radii[2]])
    bend = start + np.array([rng.uniform(-2, 6), -rng.uniform(7, 12), rng.uniform(3, 8)])
    tip = bend + np.array([rng.uniform(-6, 6), -rng.uniform(5, 12), rng.uniform(-8, 3)])
    appendage, _ = tube(mm, [start, bend, tip], [rng.uniform(5.5, 8.5), rng.uniform(4, 7), rng.uniform(2.5, 4.5)])
    body = joined(body, appendage, 3.0)
    label = joined(stubs, appendage, 3.0)

    valve = -0.8 * mm[0] - 0.55 * mm[1] + 0.2 * mm[2]  # mm towards the ventricle, from the atrium's middle
    plane = valve - rng.uniform(0.86, 0.98) * 0.75 * (radii[0] + radii[1]) / 2 - 3.0
    label = np.maximum(label, plane)
    others = _neighbours(rng, mm, radii, label, plane)
    return _Heart(np.maximum(body, plane), tuple(veins), label, *others)


def _neighbours(
    rng: Generator, mm: Field, radii: Field, atrium: Field, plane: Field
) -> tuple[Field, Field, Field, Field, Field]:
    """Left ventricle, right heart, descending aorta, aortic root and chest around an atrium of these radii.

    ``plane`` is the distance beyond the mitral valve: there, and only there, blood meets blood without a wall.
    """
    deep, front, side = radii
    low = np.array([-deep - rng.uniform(16, 20), -front - rng.uniform(10, 15), rng.uniform(10, 18)])
    tip = low + np.array([-rng.uniform(14, 24), -rng.uniform(14, 24), rng.uniform(8, 16)])
    ventricle, _ = tube(mm, [low * 0.62, low, tip], [13, 19, 12])
    right = ellipsoid(
        mm,
        (rng.uniform(-10, -2), -rng.uniform(20, 26), -side - rng.uniform(6, 12)),
        (rng.uniform(22, 30), rng.uniform(18, 24), rng.uniform(15, 20)),
    )
    back, left = rng.uniform(3, 10) + front + 9, rng.uniform(10, 20)
    bent = (60, back + rng.normal(0, 5), left + rng.normal(0, 5))
    aorta, _ = tube(mm, [(-60, back, left), bent], [rng.uniform(9, 13)] * 2)
    course = [(-2, -front - 14, -6), (24, -front - rng.uniform(10, 18), -12), (60, -front - 8, -16)]
    root, _ = tube(mm, course, [rng.uniform(10, 14)] * 3)
    chest = ellipsoid(mm, (-8, -6, 4), (62, front + rng.uniform(22, 34), side + rng.uniform(16, 30)))
    septum = rng.uniform(2.5, 4.0)
    return (
        np.maximum(ventricle, -plane),
        np.maximum(right, septum - atrium),
        np.maximum(aorta, 1.8 - atrium),
        np.maximum(root, 2.0 - atrium),
        chest,
    )


def _vein(rng: Generator, mm: Field, radii: Field, side: int, height: float) -> tuple[Field, Field]:
    """One pulmonary vein, whole and cut where the label ends."""
    start = np.array([height, rng.uniform(0.15, 0.55) * radii[1], side * 0.72 * radii[2]])
    way = np.array([height / 14 + rng.normal(0, 0.25), rng.uniform(0.1, 0.8), side * 1.0])
    way /= np.linalg.norm(way)
    mouth = 0.28 * radii[2]  # from the start, inside the body, to its surface
    reach = mouth + VEIN_MM
    middle = start + way * reach
    end = middle + (way + rng.normal(0, 0.3, 3)) * 26
    width = rng.uniform(3.4, 6.2)
    vein, along = tube(mm, [start, middle, end], [width * 1.25, width, width * 0.8])
    return vein, np.maximum(vein, along - reach)


def _signal(rng: Generator, heart: _Heart, mm: Field) -> Field:
    """Brightness of the tissues, about 0 to 1; their order is nearly always the same, their distances are not."""
    texture = [smooth_noise(rng, SHAPE, SPACING, width) for width in (3.0, 7.0, 14.0)]
    blood = rng.uniform(0.55, 1.0)
    muscle = blood * rng.uniform(0.28, 0.80)
    fat = rng.uniform(0.15, 0.75)
    lung = rng.uniform(0.02, 0.14)
    vessels = 0.5 * texture[0] + 0.5 * texture[1] > rng.uniform(1.0, 1.5)
    image = np.where(vessels, lung + 0.35 * blood, lung * (1 + 0.3 * texture[0]))
    image = over(image, heart.chest, fat * (1 + 0.12 * texture[1]), 2.0)
    spine = ellipsoid(mm, (0, 52, rng.normal(0, 4)), (90, 18, 17))
    image = over(image, spine, rng.uniform(0.2, 0.6) * (1 + 0.15 * texture[0]), 1.5)
    solid = np.minimum.reduce([heart.body, *heart.veins, heart.ventricle, heart.right])
    image = over(image, np.minimum(heart.ventricle - rng.uniform(4, 8), heart.right - 2), muscle, 1.0)
    image = over(image, np.minimum.reduce([heart.body, *heart.veins]) - _WALL_MM, muscle, 0.8)
    image = over(image, np.minimum(heart.aorta, heart.root) - 1.6, muscle, 0.8)
    # Scar: parts of the atrial wall as bright as blood, or brighter.
    shell = np.exp(-(((heart.body - 1.2) / 1.3) ** 2)) * soft(rng.uniform(0.6, 1.8) - texture[1], 0.4)
    swirl = 1 + 0.05 * texture[2] + 0.03 * texture[0]
    for chamber in (heart.right, heart.ventricle, heart.aorta, heart.root):
        image = over(image, chamber, blood * rng.uniform(0.82, 1.15) * swirl)
    image = over(image, np.minimum.reduce([heart.body, *heart.veins]), blood * swirl)
    image = image + shell * rng.uniform(0.0, 0.6) * blood * (solid > 0)
    return np.asarray(np.clip(image, 0.0, None))
