"""Where a training runs: what cannot be chosen says why, what is chosen goes along with the order."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.domain.launch import Launch
from napari_penumbra.widgets import where_form
from napari_penumbra.widgets.where_form import WhereForm, asked_for


@pytest.fixture
def here(monkeypatch):
    """What this computer lacks, by way; and how many cards it has."""
    lacks = {}
    monkeypatch.setattr(where_form, "why_not", lambda how: lacks.get(how, ""))
    monkeypatch.setattr(where_form, "processes_here", lambda: 4)
    return lacks


@pytest.fixture
def shown(here, qtbot):
    def show() -> WhereForm:
        form = WhereForm()
        qtbot.addWidget(form)
        form.show()
        return form

    return show


def choose(form: WhereForm, how: str) -> None:
    form.how.setCurrentIndex(form.how.findData(how))


def test_without_tensorboard_its_box_says_what_to_install(shown, monkeypatch):
    assert shown().board.isEnabled()
    monkeypatch.setattr(where_form.importlib.util, "find_spec", lambda name: None)
    form = shown()
    assert not form.board.isEnabled()
    assert "pip install" in form.board.toolTip()


def test_one_process_here_asks_for_nothing_more(shown):
    form = shown()
    assert form.choice() == Launch()
    assert not form.processes.isVisible()
    assert not form.cluster.isVisible()
    assert not form.closed.isVisible()


def test_several_processes_here_are_as_many_as_there_are_cards(shown, qtbot):
    form = shown()
    with qtbot.waitSignal(form.changed):
        choose(form, "torchrun")
    assert form.processes.isVisible()
    assert not form.cluster.isVisible()
    assert "twice as many" in form.words.text()
    assert form.choice() == Launch("torchrun", 4)
    form.processes.setValue(2)
    assert form.choice() == Launch("torchrun", 2)


def test_a_cluster_is_asked_for_what_is_written(shown):
    form = shown()
    choose(form, "slurm")
    form.cluster.setText("slurm_partition=gpu timeout_min=600")
    assert form.choice() == Launch("slurm", 4, {"slurm_partition": "gpu", "timeout_min": 600})
    form.cluster.setText("faster please")
    with pytest.raises(UsageError, match='"faster"'):
        form.choice()


def test_what_this_computer_lacks_cannot_be_chosen_and_says_why(here, shown):
    here["slurm"] = "This computer does not belong to a Slurm cluster: it has no sbatch."
    form = shown()
    row = form.how.findData("slurm")
    assert not form.how.model().item(row).isEnabled()
    assert form.how.itemData(row, Qt.ItemDataRole.ToolTipRole) == here["slurm"]
    assert form.closed.isVisible()
    assert form.closed.text() == f"Slurm cluster: {here['slurm']}"
    assert form.how.model().item(form.how.findData("torchrun")).isEnabled()


@pytest.mark.parametrize(
    ("text", "found"),
    [("", {}), ("a=1  b=x", {"a": 1, "b": "x"}), ("slurm_array_parallelism=0", {"slurm_array_parallelism": 0})],
)
def test_wishes(text, found):
    assert asked_for(text) == found
