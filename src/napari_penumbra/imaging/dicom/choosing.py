"""Which series of an exam is which modality of the study: a first guess that the reader sees and may change."""

from __future__ import annotations

import re
from collections.abc import Sequence

from napari_penumbra.imaging.dicom.names import recognise
from napari_penumbra.imaging.dicom.offers import Offer

_USUAL_B = 1000.0


def choose(offers: Sequence[Offer], modalities: Sequence[str]) -> dict[int, str]:
    """Guess which offers become which modalities.

    Parameters
    ----------
    modalities
        The study's; its own names are looked up in the same vocabulary as the series' (``Diffusion b1000`` is DWI).

    Returns
    -------
    dict
        Index into ``offers`` to modality; each modality at most once. Localisers and what cannot be read are never
        chosen, one of several points in time only where the modality is called cine or perfusion.
    """
    chosen: dict[int, str] = {}
    for modality in modalities:
        ranked = [(score, -n) for n, o in enumerate(offers) if n not in chosen and (score := _score(o, modality)) > 0]
        if ranked:
            chosen[-max(ranked)[1]] = modality
    usable = [n for n, o in enumerate(offers) if o.usable and not o.localiser and not o.computed]
    if not chosen and len(modalities) == len(usable) == 1:
        return {usable[0]: modalities[0]}
    return chosen


def _score(offer: Offer, modality: str) -> float:
    """How well an offer fits a modality's name: 0 not at all."""
    if not offer.usable or offer.localiser:
        return 0.0
    wanted_b = re.search(r"\bB\s?=?\s?(\d{1,5})\b", modality.upper().replace("_", " "))
    family = recognise(modality, diffusion=wanted_b is not None)
    if _plain(offer.label) == _plain(modality):
        score = 10.0
    elif family and offer.named.family == family:
        score = 5.0
    elif _plain(modality) == _plain(offer.modality):
        score = 2.0
    else:
        return 0.0
    if offer.times > 1 and family not in ("cine", "perfusion"):
        return 0.0
    if offer.named.family == "DWI" and offer.named.b_value is not None:
        if wanted_b is not None and float(wanted_b[1]) != offer.named.b_value:
            return 0.0
        if wanted_b is None and offer.named.b_value == 0:
            return 0.0
        score -= min(abs(offer.named.b_value - _USUAL_B) / 1e4, 0.5)
    grid = offer.grid
    slices = grid.shape[2] if grid is not None else 0
    # A derived reformat has fewer slices or other directions; what was measured comes first.
    return score + min(slices, 500) / 1e3 - (1.0 if offer.computed else 0.0) - (0.5 if offer.capture else 0.0)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9*]+", "", name.lower())
