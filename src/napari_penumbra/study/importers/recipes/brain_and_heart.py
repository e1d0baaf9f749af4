"""Scans whose layouts are plain tables of names: ISLES 2022, the left-atrium challenge, PROMISE12, ACDC."""

from __future__ import annotations

from pathlib import Path

from napari_penumbra.study.importers.recipes._base import Found, Recipe
from napari_penumbra.study.importers.recipes._rules import Image, Mask, Rules, find

_ISLES = Rules(
    (
        Image(
            r"(?P<case>sub-strokecase\d+)/ses-\d+/(?:(?:dwi|anat)/)?sub-strokecase\d+_ses-\d+_"
            r"(?P<modality>dwi|adc|flair)\.nii(?:\.gz)?",
            spelt={"dwi": "DWI", "adc": "ADC", "flair": "FLAIR"},
        ),
    ),
    (Mask(r"derivatives/(?P<case>sub-strokecase\d+)/ses-\d+/[^/]*_msk\.nii(?:\.gz)?", rest=1),),
    "sub-strokecase0001/ses-0001/dwi/sub-strokecase0001_ses-0001_dwi.nii.gz",
)
_ATRIUM = Rules(
    (Image(r"(?P<case>[^/]+)/lgemri\.nrrd", "LGE"),),
    (Mask(r"(?P<case>[^/]+)/laendo\.nrrd", rest=1),),
    "a folder per case with lgemri.nrrd (and laendo.nrrd)",
    ignored=r"/la(wall|endo)[^/]*$",
)
_PROSTATE = Rules(
    (Image(r"(?P<case>Case\d+)\.mhd", "T2"),),
    (Mask(r"(?P<case>Case\d+)_segmentation\.mhd", rest=1),),
    "Case00.mhd, Case00_segmentation.mhd …",
    lambda case, test: f"test-{case}" if test else case,
)
_CINE = Rules(
    (Image(r"(?P<case>patient\d+_frame\d+)\.nii(?:\.gz)?", "cine"),),
    (Mask(r"(?P<case>patient\d+_frame\d+)_gt\.nii(?:\.gz)?", {1: 1, 2: 2, 3: 3}),),
    "patient001/patient001_frame01.nii.gz",
    ignored=r"_4d\.nii(\.gz)?$",
)


def _find_isles2022(root: Path) -> Found:
    found = find(root, _ISLES)
    labelled = any(case.masked for case in found.cases)
    if found.cases and not labelled:
        notes = ("No mask was found: the folder derivatives, with …_msk.nii.gz, is missing.",)
        return Found(found.cases, unused=found.unused, notes=notes)
    return found


ISLES2022 = Recipe(
    "isles2022",
    "ISLES 2022",
    ("DWI", "ADC", "FLAIR"),
    {1: "lesion"},
    _find_isles2022,
    "https://zenodo.org/records/7960856",
    "see the site",
    "sub-strokecase0001/ses-0001/… and derivatives/sub-strokecase0001/ses-0001/…_msk.nii.gz",
    ("FLAIR has a grid of its own: it is resampled onto that of DWI, on which the mask was drawn.",),
)
LA2018 = Recipe(
    "la2018",
    "Atrial Segmentation Challenge 2018",
    ("LGE",),
    {1: "left atrium"},
    lambda root: find(root, _ATRIUM),
    "https://www.cardiacatlas.org/atriaseg2018-challenge/",
    "see the site",
    "Training Set/CASE/lgemri.nrrd and laendo.nrrd, Testing Set/CASE/…",
)
PROMISE12 = Recipe(
    "promise12",
    "PROMISE12",
    ("T2",),
    {1: "prostate"},
    lambda root: find(root, _PROSTATE),
    "https://zenodo.org/records/8026660",
    "see LICENSE.TXT beside the files",
    "training_data/Case00.mhd and Case00_segmentation.mhd, test_data/…",
)
ACDC = Recipe(
    "acdc",
    "ACDC",
    ("cine",),
    {1: "right ventricle", 2: "myocardium", 3: "left ventricle"},
    lambda root: find(root, _CINE),
    "https://www.creatis.insa-lyon.fr/Challenge/acdc/databases.html",
    "see the site",
    "training/patient001/patient001_frame01.nii.gz and …_gt.nii.gz, testing/patient101/…",
)
