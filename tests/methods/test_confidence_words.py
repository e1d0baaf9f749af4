"""What a method's confidence means, as the window and the command line say it."""

from __future__ import annotations

import pytest
from torch import Tensor

from napari_penumbra.methods import get, names
from napari_penumbra.methods._base import LEAD_MEANS, Method


class Plain(Method):
    """Says nothing of its own."""


class Documented(Plain):
    """Overrides the confidence."""

    def confidence(self, image: Tensor, probability: Tensor) -> Tensor:
        """One minus the *entropy*,
        over ``log K``: 0 when all classes tie.

        Not shown.
        """
        return probability[:, 0]


class Silent(Plain):
    """Overrides it without a word."""

    def confidence(self, image: Tensor, probability: Tensor) -> Tensor:
        return probability[:, 0]


class Stated(Documented):
    """Has a sentence for readers."""

    confidence_means = "How far two students agree."


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Plain, LEAD_MEANS),
        (Documented, "One minus the *entropy*, over log K: 0 when all classes tie."),
        (Silent, "The method does not say what its confidence means."),
        (Stated, "How far two students agree."),
    ],
)
def test_where_the_words_come_from(kind: type[Method], words: str) -> None:
    assert kind.confidence_words() == words


@pytest.mark.parametrize("name", names())
def test_every_method_has_words_that_fit_beside_the_switch(name: str) -> None:
    words = get(name).confidence_words()
    assert words.endswith(".")
    assert 20 < len(words) <= 500
    assert "does not say" not in words
