"""Qt pages that know the session and a canvas, never napari or torch."""
