"""Steps per second of a mean teacher: ours, as ``penumbra train`` runs it, and the plain loop, by turns."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from speed_parts.scans import LABELLED, penumbra

WARM = 2
"""Steps that are not timed: the first ones choose algorithms and fill caches."""
NETWORKS: dict[str, dict[str, Any]] = {
    "V-Net": {"preset": "laptop", "backbone": "vnet", "patch": [48, 64, 64], "labelled_batch": 2},
    "DeepMedic": {"preset": "paper", "patch": [21, 37, 37], "labelled_batch": 8},
    "U-Net": {"preset": "laptop", "patch": [32, 64, 64], "labelled_batch": 2},
}
"""Settings of the mean teacher. Each step has as many unlabelled as labelled patches."""


def compare(folder: Path, names: list[str], study: Path, network: str, steps: int, rounds: int, threads: int) -> Any:
    """Run both sides by turns; medians of the rounds and their ratio."""
    preset, settings = settings_of(network, steps)
    found: dict[str, list[float]] = {"plain": [], "ours": [], "ours, float32": []}
    for _ in range(rounds):
        found["plain"].append(plain(folder, names, preset, settings, threads))
        found["ours"].append(ours(study, preset, settings, threads))
        found["ours, float32"].append(ours(study, preset, settings, threads, {"PENUMBRA_BFLOAT16": "0"}))
    middle = {side: statistics.median(values) for side, values in found.items()}
    ratios = {side: middle[side] / middle["plain"] for side in middle if side != "plain"}
    return {"steps_per_second": middle, "rounds": found, "ratio": ratios, "settings": {"preset": preset, **settings}}


def settings_of(network: str, steps: int) -> tuple[str, dict[str, Any]]:
    """Preset and settings of a network's run with so many timed steps."""
    settings = dict(NETWORKS[network])
    preset = settings.pop("preset")
    settings |= {"steps": steps + WARM, "pretrain_steps": 0, "unlabelled_batch": settings["labelled_batch"]}
    return preset, settings


def plain(folder: Path, names: list[str], preset: str, settings: dict[str, Any], threads: int) -> float:
    """Steps per second of the plain loop."""
    return float(other_side("plain", folder, names, preset, settings, threads)["steps_per_second"])


def other_side(
    module: str, folder: Path, names: list[str], preset: str, settings: dict[str, Any], threads: int, *more: str
) -> Any:
    """Run another way to train, in a process of its own; what it printed last."""
    command = [sys.executable, "-m", f"speed_parts.{module}", str(folder), *names, "--labelled", str(LABELLED)]
    command += ["--preset", preset, "--settings", json.dumps(settings), "--warm", str(WARM), *more]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    here = Path(__file__).resolve().parents[1]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=here, check=False)
    if done.returncode:
        raise SystemExit(f"speed_parts.{module} failed:\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def ours(
    study: Path, preset: str, settings: dict[str, Any], threads: int, environment: dict[str, str] | None = None
) -> float:
    """Steps per second of a run that a reader would start, read off its own record."""
    os.environ.update(environment or {})
    try:
        words = [
            word for key, value in settings.items() if key != "steps" for word in ("--set", f"{key}={_text(value)}")
        ]
        penumbra(
            *("train", str(study), "--method", "mean-teacher", "--preset", preset, "--steps", str(settings["steps"])),
            *("--validation", "0", "--no-reference", "--threads", str(threads), *words),
        )
    finally:
        for key in environment or {}:
            del os.environ[key]
    run = max((study / "runs").iterdir(), key=lambda path: path.stat().st_mtime)
    events = [json.loads(line) for line in (run / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    steps = [e for e in events if e["kind"] == "step" and e["step"] >= WARM]
    shutil.rmtree(run)
    # By the clock on the wall: reading, augmenting, learning, telling.
    return (steps[-1]["step"] - steps[0]["step"]) / (steps[-1]["time"] - steps[0]["time"])


def _text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, list) else str(value)
