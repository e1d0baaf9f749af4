"""Steps per second of a mean teacher: ours, as ``penumbra train`` runs it, and PyMIC's trainer, by turns."""

from __future__ import annotations

import importlib.metadata
import os
import statistics
from pathlib import Path
from typing import Any

from speed_parts.training import other_side, ours, settings_of

VERSION = "0.6.2"
HOW = f"""PyMIC is not installed: its rows are left out. For them:
    pip install --no-deps --target FOLDER PyMIC=={VERSION} tensorboardX
    PYTHONPATH=FOLDER python benchmarks/speed.py --part pymic"""
NETWORKS = ("U-Net", "V-Net")
"""DeepMedic answers for the middle of a patch only, which PyMIC's losses do not know."""
LOADERS = (0, 2)
"""Processes of each of PyMIC's two loaders; its own default of 16 is meant for more cores."""


def installed() -> bool:
    """Whether the version that is compared is there."""
    try:
        return importlib.metadata.version("PyMIC") == VERSION
    except importlib.metadata.PackageNotFoundError:
        return False


def compare(folder: Path, names: list[str], study: Path, network: str, steps: int, rounds: int, threads: int) -> Any:
    """Run both sides by turns; medians of the rounds, and how many times the better one of PyMIC's ours are."""
    preset, settings = settings_of(network, steps)
    found: dict[str, list[float]] = {}
    facts: dict[str, Any] = {}
    for _ in range(rounds):
        for loaders in LOADERS:
            more = ("--loaders", str(loaders))
            facts = other_side("pymic_loop", folder, names, preset, settings, threads, *more)
            found.setdefault(f"PyMIC, {loaders} loaders", []).append(facts.pop("steps_per_second"))
        found.setdefault("ours", []).append(ours(study, preset, settings, threads))
        only32 = ours(study, preset, settings, threads, {"PENUMBRA_BFLOAT16": "0"})
        found.setdefault("ours, float32", []).append(only32)
    middle = {side: statistics.median(values) for side, values in found.items()}
    theirs = max(value for side, value in middle.items() if side.startswith("PyMIC"))
    ratio = {side: value / theirs for side, value in middle.items() if side.startswith("ours")}
    facts["load_average"] = round(os.getloadavg()[1], 1)  # above the cores' number others slowed both sides
    return {"steps_per_second": middle, "rounds": found, "ratio": ratio, **facts, "settings": settings}
