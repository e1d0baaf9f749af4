"""Move a modality onto the first one of its case."""

from __future__ import annotations

from dataclasses import asdict

from napari_penumbra.domain.errors import GeometryError, UsageError
from napari_penumbra.imaging.registering import move, register
from napari_penumbra.study.checks import Offer
from napari_penumbra.study.fixes._base import Change, Fix, Target


class Register(Fix):
    """Rigid registration onto the case's first modality; the reader looks at the result before it counts."""

    kind = "register"
    tip = (
        "Finds the rigid motion that brings it onto the first modality, and shows before and after. Nothing changes "
        "until you accept; it can be undone."
    )
    asks = True

    def button(self, offer: Offer) -> str:
        """Name the modality."""
        return f"Register {offer.modality}…"

    def work_out(self, case: Target, offer: Offer) -> Change:
        """Register."""
        first = next(iter(case.images), "")
        if offer.modality == first:
            raise UsageError(
                f"{first} gives the grid of {case.name}: the others are registered onto it.", "Name another modality."
            )
        fixed, moving = case.read_in_place(first), case.read_in_place(offer.modality)
        motion = register(fixed, moving)
        if not motion.better:
            raise GeometryError(
                f"No motion brings {offer.modality} of {case.name} closer to {first} than it is.",
                "Compare them by eye; if they show different things, mark it as missing.",
            )
        words = f"{offer.modality} was registered onto {first}: {motion.words}"
        return Change(words, volumes={offer.modality: move(moving, motion.matrix)}, facts=asdict(motion))
