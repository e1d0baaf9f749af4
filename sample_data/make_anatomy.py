"""Make `files/mni152_anatomy_2mm.nii.gz` from the MNI152 brain inside nilearn's wheel.

    python -m pip install nilearn==0.14.1
    python sample_data/make_anatomy.py

The product holds what the simulated cohort is drawn on: fractions of grey matter, white matter and fluid
as three uint8 volumes at 2 mm, (i, j, k, map), RAS. See README.md in this folder for the licence.
"""

from __future__ import annotations

import argparse
import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

STEP = 2
"""Voxels of 1 mm that become one."""


def load(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """One map as fractions and its affine."""
    image = nib.load(folder / f"mni_icbm152_{name}_tal_nlin_sym_09a_converted.nii.gz")
    return np.clip(image.get_fdata(dtype=np.float32) / 255, 0, 1), image.affine


def halve(volume: np.ndarray) -> np.ndarray:
    """Mean of blocks of STEP^3 voxels; a last odd plane is dropped."""
    i, j, k = (n // STEP for n in volume.shape)
    blocks = volume[: i * STEP, : j * STEP, : k * STEP].reshape(i, STEP, j, STEP, k, STEP)
    return blocks.mean(axis=(1, 3, 5))


def main() -> None:
    """Read both tissue maps, derive fluid, write one file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "files" / "mni152_anatomy_2mm.nii.gz")
    out = parser.parse_args().out
    import nilearn

    folder = Path(nilearn.__file__).parent / "datasets" / "data"
    grey, affine = load(folder, "gm")
    white, _ = load(folder, "wm")
    tissue = grey + white > 0.5
    # What tissue encloses once its sulci are closed, and 2 mm around it, is fluid where it is no tissue.
    brain = ndimage.binary_fill_holes(ndimage.binary_closing(np.pad(tissue, 12), iterations=6))[12:-12, 12:-12, 12:-12]
    brain = ndimage.binary_dilation(brain, iterations=2)
    soft = ndimage.gaussian_filter(brain.astype(np.float32), 1.0)
    fluid = np.clip(soft - grey - white, 0, 1)
    maps = np.stack([halve(m) for m in (grey, white, fluid)], axis=-1)
    stored = np.rint(maps * 255).astype(np.uint8)
    stored[stored < 4] = 0  # dust costs bytes and shows nowhere
    shift = np.eye(4)
    shift[:3, :3] *= STEP
    shift[:3, 3] = (STEP - 1) / 2
    image = nib.Nifti1Image(stored, affine @ shift)
    image.header.set_xyzt_units("mm")
    out.write_bytes(gzip.compress(image.to_bytes(), 9, mtime=0))  # the same bytes every time
    print(f"{out}: {stored.shape}, {out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
