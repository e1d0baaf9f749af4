"""Import of the plugin in a napari that is already running, and proof that torch stays out. Target: under 0.3 s."""

from __future__ import annotations

import statistics
import subprocess
import sys

import machine

CODE = """
import sys, time
import napari, qtpy.QtWidgets, napari.layers, napari.viewer
start = time.perf_counter()
import napari_penumbra.plugin.main_widget
seconds = time.perf_counter() - start
assert "torch" not in sys.modules and "monai" not in sys.modules
print(seconds)
"""


def main() -> None:
    """Take the median of five fresh processes."""
    times = [float(subprocess.check_output([sys.executable, "-c", CODE], text=True)) for _ in range(5)]
    machine.save("import_time", {"target_s": 0.3, "median_s": statistics.median(times), "all_s": times})


if __name__ == "__main__":
    main()
