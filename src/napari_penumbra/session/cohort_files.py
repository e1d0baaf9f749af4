"""The cohort table as files: ``cohort.csv``, ``cohort.parquet`` with the same columns, and what the columns mean."""

from __future__ import annotations

import csv
import datetime as dt
import importlib.util
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from napari_penumbra.domain.errors import DiskError, UsageError
from napari_penumbra.imaging.atomic import replace_into, write_text
from napari_penumbra.session.cohort_table import Column, Row, columns, rows, shown
from napari_penumbra.study.exporters import ExportOptions, Plan, Written, check_own
from napari_penumbra.study.store import Study

CSV, PARQUET, ABOUT, ABOUT_JSON = "cohort.csv", "cohort.parquet", "cohort_columns.md", "cohort_columns.json"


def plan_cohort(study: Study, folder: Path, options: ExportOptions, references: Path | None, own_name: str) -> Plan:
    """Say what a cohort table will hold; see `Plan`.

    Raises
    ------
    UsageError
        The study is empty, the folder must not be written to, or the reference folder does not exist.
    """
    names = [row.name for row in study.cases()]
    if not names:
        raise UsageError("There is nothing to export: the study has no cases.", "Add cases first.")
    if references is not None and not references.is_dir():
        raise UsageError(f"The reference folder {references} does not exist.", "Name a folder of label files.")
    parquet = importlib.util.find_spec("pyarrow") is not None
    files = [CSV, *([PARQUET] if parquet else []), ABOUT, ABOUT_JSON]
    check_place(study, folder, files, options.overwrite)
    notes = [] if parquet else ['No Parquet file: install pyarrow (pip install "napari-penumbra[parquet]").']

    def run() -> Iterator[Written]:
        made: list[Row] = []
        for row, facts in rows(study, options, references, own_name):
            made.append(row)
            yield Written(facts.item.name)
        make_folder(folder)
        told = columns(study.labels, references is not None)
        write_text(folder / CSV, csv_text(told, made))
        if parquet:
            write_parquet(folder / PARQUET, told, made, study)
        write_text(folder / ABOUT_JSON, json.dumps([_about(c) for c in told], indent=1) + "\n")
        write_text(folder / ABOUT, markdown(told, study))
        yield Written("", tuple(files))

    steps = (len(set(options.cases)) or len(names)) + 1
    return Plan(folder, "Cohort table", steps, tuple(("", file) for file in files), (), tuple(notes), run)


def check_place(study: Study, folder: Path, files: Sequence[str], overwrite: bool) -> None:
    """Refuse a folder where the study lies, and files that are there already unless ``overwrite``."""
    check_own(folder, study.layout)
    present = [file for file in files if (folder / file).exists()]
    if present and not overwrite:
        raise UsageError(f"{folder} holds {present[0]} already.", "Choose another folder, or overwrite (--overwrite).")


def make_folder(folder: Path) -> None:
    """Make a folder, or raise `DiskError` in words."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DiskError(f"The folder {folder} cannot be made.", "Choose another place.", repr(error)) from error


def csv_text(told: Sequence[Column], made: Sequence[Row]) -> str:
    """Make the table as CSV (RFC 4180: comma, a head line, CRLF); unknown values are empty."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([c.name for c in told])
    writer.writerows([shown(row.get(c.name)) for c in told] for row in made)
    return text.getvalue()


def write_parquet(path: Path, told: Sequence[Column], made: Sequence[Row], study: Study) -> None:
    """Write the table as Parquet: types kept, unit and meaning in each column's metadata.

    Raises
    ------
    DiskError
        The file could not be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {
        "text": pa.string(),
        "whole": pa.int64(),
        "number": pa.float64(),
        "yes or no": pa.bool_(),
        "time": pa.timestamp("s", tz="UTC"),
    }
    fields = [pa.field(c.name, kinds[c.kind], metadata={"unit": c.unit, "description": c.words}) for c in told]
    about = {"study": study.name, "simulated": "true" if study.simulated else "false"}
    schema = pa.schema(fields, metadata=about)
    arrays = [pa.array([_whole_second(row.get(f.name)) for row in made], type=f.type) for f in schema]
    with replace_into(path) as temporary:
        pq.write_table(pa.table(arrays, schema=schema), temporary)


def _whole_second(value: object) -> object:
    return value.replace(microsecond=0) if isinstance(value, dt.datetime) else value


def markdown(told: Sequence[Column], study: Study) -> str:
    """Describe the columns for a person."""
    lines = [f"# Columns of the cohort table of {study.name}", ""]
    if study.simulated:
        lines += ["Every case is simulated.", ""]
    lines += ["One row per case. An empty cell means: not known, or not defined.", ""]
    lines += ["| column | kind | unit | meaning |", "|---|---|---|---|"]
    lines += [f"| {c.name} | {c.kind} | {c.unit} | {c.words} |" for c in told]
    return "\n".join(lines) + "\n"


def _about(column: Column) -> dict[str, str]:
    return {"name": column.name, "kind": column.kind, "unit": column.unit, "description": column.words}
