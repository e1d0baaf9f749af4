"""The stroke of a simulated case: where perfusion and diffusion are restricted, and what merely looks like it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.random import Generator

from napari_penumbra.domain.labels import LabelArray
from napari_penumbra.imaging._phantom_anatomy import Field, Head

# Supply territories: where they start (MNI mm, left side: side, front, up), how often, how far they reach in mm.
_TERRITORIES = (
    ((38.0, -8.0, 16.0), 0.72, (30.0, 46.0, 38.0)),  # middle cerebral artery
    ((10.0, 38.0, 26.0), 0.13, (14.0, 44.0, 34.0)),  # anterior
    ((18.0, -72.0, 6.0), 0.15, (22.0, 30.0, 26.0)),  # posterior
)
_EDGE_MM = 3.5
"""Width over which a lesion fades into healthy tissue."""
_REACH_MM = 30.0
"""What one unit of a territory's score is worth, for the width of the edge."""
PENUMBRA, CORE = 1, 2


@dataclass(frozen=True, slots=True)
class Stroke:
    """What ails one simulated brain; all arrays (z, y, x), memberships in 0 to 1.

    Attributes
    ----------
    restricted, core
        Membership of perfusion and of diffusion restriction; the labels' edges lie at 0.5.
    depth
        How far inside the perfusion lesion, 0 at its edge to 1.
    watershed
        Border zones between territories, both sides.
    side
        The hemisphere of the stroke.
    scars, spots
        Old infarcts and bright dots: distractors.
    labels
        0 background, 1 penumbra, 2 core.
    """

    restricted: Field
    core: Field
    depth: Field
    watershed: Field
    side: Field
    scars: tuple[Field, ...]
    spots: tuple[Field, ...]
    labels: LabelArray


def smooth_noise(rng: Generator, shape: tuple[int, ...], spacing: tuple[float, ...], width_mm: float) -> Field:
    """Noise without grain: zero mean, unit spread, correlated over ``width_mm``."""
    from scipy import ndimage

    field = ndimage.gaussian_filter(rng.normal(size=shape), [width_mm / s for s in spacing], mode="reflect")
    return np.asarray((field - field.mean()) / field.std())


def draw_stroke(rng: Generator, head: Head, spacing: tuple[float, float, float]) -> Stroke:
    """Draw the lesion and its distractors.

    Volumes are drawn so that their logarithm is spread evenly, from a few ml to most of a territory; the core takes
    anything from nothing to nearly all of it.
    """
    shape = head.grey.shape
    left = 1.0 if rng.random() < 0.5 else -1.0
    # MNI x grows to the right; `away` is the distance from the midline into the stroke's hemisphere.
    away = -left * head.mni[0]
    side = 1 / (1 + np.exp(-away / 2.0))
    tissue = (head.grey + head.white) * head.inside
    cerebellum = (head.mni[1] < -38.0) & (head.mni[2] < -14.0)  # fed by other arteries
    allowed = (tissue > 0.6) & (away > 1.0) & ~cerebellum

    which = int(rng.choice(len(_TERRITORIES), p=[share for _, share, _ in _TERRITORIES]))
    centre, _, reach = _TERRITORIES[which]
    centre_now = np.array(centre) + rng.normal(0, (5.0, 9.0, 7.0))
    voxel_ml = float(np.prod(spacing)) / 1000
    score = _distance(head, away, centre_now, np.array(reach)) + 0.25 * smooth_noise(rng, shape, spacing, 11.0)
    volume = np.exp(rng.uniform(np.log(9.0), np.log(190.0)))
    restricted = _grow(score, allowed, volume / voxel_ml, tissue, 0.501)

    core_share = float(np.clip(rng.beta(1.1, 1.9), 0.0, 0.92))
    inner = centre_now + rng.normal(0, 0.16, 3) * np.array(reach)
    core_score = _distance(head, away, inner, np.array(reach)) + 0.28 * smooth_noise(rng, shape, spacing, 7.0)
    room = allowed & (restricted > 0.5)
    # A core of a few voxels is noise to any reader: below half a millilitre there is none.
    wanted = core_share * room.sum()
    core = _grow(core_score, room, wanted, tissue, 0.7) if wanted * voxel_ml >= 0.5 else np.zeros(shape)

    labels = np.zeros(shape, dtype=np.uint8)
    labels[restricted > 0.5] = PENUMBRA
    labels[core > 0.5] = CORE
    elsewhere = (tissue > 0.6) & (restricted < 0.1)  # a distractor inside the lesion would be label noise
    return Stroke(
        restricted,
        core,
        _depth(restricted, spacing),
        _watershed(head),
        side,
        scars=_blobs(rng, elsewhere, int(rng.poisson(0.8)), (3.0, 8.0), head),
        spots=_blobs(rng, elsewhere, int(rng.poisson(2.5)), (2.0, 4.5), head),
        labels=labels,
    )


def _distance(head: Head, away: Field, centre: Field, reach: Field) -> Field:
    """Distance from a territory's centre in units of its reach."""
    offsets = (away - centre[0], head.mni[1] - centre[1], head.mni[2] - centre[2])
    return np.asarray(np.sqrt(sum((o / r) ** 2 for o, r in zip(offsets, reach, strict=True))))


def _grow(score: Field, allowed: npt.NDArray[np.bool_], voxels: float, tissue: Field, floor: float) -> Field:
    """Soft membership of the ``voxels`` lowest-scored allowed voxels that hang together.

    ``floor`` is the least membership inside, above a half.
    """
    from scipy import ndimage

    ranked = np.sort(score[allowed])
    limit = ranked[min(len(ranked) - 1, max(1, round(voxels)))]
    pieces, count = ndimage.label(allowed & (score < limit))
    if count == 0:
        return np.zeros(score.shape)
    largest = 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
    kept = pieces == largest
    soft = 1 / (1 + np.exp(np.clip((score - limit) * _REACH_MM / _EDGE_MM * 2, -30, 30)))
    # Beyond the kept piece the membership stays below a half, so that labels and images agree everywhere.
    near = ndimage.binary_dilation(kept, iterations=2)
    return np.asarray(np.where(kept, np.maximum(soft, floor), np.minimum(soft, 0.35) * near * tissue))


def _depth(membership: Field, spacing: tuple[float, float, float]) -> Field:
    """How deep inside a lesion, 0 at its edge, 1 from 12 mm on."""
    from scipy import ndimage

    return np.asarray(np.minimum(ndimage.distance_transform_edt(membership > 0.5, sampling=spacing) / 12.0, 1.0))


def _watershed(head: Head) -> Field:
    """Where the middle territory meets the anterior or posterior one, on both sides."""
    away = np.abs(head.mni[0])
    middle, front, back = (_distance(head, away, np.array(c), np.array(r)) for c, _, r in _TERRITORIES)
    return np.asarray(np.exp(-(((middle - np.minimum(front, back)) / 0.22) ** 2)) * (head.grey + head.white))


def _blobs(
    rng: Generator, where: npt.NDArray[np.bool_], count: int, radii: tuple[float, float], head: Head
) -> tuple[Field, ...]:
    """Small soft balls around random voxels of ``where`` and nowhere else."""
    places = np.argwhere(where)
    index = np.indices(where.shape)
    blobs = []
    for place in places[rng.integers(0, len(places), count)]:
        radius = rng.uniform(*radii)
        offsets = ((index - place.reshape(3, 1, 1, 1)) * np.array(head.spacing).reshape(3, 1, 1, 1)) ** 2
        blobs.append(np.exp(-((offsets.sum(axis=0) / radius**2) ** 2)) * where)
    return tuple(blobs)
