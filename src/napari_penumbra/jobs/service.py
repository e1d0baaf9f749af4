"""Processes beside trainings: models measured on the frozen cases, models from elsewhere checked."""

from __future__ import annotations

import sys
from pathlib import Path

from napari_penumbra.domain.errors import ModelError
from napari_penumbra.jobs.launch import ask, start

MODULE = "napari_penumbra.training.service"


def measure(folder: Path, python: str = sys.executable, threads: int = 0) -> int:
    """Start measuring in a prepared folder, detached; returns the process number. Raises `JobError` in words."""
    return start([python, "-m", MODULE, "measure", str(folder.resolve())], folder, threads)


def check_model(folder: Path, python: str = sys.executable) -> None:
    """Let a worker compare a checkpoint's weights with the method they are for. Takes seconds.

    Raises
    ------
    ModelError
        They do not fit; the message names what.
    JobError
        The worker could not be asked.
    """
    answer = ask("check-model", str(folder.resolve()), python=python, module=MODULE)
    if not isinstance(answer, dict) or not answer.get("ok"):
        told = answer if isinstance(answer, dict) else {}
        raise ModelError(
            str(told.get("error") or "The model could not be checked."),
            str(told.get("remedy") or "See `penumbra doctor`."),
            details=str(told.get("details") or ""),
        )
