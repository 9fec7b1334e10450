"""Calibrating on a folder of people: what cannot come to an end is said before the long work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from optimind.core.types import Template
from optimind.errors import DatasetError, EngineError, UsageError
from optimind.evaluation import calibrate_embedder, calibrating
from optimind.evaluation.photographs import Photographs
from optimind.gallery.calibration import LEAST_PEOPLE
from optimind.plugin_api import EmbedderInfo
from optimind.testing.engines import FakeEmbedder, FakeEngineFactory
from optimind.weights.calibrations import calibration_of


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OPTIMIND_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Which folders were looked at: the long work, which finds made-up people here."""
    folders: list[Path] = []

    def look(folder: Path, *_more: object) -> Photographs:
        folders.append(folder)
        rng = np.random.default_rng(1)
        centres = rng.normal(0, 0.1, (LEAST_PEOPLE, 24))
        rows = [centre + rng.normal(0, 0.04, (3, 24)) for centre in centres]
        people = tuple(Template(f"p{i}", f"p{i}", own) for i, own in enumerate(rows))
        return Photographs("fake-v1", people, (), {}, {})

    monkeypatch.setattr(calibrating, "look_at_photographs", look)
    return folders


def faces(folder: Path, people: int) -> Path:
    """A folder of ``people`` with two photographs each, which nobody opens here."""
    for person in range(people):
        (folder / f"p{person}").mkdir(parents=True)
        for number in range(2):
            (folder / f"p{person}" / f"{number}.jpg").write_bytes(b"a picture")
    return folder


def run(folder: Path) -> calibrating.Calibrated:
    return calibrate_embedder(folder, FakeEngineFactory(), None, lambda done, total: None)


def test_what_was_made_is_kept_beside_the_models(tmp_path: Path, models: Path, looked: list[Path]) -> None:
    done = run(faces(tmp_path / "faces", LEAST_PEOPLE))
    assert (done.embedder, done.people, done.samples) == ("fake-v1", LEAST_PEOPLE, 3 * LEAST_PEOPLE)
    assert done.file == models / "fake-v1.calibration.npz"
    assert [path.name for path in models.iterdir()] == [done.file.name]
    assert calibration_of("fake-v1") is not None


def test_too_few_people_are_refused_before_anything_is_looked_at(
    tmp_path: Path, models: Path, looked: list[Path]
) -> None:
    with pytest.raises(DatasetError, match=rf"{LEAST_PEOPLE - 1} people are too few .* {LEAST_PEOPLE} are needed"):
        run(faces(tmp_path / "faces", LEAST_PEOPLE - 1))
    with pytest.raises(UsageError, match="does not exist"):
        run(tmp_path / "none")
    assert looked == []
    assert not models.exists()


def test_a_folder_of_models_that_cannot_be_made_is_said_before(
    tmp_path: Path, models: Path, looked: list[Path]
) -> None:
    models.write_text("a file where the folder should be")
    with pytest.raises(EngineError, match=r"the folder of models .* cannot be written") as caught:
        run(faces(tmp_path / "faces", LEAST_PEOPLE))
    assert "OPTIMIND_MODELS" in caught.value.mend
    assert looked == []


def test_a_folder_of_models_that_is_closed_to_us_is_said_before(
    tmp_path: Path, looked: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_where: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("optimind.evaluation.calibrating.tempfile.TemporaryFile", refuse)
    with pytest.raises(EngineError, match="cannot be written: Permission denied"):
        run(faces(tmp_path / "faces", LEAST_PEOPLE))
    assert looked == []


def test_a_disk_that_is_full_at_the_end_is_said(
    tmp_path: Path, looked: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(calibrating, "write_calibration", full)
    with pytest.raises(EngineError, match="cannot be written: No space left on device") as caught:
        run(faces(tmp_path / "faces", LEAST_PEOPLE))
    assert "OPTIMIND_MODELS" in caught.value.mend
    assert len(looked) == 1


def test_an_id_that_is_no_file_name_is_refused_before(
    tmp_path: Path, looked: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeEmbedder, "info", EmbedderInfo("../fake", FakeEmbedder.info.dimension))
    with pytest.raises(EngineError, match="cannot be the name"):
        run(faces(tmp_path / "faces", LEAST_PEOPLE))
    assert looked == []
