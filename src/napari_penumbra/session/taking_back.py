"""Undo of an acceptance: the case leaves the pool, the models that learnt from it are named, and all can be undone."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal

from napari_penumbra.domain.case import Annotation
from napari_penumbra.domain.errors import JobError, UsageError
from napari_penumbra.jobs.job import Job
from napari_penumbra.session.cases import Cases
from napari_penumbra.session.champion import ancestors
from napari_penumbra.study.history import Event


@dataclass(frozen=True, slots=True)
class Learnt:
    """A model that was given a case's label.

    Attributes
    ----------
    role
        ``labelled`` when it learnt from the label, ``validation`` when it was only measured on it.
    revision
        Which revision (``r3``) it was; empty when the study no longer knows the file.
    champion
        Whether it is the model that predicts now.
    """

    run: str
    method: str
    created: dt.datetime
    role: Literal["labelled", "validation"]
    revision: str
    champion: bool


class TakingBack(Cases):
    """Takes cases back out of the pool, and puts them back."""

    def learnt_from(self, name: str) -> list[Learnt]:
        """Models with a checkpoint that were given a label of this case, the newest first.

        Read from the order that each training was started with (``runs/<id>/job.json``), which never changes, and from
        the worker's record of the cases that have joined since (``runs/<id>/pool.jsonl``). A model that started from
        another one has learnt from the cases of that one as well.
        """
        study = self.opened()
        study.case(name)  # says in words when there is no such case
        revisions = {a.path.as_posix(): f"r{a.revision}" for a in study.annotations(name, withdrawn=True)}
        champion = study.champion()
        found = []
        for row in reversed(study.runs()):
            if row.kind != "train":
                continue
            given = _given_to_any(Job(study.layout.run(row.id)), name)
            if given is None:
                continue
            role, label = given
            found.append(Learnt(row.id, row.method, row.created, role, revisions.get(label, ""), row.id == champion))
        return found

    def champion_before(self, name: str) -> str | None:
        """Name the last champion that has not learnt from a case, when the present one has; None otherwise."""
        study = self.opened()
        taught = {one.run for one in self.learnt_from(name) if one.role == "labelled"}
        if study.champion() not in taught:
            return None
        for run in reversed(study.champions()):
            if run not in taught and Job(study.layout.run(run)).checkpoint() is not None:
                return run
        return None

    def recall_champion(self, run: str) -> str | None:
        """Let an earlier champion predict again; returns the one that it replaces, to be recalled in turn.

        Raises
        ------
        UsageError
            It has never been champion, or its checkpoint is gone.
        """
        study = self.writable()
        if run not in study.champions() or Job(study.layout.run(run)).checkpoint() is None:
            raise UsageError(f"Run {run} cannot predict.", "Choose a champion that still has its checkpoint.")
        before = study.champion()
        study.set_champion(run)
        self.study_changed.emit()
        self._update_status()
        return before

    def take_back(self, name: str) -> Annotation:
        """Take a case out of the labelled pool: what it was before it was closed, a draft, is current again.

        Raises
        ------
        UsageError
            The case is not in the pool.
        """
        annotation = self.reopen_case(name)
        if annotation is None:
            raise UsageError(f"{name} is not in the labelled pool.", "Nothing needs to be taken back.")
        return annotation

    def why_not_put_back(self, name: str) -> str:
        """Say why a taking back cannot be undone; empty when it can."""
        if self.opened().withdrawn_last(name) is not None:
            return ""
        return "Nothing was taken back, or the labels have changed since: close the case again instead."

    def put_back(self, name: str) -> Annotation:
        """Undo the taking back of a case: it teaches again, just as it was."""
        annotation = self.writable().put_back(name, self.reader)
        self._changed(name)
        return annotation

    def restore(self, name: str, key: str) -> Annotation | None:
        """Make older labels of a case its newest draft; None when it has exactly these already."""
        annotation = self.writable().restore(name, key, self.reader)
        if annotation is not None:
            self._changed(name)
        return annotation

    def case_history(self, name: str) -> list[Event]:
        """Everything that happened to a case, oldest first."""
        return self.opened().history(name)


def _given_to_any(job: Job, name: str) -> tuple[Literal["labelled", "validation"], str] | None:
    """How a model was given a case: itself, or through one that it started from, whose knowledge it has."""
    own = _given(job, name)
    if own is not None and own[0] == "labelled":
        return own
    inherited = (_given(parent, name) for parent in ancestors(job)) if job.checkpoint() is not None else ()
    return next((given for given in inherited if given is not None and given[0] == "labelled"), own)


def _given(job: Job, name: str) -> tuple[Literal["labelled", "validation"], str] | None:
    """How a training was given a case, and its newest label; None when not, or without a model to have learnt it."""
    try:
        if job.checkpoint() is None:
            return None
        if learnt := job.labels_learnt().get(name):
            return "labelled", learnt[-1]
        frozen = {case.name: case.label for case in job.spec().of_role("validation")}
        label = frozen.get(name)
        return None if label is None else ("validation", label)
    except JobError:  # its folder is gone: so is the model
        return None
