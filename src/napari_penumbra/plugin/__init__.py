"""The only folder that imports napari: the dock's host, the canvas, readers, writers and sample data."""
