"""The left-atrium scans as the method papers pass them on: cropped, normalised, one HDF5 file a case."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from napari_penumbra.study.importers.recipes._base import Found, Recipe
from napari_penumbra.study.importers.recipes._rules import Image, Rules, match
from napari_penumbra.study.importers.tree import files
from napari_penumbra.study.newcase import Hints, MaskPart

SPACING = (0.625, 0.625, 0.625)
"""Of the challenge's scans, in mm, as its organisers state; the files themselves do not say."""

_RULES = Rules(
    (Image(r"(?P<case>[^/]+)/mri_norm2\.h5", "LGE"),),
    (),
    "a folder per case with mri_norm2.h5",
    is_test=lambda path: False,
    hints=Hints(spacing=SPACING),
)


def _find(root: Path) -> Found:
    names = files(root)
    found = match(root, names, _RULES)
    # The lists lie beside the folder of cases; its name has been chosen as often as the folder above it.
    lists = [root / name for name in names if name.rsplit("/", 1)[-1] == "test.list"]
    lists += [beside for beside in [root.parent / "test.list"] if beside.is_file()]
    test = {line.strip() for path in lists for line in path.read_text("utf-8", "replace").splitlines() if line.strip()}
    cases = []
    for case in found.cases:
        (path,) = case.images.values()
        hints = replace(case.hints, mask=(MaskPart(path, {1: 1}),))
        cases.append(replace(case, hints=hints, reference=case.name in test))
    notes = ["The voxel size of 0.625 mm is the challenge's; the files do not say it."] if cases else []
    if cases and not test:
        notes.append("No test.list was found: all cases come in as labelled.")
    return replace(found, cases=tuple(cases), notes=tuple(notes))


LA_H5 = Recipe(
    "la-h5",
    "left atrium 2018, processed (HDF5)",
    ("LGE",),
    {1: "left atrium"},
    _find,
    "https://github.com/yulequan/UA-MT",
    "see the site",
    "2018LA_Seg_Training Set/CASE/mri_norm2.h5 (image, label), train.list and test.list beside it",
    ("The scans were cropped around the true mask by their publishers, those of the test part as well.",),
)
