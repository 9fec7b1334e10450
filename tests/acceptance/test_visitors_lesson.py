"""Strangers of a recorded lesson: kept as visitors, the same ones in the next run, and one of them enrolled."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from program import Program

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def lesson(
    classroom: tuple[Path, dict[str, Any]], gallery: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    """A folder of its own with photographs, gallery and settings; the recording and the truth."""
    source, truth = classroom
    folder = tmp_path_factory.mktemp("visitors")
    shutil.copytree(source / "dataset", folder / "datasets")
    shutil.copy(gallery, folder / "gallery.pickle")
    (folder / "config.yaml").write_text(
        f"visitors: {{keep_days: 30}}\ngallery: gallery.pickle\ncameras: [{{id: room, source: '{source}/video.mp4'}}]\n"
    )
    return folder, truth


@pytest.mark.slow
def test_strangers_are_visitors_and_one_of_them_is_enrolled(
    lesson: tuple[Path, dict[str, Any]], program: Program
) -> None:
    folder, truth = lesson
    present = set(truth["present"])

    def call(*arguments: object) -> Any:
        done = program(*arguments, "--json", cwd=folder)
        assert done.returncode == 0, done.stderr + done.stdout
        return json.loads(done.stdout)

    first = call("run", "--pace", "fast")
    assert set(first["people"]) == present
    assert first["visitors"]["distinct"] >= len(truth["strangers"])
    before = call("visitors", "list")
    second = call("run", "--pace", "fast")
    assert second["visitors"]["visits"] == first["visitors"]["visits"]
    after = call("visitors", "list")
    assert [one["id"] for one in after] == [one["id"] for one in before]
    chosen = max(after, key=lambda one: one["face_px"])
    enrolled = call("visitors", "enrol", chosen["id"], "--name", "New Student")
    assert enrolled["enrolled"]
    assert len(enrolled["photographs"]) >= 3
    third = call("run", "--pace", "fast")
    assert set(third["people"]) == {*present, "New_Student"}
    assert chosen["id"] not in [one["id"] for one in call("visitors", "list")]
    register = program("attendance", "--format", "json", cwd=folder)
    assert "New Student" in {row["name"] for row in json.loads(register.stdout)}
    assert call("visitors", "forget", "--all")["visitors"] == len(after) - 1
    assert call("visitors", "list") == []
