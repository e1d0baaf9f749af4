"""Commands that look back and side by side: history, compare."""

from __future__ import annotations

from typing import Annotated

import typer

from napari_penumbra.cli.output import opened, say, say_json, table
from napari_penumbra.cli.study import JsonOption, StudyArgument
from napari_penumbra.session import Session
from napari_penumbra.session.agreement_words import Units, place_words, rows, summary
from napari_penumbra.session.history_words import costs, headline

app = typer.Typer()
CaseArgument = Annotated[str, typer.Argument(help="Name of a case.", show_default=False)]
SIGNS = ("A", "B")
MOST_PLACES = 10


@app.command()
def history(study: StudyArgument, case: CaseArgument, json: JsonOption = False) -> None:
    """Show everything that happened to a case: who, when, what, from which model."""
    with opened(study, write=False) as session:
        events = session.case_history(case)
        if json:
            say_json({"study": session.opened().name, "case": case, "events": events})
            return
        cells = [
            (
                f"{event.when.astimezone():%Y-%m-%d %H:%M}",
                event.key,
                headline(event).removeprefix(event.key).strip() + (" (in the pool)" if event.in_pool else ""),
                costs(event),
                event.who,
                session.model_title(session.model_of(event.run)) if event.run else "",
            )
            for event in events
        ]
        table(("when", "labels", "what", "details", "who", "model"), cells, case, names=("labels",))


@app.command()
def compare(
    study: StudyArgument,
    case: CaseArgument,
    first: Annotated[
        str,
        typer.Argument(
            help="Labels as `penumbra history` names them (r3, s1, p2), or current, prediction, champion, "
            "a run, or a second reader.",
            metavar="A",
            show_default=False,
        ),
    ],
    second: Annotated[str, typer.Argument(help="The same.", metavar="B", show_default=False)],
    json: JsonOption = False,
) -> None:
    """Compare two annotations of a case: Dice, HD95, ASSD, volumes, and the largest places where they differ."""
    with opened(study, write=False) as session:
        keys = session.find_choice(case, first), session.find_choice(case, second)
        found = session.compare(case, *keys)
        scheme, units = session.opened().labels, Units.of(session.opened().grid(case))
        if json:
            places = [
                {"box": p.region.box, "ml": p.region.ml, "first": p.first, "second": p.second} for p in found.places
            ]
            say_json({
                "case": case, "first": keys[0], "second": keys[1], "classes": found.classes, "places": places,
                "more": found.more, "disagreed_ml": found.disagreed_ml, "unknown_ml": found.unknown_ml,
            })  # fmt: skip
            return
        _titles(session, case, keys)
        volume, distance = units.volume, units.distance
        headers = ("class", "Dice", f"HD95 {distance}", f"ASSD {distance}", f"A {volume}", f"B {volume}", "parts")
        cells = [
            (r.name, r.dice, r.hd95, r.assd, r.first, r.second, r.parts) for r in rows(found, scheme, units, SIGNS)
        ]
        table(headers, cells, names=("class",))
        say(summary(found, units))
        listed = found.places[:MOST_PLACES]
        if listed:
            table(
                ("", "disagreement", volume, "slices z"),
                [
                    (str(n), place_words(p, scheme, SIGNS), units.amount(p.region.ml), _slices(p.region.box))
                    for n, p in enumerate(listed, 1)
                ],
            )


def _titles(session: Session, case: str, keys: tuple[str, str]) -> None:
    titles = {choice.key: choice.title for choice in session.compare_choices(case)}
    for sign, key in zip(SIGNS, keys, strict=True):
        say(f"{sign}  {key}  {titles.get(key, '')}")


def _slices(box: tuple[tuple[int, int, int], tuple[int, int, int]]) -> str:
    low, high = box[0][0], box[1][0] - 1
    return str(low) if low == high else f"{low} to {high}"
