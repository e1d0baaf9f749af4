"""Make the pictures of the documentation in the real window: ``python docs/render_pictures.py [NAME ...]``.

Without a name all of them; a name is a part of a file's, so ``compare`` makes ``docs/images/tools/compare.png``. Where
there is no screen: ``xvfb-run -a -s "-screen 0 1920x1200x24" python docs/render_pictures.py``.

Everything shown is simulated, and nothing is painted into a picture: studies are the shipped samples, models have
really learnt from them, and a robot reader (that of ``penumbra simulate``, with its prices for a reader's acts) has
painted and corrected. With ``--studies FOLDER`` the trained studies are kept there for the next call; the two trainings
take most of the time. ``team`` and ``team-view`` need PostgreSQL (``make database``); these two and ``dicom-import``
take helpers from ``tests/``.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from picture_parts.desk import Desk

IMAGES = Path(__file__).parent / "images"


def main() -> int:
    """Make the pictures that are asked for; returns how many could not be made."""
    asked = _asked()
    # Keys, names and switches of whoever calls this must not show.
    with tempfile.TemporaryDirectory(prefix="") as scratch:
        for kind in ("CACHE", "CONFIG", "DATA", "STATE"):
            os.environ[f"XDG_{kind}_HOME"] = f"{scratch}/{kind.lower()}"
        return _render(asked.names, asked.studies or Path(scratch) / "studies", Path(scratch), asked.out)


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="parts of the names of pictures; all by default")
    parser.add_argument("--studies", type=Path, help="folder where the studies behind the pictures are kept")
    parser.add_argument("--out", type=Path, default=IMAGES, help="folder for the pictures")
    return parser.parse_args()


def recipes() -> dict[str, Callable[[Desk], None]]:
    """Return what reaches the state of each picture, by its name below ``docs/images``."""
    from picture_parts import annotating, computing, methods, reviewing, studying, teamwork, training

    parts = (annotating, computing, training, reviewing, studying, teamwork, methods)
    return {name: recipe for part in parts for name, recipe in part.PICTURES.items()}


def _render(names: list[str], kept: Path, scratch: Path, out: Path) -> int:
    from picture_parts.desk import desk
    from picture_parts.studies import Studies

    kept.mkdir(parents=True, exist_ok=True)
    studies, failed = Studies(kept, _tell), 0
    for number, (name, recipe) in enumerate(recipes().items()):
        if names and not any(part in f"{name}.png" for part in names):
            continue
        room = scratch / str(number)  # short, for dialogs that show where files lie
        room.mkdir()
        try:
            with desk(studies, room, out / f"{name}.png") as reader:
                recipe(reader)
            _tell(f"{name}.png")
        except Exception:  # noqa: BLE001 - one picture that cannot be made must not keep the others from it
            failed += 1
            _tell(f"{name}.png could not be made:\n{traceback.format_exc()}")
    return failed


def _tell(words: str) -> None:
    print(words, file=sys.stderr, flush=True)  # noqa: T201 - a command's own output


if __name__ == "__main__":
    sys.exit(main())
