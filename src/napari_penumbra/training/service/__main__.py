"""Started as ``python -m napari_penumbra.training.service COMMAND FOLDER``: ``serve``, ``measure`` or ``check-model``.

torch is imported only where it is used: if it is missing, that is told in words.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from napari_penumbra.domain.errors import ModelError, PenumbraError


def main(arguments: Sequence[str] | None = None) -> int:
    """Do one of the commands; returns the exit code."""
    parser = argparse.ArgumentParser(prog="napari_penumbra.training.service", description=__doc__)
    parser.add_argument("command", choices=("serve", "measure", "check-model"))
    parser.add_argument("folder", type=Path)
    options = parser.parse_args(arguments)
    folder = options.folder.resolve()
    if options.command == "serve":
        from napari_penumbra.training.service.serving import serve

        return serve(folder)
    if options.command == "measure":
        from napari_penumbra.training.service.measuring import measure

        return measure(folder)
    return _check(folder)


def _check(folder: Path) -> int:
    from napari_penumbra.training.service.checking import check_model

    answer = {"ok": True, "error": "", "remedy": "", "details": ""}
    try:
        check_model(folder)
    except PenumbraError as error:
        answer = {"ok": False, "error": error.message, "remedy": error.remedy, "details": error.details}
    sys.stdout.write(json.dumps(answer) + "\n")
    return 0 if answer["ok"] else ModelError.exit_code


if __name__ == "__main__":
    sys.exit(main())
