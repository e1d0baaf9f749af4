"""The part of `store.Study` that takes cases in from files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from napari_penumbra.domain.case import Closing
from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.study import adding, bulk
from napari_penumbra.study.core import Core
from napari_penumbra.study.importers.folder import FolderPlan, plan_folder
from napari_penumbra.study.reachable import reaching


class Intake:
    """Adds one case, a folder of them, or a plan that the reader has looked at."""

    _core: Core

    @reaching
    def add_case(
        self,
        name: str,
        images: Mapping[str, Path],
        label: Path | None = None,
        *,
        resample_label: bool = False,
        label_closing: Closing = Closing.COMPLETE,
        author: str = "",
    ) -> list[str]:
        """Take a case in: all of it, or nothing when anything is wrong.

        Parameters
        ----------
        images
            Modality to file; ``RGB`` gives one picture for Red, Green and Blue. The first modality in the study's order
            gives the grid; the others are resampled onto it where they differ. Missing ones are allowed while there is
            one.
        label
            A mask on the reference grid.
        resample_label
            Bring a mask of another grid onto the case's (nearest) instead of refusing it.
        label_closing
            How to understand the mask: complete, partial (slices without paint are unknown), or a draft.
        author
            Who stands for the mask.

        Returns
        -------
        list of str
            What the reader should know, in words.

        Raises
        ------
        UsageError
            A name that is taken or cannot be used, or no image.
        ImageError, LabelError
            A file cannot be read, or its label values are not the study's.
        GeometryError
            The mask lies on another grid, or two files share no space at all.
        """
        new = adding.NewCase(name, images, label, resample_label, label_closing, author)
        return adding.add_case(self._core, new)

    def plan_folder(self, images: Path, labels: Path | None = None) -> FolderPlan:
        """Say what `add_folder` would add and leave out; changes nothing."""
        return plan_folder(Path(images), None if labels is None else Path(labels), self._core.manifest.modalities)

    def add_folder(self, images: Path, labels: Path | None = None) -> Iterator[tuple[str, list[str] | PenumbraError]]:
        """Add every case of a folder; one that cannot be added does not stop the rest, a known name is passed over.

        Parameters
        ----------
        images
            Files named by case (one modality), ``<case>_<MODALITY>.*``, or a folder per case with ``<MODALITY>.*``.
        labels
            Folder with ``<case>.*``, ``<case>_label.*`` and the like.

        Yields
        ------
        tuple
            Name of the case, and its warnings or why it was not added.
        """
        yield from self.add_planned(self.plan_folder(images, labels))

    def add_planned(
        self, plan: FolderPlan, author: str = "", jobs: int | None = None, gentle: bool = False
    ) -> Iterator[tuple[str, list[str] | PenumbraError]]:
        """Add the cases of a plan, several at once; see `bulk.add_all`."""
        yield from bulk.add_all(self._core, plan.cases, author, jobs, gentle)

    def marked(self, plan: FolderPlan) -> FolderPlan:
        """Return a plan that says which of its cases the study has already; they are left out when it is added."""
        there = bulk.present(self._core, {case.name for case in plan.cases})
        return replace(plan, cases=tuple(replace(case, present=case.name in there) for case in plan.cases))
