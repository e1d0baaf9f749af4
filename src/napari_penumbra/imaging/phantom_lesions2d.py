"""Simulated colour pictures with one or several lesions: endoscopy and skin photographs as a task, not as patients.

**Everything made here is simulated.** A picture is drawn in this order: a smooth texture in a tissue's colour with
vessels and folds, one to three lesions as soft-bordered bumps with a texture of their own, things that look like a
lesion and are none, then light, shine and the camera. The backgrounds come from formulas and not from photographs, so
that no picture's licence, and no other library's version, changes the cohort. Nothing here is evidence of clinical
performance.

Nuisance varies widely on purpose: hue and saturation of the tissue (pale skin to red mucosa), light and its fall-off,
texture, contrast and even the sign of the contrast of lesions (darker, redder, paler), their size and number, shine,
bubbles, stains, hairs, noise, blur. Three or four labelled cases do not cover it. There is no label noise.

The generator is frozen: `tests/imaging/test_phantom_cohorts.py` holds a hash of its labels and figures of its images.
A change needs a new `VERSION`. Seeds from 1000 on are meant for tuning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.random import Generator

from napari_penumbra.domain.colour import COLOUR
from napari_penumbra.domain.grid import Grid
from napari_penumbra.imaging.phantom import PhantomCase

VERSION = 1

MODALITIES = COLOUR
LABELS: Mapping[int, str] = {1: "lesion"}

SIZE = 128
"""Width and height in pixels."""

_Plane = npt.NDArray[np.float64]
_LIT = np.array([-0.45, -0.55, 0.70])
"""Direction of the light on bumps: x, y, towards the camera."""


@dataclass(frozen=True, slots=True)
class _Scene:
    """What lies under the camera; all (y, x) in 0 to 1 but ``height`` (pixels) and ``labels``."""

    height: _Plane
    lesion: _Plane
    labels: npt.NDArray[np.uint8]
    stains: _Plane
    bubbles: _Plane


def make_case(seed: int) -> PhantomCase:
    """Draw the simulated case of this seed; the same seed gives the same case.

    Parameters
    ----------
    seed
        Any whole number from 0. Seeds from 1000 on are meant for tuning, so that reported cases stay unseen.

    Returns
    -------
    PhantomCase
        Red, Green and Blue from 0 to 255 in whole numbers, (1, y, x), on the grid of a picture; complete labels:
        0 background, 1 lesion.
    """
    # One stream per stage: a stage that draws more numbers does not shift the others.
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence([3, VERSION, seed]).spawn(4)]
    scene = _scene(streams[0])
    colour = _paint(streams[1], scene)
    picture = _camera(streams[2], _light(streams[3], colour, scene))
    images = {name: picture[None, ..., n].astype(np.float32) for n, name in enumerate(MODALITIES)}
    return PhantomCase(images, scene.labels[None], Grid.picture(SIZE, SIZE))


def _noise(rng: Generator, width: float) -> _Plane:
    """Smooth noise of zero mean and unit spread, correlated over ``width`` pixels."""
    from scipy import ndimage

    field = ndimage.gaussian_filter(rng.normal(size=(SIZE, SIZE)), width, mode="reflect")
    return np.asarray((field - field.mean()) / field.std())


def _blob(rng: Generator, centre: npt.NDArray[np.float64], radius: float, ragged: float) -> _Plane:
    """Signed distance in pixels to a ragged disc, negative inside."""
    y, x = np.mgrid[:SIZE, :SIZE] - centre.reshape(2, 1, 1)
    turn = rng.uniform(0, np.pi)
    stretch = rng.uniform(1.0, 1.7)
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    distance = np.hypot(along / stretch**0.5, across * stretch**0.5)
    angle = np.arctan2(across, along)
    waves = sum(rng.normal(0, ragged / n) * np.cos(n * angle + rng.uniform(0, 2 * np.pi)) for n in range(2, 7))
    return np.asarray(distance - radius * (1 + waves))


def _share(distance: _Plane, width: float) -> _Plane:
    return np.asarray(1 / (1 + np.exp(np.clip(distance / width * 2, -30, 30))))


def _scene(rng: Generator) -> _Scene:
    """Folds, lesions (never overlapping, mostly inside the picture) and distractors."""
    height = rng.uniform(0.0, 6.0) * _noise(rng, rng.uniform(14, 26))
    if rng.random() < 0.6:  # folds: ridges of a warped wave
        y, x = np.mgrid[:SIZE, :SIZE]
        turn, period = rng.uniform(0, np.pi), rng.uniform(28, 70)
        phase = (x * np.cos(turn) + y * np.sin(turn)) / period * 2 * np.pi + 1.3 * _noise(rng, 24)
        height = height + rng.uniform(2, 8) * (1 - np.abs(np.sin(phase / 2))) ** rng.uniform(1, 3)
    lesion, labels = np.zeros((SIZE, SIZE)), np.zeros((SIZE, SIZE), np.uint8)
    places: list[tuple[npt.NDArray[np.float64], float]] = []
    for _ in range(rng.choice([1, 2, 3], p=[0.72, 0.2, 0.08])):
        radius = np.exp(rng.uniform(np.log(6), np.log(30)))
        centre = rng.uniform(0.12, 0.88, 2) * SIZE
        if any(np.linalg.norm(centre - c) < 1.9 * (radius + r) for c, r in places):
            continue
        places.append((centre, radius))
        distance = _blob(rng, centre, radius, rng.uniform(0.02, 0.13))
        lesion = np.maximum(lesion, _share(distance, rng.uniform(1.0, 4.5)))
        labels[distance < 0] = 1
        dome = np.sqrt(np.clip(-distance / radius, 0, 1))
        height = height + rng.uniform(0.08, 0.45) * radius * dome
    away = np.prod([1 - _share(_blob(rng, c, 1.25 * r, 0.0), 2.0) for c, r in places], axis=0)
    stains = np.zeros((SIZE, SIZE))
    for _ in range(rng.poisson(1.6)):  # of a lesion's colour and size, but flat and with a faded border
        radius = rng.uniform(5, 20)
        spot = _share(_blob(rng, rng.uniform(0, SIZE, 2), radius, 0.12), radius * rng.uniform(0.5, 0.9))
        stains = np.maximum(stains, spot * away)
    bubbles = np.zeros((SIZE, SIZE))
    for _ in range(rng.poisson(rng.choice([0.0, 2.0, 5.0]))):
        centre, radius = rng.uniform(0, SIZE, 2), rng.uniform(1.5, 5.5)
        ring = np.exp(-((_blob(rng, centre, radius, 0.0) / 1.0) ** 2))
        bubbles = np.maximum(bubbles, ring * away)
    return _Scene(height, lesion, labels, stains, bubbles)


def _paint(rng: Generator, scene: _Scene) -> _Plane:
    """Colours before light: (y, x, 3), 0 to 1."""
    skin, mucosa = np.array([0.86, 0.66, 0.54]), np.array([0.78, 0.38, 0.32])
    mix = rng.uniform(0, 1)
    base = (skin * (1 - mix) + mucosa * mix) * rng.uniform(0.75, 1.1) + rng.normal(0, 0.035, 3)
    texture = sum(
        rng.uniform(*span) * _noise(rng, width)
        for width, span in ((0.9, (0.0, 0.04)), (3, (0.0, 0.05)), (11, (0, 0.08)))
    )
    colour = base * (1 + np.asarray(texture)[..., None])
    vessels = np.exp(-((_noise(rng, rng.uniform(4, 9)) / rng.uniform(0.06, 0.16)) ** 2)) * _share(-_noise(rng, 18), 0.5)
    colour = colour * (1 - (rng.uniform(0.0, 0.38) * vessels)[..., None] * np.array([0.35, 1.0, 0.9]))
    shift, grain = _lesion_look(rng)
    own = grain * (_noise(rng, rng.uniform(1.0, 2.5)) + _noise(rng, 5))
    painted = base * shift * (1 + own[..., None])
    colour = colour + (painted - colour) * (rng.uniform(0.75, 1.0) * scene.lesion)[..., None]
    stain = base * (1 + (shift - 1) * rng.uniform(0.4, 1.0))
    colour = colour + (stain - colour) * (rng.uniform(0.3, 0.75) * scene.stains)[..., None]
    if rng.random() < 0.35:
        colour = colour * (1 - _hairs(rng)[..., None] * rng.uniform(0.4, 0.8))
    return np.asarray(np.clip(colour, 0, 1.5))


def _lesion_look(rng: Generator) -> tuple[npt.NDArray[np.float64], float]:
    """How a lesion differs from what surrounds it: factor per channel, and the strength of its own texture."""
    kinds = (
        (np.array([0.98, 0.72, 0.70]), 0.08),  # redder
        (np.array([0.62, 0.52, 0.50]), 0.13),  # darker, pigmented
        (np.array([1.12, 1.14, 1.08]), 0.05),  # paler
        (np.array([0.85, 0.60, 0.72]), 0.10),  # livid
    )
    factor, grain = kinds[int(rng.choice(len(kinds), p=[0.38, 0.27, 0.17, 0.18]))]
    strength = rng.uniform(0.85, 1.35)
    return 1 + (factor - 1) * strength + rng.normal(0, 0.02, 3), grain * rng.uniform(0.4, 1.3)


def _hairs(rng: Generator) -> _Plane:
    """Thin dark arcs over everything."""
    y, x = np.mgrid[:SIZE, :SIZE]
    found = np.zeros((SIZE, SIZE))
    for _ in range(rng.integers(1, 7)):
        centre, radius = rng.uniform(-1, 2, 2) * SIZE, rng.uniform(0.5, 1.6) * SIZE
        found = np.maximum(found, np.exp(-(((np.hypot(y - centre[0], x - centre[1]) - radius) / 0.8) ** 2)))
    return found


def _light(rng: Generator, colour: _Plane, scene: _Scene) -> _Plane:
    """Shade bumps, let the light fall off, add shine and the dark depth of a lumen."""
    from scipy import ndimage

    smooth = ndimage.gaussian_filter(scene.height, 1.2)
    dy, dx = np.gradient(smooth)
    normal = np.stack([-dx, -dy, np.ones_like(dx)], axis=-1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    turn = rng.uniform(0, 2 * np.pi)
    across = np.hypot(_LIT[0], _LIT[1])
    light = np.array([across * np.cos(turn), across * np.sin(turn), _LIT[2]])
    relief = rng.uniform(0.25, 1.0)
    shade = 1 + relief * (normal @ light / _LIT[2] - 1)
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    spot = rng.uniform(0.2, 0.8, 2)
    fall = np.exp(-rng.uniform(0.0, 1.9) * ((y - spot[0]) ** 2 + (x - spot[1]) ** 2))
    seen = colour * (np.clip(shade, 0.15, 1.8) * fall)[..., None] * rng.uniform(0.75, 1.25)
    if rng.random() < 0.25:
        lumen = _share(_blob(rng, rng.uniform(0, SIZE, 2), rng.uniform(10, 24), 0.06), rng.uniform(4, 9))
        seen = seen * (1 - (rng.uniform(0.6, 0.95) * lumen * (1 - scene.lesion))[..., None])
    halfway = light / np.linalg.norm(light) + (0, 0, 1)
    halfway /= np.linalg.norm(halfway)
    bumpy = np.gradient(smooth + 0.6 * _noise(rng, 2.0))
    wet = np.stack([-bumpy[1], -bumpy[0], np.ones_like(dx)], axis=-1)
    wet /= np.linalg.norm(wet, axis=-1, keepdims=True)
    shine = np.clip(wet @ halfway, 0, 1) ** rng.uniform(60, 220)
    seen = seen + (rng.uniform(0.0, 0.9) * shine * (shine > 0.35) * fall)[..., None]
    return np.asarray(seen + (rng.uniform(0.1, 0.5) * scene.bubbles * fall)[..., None])


def _camera(rng: Generator, seen: _Plane) -> npt.NDArray[np.uint8]:
    """White balance, exposure, blur, noise, and 8 bits."""
    from scipy import ndimage

    balance = 1 + rng.normal(0, 0.05, 3)
    curve = rng.uniform(0.8, 1.25)
    sharp = rng.uniform(0.2, 1.1)
    pixels = ndimage.gaussian_filter(np.clip(seen * balance, 0, 1) ** curve, (sharp, sharp, 0))
    pixels = pixels + rng.normal(0, rng.uniform(0.004, 0.03), pixels.shape)
    return np.asarray(np.rint(np.clip(pixels, 0, 1) * 255), dtype=np.uint8)
