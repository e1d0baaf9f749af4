"""Write ``docs/training.md`` with the table of diagnoses from the code: ``python docs/render_training.py``."""

from __future__ import annotations

import re
from pathlib import Path

from napari_penumbra.domain.diagnosis import DIAGNOSES
from napari_penumbra.domain.spec import DISK_RESERVE
from napari_penumbra.jobs.launch import VALIDATIONS

PAGE = Path(__file__).with_name("training.md")
_PAUSED = (
    "Saves and waits. On a graphics card its weights and moments move to main memory; the driver keeps a few hundred "
    "MB. A pause outlives the window."
)
_LOST = (
    "The run is told as *lost* with its last words. At most the steps since the last checkpoint (a minute) are done "
    "again."
)
_WHO = {"empty-label": "*cases* are", "leak": "*cases* are", "modality-missing": "*cases* lack"}
_PLACE = re.compile(r"\{(\w+)\}")


def table() -> str:
    """One row per diagnosis; places for facts are set in italics."""
    rows = ["| looked at | when | what is said | what to do |", "|---|---|---|---|"]
    for one in DIAGNOSES.values():
        words = _PLACE.sub(lambda place: f"*{place[1]}*", one.words.replace("{who}", _WHO.get(one.code, "")))
        rows.append(f"| {one.sign} | {one.when} | {words} | {one.remedy} |")
    return "\n".join(rows)


def text() -> str:
    """The whole page."""
    return f"""# Training: before, while it runs, and afterwards

A training is a process of its own and a folder, `runs/<run>`. The window, another window, or the command line look at
the folder and ask for things by small files in it. Nothing is lost when any of them goes away.

## Before it starts

The Train page looks ahead whenever a setting changes, and `penumbra train` does so before it starts: how many cases
teach with and without labels and how many are frozen, what the data lack (the table below), and, after a few real steps
on this machine, the time with its {VALIDATIONS} validations, the memory, and what the run takes on disk (prepared cases
and three checkpoints at most). It warns when a step takes more than four fifths of the memory that is free, or when the
disk has less than the run and {DISK_RESERVE / 1e9:.1f} GB.

## While it runs

The status line says the step, Dice on the frozen cases, the time that is left, and the newest diagnosis. The list of
runs counts all warnings; the selected run's are said below it, with what to do. On the command line:

```
penumbra runs STUDY            how each run stands, and what it warns of
penumbra runs STUDY --follow   the same, drawn anew twice a second until all runs are over
penumbra train STUDY --tensorboard    also files for TensorBoard in runs/<run>/tensorboard
```

TensorBoard is off by default, and an extra: `pip install "napari-penumbra[board]"`, then `tensorboard --logdir
STUDY/runs`. The worker's priority is lowered (on Linux its session's as well, or the system would not heed it) and its
threads are capped (all cores but one, or `--threads`).

## Learning on

Cases that you accept or close while a training runs join it without a restart. The session writes the pool to
`runs/<run>/pool.json`; the worker looks at it between two validations (every {100 // VALIDATIONS} % of the steps), so a
case joins within one such interval, and comes first in line. A case that was taken back, or got new labels, is followed
in the same way. A thin line with the case's name shows in the curves when it was.

- Frozen cases stay as they were when the run was ordered, with the labels they had: figures before and after remain
  comparable. No other case with the very same images may teach.
- Resumed, a run begins with the cases of its checkpoint and then follows what has changed since.
- What a model has learnt from is never forgotten: `job.json` has the cases it began with, `pool.jsonl` one line per
  case that joined or left, written before the first step on it. The reader who takes a case back is told of every model
  that has learnt from it, also of those that it joined later.

## Pausing, stopping, going on

| what | window | command line | what happens |
|---|---|---|---|
| pause | Pause, Resume | `penumbra pause`, `penumbra resume` | {_PAUSED} |
| stop | Stop | `penumbra stop`, `penumbra resume` | Ends at the next step with a checkpoint. |
| killed, power cut | Resume | `penumbra resume` | {_LOST} |

A checkpoint holds networks, optimisers, schedules, random numbers, samplers, and the cases that have joined. On a
processor with one thread a resumed training ends with the same bits as one that was never disturbed; this is tested for
every method with a real kill. A study that was copied, also while it trained, goes on in its new place: the process
that works in the original is not taken for the copy's.

## One at a time per device

A training that is started while another one runs waits for its turn: *Queue training* in the window, `penumbra train
--queue` on the command line. `penumbra queue STUDY` lists who waits, with their places; `--cancel RUN`, or Cancel in
the window, takes one out. A graphics card has one queue for all studies of a reader; on the processor each study has
its own. A waiting run is a small process without PyTorch: the next one begins without a window, and those that were
killed do not count. After a restart of the machine, waiting runs are *lost* and wait again after Resume. Predictions do
not wait. Under `torchrun` and Slurm there is no queue of ours.

## What a run warns of

{table()}

A run that is left in peace computes the same numbers with and without these looks: they draw no random number and touch
no weight. They cost one forward pass without gradients every eight steps at most.

<!-- Made by docs/render_training.py; the table is src/napari_penumbra/domain/diagnosis.py. -->
"""


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
