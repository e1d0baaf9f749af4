"""Matching of modalities and classes by their names: how a model of one study finds its way into another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from napari_penumbra.domain.errors import ModelError


def match_names(what: Literal["modality", "class"], model: Sequence[str], study: Sequence[str]) -> tuple[str, ...]:
    """Find the study's names for what a model knows, in the model's order.

    Upper and lower case and spaces around a name do not count; the order may differ.

    Parameters
    ----------
    what
        For the words.
    model, study
        Names as the model has them, and as the study does.

    Returns
    -------
    tuple of str
        The study's spelling, in the model's order.

    Raises
    ------
    ModelError
        One side has a name that the other lacks: the message says which.
    """
    spelt = {plain(name): name for name in study}
    known = {plain(name) for name in model}
    lacking = [name for name in model if plain(name) not in spelt]
    strange = [name for name in study if plain(name) not in known]
    many = "modalities" if what == "modality" else "classes"
    remedy = f"Names must agree (upper and lower case do not count): the study has {', '.join(study)}, the model "
    remedy += f"{', '.join(model)}."
    if lacking:
        raise ModelError(f"The model knows the {_named(what, many, lacking)}, which this study does not have.", remedy)
    if strange:
        raise ModelError(f"The model does not know the study's {_named(what, many, strange)}.", remedy)
    if len(known) != len(model) or len(spelt) != len(study):
        raise ModelError(f"Two {many} have the same name: they cannot be told apart.", remedy)
    return tuple(spelt[plain(name)] for name in model)


def plain(name: str) -> str:
    """Name without what does not count."""
    return " ".join(name.split()).casefold()


def _named(what: str, many: str, names: Sequence[str]) -> str:
    return f"{what if len(names) == 1 else many} {', '.join(names)}"
