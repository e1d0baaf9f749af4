"""Orders to a worker: frozen values that become ``job.json``."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Literal

from napari_penumbra.domain.errors import JobError, UsageError
from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.domain.order_check import check_order

JOB_VERSION = 1
MAX_STEPS = 10_000_000
DISK_RESERVE = 500_000_000
"""Bytes: what a reader needs to go on saving labels for a day while nothing can be trained."""


@dataclass(frozen=True, slots=True)
class SpecCase:
    """A case as a worker sees it. Paths are POSIX, relative to the study's folder.

    ``images`` has one entry per modality of the spec, None where the case lacks it. ``label`` is None for an
    unlabelled case. ``key`` names the content (hash of image files), so that caches survive renaming.
    """

    name: str
    images: tuple[str | None, ...]
    grid: Grid
    label: str | None = None
    role: Literal["labelled", "unlabelled", "validation", "predict"] = "unlabelled"
    key: str = ""


@dataclass(frozen=True, slots=True)
class RunSpec:
    """One training or prediction, complete: nothing else is asked of the study while it runs.

    Attributes
    ----------
    kind
        ``train`` or ``predict``.
    study
        Absolute path of the study's folder, or ``..`` relative to the run folder; a moved study still resumes.
    config
        The method's parameters that differ from the preset.
    steps
        Optimiser steps; None takes the preset's.
    reference
        Train a supervised-only twin on the same labelled batches along with the method.
    checkpoint
        For ``predict``: folder of the checkpoint, relative to the study. For ``train``: start from there if given.
    threads
        CPU threads the worker may use; 0 lets it choose (all but one).
    disk_reserve
        Bytes that a training leaves free on the study's disk: it stops with its checkpoint before it takes them.
    tensorboard
        Also write files for TensorBoard into the run's folder.
    launch
        How its workers are started (`napari_penumbra.domain.launch.Launch`); empty for one on this computer.
    """

    kind: Literal["train", "predict"]
    modalities: tuple[str, ...]
    labels: LabelScheme
    cases: tuple[SpecCase, ...]
    method: str = ""
    preset: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    steps: int | None = None
    seed: int = 0
    reference: bool = True
    checkpoint: str | None = None
    threads: int = 0
    device: str = "auto"
    disk_reserve: int = DISK_RESERVE
    tensorboard: bool = False
    launch: dict[str, Any] = field(default_factory=dict)
    version: int = JOB_VERSION

    def of_role(self, role: str) -> tuple[SpecCase, ...]:
        """Cases of one role, in order."""
        return tuple(c for c in self.cases if c.role == role)

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``job.json``."""
        data = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        data["labels"] = self.labels.to_json()
        data["modalities"] = list(self.modalities)
        data["cases"] = [case_to_json(c) for c in self.cases]
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> RunSpec:
        """Inverse of `to_json`; raises `JobError` in words when a hand-edited file makes no sense."""
        newer = data.get("version") if isinstance(data, dict) else None
        if not isinstance(newer, int) or newer <= JOB_VERSION:  # what a newer one means is not ours to judge
            check_order(data)
        try:
            if int(data["version"]) > JOB_VERSION:
                raise JobError("This run was written by a newer version of the program.", "Update napari-penumbra.")
            steps = data["steps"]
            if steps is not None and not 1 <= int(steps) <= MAX_STEPS:
                raise JobError(f"job.json asks for {steps} steps.", f"Give a number from 1 to {MAX_STEPS:,}.")
            cases = tuple(case_from_json(c) for c in data["cases"])
            known = {f.name for f in dataclasses.fields(cls)}
            plain = {k: v for k, v in data.items() if k in known - {"cases", "labels", "modalities"}}
            return cls(
                modalities=tuple(str(m) for m in data["modalities"]),
                labels=LabelScheme.from_json(data["labels"]),
                cases=cases,
                **plain,
            )
        except UsageError as error:
            raise JobError(f"job.json is wrong: {error.message}", error.remedy) from error
        except (KeyError, TypeError, ValueError) as error:
            raise JobError(
                "job.json cannot be read as an order to the worker.",
                "Start the run anew from the Train page.",
                details=repr(error),
            ) from error


def case_to_json(case: SpecCase) -> dict[str, Any]:
    """Plain data of one case."""
    return {
        "name": case.name,
        "images": list(case.images),
        "grid": case.grid.to_json(),
        "label": case.label,
        "role": case.role,
        "key": case.key,
    }


def case_from_json(data: dict[str, Any]) -> SpecCase:
    """Inverse of `case_to_json`; raises `JobError` for a file outside the study."""
    for path in [*data["images"], data["label"]]:
        if path is not None and (PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts):
            raise JobError(f"job.json names a file outside the study: {path}.", "Start the run anew.")
    return SpecCase(
        name=str(data["name"]),
        images=tuple(data["images"]),
        grid=Grid.from_json(data["grid"]),
        label=data["label"],
        role=data["role"],
        key=str(data["key"]),
    )
