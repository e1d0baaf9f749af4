"""Treat a modality as not there."""

from __future__ import annotations

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.study.checks import Offer
from napari_penumbra.study.fixes._base import Change, Fix, Target


class Missing(Fix):
    """The case counts as lacking the modality; the file stays in the study."""

    kind = "missing"
    tip = "The case counts as having no such image: methods see 0 there. The file stays; this can be undone."

    def button(self, offer: Offer) -> str:
        """Name the modality."""
        return f"Mark {offer.modality} as missing"

    def work_out(self, case: Target, offer: Offer) -> Change:
        """Take the modality away."""
        case.path_of(offer.modality)
        if len(case.images) == 1:
            raise UsageError(
                f"{offer.modality} is the only image of {case.name}.", "Set the case aside instead of marking it."
            )
        return Change(f"{offer.modality} counts as missing", paths={offer.modality: None})
