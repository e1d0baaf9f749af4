"""From what a scanner wrote to a name out of a list of our own.

Descriptions are free text and hold patients' names often enough. Nothing of them is passed on: they are only searched
for words that mean a sequence, and a series in which none is found is called "series 3 MR 5 mm".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_WORDS: tuple[tuple[str, str], ...] = (
    ("Tmax", r"T[\s_-]?MAX"),
    ("TTP", r"\bR?E?L?TTP\b|TIME[\s_-]?TO[\s_-]?PEAK"),
    ("MTT", r"\bR?E?L?MTT\b|MEAN[\s_-]?TRANSIT"),
    ("CBF", r"\b(R|REL|CORR)?[\s_-]?CBF\b|BLOOD[\s_-]?FLOW"),
    ("CBV", r"\b(R|REL|CORR)?[\s_-]?CBV\b|BLOOD[\s_-]?VOLUME"),
    ("eADC", r"\bE[\s_-]?ADC\b|EXPONENTIAL"),
    ("ADC", r"\bD?ADC\b|APPARENT[\s_-]?DIFF"),
    ("FA", r"\bFA\b|FRACTIONAL[\s_-]?ANISO"),
    ("LGE", r"\bLGE\b|LATE[\s_-]?(GAD|ENH)|\bPSIR\b|DELAYED?[\s_-]?ENH|\bDE[\s_-]?IR\b|VIABILITY"),
    ("T1 map", r"\bT1[\s_-]?MAP|\bMOLLI|SHMOLLI|\bSASHA\b"),
    ("T2 map", r"\bT2[\s_-]?MAP"),
    ("FLAIR", r"FLAIR|DARK[\s_-]?FLUID"),
    ("DWI", r"\bE?DWI\b|DIFFUSION|\bDIFF\b|TRACEW?\b|\bEP2D_DIFF|EP_B\d|\bDTI\b"),
    ("perfusion", r"PERF|\bDSC\b|\bDCE\b|\bPWI\b|\bCTP\b"),
    ("SWI", r"\bSWI\b|SUSCEPT|\bSWAN\b|VENBOLD|\bMIP_SWI"),
    ("T2*", r"\bT2\s?\*|T2[\s_-]?STAR|\bHEMO\b"),
    ("cine", r"\bCINE|TRUFI|FIESTA|\bBTFE\b|B[\s_-]TFE"),
    ("angiography", r"\bTOF\b|\bMRA\b|\bCTA\b|ANGIO"),
    ("STIR", r"\bSTIR\b|\bTIRM\b"),
    ("PD", r"\bPD\b|PROTON[\s_-]?DENS|\bPDW"),
    ("T1", r"\bT1|MPRAGE|\bMP2RAGE|\bBRAVO\b|\bSPGR\b|\bVIBE\b|\bLAVA\b"),
    ("T2", r"\bT2"),
)  # fmt: skip
_PATTERNS = tuple((name, re.compile(pattern)) for name, pattern in _WORDS)
_CONTRAST = re.compile(r"\+\s?(C|GD|KM)\b|\bGD\b|\bPOST\b|\bCE\b|CONTRAST|\bT1C\b")
_MAPS = ("Tmax", "TTP", "MTT", "CBF", "CBV", "eADC", "ADC", "FA", "T1 map", "T2 map")
VOCABULARY = (*(name for name, _ in _WORDS), "T1 contrast", "CT", "PET")
"""Every name that a series can be given, beside "series 3 MR 5 mm"."""


@dataclass(frozen=True, slots=True)
class Named:
    """What a series is called.

    Attributes
    ----------
    family
        One of `VOCABULARY`, or empty when nothing was recognised.
    b_value, echo
        s/mm² and ms where they tell this part of the series from its others.
    """

    family: str = ""
    b_value: float | None = None
    echo: float | None = None

    @property
    def is_map(self) -> bool:
        """Whether it was computed from other images: it is no diffusion image although one of its b-values says so."""
        return self.family in _MAPS


def recognise(text: str, modality: str = "", *, diffusion: bool = False) -> str:
    """Find a family of `VOCABULARY` in free text; empty when there is none.

    Parameters
    ----------
    text
        What the scanner wrote, in any case; underscores count as blanks.
    modality
        DICOM's Modality; CT and PT have a name even without words.
    diffusion
        Whether the header has a b-value.
    """
    plain = re.sub(r"[_/^\\.,;:()\[\]]+", " ", text.upper())
    found = next((name for name, pattern in _PATTERNS if pattern.search(plain) or pattern.search(text.upper())), "")
    if found == "T1" and _CONTRAST.search(plain):
        return "T1 contrast"
    if modality == "CT":
        return found if found in (*_MAPS, "perfusion", "angiography") else "CT"
    if modality == "PT":
        return "PET"
    if diffusion and found not in _MAPS:
        return "DWI"
    return found


def by_timing(technical: dict[str, float | str], scanning: str) -> str:
    """Guess T1, T2 or FLAIR from repetition, echo and inversion time of a spin echo; empty when they do not tell."""
    repetition, echo, inversion = (
        value if isinstance(value := technical.get(key), float) else None
        for key in ("repetition_time_ms", "echo_time_ms", "inversion_time_ms")
    )
    if "SE" not in scanning or repetition is None or echo is None:
        return ""
    if inversion is not None and inversion > 1500 and echo > 60:
        return "FLAIR"
    if inversion is None or inversion == 0:
        if repetition < 1000 and echo < 30:
            return "T1"
        if repetition > 2000:
            return "T2" if echo > 60 else "PD" if echo < 40 else ""
    return ""


def label_of(named: Named, number: int | None, modality: str, thickness: float | None) -> str:
    """Say the name: ``DWI b1000``, ``T2 echo 80 ms``, ``CT``, or ``series 3 MR 5 mm``."""
    if named.family:
        label = named.family
    else:
        where = "series without a number" if number is None else f"series {number}"
        label = f"{where} {modality}" + (f" {thickness:.3g} mm" if thickness else "")
    if named.b_value is not None and named.family == "DWI":
        label += f" b{named.b_value:.0f}"
    if named.echo is not None:
        label += f" echo {named.echo:.3g} ms"
    return label
