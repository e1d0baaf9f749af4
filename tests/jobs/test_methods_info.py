"""The list of methods is asked for once and remembered until something changes."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import napari_penumbra
from napari_penumbra.domain.errors import JobError, UsageError
from napari_penumbra.jobs import methods_info
from napari_penumbra.jobs.methods_info import TITLES, MethodInfo, find, method_infos, method_title

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the stand-in interpreter is a shell script")

ANSWER = [
    {
        "name": "mean-teacher",
        "title": "Mean teacher",
        "summary": "A student follows its own average.",
        "paper": "Somebody 2018",
        "uses_unlabelled": True,
        "presets": {"laptop": {"steps": 500}, "paper": {}},
        "schema": {"properties": {"steps": {"default": 3000}, "learning_rate": {"default": 0.001}}},
        "dimensions": [3, 2],
        "confidence_means": "How far the first class leads.",
        "a key of a newer worker": 1,
    }
]


@pytest.fixture
def python(tmp_path: Path) -> str:
    script = tmp_path / "python"
    script.write_text(f"#!/bin/sh\necho asked >> {tmp_path}/count\necho '{json.dumps(ANSWER)}'\n")
    script.chmod(0o755)
    return str(script)


def test_asked_once_then_remembered(python: str, tmp_path: Path) -> None:
    first = method_infos(python)
    assert method_infos(python) == first
    assert (tmp_path / "count").read_text().count("asked") == 1
    assert method_infos(python, refresh=True) == first
    assert (tmp_path / "count").read_text().count("asked") == 2


def test_a_damaged_cache_is_asked_anew(python: str, tmp_path: Path) -> None:
    method_infos(python)
    for file in (Path(os.environ["XDG_CACHE_HOME"]) / "napari-penumbra").glob("methods-*.json"):
        file.write_text('[{"name": 3}')
    assert method_infos(python)[0].name == "mean-teacher"


def test_steps_parameters_and_refusals(python: str) -> None:
    info = find(method_infos(python), "mean-teacher")
    assert (info.steps("laptop"), info.steps("paper"), info.steps("paper", 7)) == (500, 3000, 7)
    info.check("laptop", {"learning_rate": 0.1})
    with pytest.raises(UsageError, match="no preset"):
        info.check("tower", {})
    with pytest.raises(UsageError, match="no parameter momentum"):
        info.check("laptop", {"momentum": 1})
    with pytest.raises(UsageError, match="mean-teacher"):
        find([info], "col-net")
    assert (info.dimensions, info.confidence_means) == ((3, 2), "How far the first class leads.")


def test_the_nearest_name_is_offered(python: str) -> None:
    info = find(method_infos(python), "mean-teacher")
    with pytest.raises(UsageError, match=r"no parameter learning_rat\. Did you mean learning_rate\?"):
        info.check("laptop", {"learning_rat": 0.1})
    with pytest.raises(UsageError, match=r"There are: steps, learning_rate"):
        info.check("laptop", {"zzz": 0.1})
    with pytest.raises(UsageError, match=r"Did you mean mean-teacher\?"):
        find([info], "mean_teacher")


def test_an_answer_of_another_kind_is_told(tmp_path: Path) -> None:
    script = tmp_path / "odd"
    script.write_text("#!/bin/sh\necho '{}'\n")
    script.chmod(0o755)
    with pytest.raises(JobError, match="not understood"):
        method_infos(str(script))


def test_info_is_a_plain_value() -> None:
    assert MethodInfo("a", "A", "", "", False, {}).parameters == {}


@pytest.fixture
def nobody_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Answers are remembered in a folder of the test's own: other tests ask for the methods that there are."""
    monkeypatch.setattr(methods_info.platformdirs, "user_cache_dir", lambda *_, **__: str(tmp_path / "cache"))
    methods_info._foreign_titles.cache_clear()
    yield
    methods_info._foreign_titles.cache_clear()


@pytest.mark.usefixtures("nobody_asked")
def test_titles_are_those_of_the_methods_and_need_no_worker() -> None:
    methods = Path(napari_penumbra.__file__).parent / "methods"
    told = {}
    for file in methods.glob("[a-z]*.py"):
        for title in re.findall(r'^    title = "(.+)"$', file.read_text(encoding="utf-8"), re.MULTILINE):
            told[file.stem.replace("_", "-")] = title
    assert told == TITLES
    assert method_title("col-net") == "COL-Net"
    assert method_title("some-thing") == "some thing", "nobody was asked yet"


@pytest.mark.usefixtures("nobody_asked")
def test_a_foreign_methods_title_is_known_once_the_worker_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        methods_info, "ask", lambda *_, **__: [ANSWER[0] | {"name": "some-thing", "title": "SomeThing"}]
    )
    method_infos(refresh=True)
    assert method_title("some-thing") == "SomeThing"
