"""A simulated male pelvis with bladder, prostate and rectum: three organs of T2 MR at once.

**Everything made here is simulated.** Bladder, prostate and rectum are solids drawn anew for every case, pressed
against each other as they are in the body; around them lie muscle, bone and fat. Nothing here is evidence of clinical
performance.

Nuisance varies widely on purpose: the contrast of every tissue is drawn per case (the rectum holds gas, stool or both,
the prostate has a brighter or darker rim or none, urine may be the brightest tissue or dull), shading, noise, blur,
pose, filling and size. Three or four labelled cases do not cover it. There is no label noise.

The generator is frozen: `tests/imaging/test_phantom_cohorts.py` holds a hash of its labels and figures of its images.
A change needs a new `VERSION`. Seeds from 1000 on are meant for tuning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from napari_penumbra.domain.labels import LabelArray
from napari_penumbra.imaging._phantom_lesion import smooth_noise
from napari_penumbra.imaging._phantom_shapes import (
    Field,
    centred_grid,
    ellipsoid,
    millimetres,
    over,
    posed,
    scanned,
    soft,
    tube,
)
from napari_penumbra.imaging.phantom import PhantomCase

VERSION = 1

MODALITIES = ("T2",)
LABELS: Mapping[int, str] = {1: "bladder", 2: "prostate", 3: "rectum"}

SHAPE = (32, 64, 64)
"""Voxels along z, y, x."""
SPACING = (2.0, 2.0, 2.0)
"""Edges of a voxel along z, y, x in mm."""


@dataclass(frozen=True, slots=True)
class _Organs:
    """Signed distances in mm, and the labels that follow from them."""

    bladder: Field
    prostate: Field
    rectum: Field
    labels: LabelArray


def make_case(seed: int) -> PhantomCase:
    """Draw the simulated case of this seed; the same seed gives the same case.

    Parameters
    ----------
    seed
        Any whole number from 0. Seeds from 1000 on are meant for tuning, so that reported cases stay unseen.

    Returns
    -------
    PhantomCase
        One modality, complete labels: 0 background, 1 bladder, 2 prostate, 3 rectum; every case has all three.
    """
    # One stream per stage: a stage that draws more numbers does not shift the others.
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence([2, VERSION, seed]).spawn(4)]
    place = posed(streams[0], millimetres(SHAPE, SPACING), 6.0, 4.0, (0.85, 1.15), 3.0, 18.0)
    organs = _organs(streams[1], place)
    signal = _signal(streams[2], organs, place)
    image = scanned(streams[3], signal, SPACING, (8.0, 28.0), (0.04, 0.32), (120.0, 1200.0))
    return PhantomCase({MODALITIES[0]: image}, organs.labels, centred_grid(SHAPE, SPACING))


def _organs(rng: Generator, mm: Field) -> _Organs:
    """Place the organs; coordinates are mm towards S, P, L from the prostate's upper end."""
    size = rng.uniform(0.8, 1.45)  # from a small gland to an enlarged one
    radii = np.array([rng.uniform(15, 19), rng.uniform(12, 15), rng.uniform(17, 21)]) * size ** (2 / 3)
    centre = np.array([-radii[0] + rng.normal(2, 2), rng.normal(0, 2), rng.normal(0, 1.5)])
    prostate = ellipsoid(mm, centre, radii)
    # An apex narrower than the base.
    prostate = prostate + 0.16 * np.clip(centre[0] - mm[0], 0, None)

    filling = rng.uniform(0, 1)
    height = 9 + 20 * filling
    neck = centre[0] + 0.78 * radii[0]
    bladder_centre = np.array([neck + height, centre[1] - rng.uniform(4, 12), rng.normal(0, 3)])
    bladder = ellipsoid(
        mm, bladder_centre, (height + 4, rng.uniform(15, 20) + 10 * filling, rng.uniform(20, 26) + 12 * filling)
    )
    bladder = np.maximum(bladder, 1.4 - prostate)  # a wall lies between

    wide = rng.uniform(10, 16)
    back = centre[1] + radii[1] + 0.85 * wide + rng.uniform(1, 4)
    sway = rng.normal(0, 5, 4)
    points = [
        (-48, back + rng.uniform(-6, 2), sway[0] * 0.3),
        (-18, back + rng.uniform(-1, 4), sway[1] * 0.5),
        (10, back + rng.uniform(4, 12), sway[2]),
        (48, back + rng.uniform(10, 22), sway[3]),
    ]
    rectum, _ = tube(mm, points, [wide * 0.75, wide, wide * rng.uniform(0.95, 1.35), wide * rng.uniform(0.8, 1.1)])
    rectum = np.maximum.reduce([rectum, 1.2 - prostate, 1.2 - bladder])
    labels = np.zeros(SHAPE, dtype=np.uint8)
    for value, organ in enumerate((bladder, prostate, rectum), 1):
        labels[organ < 0] = value
    return _Organs(bladder, prostate, rectum, labels)


def _signal(rng: Generator, organs: _Organs, mm: Field) -> Field:
    """Brightness of the tissues, about 0 to 1."""
    fine, middle, coarse = (smooth_noise(rng, SHAPE, SPACING, width) for width in (3.5, 7.0, 15.0))
    fat = rng.uniform(0.55, 0.95)
    muscle = rng.uniform(0.12, 0.35)
    gland = fat * rng.uniform(0.40, 0.80)
    urine = rng.uniform(0.55, 1.15)
    image = fat * (1 + 0.10 * fine + 0.08 * coarse)
    z, y, x = mm
    for side in (-1, 1):
        # Obturator muscle and hip bone at the sides, a lifting muscle beside gland and rectum, pubic bone in front.
        wall = 46 + rng.normal(0, 2) + 0.25 * np.abs(y) * rng.uniform(0.2, 1.0) - side * x
        image = over(image, wall + 4 * middle, muscle * (1 + 0.1 * fine), 1.2)
        image = over(image, wall + 15 + 2 * coarse, rng.uniform(0.3, 0.7) * (1 + 0.12 * fine), 1.5)
        sling, _ = tube(mm, [(-40, 2, side * 22), (-8, 8, side * 27), (18, 16, side * 38)], [3, 3.5, 3])
        image = over(image, sling, muscle, 1.0)
        pubis = ellipsoid(mm, (-14, -34 + rng.normal(0, 2), side * 17), (17, 9, 15))
        image = over(image, pubis, rng.uniform(0.25, 0.6) * (1 + 0.1 * fine), 1.5)
    sacrum = ellipsoid(mm, (30, 66 + rng.normal(0, 3), 0), (46, 12, 26))
    image = over(image, sacrum, rng.uniform(0.3, 0.65) * (1 + 0.12 * fine), 1.5)
    loops = soft(rng.uniform(0.9, 1.6) - middle, 0.15) * soft(24 - z, 3.0)  # bowel above
    image = image * (1 - loops) + loops * rng.uniform(0.2, 0.9)

    image = over(image, organs.bladder - rng.uniform(2.0, 4.5), muscle * rng.uniform(0.9, 1.4))
    image = over(image, organs.bladder, urine * (1 + 0.03 * coarse))
    core = gland * rng.uniform(0.75, 1.25)
    rim = np.clip(-organs.prostate / rng.uniform(4, 8), 0, 1)
    tissue = gland * (1 - rim) + core * rim
    image = over(image, organs.prostate - 2.0, muscle, 0.8)
    image = over(image, organs.prostate, tissue * (1 + 0.12 * fine + 0.10 * middle))
    image = over(image, organs.rectum, muscle * rng.uniform(0.8, 1.5))
    stool, gas = rng.uniform(0.15, 0.85), 0.03
    share = rng.uniform(-1.5, 1.5)  # from all gas to all stool
    content = np.where(share + 0.8 * middle > 0, stool * (1 + 0.25 * fine), gas)
    image = over(image, organs.rectum + rng.uniform(2.0, 4.0), content)
    return np.asarray(np.clip(image, 0.0, None))
