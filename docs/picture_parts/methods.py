"""Pictures of each published system's prediction and confidence, on the sample cohort that it is for."""

from __future__ import annotations

from functools import partial

from napari_penumbra.study.samples import SYSTEMS
from picture_parts.desk import Desk


def predicted_by(method: str, desk: Desk) -> None:
    """Show what a short training of a method makes of a case that it had no label of."""
    desk.use(method)
    session = desk.widget.session
    desk.open_case(next(row.name for row in session.cases() if not row.state.labelled))
    desk.page("review")
    desk.wait("the regions", lambda: desk.widget.dock.review_page.regions.topLevelItemCount() > 0, 60)
    desk.click("confidence_on")
    desk.shoot()


PICTURES = {f"methods/{method}": partial(predicted_by, method) for method in SYSTEMS}
