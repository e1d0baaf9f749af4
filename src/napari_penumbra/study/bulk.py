"""Adding many cases: side by side on all cores where that pays, each of them whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace

from sqlalchemy import select

from napari_penumbra.domain.colour import PICTURE, expand_images
from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.study import adding
from napari_penumbra.study.adding import PIXELS_NOTE
from napari_penumbra.study.core import Core
from napari_penumbra.study.crew import cores, stage_all
from napari_penumbra.study.importers.folder import PlannedCase
from napari_penumbra.study.newcase import NewCase
from napari_penumbra.study.schema import CaseTable
from napari_penumbra.study.staging import Order

Outcome = tuple[str, list[str] | PenumbraError]
_WORTH_BYTES = 24_000_000
"""Packed bytes from which helpers pay for their start of about a second."""
_MOST = 16
"""More helpers than this wait for the disk."""


def present(core: Core, names: Collection[str]) -> set[str]:
    """Which of these names the study has already."""
    with core.db.read() as session:
        return set(names) & set(session.scalars(select(CaseTable.name)))


def add_all(
    core: Core, cases: Sequence[PlannedCase], author: str = "", jobs: int | None = None, gentle: bool = False
) -> Iterator[Outcome]:
    """Add cases that a plan found; those that the study has already are passed over, so that an import can go on.

    Parameters
    ----------
    author
        Who stands for the masks.
    jobs
        How many cases at once; None decides by the cores and by how much there is to read.
    gentle
        Let other programs go first: a window is being worked in.

    Yields
    ------
    tuple
        Name of the case, and its warnings or why it was not added, in the order of the plan.
        `PIXELS_NOTE` is said of the first picture only. A generator that is closed leaves nothing half-added.
    """
    there = present(core, {case.name for case in cases})
    wanted = [case for case in cases if case.name not in there]
    said: set[str] = set()
    size = helpers(wanted) if jobs is None else max(1, jobs)
    with nullcontext() if core.team is None else core.team.adding():
        alone = size == 1
        found = _one_by_one(core, wanted, author) if alone else _side_by_side(core, wanted, author, size, gentle)
        for name, outcome in found:
            if isinstance(outcome, PenumbraError):
                yield name, outcome
                continue
            yield name, [text for text in outcome if text not in said]
            said |= {PIXELS_NOTE} & set(outcome)


def helpers(cases: Sequence[PlannedCase]) -> int:
    """How many helpers are worth their start for these cases; 1 means none."""
    files = {path for case in cases for path in case.images.values()}
    size = 0
    for path in files:
        with suppress(OSError):
            size += path.stat().st_size
        if size > _WORTH_BYTES:
            return max(1, min(cores(), len(cases), _MOST))
    return 1


def _new(core: Core, case: PlannedCase, author: str) -> NewCase:
    new = NewCase(case.name, case.images, case.label, author=author, hints=case.hints, reference=case.reference)
    return new if PICTURE in core.manifest.modalities else replace(new, images=expand_images(case.images))


def _one_by_one(core: Core, cases: Sequence[PlannedCase], author: str) -> Iterator[Outcome]:
    for case in cases:
        try:
            yield case.name, adding.add_alone(core, _new(core, case, author))
        except PenumbraError as error:
            yield case.name, error


def _side_by_side(core: Core, cases: Sequence[PlannedCase], author: str, size: int, gentle: bool) -> Iterator[Outcome]:
    given_out: set[str] = set()

    def make(case: PlannedCase) -> Order | PenumbraError:
        try:
            order = adding.make_order(core, _new(core, case, author), given_out)
        except PenumbraError as error:
            return error
        given_out.add(order.slug)
        return order

    staged = stage_all(iter(cases), make, size, gentle)
    try:
        for case, order, result in staged:
            if order is None or isinstance(result, PenumbraError):
                if order is not None:
                    shutil.rmtree(order.folder, ignore_errors=True)
                yield case.name, result if isinstance(result, PenumbraError) else []
                continue
            yield case.name, _register(core, order, result)
    finally:
        staged.close()  # type: ignore[attr-defined]  # a generator; its type says iterator


def _register(core: Core, order: Order, result: adding.Staged) -> list[str] | PenumbraError:
    try:
        return adding.register(core, order.new, result)
    except PenumbraError as error:
        return error
    except OSError as error:
        return adding.disk(core, error)
    finally:
        shutil.rmtree(order.folder, ignore_errors=True)
