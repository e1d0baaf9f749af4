"""Write simulated stroke cases as NIfTI files.

    python sample_data/make_stroke.py FOLDER --cases 24 --seed 500

One file per case and modality, `simulated-0500_DWI.nii.gz` and so on, and `simulated-0500_labels.nii.gz` with
1 penumbra and 2 core. Everything is simulated: see `napari_penumbra.imaging.phantom`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from napari_penumbra.imaging.files import write_nifti
from napari_penumbra.imaging.phantom import make_case
from napari_penumbra.imaging.samples import SIMULATED_NOTE


def main() -> None:
    """Read the command line and write the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cases", type=int, default=24)
    parser.add_argument("--seed", type=int, default=500, help="seed of the first case; the others follow")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    for seed in range(given.seed, given.seed + given.cases):
        case = make_case(seed)
        for name, array in {**case.images, "labels": case.labels}.items():
            path = given.folder / f"{SIMULATED_NOTE}-{seed:04d}_{name}.nii.gz"
            write_nifti(path, array, case.grid, description=SIMULATED_NOTE)
        print(f"{SIMULATED_NOTE}-{seed:04d}: {case.grid.voxel_ml * (case.labels > 0).sum():.1f} ml")


if __name__ == "__main__":
    main()
