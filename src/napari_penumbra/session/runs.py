"""The learning half of a session: looks ahead, orders trainings and predictions."""

from __future__ import annotations

import contextlib
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from napari_penumbra.domain.errors import ModelError, PenumbraError, UsageError
from napari_penumbra.domain.launch import HERE, Launch
from napari_penumbra.domain.spec import RunSpec, SpecCase
from napari_penumbra.jobs.launch import check, prepare
from napari_penumbra.jobs.launchers import refuse_if_closed
from napari_penumbra.jobs.machine import look
from napari_penumbra.jobs.methods_info import MethodInfo, find, method_infos
from napari_penumbra.session.facts import facts_of
from napari_penumbra.session.model_exchange import Exchange, without_paths
from napari_penumbra.session.model_info import state_of
from napari_penumbra.session.preflight import Preflight, look_ahead
from napari_penumbra.session.recommend import Recommendation, recommend


class Runs(Exchange):
    """Trainings and predictions of the open study."""

    auto_predict: bool = True
    """Predict the unlabelled cases as soon as a training has made a new champion."""

    # ---------------------------------------------------------------- before

    def methods(self) -> list[MethodInfo]:
        """Every installed method. Takes seconds the first time: call it off the window's thread."""
        return method_infos()

    def recommend(self) -> Recommendation:
        """Choose a method and a preset for the open study, and say why.

        Reads a few label files, and asks for the methods and the graphics card, which takes seconds the first time:
        call it off the window's thread.
        """
        infos = self.methods()
        return recommend(facts_of(self.opened(), look()), infos)

    def preflight(
        self,
        method: str,
        preset: str,
        config: Mapping[str, Any] | None = None,
        steps: int | None = None,
        validation: int | None = None,
        queue: bool = False,
    ) -> Preflight:
        """Say what a training would see and what may go wrong, without starting anything.

        Parameters
        ----------
        queue
            A training that runs is no problem: this one would wait for it.
        """
        info = find(self.methods(), method)
        info.check(preset, dict(config or {}))
        settings, steps = _settings(config, steps)
        ahead = look_ahead(self.opened(), info, preset, settings, steps, validation)
        busy = None if queue else self._busy()
        return replace(ahead, problem=str(busy)) if busy and not ahead.problem else ahead

    def measure(self, preflight: Preflight, threads: int = 0, start_from: str = "", way: Launch = HERE) -> Preflight:
        """Take a few real steps in a worker and add time, memory and disk. Seconds: call it off the window's thread.

        Parameters
        ----------
        start_from
            A model of this study that the training would start from: whether it fits is found out, too.
        way
            Several processes here are measured side by side.

        Raises
        ------
        JobError
            The trial steps failed; the worker's own words.
        """
        study = self.writable()
        spec = RunSpec(
            kind="train",
            modalities=tuple(study.modalities),
            labels=study.labels,
            cases=study.pool(),
            method=preflight.method,
            preset=preflight.preset,
            config=preflight.config,
            steps=preflight.steps,
            threads=threads,
            checkpoint=self._start_checkpoint(start_from) if start_from else None,
        )
        # Beside the real runs, so that the worker finds the study the same way; no database row, gone afterwards.
        folder = prepare(study.layout.runs, f".check-{secrets.token_hex(4)}", spec)
        try:
            measured = check(folder, threads=threads, launch=way)
            with contextlib.suppress(OSError):
                return preflight.with_measured(measured, shutil.disk_usage(study.root).free)
            return preflight.with_measured(measured)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    # ---------------------------------------------------------------- start

    def start_settings(self, name: str) -> tuple[str, str, dict[str, Any]]:
        """Tell how a model was trained, so that a training from it has the same networks.

        Returns
        -------
        tuple
            Method, preset, and the parameters that differ from the preset; steps, and files that starting weights were
            once read from, are left to the new training.
        """
        model = self.model(name)
        info = find(self.methods(), model.method)
        preset = model.preset if model.preset in info.presets else next(iter(info.presets))
        own = {k: v.get("default") for k, v in info.parameters.items()} | info.presets[preset]
        config = without_paths(dict(state_of(self._job(model.id)).get("config") or {}))
        return info.name, preset, {k: v for k, v in config.items() if k != "steps" and k in own and _other(v, own[k])}

    def train(
        self,
        method: str,
        preset: str,
        *,
        steps: int | None = None,
        seed: int = 0,
        config: Mapping[str, Any] | None = None,
        reference: bool = True,
        validation: int | None = None,
        threads: int = 0,
        queue: bool = False,
        tensorboard: bool = False,
        way: Launch | None = None,
        start_from: str = "",
    ) -> str:
        """Start a training in its own process.

        Parameters
        ----------
        method, preset
            Names as `methods` lists them.
        steps
            Optimiser steps; None takes the preset's.
        config
            Parameters that differ from the preset.
        reference
            Train a supervised-only twin along, to show what the unlabelled cases are worth.
        validation
            How many labelled cases to freeze, if none are frozen yet; None draws a fifth of four or more.
        threads
            CPU threads; 0 for all but one.
        queue
            Wait for the training that runs now, instead of refusing.
        tensorboard
            Also write files for TensorBoard into the run's folder.
        way
            Where and by how many processes; None for one here.
        start_from
            A model to start from instead of random weights, as `bring_model` finds it: of this study, a file, or of
            another study. What of it is taken over stands in the run's events.

        Returns
        -------
        str
            The run's id.

        Raises
        ------
        ModelError
            The model to start from knows other modalities or classes.
        UsageError
            Unknown method, preset or parameter; no labelled case; another run is active.
        """
        study = self.writable()
        self._refuse_if_busy(queue)
        way = way or Launch()
        refuse_if_closed(way)
        info = find(self.methods(), method)
        info.check(preset, dict(config or {}))
        settings, steps = _settings(config, steps)
        ahead = look_ahead(study, info, preset, settings, steps, validation)
        if ahead.problem:
            raise UsageError(ahead.problem, ahead.remedy)
        start = self._start_checkpoint(self.bring_model(start_from)) if start_from else None
        study.freeze_validation(count=validation)
        spec = RunSpec(
            kind="train",
            modalities=tuple(study.modalities),
            labels=study.labels,
            cases=study.pool(),
            method=method,
            preset=preset,
            config=settings,
            steps=steps,
            seed=seed,
            reference=reference and info.uses_unlabelled,
            threads=threads,
            tensorboard=tensorboard,
            checkpoint=start,
            launch=way.to_json(),
        )
        return self._start(spec, method)

    def predict(
        self,
        cases: Sequence[str] | None = None,
        run: str | None = None,
        first: str | None = None,
        threads: int = 0,
        title: str = "predict",
        way: Launch | None = None,
    ) -> str:
        """Start a prediction in its own process.

        Parameters
        ----------
        cases
            Names; None takes all unlabelled cases, the most useful first.
        run
            Training whose last checkpoint predicts; None takes the champion.
        first
            The case on screen: it comes first.
        title
            Word in the run's id.
        way
            Where and by how many processes, who share the cases; None for one here.

        Returns
        -------
        str
            The run's id.
        """
        study = self.writable()
        self._refuse_if_busy()
        way = way or Launch()
        refuse_if_closed(way)
        run = run or study.champion()
        if run is None:
            raise UsageError("There is no model yet.", "Label two cases, then train.")
        job = self._job(run)
        checkpoint = job.checkpoint()
        if checkpoint is None:
            raise ModelError(f"Run {run} has no checkpoint to predict with.", "Resume it, or train anew.")
        trained = job.spec()
        spec = RunSpec(
            kind="predict",
            modalities=trained.modalities,
            labels=trained.labels,
            cases=self._to_predict(cases, first),
            method=trained.method,
            preset=trained.preset,
            config=trained.config,
            seed=trained.seed,
            checkpoint=checkpoint.relative_to(study.root).as_posix(),
            threads=threads,
            launch=way.to_json(),
        )
        return self._start(spec, title)

    def _to_predict(self, cases: Sequence[str] | None, first: str | None) -> tuple[SpecCase, ...]:
        study = self.opened()
        if cases is None:
            pool = {case.name: case for case in study.pool() if case.role == "unlabelled"}
            names = [name for name in study.order() if name in pool]
            if not names:
                raise UsageError(
                    "Every case is labelled: there is nothing to predict.", "Name cases to predict anyway."
                )
        else:
            names = list(dict.fromkeys(cases))
            for name in names:
                study.case(name)  # says in words when there is no such case
            pool = {case.name: case for case in study.pool(only=names)}
        if first in names:
            names.remove(first)
            names.insert(0, first)
        return tuple(replace(pool[name], role="predict", label=None) for name in names if name in pool)

    def _crowned(self) -> None:
        if not self.auto_predict:
            return
        try:
            if any(case.role == "unlabelled" for case in self.opened().pool()):
                self.predict()
        except PenumbraError as error:  # the training itself was fine: tell, and leave the model as it is
            self._news = str(error)
            self.failed.emit(error)


def _other(one: Any, other: Any) -> bool:
    """Whether two values differ; JSON knows no tuples."""
    plain = [list(value) if isinstance(value, tuple) else value for value in (one, other)]
    return bool(plain[0] != plain[1])


def _settings(config: Mapping[str, Any] | None, steps: int | None) -> tuple[dict[str, Any], int | None]:
    """Take the steps out of the parameters, so that there is one place where they stand."""
    settings = dict(config or {})
    among = settings.pop("steps", None)
    if among is not None and steps is not None and among != steps:
        raise UsageError(f"The steps were given twice: {steps} and {among}.", "Give them once.")
    return settings, steps if among is None else among
