"""The sample studies: simulated cases, a few labelled, the truth of the others kept apart for measuring."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from napari_penumbra.domain.colour import PICTURE
from napari_penumbra.domain.errors import DiskError, UsageError
from napari_penumbra.domain.labels import PALETTE, LabelClass, LabelScheme
from napari_penumbra.imaging.cohorts import cohort as cohort_of
from napari_penumbra.imaging.nifti import write_nifti
from napari_penumbra.imaging.phantom import PhantomCase
from napari_penumbra.study.references import REFERENCE
from napari_penumbra.study.store import Study

__all__ = ["FIRST_SEED", "REFERENCE", "SYSTEMS", "make_sample_study"]

FIRST_SEED = 500
"""Of the sample studies: below 1000, where the seeds for tuning begin."""
SYSTEMS = {
    "mean-teacher": "stroke",
    "col-net": "stroke",
    "co-learning": "atrium",
    "self-correction": "lesions-2d",
    "asdnet": "pelvis",
}
"""Each published system with the cohort that is most like its paper's data."""


def make_sample_study(
    root: Path,
    cases: int = 24,
    labelled: int = 4,
    seed: int = FIRST_SEED,
    *,
    cohort: str = "stroke",
    modalities: Sequence[str] | None = None,
) -> Path:
    """Make a study of simulated cases, marked as simulated.

    The first ``labelled`` cases come with complete labels; the true labels of all lie in ``reference/`` inside the
    study, for ``penumbra evaluate``. The same numbers give the same study.

    Parameters
    ----------
    root
        A new or empty folder.
    cases, labelled
        How many, and how many of them with labels.
    seed
        Case n is drawn from ``seed + n``.
    cohort
        Key of one of `imaging.cohorts.COHORTS`.
    modalities
        Which of the simulated modalities to keep, all by default; fewer make a smaller study.

    Returns
    -------
    Path
        The study's folder.

    Raises
    ------
    UsageError
        Numbers that make no sense, an unknown cohort or modality, or a folder that is not empty.
    DiskError
        The study could not be written.
    """
    kind = cohort_of(cohort)
    kept = kind.modalities if modalities is None else tuple(modalities)
    if cases < 1 or not 0 <= labelled <= cases or seed < 0:
        raise UsageError(
            f"A sample study of {cases} cases with {labelled} labelled ones cannot be made.",
            "Ask for at least one case, and not for more labelled ones than there are.",
        )
    strange = [m for m in kept if m not in kind.modalities]
    if strange:
        raise UsageError(f'No "{strange[0]}" is simulated.', f"Choose among {', '.join(kind.modalities)}.")
    names = kind.labels
    scheme = LabelScheme(tuple(LabelClass(v, names[v], PALETTE[n]) for n, v in enumerate(sorted(names))))
    with Study.create(root, kind.title, kept, scheme, simulated=True) as study:
        reference = study.root / REFERENCE
        try:
            reference.mkdir()
            for n in range(cases):
                name = f"{kind.case}-{n + 1:03d}"
                _add(study, name, kind.make(seed + n), reference / f"{name}.nii.gz", with_label=n < labelled)
        except OSError as error:
            raise DiskError(
                f"The sample study could not be written to {study.root}.", "Make room on the disk.", repr(error)
            ) from error
        return study.root


def _add(study: Study, name: str, case: PhantomCase, truth: Path, *, with_label: bool) -> None:
    write_nifti(truth, case.labels, case.grid, np.uint8)
    # Through files and the very door that real scans take, so that the sample proves that door, too.
    with tempfile.TemporaryDirectory(prefix="penumbra-sample-") as folder:
        if case.grid.is_picture and study.modalities == tuple(case.images):
            images = {PICTURE: _write_picture(Path(folder) / "picture.png", case)}
        else:
            images = {}
            for modality in study.modalities:
                images[modality] = Path(folder) / f"{modality}.nii"
                write_nifti(images[modality], case.images[modality], case.grid, np.float32)
        study.add_case(name, images, truth if with_label else None, author="simulation")


def _write_picture(path: Path, case: PhantomCase) -> Path:
    from PIL import Image

    pixels = np.stack([channel[0] for channel in case.images.values()], axis=-1)
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return path
