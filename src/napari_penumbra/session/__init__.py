"""The one object that the window and the command line talk to. No Qt, no napari, no torch."""

from napari_penumbra.session.ahead import Ahead
from napari_penumbra.session.champion import RunInfo
from napari_penumbra.session.checking import Checking
from napari_penumbra.session.comparing import Comparing
from napari_penumbra.session.dicom import DicomImport
from napari_penumbra.session.drafts import Drafts
from napari_penumbra.session.exporting import Exporting
from napari_penumbra.session.importing import Importing
from napari_penumbra.session.preflight import Preflight
from napari_penumbra.session.recommend import Recommendation
from napari_penumbra.session.taking_back import TakingBack
from napari_penumbra.session.trust import Trust


class Session(Drafts, TakingBack, Comparing, Ahead, Trust, Exporting, DicomImport, Importing, Checking):
    """A study opened by a reader: its cases, its runs and its review.

    Signals
    -------
    study_changed
        Another study, or another set of cases.
    case_changed
        The named case has a new state, annotation or prediction.
    run_event
        A worker said something: run id and `Progress`. Sent from `poll`.
    status_changed
        The status line's words.
    failed
        A run failed or was lost; nothing that the caller did raises through here.

    draft_written, draft_failed
        How a draft ended that `save_soon` has begun. Sent from `poll`, and from whatever else saves.

    Notes
    -----
    Not for use from several threads at once, but for `methods`, `recommend`, `preflight` and `measure`, which only
    read and start processes.
    """

    def poll(self) -> None:
        """Pass on what workers and the writer of drafts have said since the last call. Cheap."""
        self.collect_draft()
        super().poll()
        self._catch_up()


__all__ = ["Preflight", "Recommendation", "RunInfo", "Session"]
