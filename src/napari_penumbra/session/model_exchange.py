"""Models that leave a study as one file, come in, and start new trainings."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_penumbra import __version__
from napari_penumbra.domain.errors import ModelError, PenumbraError, UsageError
from napari_penumbra.domain.labels import LabelClass, LabelScheme
from napari_penumbra.domain.model import STATE_KEYS, SUFFIX, ModelCard
from napari_penumbra.domain.naming import match_names
from napari_penumbra.domain.progress import Kind, Progress
from napari_penumbra.domain.spec import RunSpec
from napari_penumbra.imaging.atomic import disk_error, write_text
from napari_penumbra.jobs.model_file import WEIGHTS, opened_model_file, own_weights, unpack_weights, write_model_file
from napari_penumbra.jobs.service import check_model
from napari_penumbra.session import champion
from napari_penumbra.session.model_info import IMPORT, ORIGIN_FILE, origin_of, state_of
from napari_penumbra.session.models import Models

METHOD_PREFIX = "method/"
"""Under which a checkpoint holds the model's own tensors (`napari_penumbra.training.checkpoint`)."""
CHECKPOINT_VERSION = 1
_DRAFT = ".import-"
_STALE_SECONDS = 86_400.0
"""A draft of a model file is being checked for seconds; one as old as this was left by a program that was killed."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A model file that was unpacked and checked; ``folder`` becomes the run ``run``."""

    run: str
    folder: Path
    card: ModelCard


class Exchange(Models):
    """Exports and imports models."""

    def _begin(self) -> None:
        super()._begin()
        if self.readonly:
            return
        for draft in self.opened().layout.runs.glob(f"{_DRAFT}*"):
            with contextlib.suppress(OSError):
                if time.time() - draft.stat().st_mtime > _STALE_SECONDS:
                    shutil.rmtree(draft, ignore_errors=True)

    def export_model(self, name: str, path: Path, *, cases: bool = False) -> Path:
        """Write a model as one file: weights, how to build and to feed it, figures, where it comes from.

        Parameters
        ----------
        name
            As `model` finds it.
        path
            The file; its suffix is added when it is missing.
        cases
            Also write the names of the cases that it learnt from and was measured on. Without it no name of a case,
            of a file or of a folder is in the file.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        ModelError
            The model's checkpoint is damaged.
        DiskError
            The file cannot be written.
        """
        info = self.model(name)
        job = self._job(info.id)
        checkpoint, state = job.checkpoint(), state_of(job)
        if checkpoint is None:
            raise ModelError(f"Run {info.id} has no checkpoint.", "Resume it, or train anew.")
        weights = own_weights(checkpoint, state, METHOD_PREFIX)
        try:
            own = {key: state[key] for key in STATE_KEYS}
        except KeyError as error:
            raise ModelError(f"The checkpoint of {info.id} lacks its {error}.", "Train anew.") from error
        own["config"] = without_paths(own["config"])
        parents = [parent.id for parent in champion.ancestors(job)]
        card = origin_of(job.folder)
        provenance: dict[str, Any] = {
            "model": info.id if card is None else card.provenance.get("model", info.id),
            "parents": parents if card is None else list(card.provenance.get("parents", ())),
            "created": info.created.isoformat(),
            "exported": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            "program": __version__,
            "labelled": info.labelled,
            "unlabelled": info.unlabelled,
            "frozen": info.frozen,
        }
        if cases and info.cases:
            provenance["cases"] = {role: list(names) for role, names in info.cases.items()}
        figures = _figures(state, info.dice)
        made = ModelCard(own, hashlib.sha256(weights).hexdigest(), figures, provenance)
        path = Path(path)
        path = path if path.name.endswith(SUFFIX) else path.with_name(path.name + SUFFIX)
        return write_model_file(path, made, weights)

    def import_model(self, path: Path) -> str:
        """Take a model file into the study; it does not become champion by itself. Takes seconds.

        Classes and modalities are matched by name; the file is checked in every respect before the study knows of it.

        Returns
        -------
        str
            Its name here. The same file taken in twice is one model.

        Raises
        ------
        ModelError
            The file is not whole, was not made by this program, or does not fit the study; the message says what.
        """
        return self.take_model(self.read_model(path))

    def read_model(self, path: Path) -> Draft:
        """Unpack and check a model file: the first half of `import_model`, to be called off the window's thread."""
        study = self.writable()
        path = Path(path)
        run = f"{dt.datetime.now(dt.UTC):%Y%m%d-%H%M%S}-{IMPORT}-{secrets.token_hex(2)}"
        draft = study.layout.runs / f"{_DRAFT}{run}"
        with opened_model_file(path) as (card, file):
            fitting = _fit(card, tuple(study.modalities), study.labels)
            checkpoint = draft / "checkpoints" / f"step-{int(card.state['step']):06d}"
            try:
                checkpoint.mkdir(parents=True)
                unpack_weights(file, card, checkpoint / WEIGHTS, path.name)
                _write_checkpoint(checkpoint, fitting)
                check_model(checkpoint)
                self._write_order(draft, card, fitting)
            except OSError as error:
                shutil.rmtree(draft, ignore_errors=True)
                raise disk_error(draft, error) from error
            except BaseException:
                shutil.rmtree(draft, ignore_errors=True)
                raise
        return Draft(run, draft, card)

    def take_model(self, draft: Draft) -> str:
        """Let the study know of a model that `read_model` has checked: the second half of `import_model`."""
        try:
            study = self.writable()
            for info in self.models():
                known = origin_of(study.layout.run(info.id))
                if known is not None and (known.digest, known.state) == (draft.card.digest, draft.card.state):
                    return info.id
            os.replace(draft.folder, study.layout.run(draft.run))
            try:
                study.add_run(draft.run, IMPORT, draft.card.method, str(draft.card.state["preset"]))
            except PenumbraError:
                shutil.rmtree(study.layout.run(draft.run), ignore_errors=True)  # nothing the study does not know
                raise
        except OSError as error:
            raise disk_error(draft.folder, error) from error
        finally:
            shutil.rmtree(draft.folder, ignore_errors=True)
        self._know(draft.run, IMPORT, draft.card.method).catch_up()
        self.models_changed.emit()
        return draft.run

    def _write_order(self, draft: Path, card: ModelCard, fitting: Mapping[str, Any]) -> None:
        """Make a run's folder of it, like one whose training has ended, with no cases."""
        study = self.opened()
        spec = RunSpec(
            "train",
            tuple(study.modalities),
            study.labels,
            (),
            method=card.method,
            preset=str(card.state["preset"]),
            config=dict(fitting["config"]),
            seed=int(card.state["seed"]),
        )
        write_text(draft / "job.json", json.dumps(spec.to_json(), indent=1))
        write_text(draft / ORIGIN_FILE, json.dumps(card.to_json(), indent=1))
        step, steps = int(card.state["step"]), int(card.state["steps"])
        write_text(draft / "events.jsonl", Progress(Kind.FINISHED, step, steps, message="Imported.").to_line() + "\n")
        champion.remember(draft, champion.Judgement(False, "Imported: it predicts when you make it champion."))

    # ---------------------------------------------------------------- to start from

    def bring_model(self, what: str) -> str:
        """Find a model to start from, and take it into the study if it is not there yet.

        Parameters
        ----------
        what
            A model of this study as `model` finds it, a model file, another study's folder (its champion), or the
            folder of a run in another study.

        Returns
        -------
        str
            Its name in this study.

        Raises
        ------
        UsageError
            There is no such model.
        ModelError
            It does not fit the study; the message names the modality or the class.
        """
        path = Path(what)
        with contextlib.suppress(UsageError):
            return self.model(what).id
        if path.is_file():
            return self.import_model(path)
        if path.is_dir():
            return self._from_other_study(path)
        raise UsageError(
            f'There is no model "{what}".',
            f"Name a model of this study (`penumbra models` lists them), a {SUFFIX} file, or another study's folder.",
        )

    def _from_other_study(self, folder: Path) -> str:
        run = "champion"
        if not (folder / "study.toml").exists() and (folder / "job.json").exists():
            folder, run = folder.resolve().parent.parent, folder.name
        other = Exchange()
        other.open(folder, write=False)
        try:
            with tempfile.TemporaryDirectory(prefix="penumbra-") as temporary:
                return self.import_model(other.export_model(run, Path(temporary) / "model"))
        finally:
            other.close()

    def _start_checkpoint(self, name: str) -> str:
        study = self.opened()
        job = self._job(self.model(name).id)
        checkpoint = job.checkpoint()
        if checkpoint is None:
            raise ModelError(f"Run {job.id} has no checkpoint to start from.", "Resume it, or choose another.")
        return checkpoint.relative_to(study.root).as_posix()


def _figures(state: Mapping[str, Any], dice: float | None) -> dict[str, float]:
    """Figures of the last validation that are numbers, with the newest mean Dice."""
    figures = {str(k): float(v) for k, v in dict(state.get("figures") or {}).items() if k != "seconds" and v == v}
    return figures if dice is None else {**figures, "dice": dice}


def without_paths(config: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters without paths of files: these were read when the training began, and may name a person."""
    return {k: "" if isinstance(v, str) and ("/" in v or "\\" in v) else v for k, v in config.items()}


def _fit(card: ModelCard, modalities: tuple[str, ...], labels: LabelScheme) -> dict[str, Any]:
    """Say a model's plan in the study's words: its spelling of modalities, its values of classes; order as it was.

    Raises
    ------
    ModelError
        A modality or a class has no counterpart of the same name.
    """
    plan, names = dict(card.state["plan"]), {c.value: c.name for c in card.labels.classes}
    plan["modalities"] = list(match_names("modality", card.modalities, modalities))
    mine = {c.name: c for c in labels.classes}
    classes = match_names("class", [names[int(v)] for v in plan["values"]], tuple(mine))
    plan["values"] = [mine[name].value for name in classes]
    scheme = LabelScheme(tuple(LabelClass(mine[n].value, n, mine[n].color) for n in classes))
    return {**card.state, "plan": plan, "labels": scheme.to_json(), "modalities": plan["modalities"]}


def _write_checkpoint(folder: Path, state: Mapping[str, Any]) -> None:
    """Complete a checkpoint's folder that has its weights already."""
    digest = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    plain = {**state, "figures": {}, "optimisers": {}, "version": CHECKPOINT_VERSION, "digests": {WEIGHTS: digest}}
    try:
        write_text(folder / "state.json", json.dumps(plain, allow_nan=False))
    except ValueError as error:
        raise ModelError("A parameter of the model is not a number.", "Ask for it again.", repr(error)) from error
    write_text(folder.parent / "latest", folder.name)
