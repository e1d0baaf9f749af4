"""Supervised-only against mean teacher on real left-atrium MRI, through the command line, as a user would.

Data: 80 late gadolinium-enhanced scans of the Atrial Segmentation Challenge 2018 at half resolution, from the folder
named by ``PENUMBRA_BENCH_DATA`` (with ``la/images`` and ``la/labels``). They may not be passed on and are not part of
this project; where they are absent the script says so and stops.

For each seed a shuffle draws 8 labelled, 52 unlabelled and 20 evaluation cases. Each method gets a fresh study with the
first 60 only; the evaluation cases are added after the last checkpoint is written, so nothing can have looked at them.
The last checkpoint is evaluated: no selection of any kind. Both predict with an average of weights.

    python benchmarks/real_la.py --seed 0 --method supervised --method mean-teacher
    python benchmarks/real_la.py --table
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import machine
import numpy as np

LABELLED, UNLABELLED, EVALUATED = 8, 52, 20
METHODS = ("supervised", "mean-teacher")
PARTS = machine.RESULTS / "real_la"


def data_folder() -> Path:
    """Where the scans are, or a plain word and exit code 0: this benchmark is optional."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("PENUMBRA_BENCH_DATA", default)) / "la"
    if not (folder / "images").is_dir():
        print(f"No left-atrium scans in {folder}: set PENUMBRA_BENCH_DATA. Nothing was measured.")
        raise SystemExit(0)
    return folder


def draw(folder: Path, seed: int) -> tuple[list[str], list[str], list[str]]:
    """Shuffle the cases into labelled, unlabelled and evaluation ones; disjoint by construction."""
    names = sorted(p.name.removesuffix(".nii.gz") for p in (folder / "images").glob("*.nii.gz"))
    random.Random(seed).shuffle(names)
    chosen = names[: LABELLED + UNLABELLED + EVALUATED]
    return chosen[:LABELLED], chosen[LABELLED : LABELLED + UNLABELLED], chosen[LABELLED + UNLABELLED :]


def penumbra(*words: str) -> str:
    """Run the command line; its error text ends the benchmark."""
    done = subprocess.run([sys.executable, "-m", "napari_penumbra.cli", *words], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"penumbra {' '.join(words)}\n{done.stdout}{done.stderr}")
    return done.stdout


def select(source: Path, kind: str, names: list[str], target: Path) -> Path:
    """Make a folder of links to some of the files."""
    target.mkdir(parents=True)
    for name in names:
        (target / f"{name}.nii.gz").symlink_to((source / kind / f"{name}.nii.gz").resolve())
    return target


def one_run(folder: Path, method: str, seed: int, steps: int, threads: int, work: Path) -> dict[str, Any]:
    """Build the study, train, predict the evaluation cases with the last checkpoint, score them."""
    labelled, unlabelled, evaluated = draw(folder, seed)
    study = str(work / "study")
    penumbra("new", study, "--modality", "LGE", "--label", "1=left atrium")
    images, labels = select(folder, "images", labelled, work / "li"), select(folder, "labels", labelled, work / "ll")
    penumbra("add", study, "--images", str(images), "--labels", str(labels))
    penumbra("add", study, "--images", str(select(folder, "images", unlabelled, work / "u")))
    words = ["--method", method, "--preset", "laptop", "--seed", str(seed), "--steps", str(steps), "--validation", "0"]
    started = time.monotonic()
    penumbra("train", study, *words, "--no-reference", "--threads", str(threads))
    seconds = time.monotonic() - started

    penumbra("add", study, "--images", str(select(folder, "images", evaluated, work / "e")))
    penumbra("predict", study, "--threads", str(threads), *[w for name in evaluated for w in ("--case", name)])
    reference = select(folder, "labels", evaluated, work / "er")
    table = json.loads(penumbra("evaluate", study, "--reference", str(reference), "--json"))
    return {"method": method, "seed": seed, "steps": steps, "threads": threads, "seconds": seconds, "table": table}


def run_all(arguments: argparse.Namespace) -> None:
    """Run what was asked for; each run is written as soon as it is over."""
    folder = data_folder()
    PARTS.mkdir(parents=True, exist_ok=True)
    for seed in arguments.seed:
        for method in arguments.method:
            work = Path(tempfile.mkdtemp(prefix="real-la-"))
            try:
                result = one_run(folder, method, seed, arguments.steps, arguments.threads, work)
            finally:
                shutil.rmtree(work, ignore_errors=True)
            result["machine"] = machine.describe()
            (PARTS / f"{method}-seed{seed}-{arguments.steps}.json").write_text(json.dumps(result, indent=1) + "\n")
            print(method, seed, json.dumps(result["table"].get("mean", {})), flush=True)


def figures(result: dict[str, Any], name: str) -> list[float]:
    """One figure of the left atrium for every evaluation case, in the order of the cases' names."""
    return [float(by_class["1"][name]) for _, by_class in sorted(result["table"]["cases"].items())]


def print_table() -> None:
    """One row a run, then the paired difference of each seed."""
    results = [json.loads(p.read_text()) for p in sorted(PARTS.glob("*.json"))]
    lines = [
        "| seed | method | steps | Dice mean | Dice worst | Jaccard | HD95 mm | ASSD mm | training s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for r in sorted(results, key=lambda r: (r["seed"], r["steps"], r["method"] != "supervised")):
        dice = figures(r, "dice")
        rest = " | ".join(f"{np.mean(figures(r, n)):.{d}f}" for n, d in (("jaccard", 3), ("hd95", 2), ("assd", 2)))
        lines.append(
            f"| {r['seed']} | {r['method']} | {r['steps']} | {np.mean(dice):.3f} | {min(dice):.3f} | {rest} "
            f"| {r['seconds']:.0f} |"
        )
    by_key = {(r["seed"], r["steps"], r["method"]): r for r in results}
    lines.append("")
    for seed, steps in sorted({(r["seed"], r["steps"]) for r in results}):
        if all((seed, steps, m) in by_key for m in METHODS):
            gain = np.subtract(*[figures(by_key[seed, steps, m], "dice") for m in reversed(METHODS)])
            low, high = np.percentile(
                np.random.default_rng(0).choice(gain, (10_000, len(gain))).mean(axis=1), [2.5, 97.5]
            )
            lines.append(
                f"Seed {seed}, {steps} steps: mean teacher minus supervised-only, paired over {len(gain)} cases: "
                f"Dice {gain.mean():+.3f} "
                f"(95 % bootstrap over cases {low:+.3f} to {high:+.3f}); better in {(gain > 0).sum()} of {len(gain)}."
            )
    if results:
        m = results[0]["machine"]
        lines.append(f"\nMachine: {m['processor']}, {m['cores']} cores, torch {m['torch']}.")
    text = "\n".join(lines)
    (machine.RESULTS / "real_la.md").write_text(text + "\n", encoding="utf-8")
    print(text)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, action="append")
    parser.add_argument("--method", choices=METHODS, action="append")
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--table", action="store_true", help="Only print the table of what has been run.")
    arguments = parser.parse_args()
    arguments.seed = arguments.seed or [0, 1, 2]
    arguments.method = arguments.method or list(METHODS)
    if not arguments.table:
        run_all(arguments)
    print_table()


if __name__ == "__main__":
    main()
