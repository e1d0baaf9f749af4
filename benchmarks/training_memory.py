"""Peak memory of a training worker with few and with many cases: it must depend on the batch, not on the cohort."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import machine

from napari_penumbra.study.samples import make_sample_study

STEPS = 12


def peak(cases: int) -> float:
    """Largest memory in MiB that the worker reported of itself."""
    study = make_sample_study(Path(tempfile.mkdtemp()) / "study", cases=cases, modalities=("DWI", "ADC", "Tmax"))
    command = [
        sys.executable,
        "-m",
        "napari_penumbra.cli",
        "train",
        str(study),
        "--steps",
        str(STEPS),
        "--threads",
        "1",
    ]
    subprocess.run(command, check=True, capture_output=True)
    events = [
        json.loads(line) for line in next((study / "runs").glob("*teacher*/events.jsonl")).read_text().splitlines()
    ]
    return max(e["metrics"].get("memory_bytes", 0) for e in events) / 2**20


def main() -> None:
    """Compare 8 cases with 64."""
    few, many = peak(8), peak(64)
    machine.save("training_memory", {"mib_8_cases": few, "mib_64_cases": many, "ratio": many / few})


if __name__ == "__main__":
    main()
