"""Write ``docs/odd-inputs.md`` by giving every odd input to the program: ``python docs/render_odd_inputs.py``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.study.store import Study

PAGE = Path(__file__).with_name("odd-inputs.md")
TABLE = Path(__file__).parents[1] / "tests" / "imaging"


def text() -> str:
    """The whole page."""
    sys.path.insert(0, str(TABLE))
    try:
        from odd_inputs import ODD, tell
    finally:
        sys.path.remove(str(TABLE))
    rows = []
    with (
        tempfile.TemporaryDirectory() as place,
        Study.create(Path(place) / "study", "Odd", ["MR"], LabelScheme.parse(["1=lesion"])) as study,
    ):
        for n, odd in enumerate(ODD):
            told = tell(study, odd, Path(place) / str(n))
            if told is None:
                raise SystemExit(f"{odd.what}: its package is not installed.")
            what = f"label: {odd.what}" if odd.label else odd.what
            words = told.words.replace("|", "\\|") or "(nothing: it is simply right)"
            rows.append(f"| {what} | {'read' if told.fate == 'picture' else 'refused'} | {words} |")
    table = "\n".join(rows)
    return f"""# Odd inputs, and what you are told

Every file below ends in the right picture or in a sentence with a way on; never in a wrong picture. The table is
written by giving each of them to the program (`python docs/render_odd_inputs.py`); `tests/imaging/test_odd_inputs.py`
compares every picture with another reader, voxel by voxel and millimetre by millimetre. FILE stands for the file's
name. A refused case leaves nothing behind in the study.

| what | outcome | what you are told |
|---|---|---|
{table}

Beyond this table, `tests/imaging/test_fuzz.py` changes bytes and fields in the headers of NIfTI, NRRD, MHA and DICOM
files, 2,000 variants and more: each is read or refused within 10 s and 2 GB, in a process that may write nowhere.
Names of cases may hold anything that fits on a line of 200 characters; folders in the study are named with letters,
digits, `.`, `_` and `-` only.
"""


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
