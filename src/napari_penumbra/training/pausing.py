"""Pausing: a training steps aside while the reader wants the machine, and goes on as if nothing had been."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from napari_penumbra.domain.progress import Kind, Progress
from napari_penumbra.inference.predictor import free_memory

if TYPE_CHECKING:
    from napari_penumbra.training.trainer import Trainer

PAUSE_FILE = "pause"
_SECONDS = 0.25


class Pausing:
    """Watches for the file ``pause`` in a run's folder.

    Parameters
    ----------
    run
        The run's folder.
    """

    def __init__(self, run: Path) -> None:
        self.file = run / PAUSE_FILE

    def asked(self) -> bool:
        """Whether the reader wants the training to wait."""
        return self.file.exists()

    def wait(self, trainer: Trainer, asked: Callable[[], bool], stopping: Callable[[], bool]) -> None:
        """Give the graphics card's memory back and wait until the file is gone or a stop is asked for.

        The caller has saved a checkpoint: whatever happens to a waiting process, nothing is lost.

        Parameters
        ----------
        asked, stopping
            Whether to wait on, and whether to end, as all processes that train together agree.
        """
        device = trainer.machine.device
        if device.type == "cuda":
            for learner in trainer.learners():
                learner.move(torch.device("cpu"))
            free_memory()
        words = f"Paused after step {trainer.step} of {trainer.steps}: saved, and the graphics card is free."
        if device.type != "cuda":
            words = f"Paused after step {trainer.step} of {trainer.steps}: saved, and the processor is free."
        trainer.tell(Progress(Kind.PAUSED, trainer.step, trainer.steps, message=words))
        while asked():
            if stopping():
                return
            time.sleep(_SECONDS)
        if device.type == "cuda":
            for learner in trainer.learners():
                learner.move(device)
        trainer.tell(Progress(Kind.STAGE, trainer.step, trainer.steps, message="Going on after the pause."))
