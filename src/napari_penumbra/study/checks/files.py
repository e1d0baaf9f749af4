"""Whether every file of the case can be read."""

from __future__ import annotations

from collections.abc import Iterable

from napari_penumbra.study.checks._base import Check, Finding, Offer, SeenCase, Severity


class Files(Check):
    """Headers that cannot be read, and voxels that end before the header says."""

    code = "files"
    title = "Files can be read"
    about = "The header of every image and, unless only headers are asked for, all of its voxels with their checksum."

    def judge(self, case: SeenCase) -> Iterable[Finding]:
        """Say which file is gone or damaged."""
        for image in case.images.values():
            problem = image.problem
            remedy = image.remedy
            if not problem and "problem" in (figures := case.of(self.code).get(image.modality, {})):
                problem, remedy = str(figures["problem"]), str(figures.get("remedy", ""))
            if not problem:
                continue
            offers = [Offer("aside")]
            if len(case.images) > 1:
                offers.insert(0, Offer("missing", image.modality))
            yield self.found(
                case,
                Severity.WRONG,
                f"{image.modality}: {problem}",
                remedy or "Put it back from a backup, or mark it as missing.",
                modality=image.modality,
                offers=tuple(offers),
            )
        broken = case.of(self.code).get("label", {})
        if "problem" in broken:
            yield self.found(case, Severity.WRONG, f"Labels: {broken['problem']}", str(broken.get("remedy", "")))
