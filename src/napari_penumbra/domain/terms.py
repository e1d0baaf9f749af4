"""Coded terms for what classes usually are: SNOMED CT, as DICOM segmentations and 3D Slicer want them.

A class is recognised by its name alone. What is not recognised is called "Tissue", the generic term of DICOM's context
group 7150: a wrong code would be believed by the next program, a generic one asks for nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SCHEME = "SCT"


@dataclass(frozen=True, slots=True)
class Code:
    """One SNOMED CT concept."""

    value: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Term:
    """What a segment is.

    Attributes
    ----------
    category, type
        DICOM's Segmented Property Category and Type.
    region
        Where it is, for a finding; None for an anatomical structure.
    """

    category: Code
    type: Code
    region: Code | None = None


_ANATOMY = Code("91723000", "Anatomical Structure")
_ALTERED = Code("49755003", "Morphologically Abnormal Structure")
_TISSUE = Code("85756007", "Tissue")
_BRAIN = Code("12738006", "Brain")
_SKIN = Code("39937001", "Skin")
_HEART = Code("80891009", "Heart")
_COLON = Code("71854001", "Colon")

GENERIC = Term(_TISSUE, _TISSUE)
"""For a class that nothing is known of."""

_INFARCT = Term(_ALTERED, Code("55641003", "Infarct"), _BRAIN)

_BY_NAME: tuple[tuple[str, Term], ...] = (
    (r"penumbra|hypoperfusion|hypoperfused|tissue at risk", Term(_ALTERED, Code("52674009", "Ischemia"), _BRAIN)),
    (r"(infarct|ischa?emic|stroke) (core|lesion)|core|infarct(ion)?|stroke", _INFARCT),
    (r"ha?emorrhage|bleeding|bleed", Term(_ALTERED, Code("50960005", "Hemorrhage"))),
    (r"left atrium|la|la (cavity|blood ?pool)|left atrial cavity", Term(_ANATOMY, Code("82471001", "Left atrium"))),
    (r"right atrium|ra", Term(_ANATOMY, Code("73829009", "Right atrium"))),
    (r"left ventricle|lv|lv (cavity|blood ?pool)", Term(_ANATOMY, Code("87878005", "Left ventricle"))),
    (r"right ventricle|rv|rv (cavity|blood ?pool)", Term(_ANATOMY, Code("53085002", "Right ventricle"))),
    (r"myocardium|myo|lv myocardium", Term(_ANATOMY, Code("74281007", "Myocardium"), _HEART)),
    (r"(urinary )?bladder", Term(_ANATOMY, Code("89837001", "Bladder"))),
    (r"prostate( gland)?", Term(_ANATOMY, Code("41216001", "Prostate"))),
    (r"rectum", Term(_ANATOMY, Code("34402009", "Rectum"))),
    (r"brain", Term(_ANATOMY, _BRAIN)),
    (r"liver", Term(_ANATOMY, Code("10200004", "Liver"))),
    (r"spleen", Term(_ANATOMY, Code("78961009", "Spleen"))),
    (r"kidneys?", Term(_ANATOMY, Code("64033007", "Kidney"))),
    (r"lungs?", Term(_ANATOMY, Code("39607008", "Lung"))),
    (r"colon(ic)? polyp", Term(_ALTERED, Code("68496003", "Polyp of colon"), _COLON)),
    (r"skin lesion", Term(_ALTERED, Code("52988006", "Lesion"), _SKIN)),
    (r"lesion", Term(_ALTERED, Code("52988006", "Lesion"))),
    (r"tumou?r|neoplasm", Term(_ALTERED, Code("108369006", "Neoplasm"))),
)


def term_of(name: str) -> Term:
    """Return the coded term of a class by its name, in any capitals; `GENERIC` when none is known."""
    plain = re.sub(r"[\s_\-]+", " ", name).strip().lower()
    return next((term for pattern, term in _BY_NAME if re.fullmatch(pattern, plain)), GENERIC)
