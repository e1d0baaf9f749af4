"""A simulated stroke on real brain anatomy: what the demo, the tests and the CPU benchmarks learn from.

**Everything made here is simulated.** The anatomy is the MNI152 average brain, warped anew for every case; the stroke,
its seven modalities and the labels come from the formulas below. Nothing here is evidence of clinical performance.

A case is drawn in this order: a head (pose, size, smooth warp), a supply territory in one hemisphere, inside it the
tissue whose perfusion is restricted and the smaller part whose diffusion is restricted, then each modality in its
physical unit, then what a scanner adds (coil shading, noise, susceptibility, blur). The labels follow the definition
of the tissue at risk as a mismatch: **core** is where diffusion is restricted, **penumbra** is where perfusion is
restricted and diffusion is not. Ground truth is the generator's own, so there is no label noise.

Nuisance varies widely on purpose (contrast, shading, noise, pose, distractors that look like a lesion in one modality
only), so that three or four labelled cases do not cover it.

The generator is frozen: `tests/imaging/test_phantom.py` holds a hash of its labels and figures of its images. A change
needs a new `VERSION`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.random import Generator

from napari_penumbra.domain.case import ImageArray
from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import LabelArray
from napari_penumbra.imaging._phantom_anatomy import Head, draw_head
from napari_penumbra.imaging._phantom_lesion import Stroke, draw_stroke, smooth_noise

VERSION = 1

MODALITIES = ("DWI", "ADC", "T2", "Tmax", "TTP", "CBF", "CBV")
UNITS: Mapping[str, str] = {
    "DWI": "arbitrary",
    "ADC": "1e-6 mm²/s",
    "T2": "arbitrary",
    "Tmax": "s",
    "TTP": "s",
    "CBF": "ml/100 g/min",
    "CBV": "ml/100 g",
}
LABELS: Mapping[int, str] = {1: "penumbra", 2: "core"}

SHAPE = (16, 80, 64)
"""Voxels along z, y, x."""
SPACING = (6.5, 3.0, 3.0)
"""Edges of a voxel along z, y, x in mm."""
TMAX_LIMIT = 6.0
"""Delay in seconds beyond which perfusion counts as restricted: the labels' edge lies exactly there before noise."""
B_VALUE = 1000e-6
"""Diffusion weighting of the DWI in s/mm² times 1e-6, so that it multiplies ADC as stored."""


@dataclass(frozen=True, slots=True)
class PhantomCase:
    """One simulated subject.

    Attributes
    ----------
    images
        Modality to float32 (z, y, x), in the units of `UNITS`.
    labels
        uint8 (z, y, x): 0 background, 1 penumbra, 2 core.
    grid
        Where the voxels lie; axes grow towards L, P, S.
    """

    images: dict[str, ImageArray]
    labels: LabelArray
    grid: Grid


def make_case(seed: int) -> PhantomCase:
    """Draw the simulated case of this seed; the same seed gives the same case.

    Parameters
    ----------
    seed
        Any whole number from 0. Seeds from 1000 on are meant for tuning, so that reported cases stay unseen.

    Returns
    -------
    PhantomCase
        All seven modalities, complete labels. Every case has a penumbra; a few have no core or hardly any.
    """
    # One stream per stage: a stage that draws more numbers does not shift the others.
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence([VERSION, seed]).spawn(5)]
    head = draw_head(streams[0], SHAPE, SPACING)
    stroke = draw_stroke(streams[1], head, SPACING)
    physical = {**_diffusion(streams[2], head, stroke), **_perfusion(streams[3], head, stroke)}
    images = _scanner(streams[4], physical, head)
    return PhantomCase({name: images[name] for name in MODALITIES}, stroke.labels, _grid())


def _grid() -> Grid:
    z, y, x = SPACING
    affine = np.diag([-x, -y, z, 1.0])
    # The volume is centred a little behind and above the anterior commissure, as a neurological field of view is.
    affine[:3, 3] = (x * (SHAPE[2] - 1) / 2, y * (SHAPE[1] - 1) / 2 - 18.0, -z * (SHAPE[0] - 1) / 2 + 18.0)
    return Grid.of(SHAPE[::-1], affine)


def _blend(values: tuple[float, float, float], head: Head) -> npt.NDArray[np.float64]:
    """Partial volume of grey matter, white matter and fluid."""
    return values[0] * head.grey + values[1] * head.white + values[2] * head.fluid


def _diffusion(rng: Generator, head: Head, stroke: Stroke) -> dict[str, npt.NDArray[np.float64]]:
    """ADC, T2 and the DWI that follows from both: S = T2 · exp(-b · ADC)."""
    texture = 1 + 0.03 * smooth_noise(rng, SHAPE, SPACING, 9.0)
    adc = _blend((rng.normal(840, 25), rng.normal(770, 25), rng.normal(2900, 120)), head) * texture
    drop = rng.uniform(0.40, 0.56)
    adc *= 1 - drop * stroke.core
    grey = rng.uniform(0.52, 0.72)
    t2 = _blend((grey, grey * rng.uniform(0.72, 0.9), rng.uniform(1.1, 1.6)), head) * texture
    t2 *= 1 + rng.uniform(0.0, 0.35) * stroke.core  # older cores shine in T2
    for scar in stroke.scars:  # old infarcts: bright in T2, free diffusion
        t2 = t2 * (1 - scar) + scar * rng.uniform(1.0, 1.3)
        adc = adc * (1 - scar) + scar * rng.uniform(1500, 2300)
    dwi = t2 * np.exp(-B_VALUE * adc)
    for spot in stroke.spots:  # T2 shine-through without restriction
        dwi = dwi * (1 + rng.uniform(0.2, 0.6) * spot)
    dwi = dwi * (1 + rng.uniform(0.2, 1.1) * _susceptibility(rng, head))
    return {"ADC": adc, "T2": t2, "DWI": dwi}


def _perfusion(rng: Generator, head: Head, stroke: Stroke) -> dict[str, npt.NDArray[np.float64]]:
    """CBF, CBV and the two timing maps."""
    texture = 1 + 0.08 * smooth_noise(rng, SHAPE, SPACING, 8.0)
    cbf = _blend((rng.uniform(52, 75), rng.uniform(20, 28), 4), head) * texture
    cbv = _blend((rng.uniform(3.8, 5.2), rng.uniform(1.8, 2.6), 0.8), head) * texture
    at_risk, core = stroke.restricted, stroke.core
    cbf *= (1 - rng.uniform(0.45, 0.68) * at_risk) * (1 - rng.uniform(0.45, 0.75) * core)
    # Vessels of the penumbra widen to keep its blood volume; in the core they collapse.
    cbv *= (1 + rng.uniform(-0.05, 0.35) * at_risk) * (1 - rng.uniform(0.4, 0.7) * core)
    base = rng.uniform(1.0, 2.2) + 0.5 * smooth_noise(rng, SHAPE, SPACING, 14.0)
    base = base + rng.uniform(0.3, 1.3) * stroke.watershed  # border zones are late in everybody
    if rng.random() < 0.25:  # a narrowed artery in the neck delays a whole side, below the limit
        base = base + rng.uniform(0.6, 1.6) * stroke.side
    tmax = np.clip(base, 0.1, 4.6)
    # Half membership is the label's edge, and there the delay is the limit, whatever the healthy delay is.
    tmax = tmax + (TMAX_LIMIT - tmax) * 2 * stroke.restricted * (1 + rng.uniform(0.0, 0.5) * stroke.depth)
    transit = 60 * cbv / np.maximum(cbf, 3.0)
    ttp = rng.uniform(12, 24) + tmax + 0.35 * np.clip(transit, 0, 20)
    inside = head.inside
    speckle = np.abs(rng.normal(0, rng.uniform(0.5, 3.0), SHAPE)) * head.fluid  # deconvolution fails in fluid
    tmax = tmax + speckle
    return {"CBF": cbf * inside, "CBV": cbv * inside, "Tmax": tmax * inside, "TTP": ttp * inside}


def _susceptibility(rng: Generator, head: Head) -> npt.NDArray[np.float64]:
    """Bright rims over the nasal sinuses and the petrous bones on the low slices: like a lesion, but none."""
    z, y, x = np.meshgrid(*[np.arange(n) for n in SHAPE], indexing="ij")
    mm = [a * s for a, s in zip((z, y, x), SPACING, strict=True)]
    found = np.zeros(SHAPE)
    edge = head.edge_mm
    for front, side in ((0.12, 0.0), (0.45, -0.33), (0.45, 0.33)):
        centre = head.place(rng.uniform(0.10, 0.24), front + rng.normal(0, 0.02), side + rng.normal(0, 0.02))
        width = rng.uniform(9, 18)
        distance = sum((m - c) ** 2 for m, c in zip(mm, centre, strict=True))
        found += rng.uniform(0.3, 1.0) * np.exp(-distance / (2 * width**2)) * np.exp(-((edge / 6.0) ** 2))
    return np.minimum(found, 1.0) * (head.grey + head.white)


def _scanner(rng: Generator, images: Mapping[str, npt.NDArray[np.float64]], head: Head) -> dict[str, ImageArray]:
    """What acquisition adds: coil shading and gain, blur, noise; stored in steps as a scanner stores."""
    from scipy import ndimage

    out: dict[str, ImageArray] = {}
    coil = np.exp(rng.uniform(0.05, 0.3) * smooth_noise(rng, SHAPE, SPACING, 45.0))
    for name in ("DWI", "T2"):
        signal = images[name] * coil * (1 if name == "DWI" else np.exp(0.05 * smooth_noise(rng, SHAPE, SPACING, 45.0)))
        level = float(np.median(signal[head.inside]))
        sigma = level / rng.uniform(9, 32)
        noisy = np.hypot(signal + rng.normal(0, sigma, SHAPE), rng.normal(0, sigma, SHAPE))  # Rician
        gain = np.exp(rng.uniform(np.log(150), np.log(900))) / level
        out[name] = np.rint(noisy * gain).astype(np.float32)
    adc = images["ADC"] + rng.normal(0, rng.uniform(25, 75), SHAPE) * (1 + (images["ADC"] > 1500))
    out["ADC"] = np.rint(np.clip(adc, 0, 4000) * head.inside).astype(np.float32)
    blur = rng.uniform(0.35, 0.8)  # perfusion is acquired coarser, in voxels of this grid
    shares = {"Tmax": (0.25, 0.65), "TTP": (0.25, 0.65), "CBF": (1.5, 5.0), "CBV": (0.12, 0.4)}
    steps = {"Tmax": 10, "TTP": 10, "CBF": 10, "CBV": 100}
    for name, (low, high) in shares.items():
        soft = ndimage.gaussian_filter(images[name], (0, blur, blur))
        soft = soft + ndimage.gaussian_filter(rng.normal(0, 2 * rng.uniform(low, high), SHAPE), (0, blur, blur))
        out[name] = (np.rint(np.maximum(soft, 0) * steps[name]) / steps[name] * head.inside).astype(np.float32)
    return out
