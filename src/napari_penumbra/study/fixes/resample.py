"""Bring an image onto the grid of its case."""

from __future__ import annotations

from napari_penumbra.domain.errors import GeometryError, UsageError
from napari_penumbra.imaging.resample import displacement_mm, resample
from napari_penumbra.study.checks import Offer
from napari_penumbra.study.checks.grids import same_grid
from napari_penumbra.study.fixes._base import Change, Fix, Target


class Resample(Fix):
    """One linear interpolation onto the case's grid; what the image does not cover becomes 0."""

    kind = "resample"
    tip = "Brings it onto the grid of the first modality by linear interpolation. The file stays; this can be undone."

    def button(self, offer: Offer) -> str:
        """Name the modality."""
        return f"Resample {offer.modality}"

    def work_out(self, case: Target, offer: Offer) -> Change:
        """Resample."""
        volume = case.read(offer.modality)
        if same_grid(volume.grid, case.grid):
            raise UsageError(f"{offer.modality} of {case.name} lies on the case's grid already.", "Nothing to do.")
        moved = displacement_mm(volume.grid, case.grid)
        result = resample(volume, case.grid, "linear")
        if not result.data.any():
            raise GeometryError(
                f"{offer.modality} of {case.name} does not overlap the case's grid at all.",
                "It is another part of the patient, or another patient: mark it as missing.",
            )
        words = f"{offer.modality} was resampled onto the case's grid, by up to {moved:.1f} mm"
        return Change(words, volumes={offer.modality: result}, facts={"resampled_mm": moved})
