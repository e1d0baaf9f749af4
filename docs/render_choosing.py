"""Write ``docs/choosing-a-method.md`` from the tables in the code: ``python docs/render_choosing.py``."""

from __future__ import annotations

from pathlib import Path

from napari_penumbra.session.facts import SMALLEST_PIECE
from napari_penumbra.session.recommend import tables_markdown

PAGE = Path(__file__).with_name("choosing-a-method.md")
TEXT = f"""# Choosing a method

`penumbra train STUDY` and the first entry of the Train page's list, *Recommended*, choose a method and a preset by two
tables. Each is read from the top; the first line that holds decides. A line whose method is not installed is passed
over. The reason is printed on the command line and shown under the list; choose another entry, or give `--method` and
`--preset`, to overrule it. The run's `job.json` names the method that was chosen.

{tables_markdown()}

What is looked at: the grids of the cases (slices along the coarsest axis, their distance, the width of a voxel;
medians), how many modalities most cases have, the number of label classes, the foreground of the labelled cases (its
share of the known voxels; connected pieces of at least {SMALLEST_PIECE:.0%} of a case's foreground; medians), the size
of the two pools, and the machine. Frozen validation cases are not looked at.

The tables repeat what each paper was written for, but for two lines ([figures](methods.md)). COL-Net's own data have
voxels as thick as wide, and on simulated strokes of that kind it came out behind a 3D network that learns from labels
only, while mean teacher and co-learning came out ahead of it. So it is recommended for thick slices only, for which
nothing was measured. ASDNet was written for several organs; on real hearts in thick slices it gained nothing over
labels alone on its own network, and the mean teacher gained on every draw. For finer slices nothing was measured. The
tables are not a promise: the labels-only line on the Train page shows what the unlabelled
cases gain on *your* data, and [the methods' own pages](methods/) say what each expects.

<!-- Made by docs/render_choosing.py from src/napari_penumbra/session/recommend.py. -->
"""

if __name__ == "__main__":
    PAGE.write_text(TEXT, encoding="utf-8")
