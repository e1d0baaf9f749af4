"""Takes finished predictions into the study without making the window wait for it."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import Future, ThreadPoolExecutor

from napari_penumbra.domain.case import Prediction
from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.study.store import Study


class Registrar:
    """One thread that reads prediction files whole, which takes long for large cases, and registers them.

    Ask with `register`, fetch what is done with `collect` from the thread that may tell listeners.
    """

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._asked: list[Future[list[Prediction]]] = []

    @property
    def busy(self) -> bool:
        """Whether something that was asked for has not been collected yet."""
        return bool(self._asked)

    def register(self, study: Study, names: Collection[str]) -> None:
        """Look for new predictions of these cases."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="penumbra-registrar")
        self._asked.append(self._pool.submit(study.register_predictions, tuple(names)))

    def collect(self) -> tuple[list[Prediction], list[PenumbraError]]:
        """Return what has been registered since the last call, and what went wrong; never waits."""
        found: list[Prediction] = []
        errors: list[PenumbraError] = []
        while self._asked and self._asked[0].done():
            future = self._asked.pop(0)
            try:
                found += future.result()
            except PenumbraError as error:
                errors.append(error)
        return found, errors

    def close(self) -> None:
        """Wait for what is under way: the study may be closed afterwards."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None
        self._asked.clear()
