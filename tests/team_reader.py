"""Another reader in a process of its own, told line by line what to do: ``python team_reader.py STUDY NAME EXPIRE_S``.

Answers every line with one line of JSON. ``{"error": …}`` holds what a reader would have been told.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from napari_penumbra.domain.case import Closing, Origin
from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.study.store import Study
from napari_penumbra.study.team import keeper, leases

screen: dict[str, np.ndarray] = {}


def obey(study: Study, what: str, name: str = "", value: int = 0, z: int = 0, closing: str = "draft") -> Any:
    if what == "open":
        other = study.check_out(name)
        screen[name] = study.read(name).labels
        return {"other": None if other is None else str(other), "sum": int(screen[name].sum())}
    if what == "paint":  # one slice; journalled as a window does
        screen[name][z] = value
        box = ((z, 0, 0), (z + 1, *screen[name].shape[1:]))
        study.stroke(name, box, screen[name][z : z + 1])
        return {}
    if what == "save":
        saved = study.save(name, screen[name], Closing(closing), Origin.PAINTED, study._core.reader, 1.0)
        beside = study.overtaken(name)
        return {
            "revision": None if saved is None else saved.revision,
            "beside": None if beside is None else beside.revision,
        }
    if what == "give back":
        study.give_back()
        return {}
    if what == "news":
        return {"cases": sorted(study.news().cases), "holders": {n: h.reader for n, h in study.holders().items()}}
    if what == "add":
        study.add_case(name, {"DWI": Path(closing)})
        return {}
    raise ValueError(what)


def main(root: Path, reader: str, expire: float) -> None:
    keeper.BEAT_S = 0.2
    leases.EXPIRE_S = expire
    with Study.open(root, reader=reader) as study:
        print(json.dumps({"ready": study.notices}), flush=True)
        for line in sys.stdin:
            try:
                answer = obey(study, **json.loads(line))
            except PenumbraError as error:
                answer = {"error": str(error)}
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]))
