"""The report page of a study: pictures of every case with contours, the table, volumes, effort, models. One file."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from napari_penumbra import __version__
from napari_penumbra.domain.colour import COLOUR, has_colour
from napari_penumbra.domain.errors import ImageError, PenumbraError, UsageError
from napari_penumbra.domain.labels import UNKNOWN_COLOR, LabelArray
from napari_penumbra.evaluation import page
from napari_penumbra.evaluation.slices import Bytes, grey_bytes, slice_svg, telling_slices
from napari_penumbra.evaluation.svg import Bars, Line, Panel, figure
from napari_penumbra.imaging.atomic import replace_into
from napari_penumbra.imaging.files import read_image, read_labels
from napari_penumbra.session.cohort_files import check_place, make_folder
from napari_penumbra.session.cohort_table import Row, class_slugs, columns, rows
from napari_penumbra.session.effort_table import advice_words, saved_words
from napari_penumbra.study.cohort import CohortFacts
from napari_penumbra.study.exporters import ExportOptions, Plan, Written
from napari_penumbra.study.store import Study
from napari_penumbra.study.thumbnails import colour_bytes

REPORT = "report.html"


def plan_report(study: Study, folder: Path, options: ExportOptions, references: Path | None, own_name: str) -> Plan:
    """Say what a report page will hold; see `Plan`. Its pictures are written one case at a time.

    Raises
    ------
    UsageError
        The study is empty, the page is there already, or the reference folder does not exist.
    """
    cases = study.cases()
    if not cases:
        raise UsageError("There is nothing to report: the study has no cases.", "Add cases first.")
    if references is not None and not references.is_dir():
        raise UsageError(f"The reference folder {references} does not exist.", "Name a folder of label files.")
    check_place(study, folder, [REPORT], options.overwrite)
    count = len(set(options.cases)) or len(cases)

    def run() -> Iterator[Written]:
        made: list[tuple[Row, CohortFacts]] = []
        for row, facts in rows(study, options, references, own_name):
            made.append((row, facts))
            yield Written(facts.item.name)
        make_folder(folder)
        with replace_into(folder / REPORT) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
            file.write(_head(study, [row for row, _ in made], references is not None))
            for row, facts in made:
                text, error = _case(study, row, facts)
                file.write(text)
                file.flush()  # what is written is out of memory, however many cases there are
                yield Written(facts.item.name, (), error)
            file.write(page.end())
        yield Written("", (REPORT,))

    return Plan(folder, "Report page", 2 * count + 1, (("", REPORT),), (), (), run)


# ---------------------------------------------------------------------- about all cases


def _head(study: Study, made: Sequence[Row], references: bool) -> str:
    today = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d")
    states = Counter(str(row["labels"]) for row in made)
    parts = [page.begin(f"{study.name}: report")]
    parts.append(page.line(f"{today} · napari-penumbra {__version__} · modalities {', '.join(study.modalities)}", True))
    if study.simulated:
        parts.append(page.banner("Simulated: no case in this study is of a real patient."))
    counted = ", ".join(f"{count} {'without labels' if kind == 'none' else kind}" for kind, count in states.items())
    parts.append(page.line(f"{len(made)} case{'' if len(made) == 1 else 's'}: {counted}."))
    parts += [page.heading("Cases"), _table(study, made, references)]
    parts += [page.heading("Volumes"), _volumes(study, made), page.heading("Effort"), _effort(study)]
    parts += [page.heading("Models"), _models(study, made), page.heading("Pictures")]
    parts.append(page.line("Axial slices, seen from the feet: the patient's right (R) is on the left.", True))
    legend = [(c.name, c.color) for c in study.labels.classes]
    parts.append(page.legend([*legend, ("unknown (dashed)", UNKNOWN_COLOR)]))
    return "".join(parts)


_LEFT_OUT = {"simulated", "date_utc", "closing", "model", "spacing_x_mm", "spacing_y_mm", "spacing_z_mm",
             "voxels_changed", "prediction_dice", "mean_confidence", "reference", "unknown_voxels"}  # fmt: skip


def _table(study: Study, made: Sequence[Row], references: bool) -> str:
    """The cohort table without what only a program wants."""
    told = [c for c in columns(study.labels, references) if c.name not in _LEFT_OUT]
    pictures = all(row.get("spacing_x_mm") is None for row in made)
    told = [c for c in told if c.unit != ("voxels" if not pictures else "ml") or c.name == "unknown_voxels"]
    told = [c for c in told if any(row.get(c.name) not in (None, "") for row in made)]
    lines = [[_cell(row.get(c.name)) for c in told] for row in made]
    return page.table([c.name.replace("_", " ") for c in told], lines)


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _volumes(study: Study, made: Sequence[Row]) -> str:
    """A histogram per class over the cases with labels."""
    panels = []
    for n, (name, slug) in enumerate(class_slugs(study.labels).items()):
        known = [row.get(f"volume_{slug}_ml") for row in made]
        label = "volume, ml"
        if all(value is None for value in known):
            known, label = [row.get(f"voxels_{slug}") for row in made], "pixels"
        values = [float(value) for value in known if isinstance(value, (int, float))]
        if not values:
            continue
        counts, edges = np.histogram(values, bins=min(12, max(3, len(values) // 2)))
        columns_ = [(float(a), float(b), float(c)) for a, b, c in zip(edges, edges[1:], counts, strict=False)]
        color = study.labels.classes[n].color
        panels.append(
            Panel(name, label, "cases", bars=[Bars(columns_, color)], y_range=(0.0, float(counts.max())), whole_y=True)
        )
    if not panels:
        return page.line("No case has labels that count here.")
    return "".join(figure(panels[n : n + 2]) for n in range(0, len(panels), 2))


def _effort(study: Study) -> str:
    done = study.finished()
    timed = [(float(n), f.seconds / 60) for n, f in enumerate(done, start=1) if f.seconds > 0]
    words = page.line(saved_words(done)) + page.line(advice_words(done))
    if not timed:
        return page.line("No reader's time was measured yet.") + words
    total = sum(minutes for _, minutes in timed)
    said = page.line(f"{total:.0f} active minutes over {len(timed)} finished cases.")
    panel = Panel("Active minutes", "case, in the order of finishing", "minutes", [Line(timed)], whole_x=True)
    return said + figure([panel]) + words


def _models(study: Study, made: Sequence[Row]) -> str:
    trainings = [run for run in study.runs() if run.kind == "train"]
    if not trainings:
        return page.line("No model was trained in this study.")
    used = Counter(str(row["model"]) for row in made if row.get("model"))
    champion = study.champion()
    lines = [
        [
            run.id,
            run.method,
            run.preset,
            run.created.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M"),
            "predicts now" if run.id == champion else "",
            str(used.get(run.id, 0)),
        ]
        for run in trainings
    ]
    return page.table(["training", "method", "preset", "begun (UTC)", "", "cases above that rest on it"], lines)


# ---------------------------------------------------------------------- one case


def _case(study: Study, row: Row, facts: CohortFacts) -> tuple[str, PenumbraError | None]:
    """Pictures of a case; where its files cannot be read, the page says so and goes on."""
    item = facts.item
    head = f'<div class="case">{page.heading(item.name, 3)}{page.line(_words(study, row), quiet=True)}'
    try:
        labels = np.zeros(item.grid.array_shape, np.uint8)
        if item.labels is not None:
            labels = read_labels(item.labels).volume.data.astype(np.uint8)
        shown, name = _picture(study, facts)
        if labels.shape != item.grid.array_shape or shown.shape[:3] != labels.shape:
            raise ImageError(f"A file of {item.name} is no longer what the study wrote.", "Restore it from a backup.")
    except PenumbraError as error:
        return f"{head}{page.line(str(error))}</div>\n", error
    return f'{head}<div class="slices">{_slices(study, facts, labels, shown, name)}</div></div>\n', None


def _slices(study: Study, facts: CohortFacts, labels: LabelArray, shown: Bytes, name: str) -> str:
    grid = facts.item.grid
    return "".join(
        slice_svg(
            shown[z],
            labels[z],
            grid,
            study.labels.classes,
            name if grid.is_picture else f"{name}, slice {z + 1} of {len(labels)}",
        )
        for z in telling_slices(labels)
    )


def _picture(study: Study, facts: CohortFacts) -> tuple[Bytes, str]:
    """What to draw on, (z, y, x) grey or (z, y, x, 3), and its name: the reference image, or the colour picture."""
    images = facts.item.images
    if has_colour(study.modalities) and all(m in images for m in COLOUR):
        channels = np.stack([read_image(images[m]).volume.data for m in COLOUR]).astype(np.float32)
        return np.moveaxis(colour_bytes(channels), 0, -1), "colour"
    name = next(iter(images))
    return grey_bytes(np.asarray(read_image(images[name]).volume.data, dtype=np.float32), name), name


def _words(study: Study, row: Row) -> str:
    """Say a case in a line: whose labels, and how large they are."""
    parts = [str(row["labels"]) if row["labels"] != "none" else "no labels that count here"]
    for name, slug in class_slugs(study.labels).items():
        ml, voxels = row.get(f"volume_{slug}_ml"), row.get(f"voxels_{slug}")
        if ml is not None:
            parts.append(f"{name} {ml:.2f} ml")
        elif voxels is not None:
            parts.append(f"{name} {voxels:,} px")
    if row.get("mismatch_ratio") is not None:
        parts.append(f"mismatch ratio {row['mismatch_ratio']:.2f}")
    return " · ".join(parts)
