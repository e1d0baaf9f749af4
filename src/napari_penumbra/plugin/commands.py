"""Commands that napari shows in its menus. It fills in the viewer by the annotation, so that one is a real import."""

from napari.viewer import Viewer

from napari_penumbra.plugin import sample_data


def open_sample_study(viewer: Viewer) -> None:
    """Open the simulated stroke study in the dock."""
    sample_data.open_sample_study(viewer)
