"""Methods that predict with an average of their network's weights."""

from __future__ import annotations

import copy
from typing import Self

from torch import nn

from napari_penumbra.methods._base import Method
from napari_penumbra.methods._functional import average_into, freeze, warm_decay


class AveragingMethod(Method):
    """Keeps an exponential moving average of one network's weights, if its config asks for one.

    Attributes
    ----------
    average
        The averaged copy, which always evaluates; None without one.
    """

    average: nn.Module | None
    _averaged: tuple[nn.Module, float]

    def keep_average(self, network: nn.Module, decay: float) -> None:
        """Start an average that keeps ``decay`` of itself at each step (less at first: `warm_decay`); 0 for none."""
        self._averaged = (network, decay)  # in a tuple, so that the network is not registered under a second name
        self.average = freeze(copy.deepcopy(network)) if decay else None

    @property
    def seasoned(self) -> nn.Module:
        """The network that predicts: the average, or the trained network itself without one."""
        return self._averaged[0] if self.average is None else self.average

    def train(self, mode: bool = True) -> Self:
        """Switch the networks to training or evaluation; the average always evaluates."""
        super().train(mode)
        if self.average is not None:
            self.average.eval()
        return self

    def after_step(self, step: int) -> None:
        """Move the average."""
        network, decay = self._averaged
        if self.average is not None:
            average_into(self.average, network, warm_decay(step, decay))

    def predictor(self) -> nn.Module:
        """The average, or the network itself without one."""
        return self.seasoned
