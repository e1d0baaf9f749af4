"""File > Open Sample: two real labelled scans, one simulated stroke case, and whole simulated studies in the dock."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from napari_penumbra.plugin.readers import LayerTuple, read_one

PLUGIN, WIDGET = "napari-penumbra", "Penumbra"
STROKE_SEED = 500
STUDY_LAYER = "Simulated study: opening in the Penumbra dock"


def spine_mr() -> list[LayerTuple]:
    """Real spine MR with its labels."""
    return _real("spine-mr")


def chest_ct() -> list[LayerTuple]:
    """Real chest CT with its labels."""
    return _real("chest-ct")


def _real(key: str) -> list[LayerTuple]:
    from napari_penumbra.imaging.samples import sample

    one = sample(key)
    made = [read_one(path, f"{key} · {modality}", False) for modality, path in one.image_paths().items()]
    data, arguments, kind = read_one(one.label_path(), f"{key} · labels", True)
    names = {0: "background", **one.label_names}
    arguments["features"] = {"index": list(names), "class": list(names.values())}
    return [*made, (data, arguments, kind)]


def stroke_case() -> list[LayerTuple]:
    """One simulated stroke case: seven modalities and its labels, every layer named as simulated."""
    from napari_penumbra.domain.labels import LabelScheme
    from napari_penumbra.imaging.phantom import LABELS, make_case
    from napari_penumbra.plugin.geometry import placement
    from napari_penumbra.plugin.layers import METADATA_KEY, intensity_window, label_colormap, label_names

    case = make_case(STROKE_SEED)
    scheme = LabelScheme.parse([f"{value}={name}" for value, name in LABELS.items()])
    common: dict[str, Any] = {"metadata": {METADATA_KEY: {"grid": case.grid.to_json()}}, **placement(case.grid)}
    made: list[LayerTuple] = []
    for modality, data in case.images.items():
        look = {"colormap": "gray", "visible": not made, **intensity_window(data)}
        made.append((data, {"name": f"stroke (simulated) · {modality}", **look, **common}, "image"))
    colors = {"colormap": label_colormap(scheme), "features": label_names(scheme)}
    made.append((case.labels, {"name": "stroke (simulated) · labels", **colors, **common}, "labels"))
    return made


def stroke_study() -> list[LayerTuple]:
    """Open the simulated strokes in the dock."""
    return _study("stroke")


def atrium_study() -> list[LayerTuple]:
    """Open the simulated left atria in the dock."""
    return _study("atrium")


def pelvis_study() -> list[LayerTuple]:
    """Open the simulated pelvic organs in the dock."""
    return _study("pelvis")


def lesions_2d_study() -> list[LayerTuple]:
    """Open the simulated pictures of lesions in the dock."""
    return _study("lesions-2d")


def _study(cohort: str) -> list[LayerTuple]:
    """Open a simulated cohort in the dock.

    napari wants a layer from every sample; the one returned here is an empty note, taken away once the study is open.
    """
    import numpy as np
    from napari import current_viewer
    from qtpy.QtCore import QTimer

    viewer = current_viewer()
    if viewer is not None:
        QTimer.singleShot(0, lambda: open_sample_study(viewer, cohort))
    return [(np.empty((0, 3)), {"name": STUDY_LAYER, "visible": False}, "points")]


def open_sample_study(viewer: Any, cohort: str = "stroke") -> None:
    """Open a simulated study in the dock; on the first time it is made, which takes some seconds in the background.

    Parameters
    ----------
    viewer
        The napari viewer whose dock shall show it.
    cohort
        Key of one of `imaging.cohorts.COHORTS`.
    """
    viewer = getattr(viewer, "__wrapped__", viewer)
    _, widget = viewer.window.add_plugin_dock_widget(PLUGIN, WIDGET)
    for layer in [layer for layer in viewer.layers if layer.name == STUDY_LAYER]:
        viewer.layers.remove(layer)
    in_background(lambda: make_or_find_sample_study(cohort=cohort), widget.open_study, widget.session.failed.emit)


def make_or_find_sample_study(root: Path | None = None, cohort: str = "stroke") -> Path:
    """Return the folder of a simulated study, made now if it was not there.

    Parameters
    ----------
    root
        Where; a folder of the user's own data by default.
    cohort
        Key of one of `imaging.cohorts.COHORTS`.
    """
    import platformdirs

    from napari_penumbra.study.layout import Layout
    from napari_penumbra.study.samples import make_sample_study

    folder = root or platformdirs.user_data_path(PLUGIN, appauthor=False) / f"simulated-{cohort}-study"
    if Layout(folder).manifest.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    return Path(make_sample_study(folder, cohort=cohort))


def in_background(work: Callable[[], Path], then: Callable[[Path], None], failed: Callable[[Any], None]) -> None:
    """Run ``work`` off the GUI thread with napari's activity bar, then hand its result or its error over in it."""
    from napari.qt.threading import create_worker

    from napari_penumbra.domain.errors import PenumbraError

    def on_error(error: BaseException) -> None:
        if isinstance(error, PenumbraError):
            failed(error)

    worker = create_worker(work, _start_thread=False, _progress={"desc": "Making the simulated study"})
    worker.returned.connect(then)
    worker.errored.connect(on_error)
    worker.start()
