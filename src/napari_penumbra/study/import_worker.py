"""A helper that stages cases: ``python -m napari_penumbra.study.import_worker [gentle]``.

One order a line in, one result a line out; ``gentle`` lets other programs go first, for the sake of a window.

It ends when its input ends, so that it never outlives the program that started it by more than one case.
"""

from __future__ import annotations

import os
import sys

from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.imaging.atomic import disk_error
from napari_penumbra.imaging.gentle import give_way
from napari_penumbra.study.staging import Staged, stage
from napari_penumbra.study.wire import dump_result, load_order

_NICER = 5


def main() -> None:
    """Stage until the input ends."""
    # Libraries may print; what they print must not stand between the results.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    if "gentle" in sys.argv:
        give_way(os.getpid(), _NICER)
    for line in sys.stdin:
        print(dump_result(_stage(line)), file=answers, flush=True)


def _stage(line: str) -> Staged | PenumbraError:
    order = load_order(line)
    try:
        return stage(order)
    except PenumbraError as error:
        return error
    except OSError as error:
        return disk_error(order.folder, error)
    except Exception as error:  # noqa: BLE001 - one case that meets a fault of the program must not stop the others
        # Without the exception's own text: it may name a patient's folder.
        return PenumbraError(
            f"{order.new.name} could not be read: something unexpected went wrong ({type(error).__name__}).",
            "Add it alone to see more, and report it.",
        )


if __name__ == "__main__":
    main()
