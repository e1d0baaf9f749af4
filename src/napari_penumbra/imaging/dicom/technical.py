"""The whitelist: what of a header may enter a study. Numbers, and words out of a list of our own."""

from __future__ import annotations

import re
from typing import Any

from napari_penumbra.imaging.dicom.values import number, words

NUMBERS = {
    "field_strength_t": "MagneticFieldStrength",
    "echo_time_ms": "EchoTime",
    "repetition_time_ms": "RepetitionTime",
    "inversion_time_ms": "InversionTime",
    "flip_angle_deg": "FlipAngle",
    "slice_thickness_mm": "SliceThickness",
    "kvp": "KVP",
}
"""Name in the study to DICOM keyword: plain numbers, which name nobody."""

MODALITIES = ("MR", "CT", "PT", "NM", "US", "CR", "DX", "MG", "XA", "RF", "OT", "SC", "OP", "ES", "XC", "GM", "SM")
"""Values of Modality that are passed on; anything else is called "image"."""

MAKERS = (
    "SIEMENS", "PHILIPS", "GE MEDICAL", "TOSHIBA", "CANON", "HITACHI", "UIH", "UNITED IMAGING", "FUJI", "BRUKER",
    "SHIMADZU", "NEUSOFT", "SAMSUNG", "ESAOTE",
)  # fmt: skip
MODELS = (
    "ACHIEVA", "AERA", "AMIRA", "AQUILION", "AVANTO", "BIOGRAPH", "BRILLIANCE", "DISCOVERY", "ELITION", "ESPREE",
    "FORCE", "GYROSCAN", "HARMONY", "ICT", "INGENIA", "INTERA", "LIGHTSPEED", "LUMINA", "MAGNETOM", "OPTIMA", "PRISMA",
    "PROSPEED", "REVOLUTION", "SENSATION", "SIGNA", "SKYRA", "SOLA", "SOMATOM", "SONATA", "SYMPHONY", "TERRA", "TITAN",
    "TRIO", "VANTAGE", "VERIO", "VIDA",
)  # fmt: skip
"""Scanners that are passed on by name. The tag itself is free text, and some sites write the ward into it."""


def technical(header: Any) -> tuple[tuple[str, float | str], ...]:
    """Read what the whitelist allows, as (name, value) pairs; absent ones are left out."""
    found: list[tuple[str, float | str]] = []
    for name, keyword in NUMBERS.items():
        value = number(header, keyword)
        if value is not None and abs(value) < 1e6:
            found.append((name, round(value, 4)))
    for name, keyword, known in (("maker", "Manufacturer", MAKERS), ("scanner", "ManufacturerModelName", MODELS)):
        text = words(header, keyword)
        hits = [word for word in known if re.search(rf"\b{re.escape(word)}", text)]
        if hits:
            found.append((name, hits[0].title() if len(hits[0]) > 3 else hits[0]))
    return tuple(found)
