"""The command line that every timed training loop understands."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def parser() -> argparse.ArgumentParser:
    """Folder and names of the scans, how many are labelled, the method's settings, steps before the clock starts."""
    made = argparse.ArgumentParser()
    made.add_argument("folder", type=Path)
    made.add_argument("names", nargs="+")
    made.add_argument("--labelled", type=int, required=True)
    made.add_argument("--settings", type=json.loads, required=True)
    made.add_argument("--preset", required=True)
    made.add_argument("--warm", type=int, default=2)
    return made
