"""What can be compared on a case, in words, and the consensus of several readers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from napari_penumbra.domain.case import Annotation, Closing
from napari_penumbra.domain.errors import PenumbraError, UsageError
from napari_penumbra.domain.labels import LabelArray
from napari_penumbra.evaluation.agreement import Agreement, agreement
from napari_penumbra.evaluation.consensus import consensus
from napari_penumbra.jobs.job import Job
from napari_penumbra.jobs.methods_info import method_title
from napari_penumbra.session.base import Base
from napari_penumbra.study.sources import Source, SourceKind


@dataclass(frozen=True, slots=True)
class Choice:
    """Labels that can be compared: the key of a `study.sources.Source`, and its name for people.

    ``short`` fits beside another one on a button or in a table's head.
    """

    key: str
    title: str
    short: str
    kind: SourceKind


class Comparing(Base):
    """Compares labels of one case: annotations, readers, models."""

    # ---------------------------------------------------------------- what there is

    def compare_choices(self, name: str) -> list[Choice]:
        """List everything that can be compared on a case: its revisions, second readings and predictions.

        Of second readings only the newest of each reader, of predictions the newest of each model. The current
        annotation comes first, then other readers, then predictions from the newest on, then older revisions.
        """
        found = self.opened().sources(name)
        title = self._titles()
        seen: set[str] = set()
        ranked: list[tuple[int, Choice]] = []
        for source in found:
            model = self.model_of(source.who) if source.kind is SourceKind.PREDICTION else ""
            if source.kind is SourceKind.READING and not source.current:
                continue
            if source.kind is SourceKind.PREDICTION:
                if model in seen:
                    continue
                seen.add(model)
            ranked.append((_rank(source), _choice(source, title(model) if model else "")))
        ranked.sort(key=lambda pair: pair[0])  # stable: within a rank the newest stays first
        return [choice for _, choice in ranked]

    def model_title(self, model: str) -> str:
        """Name a training for people: its method, when it was started, and whether it is or was the champion."""
        return self._titles()(model)

    def predicted_by(self, run: str) -> str:
        """Name the model behind a prediction by its number in the list of runs: ``★3`` the champion, ``#3`` another.

        So short because there is no room for more in napari's list of layers. Empty for a run that the study no longer
        knows.
        """
        model, study = self.model_of(run), self.opened()
        numbers = {row.id: n for n, row in enumerate(study.runs(), 1)}
        sign = "★" if model == study.champion() else "#"
        return f"{sign}{numbers[model]}" if model in numbers else ""

    def _titles(self) -> Callable[[str], str]:
        """What names trainings, after one look at the study for all of them."""
        champions = self.opened().champions()
        rows = {row.id: row for row in self.opened().runs()}
        earlier = [run for run in champions if run != champions[-1]]

        def title(model: str) -> str:
            method = method_title(rows[model].method) if model in rows else model
            trained = moment(rows[model].created) if model in rows else ""
            if champions and model == champions[-1]:
                return f"★ {method} (champion, {trained})"
            if earlier and model == earlier[-1]:
                return f"{method} (the champion before, {trained})"
            return f"{method} ({trained})" if trained else method

        return title

    def model_of(self, run: str) -> str:
        """Name the training behind a run: the run itself, or for a prediction the training whose checkpoint it used."""
        for _ in range(8):  # orders that name each other in a circle end here
            try:
                spec = Job(self.opened().layout.run(run)).spec()
                if spec.kind != "predict" or not spec.checkpoint:
                    return run
                run = PurePosixPath(spec.checkpoint).parts[1]
            except (PenumbraError, IndexError, TypeError, ValueError):
                return run  # the run's folder is gone; its name is all that is known
        return run

    def find_choice(self, name: str, text: str) -> str:
        """Find labels by what a person types: a key (``r3``, ``p12``, ``s2``), ``current``, ``prediction``,
        ``champion``, the name of a run or of a second reader.

        Raises
        ------
        UsageError
            Nothing of the case fits.
        """
        study = self.opened()
        found = study.sources(name)
        wanted: list[Source] = [source for source in found if source.key == text]
        if text == "current":
            wanted = [s for s in found if s.kind is SourceKind.ANNOTATION and s.current]
        elif text == "prediction":
            wanted = [s for s in found if s.kind is SourceKind.PREDICTION and s.current]
        elif not wanted:
            run = study.champion() if text == "champion" else text
            wanted = [s for s in found if s.kind is SourceKind.READING and s.who == text and s.current]
            wanted = wanted or [
                s for s in found if s.kind is SourceKind.PREDICTION and run in (s.who, self.model_of(s.who))
            ]
        if not wanted:
            keys = ", ".join(source.key for source in found) or "none yet"
            raise UsageError(
                f'{name} has nothing called "{text}" to compare.',
                f"It has: {keys}; or write current, prediction, champion, a run or a second reader.",
            )
        return wanted[0].key

    # ---------------------------------------------------------------- compare

    def compare(self, name: str, first: LabelArray | str, second: LabelArray | str) -> Agreement:
        """Compare two annotations of a case; takes a second or more for large ones: call it off the window's thread.

        Parameters
        ----------
        first, second
            Labels (z, y, x) on the case's grid, or the key of a `Choice`.
        """
        study = self.opened()
        a, b = (study.read_source(name, each) if isinstance(each, str) else each for each in (first, second))
        return agreement(a, b, study.grid(name), study.labels.values)

    def consensus_of(self, name: str, keys: Sequence[str], rule: str) -> LabelArray:
        """Work out one annotation of several readers'; saves nothing, and may be called off the window's thread.

        Arguments as `make_consensus`.
        """
        if len(set(keys)) < len(keys):
            raise UsageError("A consensus needs different annotations.", "Choose two that are not the same.")
        study = self.opened()
        return consensus([study.read_source(name, key) for key in keys], rule)

    def make_consensus(
        self, name: str, keys: Sequence[str], rule: str, labels: LabelArray | None = None
    ) -> Annotation | None:
        """Make one annotation out of several readers' as a new draft of the case; the parents are recorded.

        Parameters
        ----------
        keys
            Keys of `Choice` objects, at least two.
        rule
            One of `evaluation.consensus.RULES`.
        labels
            What `consensus_of` has worked out of them, if it was called before.

        Returns
        -------
        Annotation or None
            None when the case's own draft is exactly this already.
        """
        study = self.writable()
        if len(study.journal(name)):
            raise UsageError(f"{name} has strokes that are not saved yet.", "Open the case, which brings them back.")
        if labels is None:
            labels = self.consensus_of(name, keys, rule)
        made = study.save_consensus(name, labels, self.reader, keys, rule)
        if made is not None:
            self.case_changed.emit(name)
            self._update_status()
        return made


def _choice(source: Source, model: str) -> Choice:
    when = moment(source.created)
    if source.kind is SourceKind.PREDICTION:
        return Choice(source.key, f"{model} · predicted {when}", model, source.kind)
    if source.kind is SourceKind.READING:
        state = "" if source.closing is not Closing.DRAFT else " · draft"
        return Choice(source.key, f"Read again by {source.who}{state} · {when}", source.who, source.kind)
    state = "out of the pool" if source.withdrawn else str(source.closing)
    now = f"Annotation now {source.key}" if source.current else source.key
    title = f"{now} · {state} · {source.who} · {when}"
    return Choice(source.key, title, f"{source.who} {source.key}", source.kind)


def _rank(source: Source) -> int:
    if source.kind is SourceKind.ANNOTATION:
        return 0 if source.current else 3
    return 1 if source.kind is SourceKind.READING else 2


def moment(when: dt.datetime) -> str:
    """Say a time as a person would, in the reader's own zone: ``21 Nov 11:02``, with the year when it is another."""
    local = when.astimezone()
    year = "" if local.year == dt.datetime.now().astimezone().year else f" {local.year}"
    return f"{local.day} {local:%b}{year} {local:%H:%M}"
