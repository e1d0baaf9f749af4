"""What the Review page says when there is nothing to review."""

from __future__ import annotations

from napari_penumbra.session import Session
from napari_penumbra.widgets.empty_state import EmptyState


def say_what_next(empty: EmptyState, session: Session, name: str | None, waiting: str | None) -> None:
    """Say why there is nothing to review, and what to do next.

    Parameters
    ----------
    name
        The case on screen, which has no prediction.
    waiting
        A case that waits for a review.
    """
    study = session.study
    if study is None:
        empty.say("No study open.", "Go to Study", "study", "Shows the Study page.")
    elif waiting:
        who = "No case is open" if name is None else f"{name} has no prediction"
        empty.say(f"{who}. {waiting} waits for a review.", "Open it", "next_review", f"Opens {waiting}.")
    elif study.champion() is None:
        empty.say("No model yet: label two cases, then train.", "Go to Train", "train", "Shows the Train page.")
    elif session.active is not None:
        empty.say("No prediction yet. The status line below tells how far the model is.")
    else:
        empty.say(
            "There is a model, but no case waits for a review.",
            "Predict the unlabelled cases",
            "predict",
            "Lets the model ★ predict every case that is not labelled, in the background.",
        )
