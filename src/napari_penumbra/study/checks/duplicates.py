"""Whether the same scan is there twice."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np

from napari_penumbra.domain.case import Role
from napari_penumbra.study.checks._base import (
    Check,
    Figures,
    Finding,
    Offer,
    Picture,
    Scan,
    SeenCase,
    Severity,
    parts,
)


class Duplicates(Check):
    """The same voxels under two names, as two modalities, or mirrored left to right."""

    code = "duplicates"
    title = "The same scan twice"
    about = (
        "Voxel for voxel the same values (by hash), between the modalities of a case and between all cases, also with "
        "left and right exchanged. Images of one value are left out."
    )

    def measure_scan(self, scan: Scan) -> Figures | None:
        """Hash the voxels as they are and mirrored."""
        if float(scan.data.min()) == float(scan.data.max()):
            return None
        plain, mirror = hashlib.blake2b(digest_size=16), hashlib.blake2b(digest_size=16)
        for digest in (plain, mirror):
            digest.update(repr(scan.data.shape).encode())
        for plane in scan.data:  # slice by slice: a mirrored copy of the whole would take a second volume
            plain.update(np.ascontiguousarray(plane).data)
            mirror.update(np.ascontiguousarray(plane[:, ::-1]).data)
        return {"voxels": plain.hexdigest(), "mirrored": mirror.hexdigest()}

    def judge_cohort(self, cases: Sequence[SeenCase]) -> Iterable[Finding]:
        """Look for equal hashes, the earlier case first."""
        seen: dict[str, tuple[SeenCase, str]] = {}
        by_case: dict[str, list[tuple[str, Figures]]] = {}
        for modality, listed in parts(cases, self.code).items():
            for case, figures in listed:
                by_case.setdefault(case.name, []).append((modality, figures))
        told: set[tuple[str, str]] = set()
        for case in cases:
            for modality, figures in by_case.get(case.name, []):
                twin = seen.get(figures["voxels"])
                mirrored = seen.get(figures["mirrored"]) if figures["mirrored"] != figures["voxels"] else None
                if twin is not None:
                    yield from self._same(case, modality, *twin, told)
                elif mirrored is not None:
                    yield from self._mirrored(case, modality, *mirrored, told)
                seen.setdefault(figures["voxels"], (case, modality))

    def _same(
        self, case: SeenCase, modality: str, twin: SeenCase, as_modality: str, told: set[tuple[str, str]]
    ) -> Iterable[Finding]:
        if twin.name == case.name:
            yield self.found(
                case,
                Severity.WRONG,
                f"{modality} is the same image as {as_modality}, voxel for voxel.",
                "Add the case again with the right file, or mark one of them as missing.",
                modality=modality,
                other=as_modality,
                picture=Picture.IMAGE,
                offers=(Offer("missing", modality), Offer("aside")),
            )
            return
        if (case.name, twin.name) in told:
            return
        told.add((case.name, twin.name))
        frozen = Role.VALIDATION in (case.role, twin.role)
        as_what = "" if as_modality == modality else f" (there it is called {as_modality})"
        yield self.found(
            case,
            Severity.WRONG if frozen else Severity.LOOK,
            f"{modality} is the same scan as in {twin.name}{as_what}, voxel for voxel.",
            f"Set one of the two aside{': one is frozen, and measures what it has taught' if frozen else ''}.",
            modality=modality,
            beside=twin.name,
            picture=Picture.BESIDE,
            offers=(Offer("aside"),),
        )

    def _mirrored(
        self, case: SeenCase, modality: str, twin: SeenCase, as_modality: str, told: set[tuple[str, str]]
    ) -> Iterable[Finding]:
        if twin.name != case.name:
            if (case.name, twin.name) in told:
                return
            told.add((case.name, twin.name))
        where = f"{as_modality} of the same case" if twin.name == case.name else f"{as_modality} of {twin.name}"
        yield self.found(
            case,
            Severity.WRONG,
            f"{modality} is {where} with left and right exchanged, voxel for voxel.",
            "One of the two is mirrored: find out which before either is used.",
            modality=modality,
            beside="" if twin.name == case.name else twin.name,
            other=as_modality if twin.name == case.name else "",
            picture=Picture.IMAGE if twin.name == case.name else Picture.BESIDE,
            offers=(Offer("aside"),) if twin.name != case.name else (Offer("mirror", modality), Offer("aside")),
        )
