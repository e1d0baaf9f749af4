"""A run's figures as files for TensorBoard, for those who want them: ``runs/<id>/tensorboard``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_penumbra.domain.progress import Kind, Progress
from napari_penumbra.training.events import Tell

FOLDER = "tensorboard"


class Board:
    """Passes events on and writes their losses and figures to TensorBoard's files.

    The window does not read them: whatever happens to these files, the run is not harmed.

    Parameters
    ----------
    tell
        Hears every event first.
    folder
        The run's folder.
    """

    def __init__(self, tell: Tell, folder: Path) -> None:
        self.tell = tell
        self.folder = folder / FOLDER
        self._writer: Any = None
        self._failed = False

    def __call__(self, event: Progress) -> None:
        """Pass an event on, then write its figures down."""
        self.tell(event)
        figures = {f"loss/{name}": value for name, value in event.losses.items()}
        figures |= {name.replace("reference_", "labels only/"): value for name, value in event.metrics.items()}
        if self._failed or not (figures or event.kind in (Kind.STOPPED, Kind.FINISHED)):
            return
        try:
            if self._writer is None:
                self._writer = _open(self.folder, event.step)
            for name, value in figures.items():
                self._writer.add_scalar(name, value, event.step)
            if event.kind not in (Kind.STEP,):
                self._writer.flush()
        except ImportError:
            self._give_up("TensorBoard's files are not written: the package tensorboard is missing.", _INSTALL)
        except OSError:
            self._give_up("TensorBoard's files can no longer be written.", "Free some space; the training goes on.")

    def _give_up(self, message: str, remedy: str) -> None:
        self._failed = True
        self.tell(Progress(Kind.WARNING, message=message, remedy=remedy))


_INSTALL = 'Install it with: pip install "napari-penumbra[board]"'


def _open(folder: Path, step: int) -> Any:
    """Make a writer; what an earlier process wrote from this step on is shown no more."""
    from torch.utils.tensorboard.writer import SummaryWriter

    return SummaryWriter(str(folder), purge_step=step)
