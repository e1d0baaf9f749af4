"""Take a case out of use, and back."""

from __future__ import annotations

from napari_penumbra.domain.case import Role
from napari_penumbra.domain.errors import UsageError
from napari_penumbra.study.checks import Offer
from napari_penumbra.study.fixes._base import Change, Fix, Target


class Aside(Fix):
    """The case stays in the study with all that was drawn; nothing learns from it, predicts it or is measured on it."""

    kind = "aside"
    tip = (
        "Nothing learns from the case or predicts it from now on. It stays in the study, labels and all; can be undone."
    )

    def button(self, offer: Offer) -> str:
        """Say it."""
        return "Set the case aside"

    def work_out(self, case: Target, offer: Offer) -> Change:
        """Give it the role."""
        if case.role is Role.ASIDE:
            raise UsageError(f"{case.name} is set aside already.", "`penumbra fix` with `back` takes it in again.")
        return Change("the case was set aside", role=Role.ASIDE, facts={"role": case.role.value})


class Back(Fix):
    """The case is used again, for what it was used before nobody knows when: as a training case.

    Undoing a setting aside gives back the very role the case had; this is for when more has happened since.
    """

    kind = "back"
    tip = "The case is used again, as a training case."

    def button(self, offer: Offer) -> str:
        """Say it."""
        return "Use the case again"

    def work_out(self, case: Target, offer: Offer) -> Change:
        """Give it the role of a training case."""
        if case.role is not Role.ASIDE:
            raise UsageError(f"{case.name} is not set aside.", "Nothing to do.")
        return Change("the case is used again", role=Role.TRAINING)
