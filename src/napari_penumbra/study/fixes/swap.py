"""Let two modalities of a case change names."""

from __future__ import annotations

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.study.checks import Offer
from napari_penumbra.study.fixes._base import Change, Fix, Target


class Swap(Fix):
    """Each takes the other's file; no voxel changes."""

    kind = "swap"
    tip = "Each of the two takes the other's image; no voxel changes, labels stay where they are. Can be undone."

    def button(self, offer: Offer) -> str:
        """Name both."""
        return f"Swap {offer.modality} and {offer.other}"

    def work_out(self, case: Target, offer: Offer) -> Change:
        """Swap the paths."""
        if offer.modality == offer.other:
            raise UsageError("Two different modalities are needed to swap.", "Name both.")
        one, other = case.path_of(offer.modality), case.path_of(offer.other)
        return Change(
            f"{offer.modality} and {offer.other} were swapped", paths={offer.modality: other, offer.other: one}
        )
