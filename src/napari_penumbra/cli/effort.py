"""``penumbra effort``: what each case took its readers, and whether to go on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_penumbra.cli.output import opened, say, say_json, table
from napari_penumbra.cli.study import JsonOption, StudyArgument
from napari_penumbra.session.effort_table import advice_words, effort_rows, saved_words, write_effort
from napari_penumbra.session.words import duration
from napari_penumbra.study.minutes import Finished, stop_rule, time_saved

app = typer.Typer()


@app.command()
def effort(
    study: StudyArgument,
    csv: Annotated[Path | None, typer.Option(help="Also write the table into this CSV file.")] = None,
    json: JsonOption = False,
) -> None:
    """Show what each finished case took: active minutes, strokes, changed voxels, and when to stop.

    Pauses of more than 20 s are not counted. Cases whose labels came from files are left out. The table has no names
    of persons but the one that the reader of this machine has set.
    """
    with opened(study, write=False) as session:
        done, name, own = session.opened().finished(), session.opened().name, session.reader
    if csv is not None:
        write_effort(csv, done, own)
    if json:
        advice, saved = stop_rule(done), time_saved(done)
        say_json(
            {
                "study": name,
                "cases": effort_rows(done, own),
                "stop": advice.stop,
                "words": advice.words,
                "by_hand_seconds": saved.by_hand if saved is not None else None,
                "saved_seconds": saved.seconds if saved is not None else None,
            }
        )
        return
    if done:
        header = ("no.", "case", "how", "active", "strokes", "changed", "of foreground", "regions", "Dice before")
        table(header, [_line(n, f) for n, f in enumerate(done, start=1)], name)
    else:
        say("No case was finished in this study yet.")
    say(advice_words(done))
    say(saved_words(done))
    if csv is not None:
        say(f"Written: {csv}")


def _line(number: int, f: Finished) -> tuple[str, ...]:
    share = f.share
    return (
        str(number),
        f.case,
        "corrected" if f.reviewed else "by hand",
        duration(f.seconds) if f.seconds else "",
        "" if f.strokes is None else str(f.strokes),
        f"{f.changed:,}",
        "" if share is None or not f.reviewed else f"{100 * share:.1f} %",
        str(sum(f.decided.values())) if f.decided else "",
        "" if f.dice is None else f"{f.dice:.3f}",
    )
