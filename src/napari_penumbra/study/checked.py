"""The part of `store.Study` that checks cases and puts them right."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from napari_penumbra.study import check_pictures, checking, fixing
from napari_penumbra.study.checking import Step
from napari_penumbra.study.checks import Finding, Offer
from napari_penumbra.study.core import Core
from napari_penumbra.study.fix_records import Done
from napari_penumbra.study.fixing import Prepared


class Checked:
    """Checks read only; `prepare_fix` writes derived files, and `apply_fix` and `undo_fix` change what a case is."""

    _core: Core

    def check(self, only: Collection[str] | None = None, *, voxels: bool = True) -> Iterator[Step]:
        """Check cases one at a time; see `checking.check`. May run in another thread, and be closed at any time."""
        return checking.check(self._core, only, voxels=voxels)

    def picture_of(self, finding: Finding) -> bytes | None:
        """Draw what a finding is about, as a small PNG; None where there is nothing to draw."""
        return check_pictures.picture_of(self._core, finding)

    def before_and_after(self, prepared: Prepared) -> bytes | None:
        """Draw what a fix would change, as a small PNG; None where there is nothing to draw."""
        return check_pictures.before_and_after(self._core, prepared)

    def prepare_fix(self, name: str, offer: Offer) -> Prepared:
        """Work out a fix; nothing counts yet. May run in another thread. See `fixing.prepare` for what it raises."""
        return fixing.prepare(self._core, name, offer)

    def apply_fix(self, prepared: Prepared, author: str = "") -> Done:
        """Make a prepared fix count; raises `StudyError` when the case has changed since."""
        return fixing.apply(self._core, prepared, author)

    def discard_fix(self, prepared: Prepared) -> None:
        """Remove the files of a fix that was refused."""
        fixing.discard(prepared)

    def fixes(self, name: str) -> list[Done]:
        """Every fix of a case, oldest first, undone ones included."""
        return fixing.done(self._core, name)

    def undo_fix(self, name: str) -> Done:
        """Take the newest fix of a case back; raises `UsageError` when there is none."""
        return fixing.undo(self._core, name)
