"""Which cameras are meant by the settings and the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from optimind.app.cameras import cameras_of
from optimind.config import Config, load_config
from optimind.errors import ConfigError, OptiMindError, UsageError


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setenv("YARD", "rtsp://10.0.0.7/stream")
    path = tmp_path / "config.yaml"
    path.write_text("cameras:\n  - {id: room, source: 0}\n  - {id: yard, source: {env: YARD}}\n")
    return load_config(path)


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ([], [("room", "0", True), ("yard", "rtsp://10.0.0.7/stream", True)]),
        (["yard"], [("yard", "rtsp://10.0.0.7/stream", True)]),
        (["clip.mp4", "room", "1"], [("camera-1", "clip.mp4", False), ("room", "0", True), ("camera-2", "1", False)]),
        (["x", "camera-1"], [("camera-2", "x", False), ("camera-3", "camera-1", False)]),
    ],
)
def test_cameras(config: Config, sources: list[str], expected: list[tuple[str, str, bool]]) -> None:
    found = [(camera.id, camera.spec, camera.settings is not None) for camera in cameras_of(config, sources)]
    assert found == expected


@pytest.mark.parametrize(
    ("sources", "error", "words"),
    [
        ([""], UsageError, "is empty"),
        (["room", "room"], UsageError, "named twice"),
        (["yard"], ConfigError, "config.yaml:3: "),
        ([], ConfigError, "YARD is not set"),
    ],
)
def test_what_cannot_be_used(
    config: Config, sources: list[str], error: type[OptiMindError], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("YARD")
    with pytest.raises(error, match=words):
        cameras_of(config, sources)


def test_no_camera_at_all() -> None:
    with pytest.raises(ConfigError, match="no camera is configured"):
        cameras_of(Config(), [])
