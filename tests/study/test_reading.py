from __future__ import annotations

import subprocess
import sys

from study_scans import scan

from napari_penumbra.study.store import Study

FIRST_TO_READ = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from napari_penumbra.study import reading
from napari_penumbra.study.store import Study


class Watched(ThreadPoolExecutor):
    def __init__(self, *args):
        assert "nibabel.nifti2" in sys.modules, "threads would race to import nibabel"
        super().__init__(*args)


assert "nibabel" not in sys.modules  # else this proves nothing
reading.ThreadPoolExecutor = Watched
with Study.open(Path(sys.argv[1]), write=False) as study:
    print(sorted(study.read("two").images))
"""


def test_the_first_case_of_a_fresh_process_is_read_in_threads(study: Study, files) -> None:
    study.add_case("two", {"DWI": scan(files / "a.nii.gz", seed=1), "T2": scan(files / "b.nii.gz", seed=2)})
    done = subprocess.run([sys.executable, "-c", FIRST_TO_READ, str(study.root)], capture_output=True, text=True)
    assert done.stdout.strip() == "['DWI', 'T2']", done.stderr[-2000:]
