"""What can be wrong with the data or with a training, each with one sentence and one remedy.

The table `DIAGNOSES` is the only place where these sentences stand: the look ahead, the worker, the window, the command
line and the manual all take them from here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from napari_penumbra.domain.labels import BACKGROUND, UNKNOWN, LabelScheme
from napari_penumbra.domain.spec import SpecCase

When = Literal["before and at the start", "before", "while training"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found.

    Attributes
    ----------
    code
        Key into `DIAGNOSES`; travels as `Progress.about`.
    message, remedy
        A sentence each.
    case
        The case it is about, empty when it is about several or none.
    """

    code: str
    message: str
    remedy: str
    case: str = ""

    @property
    def text(self) -> str:
        """Sentence and remedy in one line."""
        return f"{self.message} {self.remedy}".strip()


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A kind of finding.

    Attributes
    ----------
    code
        Short name that never changes.
    when
        When it can be found.
    sign
        What is looked at, for the manual.
    words, remedy
        Sentences; ``words`` has places for facts in braces.
    """

    code: str
    when: When
    sign: str
    words: str
    remedy: str

    def found(self, case: str = "", **facts: Any) -> Finding:
        """Put facts into the sentence."""
        return Finding(self.code, self.words.format(case=case, **facts), self.remedy, case)


_ALL = (
    Diagnosis(
        "empty-labels",
        "before and at the start",
        "No labelled case has a single painted voxel.",
        "No labelled case has any foreground.",
        "Paint a lesion in at least one of them: otherwise nothing but background can be learnt.",
    ),
    Diagnosis(
        "empty-label",
        "before and at the start",
        "A labelled case has no painted voxel, others have.",
        "{who} labelled, but nothing is painted there.",
        "If there really is nothing to see, leave it so; otherwise take it back, paint it and close it again.",
    ),
    Diagnosis(
        "class-absent",
        "before and at the start",
        "A class of the study has no voxel in any labelled case.",
        '"{name}" is painted in no labelled case: it cannot be learnt.',
        "Paint it in two cases or more.",
    ),
    Diagnosis(
        "class-rare",
        "before and at the start",
        "A class has voxels in one of several labelled cases only.",
        '"{name}" appears in one labelled case only.',
        "Paint it in a second case, or trust it less than the others.",
    ),
    Diagnosis(
        "modality-missing",
        "before and at the start",
        "A case has no file for one of the study's modalities.",
        "{who} {modality}: it counts as empty there.",
        "Add these cases again with the missing file, or use cases that have it.",
    ),
    Diagnosis(
        "modality-constant",
        "while training",
        "An image is there, but every voxel has the same value.",
        "{modality} of case {case} has the same value everywhere: it tells nothing.",
        "Look at it in the window; if the file is broken, add the case again with the right one or without it.",
    ),
    Diagnosis(
        "leak",
        "before and at the start",
        "A training case has the same images, voxel by voxel, as a frozen one.",
        "{who} the same scan as the frozen case {frozen}: left out of the training.",
        "Keep one of them; a model that is measured on what it has learnt looks better than it is.",
    ),
    Diagnosis(
        "pool-unlike",
        "while training",
        "As the network sees them, the grey values of the unlabelled cases are not those of the labelled ones: the "
        "5th, 25th, 50th, 75th and 95th percentiles differ by more than 0.35 standard deviations on average, and by "
        "more than three times what cases of one pool differ.",
        "The unlabelled cases look unlike the labelled ones in {modality}: their grey values are shifted by {shift} "
        "standard deviations.",
        "Check that they come from the same kind of scan; if so, label two or three of them.",
    ),
    Diagnosis(
        "flat-low",
        "while training",
        "A quarter of the steps is done and Dice on the frozen cases has never been above .02.",
        "Dice on the frozen cases is still {dice} after {step} of {steps} steps.",
        "Check that labels lie on the lesions and are closed as complete; then try a smaller learning rate or a larger "
        "share of lesion patches.",
    ),
    Diagnosis(
        "flat-dice",
        "while training",
        "The best Dice on the frozen cases is 8 validations old: 40 % of the run without a gain of .005.",
        "Dice on the frozen cases has not risen since step {since}: its best is {dice}.",
        "More steps will hardly help: label more cases, or stop here; what was learnt is kept.",
    ),
    Diagnosis(
        "not-a-number",
        "while training",
        "The loss or a weight is infinite or not a number. The training fails before it can spoil the last checkpoint.",
        "The loss is no longer a number at step {step}. The batch held: {cases}.",
        "Resume from the last checkpoint with a smaller learning rate, and look at the cases named in the log.",
    ),
    Diagnosis(
        "all-background",
        "while training",
        "After a fifth of the steps, what the model says of 16 unlabelled patches or more has less than a hundredth of "
        "the foreground that labelled patches have.",
        "What the model teaches itself has collapsed to background: {share} of the unlabelled voxels are foreground, "
        "{labelled} of the labelled ones.",
        "Stop and label two more cases, or lower the weight of the unlabelled loss and train again.",
    ),
    Diagnosis(
        "all-foreground",
        "while training",
        "After a fifth of the steps, what the model says of 16 unlabelled patches or more is foreground to over 90 %, "
        "and labelled patches are not like that.",
        "What the model teaches itself has collapsed to everything: {share} of the unlabelled voxels are foreground, "
        "{labelled} of the labelled ones.",
        "Stop and label two more cases, or lower the weight of the unlabelled loss and train again.",
    ),
    Diagnosis(
        "memory",
        "while training",
        "Memory ran out during a step.",
        "Memory ran out: from step {step} on {labelled} labelled and {unlabelled} unlabelled patches of {size} voxels.",
        "Close other programs, or choose a smaller preset, to train as planned.",
    ),
    Diagnosis(
        "disk",
        "while training",
        "Less is free on the study's disk than the reserve (0.5 GB) and two checkpoints.",
        "The disk is nearly full: {free} is left, {wanted} is kept free.",
        "Free some space, then Resume goes on from the last checkpoint.",
    ),
)
DIAGNOSES: Mapping[str, Diagnosis] = {diagnosis.code: diagnosis for diagnosis in _ALL}


def find_in_labels(counts: Mapping[str, Mapping[int, int]], scheme: LabelScheme) -> list[Finding]:
    """Look for labelled cases and classes without a painted voxel.

    Parameters
    ----------
    counts
        Case to voxels per label value, of the labelled cases that teach.
    """
    if not counts:
        return []
    empty = [name for name, voxels in counts.items() if not any(_painted(voxels))]
    if len(empty) == len(counts):
        return [DIAGNOSES["empty-labels"].found()]
    found = [DIAGNOSES["empty-label"].found(_only(empty), who=_who(empty, "is", "are"))] if empty else []
    if len(counts) < 2:  # with one case everything occurs once
        return found
    for c in scheme.classes:
        cases = [name for name, voxels in counts.items() if voxels.get(c.value, 0)]
        if not cases:
            found.append(DIAGNOSES["class-absent"].found(name=c.name))
        elif len(cases) == 1:
            found.append(DIAGNOSES["class-rare"].found(cases[0], name=c.name))
    return found


def _painted(voxels: Mapping[int, int]) -> list[int]:
    return [count for value, count in voxels.items() if value not in (BACKGROUND, UNKNOWN)]


def find_missing(lacking: Mapping[str, Sequence[str]]) -> list[Finding]:
    """Say which cases lack which modality.

    Parameters
    ----------
    lacking
        Modality to names of cases without it.
    """
    return [
        DIAGNOSES["modality-missing"].found(_only(names), who=_who(names, "lacks", "lack"), modality=modality)
        for modality, names in lacking.items()
        if names
    ]


def find_leaks(cases: Sequence[SpecCase]) -> dict[str, str]:
    """Find training cases that have the same images as a frozen one: name to the frozen case's name."""
    frozen = {case.key: case.name for case in cases if case.role == "validation" and case.key}
    return {
        case.name: frozen[case.key]
        for case in cases
        if case.role in ("labelled", "unlabelled") and case.key in frozen and case.name != frozen[case.key]
    }


def leak_findings(leaks: Mapping[str, str]) -> list[Finding]:
    """Say what `find_leaks` has found, one finding per frozen case."""
    found = []
    for frozen in dict.fromkeys(leaks.values()):
        names = [name for name, at in leaks.items() if at == frozen]
        found.append(DIAGNOSES["leak"].found(_only(names), who=_who(names, "is", "are"), frozen=frozen))
    return found


def _only(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else ""


def _who(names: Sequence[str], one: str, many: str) -> str:
    """Name one case and count the rest: ``p1 and 2 more lack``."""
    return f"{names[0]} {one}" if len(names) == 1 else f"{names[0]} and {len(names) - 1} more {many}"
