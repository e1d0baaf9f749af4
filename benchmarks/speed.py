"""How fast training and prediction are, beside plain PyTorch, MONAI and PyMIC, in one run on one machine.

    python benchmarks/speed.py                     everything, about 25 minutes on two cores
    python benchmarks/speed.py --part training     a mean teacher's steps, against a loop as repositories write it
    python benchmarks/speed.py --part prediction   one scan, against MONAI's sliding window
    python benchmarks/speed.py --part tricks       what each trick brings by itself
    python benchmarks/speed.py --part pymic        the same steps against PyMIC's trainer, where it is installed

Both sides have the same network, patches, batch and overlap, and take turns, so that a busy machine slows both: quote
the ratios. The scans are simulated; what is in them does not matter to the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import machine
import torch
from speed_parts import prediction, pymic_rows, training, tricks
from speed_parts.scans import make_scans, make_study

PARTS = ("training", "prediction", "tricks", "pymic")


def main() -> None:
    """Run the parts and write ``results/speed.json``; parts that were not run keep their figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=PARTS, action="append")
    parser.add_argument("--network", choices=list(training.NETWORKS), action="append")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    parts = arguments.part or list(PARTS)
    networks = arguments.network or list(training.NETWORKS)
    torch.set_num_threads(arguments.threads)
    path = machine.RESULTS / "speed.json"
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if set(parts) - {"pymic"}:
        result["threads"] = arguments.threads
    if "training" in parts:
        with _study() as places:
            for network in networks:
                sizes = (network, arguments.steps, arguments.rounds, arguments.threads)
                result.setdefault("training", {})[network] = training.compare(*places, *sizes)
                print(network, result["training"][network]["ratio"], flush=True)
    if "prediction" in parts:
        for network in networks:
            result.setdefault("prediction", {})[network] = prediction.compare(network, arguments.rounds)
            print(network, result["prediction"][network]["ratio"], flush=True)
    if "tricks" in parts:
        for network in networks:
            result.setdefault("tricks", {})[network] = tricks.compare(network, arguments.rounds)
            print(network, result["tricks"][network]["ratio"], flush=True)
    if "pymic" in parts and pymic_rows.installed():
        with _study() as places:
            for network, threads in product(pymic_rows.NETWORKS, sorted({1, arguments.threads})):
                if network in networks:
                    row = pymic_rows.compare(*places, network, arguments.steps, arguments.rounds, threads)
                    result.setdefault("pymic", {}).setdefault(network, {})[f"threads: {threads}"] = row
                    print(network, threads, row["ratio"], flush=True)
    elif "pymic" in parts:
        print(pymic_rows.HOW, flush=True)
    result.pop("machine", None)
    machine.save("speed", result)


@contextmanager
def _study() -> Iterator[tuple[Path, list[str], Path]]:
    """Scans in a folder, their names, and a study of them, for as long as they are needed."""
    with tempfile.TemporaryDirectory() as folder:
        names = make_scans(Path(folder))
        yield Path(folder), names, make_study(Path(folder), names)


if __name__ == "__main__":
    main()
