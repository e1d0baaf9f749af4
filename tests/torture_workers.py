"""Starts training workers as fast as they can be killed: torch is loaded once, each worker is a process of its own.

``python torture_workers.py``: reads ``RUN`` or ``RUN resume`` line by line; answers the worker's process number, and
when it has ended the signal or exit code. What the worker does is `worker.work`, as ``python -m`` would. ``RUN here``
is trained without a process of its own, which loads all that the others will need.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch

from napari_penumbra.training import trainer
from napari_penumbra.training.worker import work


def main() -> None:
    torch.set_num_threads(1)
    # Several a second instead of one a minute: the more there are, the more of them are killed half-written.
    trainer.CHECKPOINT_SECONDS = trainer.FIRST_CHECKPOINT_SECONDS = 0.3
    for line in sys.stdin:
        folder, _, how = line.strip().partition(" ")
        if how == "here":
            code = work(Path(folder), "train")
            print(os.getpid(), code, sep="\n", flush=True)
            continue
        child = os.fork()
        if child == 0:
            with Path(folder, "log.txt").open("a") as log:
                os.dup2(log.fileno(), 1)
                os.dup2(log.fileno(), 2)
                code = work(Path(folder), "train", resume=how == "resume")
            os._exit(code)
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
