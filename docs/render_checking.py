"""Write ``docs/checking.md`` with the tables of checks and fixes from the code: ``python docs/render_checking.py``."""

from __future__ import annotations

from pathlib import Path

from napari_penumbra.study import checks, fixes

PAGE = Path(__file__).with_name("checking.md")


def text() -> str:
    """The whole page."""
    looked = "\n".join(f"| {c.title} | {c.about} |" for c in map(checks.get, checks.REGISTRY))
    ways = "\n".join(f"| `{kind}` | {fixes.get(kind).tip} |" for kind in fixes.REGISTRY)
    return f"""# Check before use

One scan that lies beside the others, one file in other units, one patient under two names: a training swallows them
all and says nothing. *Check…* on the Study page looks at every case and shows what is wrong with a picture and, where
there is one, a click that puts it right. `penumbra check STUDY` does the same without a window.

![A registration that waits for a yes: T2 before and after, by how much it moves](images/checking.png)

    penumbra check hearts                          # a table; exit code 4 when something is wrong
    penumbra check hearts --headers                # headers only: 1,000 cases in seconds
    penumbra check hearts --case p007 --json
    penumbra check hearts --report check.html      # one self-contained page, a picture of every finding
    penumbra fix hearts p007 register --modality T2 --picture before-after.png     # shows, changes nothing
    penumbra fix hearts p007 register --modality T2 --accept
    penumbra fix hearts p007 undo                  # newest first; `list` tells what was done

## What is looked at

*Wrong* (✕): the case cannot be used as it is. *Look* (⚠): probably wrong, somebody should look. *Note* (ℹ): worth
knowing. Thresholds are chosen so that sound cohorts are silent: a check that cries wolf is switched off in the head.

| check | what is looked at, and from where on it is told |
|---|---|
{looked}

Empty labels, rare classes and twins of frozen cases are also told before each training ([training](training.md)).

What cannot be told is not claimed. Whether *all* scans of a patient are mirrored cannot be seen in them. Two MR
weightings whose grey values differ by no more than a scanner's gain cannot be told from exchanged ones. The check of
alignment sees shifts and turns of a patient, not the warping of a distorted echo-planar image; a registration here is
rigid. It works on what the study holds: a scan that was resampled when it was added is interpolated a second time.

## Putting it right

| way | what happens |
|---|---|
{ways}

No file that was there is changed. New voxels are written beside the old ones (`images/T2.fixed-1.nii.gz`), and each
fix leaves a record in the case's `fixes/` folder: what, by whom, when, the motion as a 4×4 matrix in RAS millimetres,
what the case was before. Undo goes back one fix at a time. Labels stay where they are: it is never the first modality
that moves. Predictions made from the old images stay in the list; predict again after a fix.

A case that is *set aside* keeps all that was drawn. Nothing learns from it, is measured on it or predicts it, it is
never next, and it is not checked again until it is taken back.

Where many cases lack a modality, train with `--set modality_dropout=0.2`: it blanks some at random, so that the model
bears with what is missing.

## How it works

Headers come first, so that a lost file is known in seconds. Then each case is read image by image, in one thread
beside the window: less than three volumes in memory. What is measured is kept under the content of the files
(`cache/checks/`), so that a second check is instant and only what has changed is measured again. Alignment compares
copies of 2 to 4 mm by normalised mutual information (Studholme, Hill and Hawkes, *Pattern Recognition* 32, 1999);
registration is SimpleITK's Mattes mutual information with regular-step gradient descent, coarse to fine, with a fixed
seed.

A further check is one file in `study/checks/` and one line in its table, a further fix likewise in `study/fixes/`;
other packages add theirs by the entry points `{checks.GROUP}` and `{fixes.GROUP}`.

Times are in [benchmarks](../benchmarks/README.md) (`benchmarks/checking.py`). For research only: a check that finds
nothing does not prove that nothing is wrong.
"""


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
