"""Label a cohort of 3D scans in napari while a background process learns from all of them."""

__version__ = "0.1.0"
