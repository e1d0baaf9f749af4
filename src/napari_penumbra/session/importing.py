"""Bringing many cases in: own files by a pattern of their names, data sets by recipe. Looks first, then adds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.session.base import Base
from napari_penumbra.study.importers import recipes
from napari_penumbra.study.importers.fitting import fit, modalities_of, scheme_of
from napari_penumbra.study.importers.folder import FolderPlan, plan_folder
from napari_penumbra.study.importers.patterns import guess, plan_pattern
from napari_penumbra.study.importers.preview import Preview, preview
from napari_penumbra.study.importers.splitting import Spacing, Split, look_inside


@dataclass(frozen=True, slots=True)
class Ask:
    """Which of one's own files to bring in.

    Attributes
    ----------
    images
        Folder with the scans.
    labels
        Folder with masks, if they lie elsewhere.
    pattern
        Of the names, see `study.importers.patterns`; empty for the names that are understood without one.
    split
        What becomes of files with several volumes.
    spacing
        Edge lengths of a voxel along x, y, z in mm, for files that do not say them.
    """

    images: Path
    labels: Path | None = None
    pattern: str = ""
    split: Split = Split.REFUSE
    spacing: Spacing | None = None


class Importing(Base):
    """Plans and adds many cases."""

    def guess_patterns(self, images: Path) -> list[str]:
        """Patterns that fit the names in a folder, the best first."""
        return guess(images, self.opened().modalities)

    def plan_files(self, ask: Ask) -> FolderPlan:
        """Say what would be added, reading headers only; raises `UsageError` when nothing would."""
        study = self.opened()
        if ask.pattern.strip():
            plan = plan_pattern(ask.images, ask.pattern, study.modalities, ask.labels)
        else:
            plan = plan_folder(ask.images, ask.labels, study.modalities)
        return study.marked(look_inside(plan, study.modalities, ask.split, ask.spacing))

    def plan_dataset(self, key: str, folder: Path) -> FolderPlan:
        """Say what a published data set would add to the open study; raises `UsageError` when it is another one."""
        study = self.opened()
        recipe, found = recipes.find(key, folder)
        return study.marked(fit(recipe, found, study.modalities, study.labels))

    def create_for(self, key: str, folder: Path, root: Path, name: str = "") -> None:
        """Make a study with the modalities and classes of a data set, and open it."""
        recipe, found = recipes.find(key, folder)
        self.create(root, name or found.title or recipe.title, modalities_of(recipe, found), scheme_of(recipe, found))

    def preview(self, plan: FolderPlan) -> Preview:
        """Make the table that the window and the command line show."""
        return preview(plan, self.opened().modalities)

    def add_planned(
        self, plan: FolderPlan, jobs: int | None = None, *, gentle: bool = False
    ) -> Iterator[tuple[str, list[str] | PenumbraError]]:
        """Add the cases of a plan; one that cannot be added does not stop the rest, one that is there is passed over.

        Parameters
        ----------
        jobs
            How many at once; None decides by cores and size.
        gentle
            Let other programs go first: a window is being worked in.
        """
        study = self.writable()
        try:
            yield from study.add_planned(plan, self.reader, jobs, gentle)
        finally:
            self.study_changed.emit()
            self._update_status()


def preview_dataset(key: str, folder: Path) -> Preview:
    """Make the table of a data set without any study: what a new one would hold."""
    recipe, found = recipes.find(key, folder)
    modalities, labels = modalities_of(recipe, found), scheme_of(recipe, found)
    return preview(fit(recipe, found, modalities, labels), modalities)
