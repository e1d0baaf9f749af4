"""Coded terms: the codes are SNOMED CT's, and a name that is not known gets none that could be believed."""

from __future__ import annotations

import pytest
from pydicom.sr._concepts_dict import concepts

from napari_penumbra.domain.terms import _BY_NAME, GENERIC, Code, term_of

NOT_IN_DICOM = {"55641003": "Infarct", "52674009": "Ischemia", "74281007": "Myocardium"}
"""Concepts of SNOMED CT that DICOM's own lists do not repeat."""


def meanings(code: Code) -> set[str]:
    """What DICOM's dictionary, as pydicom ships it, calls a code."""
    entries = (entry for by_code in concepts["SCT"].values() for value, entry in by_code.items() if value == code.value)
    return {meaning for meaning, _ in entries}


def test_every_code_is_what_dicom_says() -> None:
    codes = {c for _, t in _BY_NAME for c in (t.category, t.type, t.region) if c is not None}
    codes |= {GENERIC.category, GENERIC.type}
    for code in codes:
        if code.value in NOT_IN_DICOM:
            assert code.meaning == NOT_IN_DICOM[code.value]
            continue
        known = {meaning.lower() for meaning in meanings(code)}
        assert known, code
        words = code.meaning.lower().split()[0]
        assert any(words[:5] in meaning for meaning in known), f"{code} is {known}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("penumbra", "52674009"),
        ("Core", "55641003"),
        ("infarct_core", "55641003"),
        ("left atrium", "82471001"),
        ("LA", "82471001"),
        ("Left-Atrium", "82471001"),
        ("bladder", "89837001"),
        ("prostate", "41216001"),
        ("rectum", "34402009"),
        ("scored", "85756007"),
        ("applecore stenosis", "85756007"),
        ("lateral wall", "85756007"),
        ("", "85756007"),
    ],
)
def test_classes_by_name(name: str, value: str) -> None:
    assert term_of(name).type.value == value
