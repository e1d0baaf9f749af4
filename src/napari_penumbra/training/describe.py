"""What methods there are, for a window that must not import torch."""

from __future__ import annotations

import sys
from typing import Any

from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.methods import get, names


def describe() -> list[dict[str, Any]]:
    """List every installed method with its texts, presets and the schema of its parameters.

    A method of another package that cannot be imported is left out, with a line on the error stream.
    """
    result = []
    for name in names():
        try:
            kind = get(name)
        except PenumbraError as error:
            sys.stderr.write(f"{error}\n{error.details}\n")
            continue
        result.append(
            {
                "name": name,
                "title": kind.title,
                "summary": kind.summary,
                "paper": kind.paper,
                "uses_unlabelled": kind.uses_unlabelled,
                "presets": kind.presets,
                "schema": kind.Config.model_json_schema(),
                "dimensions": list(kind.dimensions),
                "confidence_means": kind.confidence_words(),
            }
        )
    return result
