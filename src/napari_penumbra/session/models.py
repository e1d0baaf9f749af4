"""The registry of models: what there is, and the reader's word on which one predicts."""

from __future__ import annotations

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.session import champion
from napari_penumbra.session.champion import RULE
from napari_penumbra.session.model_info import ModelInfo, count_of, figure_of, info_of, origin_of
from napari_penumbra.session.steering import Steering


class Models(Steering):
    """Lists models, and lets the reader overrule which one predicts."""

    rule = RULE
    """When a new model becomes champion, in words."""

    def models(self) -> list[ModelInfo]:
        """All models with a checkpoint, the newest first."""
        if self.study is None:
            return []
        best, kept, frozen = self.study.champion(), self.kept, self._frozen(self.study)
        infos = []
        for row in self.study.runs():
            if row.kind == "predict":
                continue
            job = self._know(row.id, row.kind, row.method)
            if job.checkpoint() is None:
                continue
            dice, words = figure_of(job, champion.measured(job, frozen) if frozen else None, len(frozen))
            infos.append(info_of(row, job, dice, words, row.id == best, row.id == best and kept == best))
        return sorted(infos, key=lambda info: (info.created, info.id), reverse=True)

    def model(self, name: str) -> ModelInfo:
        """Find a model by its id, by the end or the beginning of it, or as ``champion``; `UsageError` in words."""
        known = self.models()
        if name == "champion":
            found = [info for info in known if info.champion]
        else:
            found = [info for info in known if info.id == name] or [
                info for info in known if name and (info.id.startswith(name) or info.id.endswith(name))
            ]
        if len(found) != 1:
            several = f' "{name}" may be {", ".join(info.id for info in found[:3])}.' if found else ""
            raise UsageError(f"There is no model {name}.{several}", "`penumbra models` lists them.")
        return found[0]

    def cases_behind(self, name: str) -> int:
        """Count the labelled and frozen cases that are behind a model, those of the models that it started from too."""
        job = self._job(name)
        cases = champion.taught_by(job) | {case.name for case in job.spec().of_role("validation")}
        cards = [card for card in (origin_of(j.folder) for j in (job, *champion.ancestors(job))) if card is not None]
        return len(cases) + sum(count_of(card.provenance, "labelled") for card in cards)

    def start_warning(self, name: str) -> str:
        """Say what would mislead a reader of a training that starts from a model; empty when nothing would."""
        study = self.opened()
        frozen = {case.name for case in self._frozen(study)} & champion.taught_by(self._job(self.model(name).id))
        if not frozen:
            return ""
        verb = "which are" if len(frozen) > 1 else "which is"
        return (
            f"The model to start from has learnt from {', '.join(sorted(frozen))}, {verb} frozen now: Dice there will "
            "look better than it is, and does not count when the champion is chosen."
        )

    # ---------------------------------------------------------------- the reader's word

    def make_champion(self, name: str) -> str | None:
        """Let a model predict from now on; returns the one before, None when there was none.

        Raises
        ------
        UsageError
            There is no such model, or it cannot predict here.
        """
        study = self.writable()
        info = self.model(name)
        before = study.champion()
        if before == info.id:
            return before
        study.set_champion(info.id)
        champion.remember(
            self._job(info.id).folder, champion.Judgement(True, f"Made champion by {self.reader or 'hand'}.")
        )
        if self.kept:
            champion.keep(study.layout.runs, "")  # kept was the one before
        self._champion_changed()
        return before

    def why_not_roll_back(self) -> str:
        """Say why there is no champion to roll back to; empty when there is one."""
        if self.study is None:
            return "No study is open."
        return "" if self._champion_before() else "No other model has been champion before, or it is gone."

    def _champion_before(self) -> str | None:
        """Name the champion before the present one: each step back goes further back, it does not go to and fro."""
        stack: list[str] = []
        for run in self.opened().champions():
            if len(stack) > 1 and stack[-2] == run:
                stack.pop()
            elif not stack or stack[-1] != run:
                stack.append(run)
        return next((run for run in reversed(stack[:-1]) if self._job(run).checkpoint() is not None), None)

    def roll_back(self) -> str:
        """Let the champion before the present one predict again; returns its name.

        Raises
        ------
        UsageError
            There is none.
        """
        study = self.writable()
        before = self._champion_before()
        if before is None:
            raise UsageError(self.why_not_roll_back(), "Make any model champion: `penumbra models` lists them.")
        study.set_champion(before)
        if self.kept:
            champion.keep(study.layout.runs, "")
        self._champion_changed()
        return before

    def keep_champion(self, keep: bool) -> None:
        """Keep the present champion whatever comes, or let the rule decide again.

        Raises
        ------
        UsageError
            There is no champion to keep.
        """
        study = self.writable()
        best = study.champion()
        if keep and best is None:
            raise UsageError("There is no champion to keep.", "Train first, or make a model champion.")
        champion.keep(study.layout.runs, best or "" if keep else "")
        self.models_changed.emit()

    def compare_models(self) -> bool:
        """Measure every model on the frozen cases in the background; False when there is nothing to measure."""
        return self.measure_models([info.id for info in self.models()])

    def _champion_changed(self) -> None:
        self.study_changed.emit()
        self.models_changed.emit()
        self._update_status()
