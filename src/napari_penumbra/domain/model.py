"""What is known of a model apart from its weights: enough to build it, to feed it and to trust it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from napari_penumbra.domain.errors import ModelError
from napari_penumbra.domain.labels import LabelScheme

FORMAT = "penumbra-model"
FORMAT_VERSION = 1
SUFFIX = ".penumbra-model"
STATE_KEYS = ("method", "preset", "config", "problem", "plan", "labels", "modalities", "patch", "seed", "step", "steps")
"""What of a checkpoint's plain data makes up the model; all else there is about the training and may name cases."""
_LARGEST_PATCH, _FINEST_MM, _COARSEST_MM = 4096, 0.001, 1000.0
_REMEDY = "Ask whoever sent it to export it again."


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A model's plain data, as ``model.json`` of an exported file has them.

    Attributes
    ----------
    state
        What a checkpoint says of the model itself: the keys of `STATE_KEYS`.
    figures
        Names of figures (``dice``, ``dice_1``, ``cases``) to numbers: how it did on the frozen cases where it was made.
    provenance
        Where it comes from: ``model`` (its name there), ``parents`` (those it started from, the nearest first),
        ``created``, ``exported``, ``program``, ``labelled`` / ``unlabelled`` / ``frozen`` (numbers of cases), and
        ``cases`` (names by role) only where the exporter has asked for it.
    digest
        SHA-256 of the weights' file.
    """

    state: Mapping[str, Any]
    digest: str
    figures: Mapping[str, float] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def method(self) -> str:
        """The method's name in the registry."""
        return str(self.state["method"])

    @property
    def labels(self) -> LabelScheme:
        """Classes by value and name."""
        return LabelScheme.from_json(self.state["labels"])

    @property
    def modalities(self) -> tuple[str, ...]:
        """Channels in order."""
        return tuple(self.state["plan"]["modalities"])

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``model.json``."""
        data = {f.name: dict(getattr(self, f.name)) for f in dataclasses.fields(self) if f.name != "digest"}
        return {"format": FORMAT, "version": FORMAT_VERSION, "digest": self.digest, **data}

    @classmethod
    def from_json(cls, data: Any, what: str) -> ModelCard:
        """Inverse of `to_json`, which believes nothing.

        Parameters
        ----------
        what
            How to name the file in the error.

        Raises
        ------
        ModelError
            Another format or version, or something is missing or of the wrong kind.
        """
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise ModelError(f"{what} is not a model of this program.", f"Choose a file that ends in {SUFFIX}.")
        version = data.get("version")
        if version != FORMAT_VERSION:
            newer = isinstance(version, int) and version > FORMAT_VERSION
            remedy = "Update napari-penumbra." if newer else _REMEDY
            raise ModelError(
                f"{what} has the format version {version!s:.20}; this program reads version {FORMAT_VERSION}.", remedy
            )
        try:
            state = {key: data["state"][key] for key in STATE_KEYS}
            digest, figures = str(data["digest"]), {str(k): float(v) for k, v in data["figures"].items()}
            card = cls(state, digest, figures, dict(data["provenance"]))
            card._check()
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            missing = f" It lacks {error}." if isinstance(error, KeyError) else ""
            raise ModelError(
                f"{what} does not describe its model as it should.{missing}", _REMEDY, repr(error)
            ) from error
        return card

    def _check(self) -> None:
        """Raise ValueError or TypeError when the plain data contradict themselves."""
        state, plan = self.state, self.state["plan"]
        for key in ("config", "problem", "plan"):
            if not isinstance(state[key], dict):
                raise TypeError(f"{key} is not a mapping")
        for key in ("method", "preset"):
            if not isinstance(state[key], str) or not 0 < len(state[key]) <= 120:
                raise ValueError(f"{key} is no name")
        if not 0 <= int(state["step"]) <= int(state["steps"]) or len(self.digest) != 64:
            raise ValueError("step or digest")
        int(state["seed"])
        # Absurd sizes would not harm the study, but take the machine's memory at the first prediction.
        if len(state["patch"]) != 3 or not all(1 <= int(n) <= _LARGEST_PATCH for n in state["patch"]):
            raise ValueError("patch")
        if not all(_FINEST_MM <= float(edge) <= _COARSEST_MM for edge in plan["spacing"]):
            raise ValueError("spacing")
        if any(not math.isfinite(value) for value in self.figures.values()):
            raise ValueError("a figure is not a number")
        if sorted(self.labels.values) != sorted(int(v) for v in plan["values"]):
            raise ValueError("labels and plan speak of different classes")
        names = [str(name) for name in plan["modalities"]]
        if not names or len(set(names)) != len(names):
            raise ValueError("modalities")
