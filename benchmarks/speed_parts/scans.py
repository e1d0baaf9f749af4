"""Scans of a clinical size for timing: simulated atria, enlarged, as NIfTI and as a study."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
from scipy import ndimage

from napari_penumbra.imaging.phantom_atrium import make_case

LABELLED, CASES = 2, 6
SHAPE = (144, 160, 88)
"""Voxels (i, j, k): a scan of the left-atrium challenge of 2018 as it is usually cropped."""


def make_scans(folder: Path) -> list[str]:
    """Write ``images/NAME.nii.gz`` and ``labels/NAME.nii.gz``; returns the names, the labelled ones first."""
    names = [f"a{number}" for number in range(CASES)]
    for number, name in enumerate(names):
        case = make_case(number)
        for kind, data, order in (("images", next(iter(case.images.values())), 1), ("labels", case.labels, 0)):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            volume = data.transpose(2, 1, 0).astype(np.float32)
            large = ndimage.zoom(volume, np.divide(SHAPE, volume.shape), order=order)
            image = nibabel.Nifti1Image(large.astype(np.uint8 if order == 0 else np.float32), np.eye(4))
            nibabel.save(image, folder / kind / f"{name}.nii.gz")
    return names


def make_study(folder: Path, names: list[str]) -> Path:
    """Make a study of the scans: the first ones labelled."""
    study = folder / "study"
    penumbra("new", str(study), "--modality", "LGE", "--label", "1=left atrium", "--simulated")
    for part, chosen in (("labelled", names[:LABELLED]), ("others", names[LABELLED:])):
        words = []
        for kind in ("images", "labels") if part == "labelled" else ("images",):
            links = folder / part / kind
            links.mkdir(parents=True)
            for name in chosen:
                (links / f"{name}.nii.gz").symlink_to((folder / kind / f"{name}.nii.gz").resolve())
            words += [f"--{kind}", str(links)]
        penumbra("add", str(study), *words)
    return study


def penumbra(*words: str) -> str:
    """Run the command line; ends with its own words when it fails."""
    command = [sys.executable, "-m", "napari_penumbra.cli", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"penumbra {' '.join(words)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout
