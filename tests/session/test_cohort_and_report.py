"""The cohort table and the report page: right figures, nothing from outside, nobody's name, streamed."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from napari_penumbra.domain.case import Closing, Origin
from napari_penumbra.domain.errors import UsageError
from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.evaluation.metrics import score
from napari_penumbra.evaluation.slices import slice_svg, telling_slices
from napari_penumbra.imaging.nifti import write_nifti
from napari_penumbra.session import Session
from napari_penumbra.session.exporting import COHORT, REPORT
from napari_penumbra.study.exporters import ExportOptions

GRID = Grid.of((24, 20, 6), [[-1.5, 0, 0, 14], [0, -2.0, 0, 18], [0, 0, 4.0, -12], [0, 0, 0, 1]])
P4 = "p4 <script>alert(1)</script>"
ML = 1.5 * 2 * 4 / 1000


def lesion(shift: int = 0) -> np.ndarray:
    labels = np.zeros(GRID.array_shape, np.uint8)
    labels[1:4, 5:13, 4 + shift : 12 + shift] = 1
    labels[2:4, 7:10, 6 + shift : 9 + shift] = 2
    return labels


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    made = Session()
    made.auto_predict = False
    made.reader = "ann"
    made.create(tmp_path / "study", "Strokes", ["DWI"], LabelScheme.parse(["1=penumbra", "2=core"]), simulated=True)
    for n, name in enumerate(("p1", "p2", "p3", P4)):
        file = tmp_path / "Doe^John" / f"{n}.nii.gz"
        file.parent.mkdir(exist_ok=True)
        noise = np.random.default_rng(n).normal(100, 9, GRID.array_shape) + 90 * (lesion() > 0)
        write_nifti(file, noise.astype(np.float32), GRID)
        made.add_case(name, {"DWI": file})
    study = made.opened()
    unsure = lesion()
    unsure[5, 0, :4] = 255
    study.save("p1", unsure, Closing.COMPLETE, Origin.PAINTED, "ann", 125.0, strokes=7)
    study.save("p2", lesion(3), Closing.COMPLETE, Origin.PAINTED, "Dr Other", 60.0, strokes=3)
    study.save("p3", lesion(), Closing.DRAFT, Origin.PAINTED, "ann", 30.0, strokes=2)
    yield made
    made.close()


def carried_out(session: Session, *args: Any, **options: Any) -> list[Any]:
    plan = session.plan_export(*args, **options)
    steps = list(plan.run())
    assert len(steps) == plan.steps
    assert all(step.error is None for step in steps)
    return steps


def references(folder: Path) -> Path:
    folder.mkdir()
    write_nifti(folder / "p1.nii.gz", lesion(1), GRID)
    write_nifti(folder / "p2_label.nii.gz", lesion(3), GRID)
    return folder


def test_the_table(session: Session, tmp_path: Path) -> None:
    refs, out = references(tmp_path / "refs"), tmp_path / "out"
    carried_out(session, out, COHORT, references=refs)
    assert {p.name for p in out.iterdir()} == {
        "cohort.csv",
        "cohort.parquet",
        "cohort_columns.md",
        "cohort_columns.json",
    }
    with (out / "cohort.csv").open(newline="", encoding="utf-8") as file:
        lines = {row["case"]: row for row in csv.DictReader(file)}
    assert list(lines) == ["p1", "p2", "p3", P4]
    p1 = lines["p1"]
    penumbra, core = (np.count_nonzero(lesion() == value) for value in (1, 2))
    assert float(p1["volume_penumbra_ml"]) == pytest.approx(penumbra * ML, abs=1e-4)
    assert float(p1["volume_core_ml"]) == pytest.approx(core * ML, abs=1e-4)
    assert float(p1["mismatch_ratio"]) == pytest.approx((penumbra + core) / core, abs=1e-4)
    assert (p1["unknown_voxels"], float(p1["unknown_ml"])) == ("4", pytest.approx(4 * ML))
    assert (p1["active_minutes"], p1["strokes"], p1["revision"], p1["how"]) == ("2.08", "7", "r1", "by hand")
    assert [p1[f"spacing_{axis}_mm"] for axis in "xyz"] == ["1.5", "2.0", "4.0"]
    assert (p1["labels"], p1["simulated"], p1["reference"]) == ("annotated", "true", "true")
    unsure = lesion()
    unsure[5, 0, :4] = 255
    expected = score(unsure, lesion(1), GRID.scale, (1, 2))
    for value, slug in ((1, "penumbra"), (2, "core")):
        assert float(p1[f"dice_{slug}"]) == pytest.approx(expected[value].dice, abs=1e-5)
        assert float(p1[f"assd_{slug}_mm"]) == pytest.approx(expected[value].assd, abs=1e-4)
        assert float(p1[f"hd95_{slug}_mm"]) == pytest.approx(expected[value].hd95, abs=1e-4)
    assert lines["p2"]["dice_core"] == "1.0"
    for name in ("p3", P4):
        assert (lines[name]["labels"], lines[name]["volume_core_ml"], lines[name]["dice_core"]) == ("none", "", "")


def test_csv_and_parquet_agree_and_are_explained(session: Session, tmp_path: Path) -> None:
    out = tmp_path / "out"
    carried_out(session, out, COHORT, ExportOptions(drafts=True))
    table = pq.read_table(out / "cohort.parquet")
    with (out / "cohort.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert table.column_names == list(lines[0])
    told = json.loads((out / "cohort_columns.json").read_text())
    assert [c["name"] for c in told] == table.column_names
    for column in told:
        field = table.schema.field(column["name"])
        assert field.metadata[b"unit"].decode() == column["unit"]
        assert column["description"]
        assert f"| {column['name']} |" in (out / "cohort_columns.md").read_text()
        if column["unit"] in ("ml", "mm"):
            assert column["name"].endswith(f"_{column['unit']}")
        values = table[column["name"]].to_pylist()
        for value, line in zip(values, lines, strict=True):
            text = line[column["name"]]
            if column["kind"] in ("number", "whole"):
                assert (value is None) == (text == "")
                assert value is None or float(text) == pytest.approx(value)
            elif column["kind"] == "text":
                assert text == (value or "")
    assert table.schema.metadata[b"simulated"] == b"true"
    assert table["labels"].to_pylist() == ["annotated", "annotated", "draft", "none"]


def test_other_readers_are_numbered_and_nothing_leaks(session: Session, tmp_path: Path) -> None:
    out = tmp_path / "out"
    carried_out(session, out, COHORT)
    carried_out(session, out, REPORT)
    for path in out.iterdir():
        content = path.read_bytes()
        for secret in (b"Dr Other", b"Doe", b"John", str(tmp_path).encode()):
            assert secret not in content, f"{secret!r} in {path.name}"
    assert ",reader 1," in (out / "cohort.csv").read_text()


def test_what_is_refused(session: Session, tmp_path: Path) -> None:
    carried_out(session, tmp_path / "out", COHORT)
    for kind, words in ((COHORT, r"holds cohort\.csv already"), (REPORT, "lies among")):
        folder = tmp_path / "out" if kind == COHORT else session.opened().layout.cases
        with pytest.raises(UsageError, match=words):
            session.plan_export(folder, kind)
    carried_out(session, tmp_path / "out", COHORT, ExportOptions(overwrite=True))
    with pytest.raises(UsageError, match="does not exist"):
        session.plan_export(tmp_path / "x", COHORT, references=tmp_path / "none")


class Page(HTMLParser):
    """Collects what a browser would see, and checks that the tags are balanced."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.targets: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.targets += [value or "" for name, value in attrs if name in ("href", "src", "action", "srcset")]
        if tag not in ("meta", "image", "path", "rect", "circle", "br", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.targets += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_stands_alone(session: Session, tmp_path: Path) -> None:
    carried_out(session, tmp_path / "out", REPORT, references=references(tmp_path / "refs"))
    text = (tmp_path / "out" / "report.html").read_text()
    seen = Page(text)
    assert "script" not in seen.tags
    assert seen.targets
    assert all(target.startswith("data:image/png;base64,") for target in seen.targets)
    assert not re.search(r"url\(|@import", text)
    assert "Simulated: no case in this study is of a real patient." in text
    assert seen.tags.count("image") == 3 * 4, "three slices of every case"
    for letter, side in (("R", "start"), ("L", "end")):
        assert len(re.findall(rf'text-anchor="{side}"[^>]*fill="#fff">{letter}</text>', text)) == 12
    for name, color in (("penumbra", "#e69f00"), ("core", "#56b4e9")):
        assert f'style="background:{color}"></span>{name}' in text
        assert f'stroke="{color}"' in text
    assert "mismatch ratio" in text
    assert "hd95 core mm" in text


def test_the_page_is_streamed(session: Session, tmp_path: Path) -> None:
    out = tmp_path / "out"
    steps = session.plan_export(out, REPORT).run()
    for _ in range(4 + 2):
        next(steps)
    (half,) = out.iterdir()
    assert half.name.startswith(".penumbra-tmp-"), "never half a page under its name"
    assert half.read_text().count("<image") == 6
    steps.close()
    assert list(out.iterdir()) == []


def test_a_case_that_cannot_be_read_does_not_stop_the_page(session: Session, tmp_path: Path) -> None:
    (session.opened().layout.images("p2") / "DWI.nii.gz").write_bytes(b"broken")
    steps = list(session.plan_export(tmp_path / "out", REPORT).run())
    assert [step.name for step in steps if step.error] == ["p2"]
    Page((tmp_path / "out" / "report.html").read_text())


def test_contours_lie_on_their_voxels() -> None:
    labels = np.zeros((20, 24), np.uint8)
    labels[4:8, 2:6] = 1
    scheme = LabelScheme.parse(["1=a"])
    drawn = slice_svg(np.zeros((20, 24), np.uint8), labels, GRID, scheme.classes, "x")
    width, height = (int(v) for v in re.search(r'viewBox="0 0 (\d+) (\d+)"', drawn).groups())  # type: ignore[union-attr]
    assert width / height == pytest.approx(24 * 1.5 / (20 * 2.0), rel=0.02), "not stretched"
    path = re.search(r'<path d="M([^"]+)Z"', drawn)
    assert path is not None
    points = np.array([[float(v) for v in pair.split()] for pair in path[1].split("L")])
    low, high = points.min(axis=0), points.max(axis=0)
    np.testing.assert_allclose(low, [2 * width / 24, 4 * height / 20], atol=0.2)
    np.testing.assert_allclose(high, [6 * width / 24, 8 * height / 20], atol=0.2)
    picture = slice_svg(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.uint8), Grid.picture(4, 4), (), "x")
    assert "<text" not in picture


@pytest.mark.parametrize(
    ("areas", "expected"),
    [
        ([0, 0, 0, 0, 0, 0, 0], [2, 3, 4]),
        ([0, 1, 2, 3, 4, 5, 1], [1, 2, 5]),
        ([0, 0, 9, 0, 0, 0, 0], [1, 2, 3]),
        ([5], [0]),
        ([0, 5], [0, 1]),
    ],
)
def test_telling_slices(areas: list[int], expected: list[int]) -> None:
    labels = np.zeros((len(areas), 3, 4), np.uint8)
    for z, area in enumerate(areas):
        labels[z].flat[:area] = 1
    found = telling_slices(labels)
    assert len(found) == len(set(found)) == min(3, len(areas))
    assert found == expected
