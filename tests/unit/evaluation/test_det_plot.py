"""The DET curve as a file: a picture, whole or not at all."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from optimind.core.evaluation import Plan, Trial, Trials
from optimind.core.identification import Verdict
from optimind.errors import OptiMindError, UsageError
from optimind.evaluation import Evaluation, can_draw, draw_det
from optimind.evaluation.photographs import Photographs
from optimind.evaluation.report import summed_up


def outcome(*, strangers: int = 200, apart: float = 3.0, leave_one_out: bool = False) -> Evaluation:
    """Of 40 students and ``strangers``, whose normalised distances are about ``apart`` from each other."""
    rng = np.random.default_rng(0)

    def trials(people: int, about: float, letter: str, nearest: str) -> tuple[Trial, ...]:
        found = [(f"{letter}{number % people}", distance) for number, distance in enumerate(rng.normal(about, 1, 2000))]
        return tuple(
            Trial(person, nearest or person, distance, Verdict.ACCEPTED if distance < -1.5 else Verdict.REJECTED)
            for person, distance in found
        )

    tried = Trials(
        mated=trials(40, -apart, "a", ""),
        non_mated=trials(strangers, 0, "b", "a1"),
        limit=-1.5,
        draws=50,
        mated_samples=3,
        non_mated_samples=3,
    )
    photographs = Photographs("fake-v1", (), (), {}, {})
    plan = Plan(leave_one_out=leave_one_out)
    return summed_up(photographs, tried, plan, people=40, wanted=None, engine="fake", seconds=1.0)


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(outcome(), id="a usual curve"),
        pytest.param(outcome(strangers=1), id="one stranger: nothing can be known"),
        pytest.param(outcome(apart=30), id="no error at all"),
        pytest.param(outcome(apart=-30), id="nothing but errors"),
        pytest.param(outcome(leave_one_out=True), id="leave one out"),
    ],
)
def test_a_picture_of_any_outcome(given: Evaluation, tmp_path: Path) -> None:
    draw_det(given, tmp_path / "det.png")
    with Image.open(tmp_path / "det.png") as picture:
        assert picture.format == "PNG"
        assert picture.size == (1200, 840)
        # White paper, and something on it.
        pixels = np.array(picture.convert("L"))
    assert pixels[0, -1] == 255
    assert (pixels < 128).mean() > 0.005
    assert [path.name for path in tmp_path.iterdir()] == ["det.png"]


def test_the_same_outcome_is_the_same_picture(tmp_path: Path) -> None:
    for name in ("one.png", "two.png"):
        draw_det(outcome(), tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_a_full_disk_leaves_the_old_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "det.png").write_text("old")
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OptiMindError, match=r"det\.png cannot be written: No space left on device"):
        draw_det(outcome(), tmp_path / "det.png")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_a_folder_that_has_gone(tmp_path: Path) -> None:
    with pytest.raises(OptiMindError, match=r"det\.png cannot be written: No such file or directory"):
        draw_det(outcome(), tmp_path / "gone" / "det.png")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("det.svg", "is no .png file"),
        ("det", "is no .png file"),
        ("folder.png", "is a folder"),
        ("nowhere/det.png", "there is no folder"),
    ],
)
def test_where_it_cannot_be(tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(UsageError, match=says):
        can_draw(tmp_path / name)


def test_without_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert can_draw(tmp_path / "det.PNG")
    for name in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    assert not can_draw(tmp_path / "det.png")
    with pytest.raises(OptiMindError, match="needs matplotlib") as error:
        draw_det(outcome(), tmp_path / "det.png")
    assert error.value.mend == "pip install 'optimind[plots]'"
