"""Folders of pictures."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from optimind.plugin_api import Frame, SourceError, SourceNotFound, UsageError
from optimind.sources.folder import FolderSource


def put(folder: Path, name: str, shade: int) -> None:
    """Write a plain picture; imencode, because imwrite cannot write every name."""
    suffix = Path(name).suffix
    (folder / name).write_bytes(cv2.imencode(suffix, np.full((20, 30, 3), shade, np.uint8))[1].tobytes())


def play(source: FolderSource) -> list[Frame]:
    source.open()
    frames = []
    while (frame := source.read()) is not None:
        frames.append(frame)
    return frames


def test_pictures_come_in_natural_order(tmp_path: Path) -> None:
    names = ["img10.png", "img2.png", "img1.PNG", "b.jpg", "Ümlaut 3.bmp", "a²5.webp"]
    for shade, name in enumerate(["a²5.webp", "b.jpg", "img1.PNG", "img2.png", "img10.png", "Ümlaut 3.bmp"]):
        put(tmp_path, name, shade * 40)
    assert {path.name for path in tmp_path.iterdir()} == set(names)
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / "sub.png").mkdir()
    source = FolderSource.create("door", str(tmp_path))
    frames = play(source)
    assert [round(frame.image.mean() / 40) for frame in frames] == [0, 1, 2, 3, 4, 5]
    assert [frame.position_s for frame in frames] == [0, 1, 2, 3, 4, 5]
    assert source.skipped == 1  # the folder with a picture's name


@pytest.mark.parametrize(("option", "step_s"), [("?fps=5", 0.2), ("?fps=0.5", 2.0), ("", 1.0)])
def test_the_pace_is_an_option(tmp_path: Path, option: str, step_s: float) -> None:
    put(tmp_path, "a.png", 1)
    put(tmp_path, "b.png", 2)
    frames = play(FolderSource.create("door", str(tmp_path) + option))
    assert frames[1].position_s == pytest.approx(step_s)


@pytest.mark.parametrize(("option", "duration_s"), [("?fps=5", 0.4), ("", 2.0)])
def test_how_long_it_is(tmp_path: Path, option: str, duration_s: float) -> None:
    put(tmp_path, "a.png", 1)
    put(tmp_path, "b.png", 2)
    source = FolderSource.create("door", str(tmp_path) + option)
    assert source.duration_s is None
    source.open()
    assert source.duration_s == pytest.approx(duration_s)


@pytest.mark.parametrize("option", ["fps=", "fps=0", "fps=-1", "fps=1e3", "fps=2000", "speed=2", "fps=nan", "5"])
def test_a_wrong_option_is_wrong_usage(tmp_path: Path, option: str) -> None:
    with pytest.raises(UsageError, match="unknown option") as refusal:
        FolderSource.create("door", f"{tmp_path}?{option}")
    assert "fps=5" in refusal.value.mend


def test_pictures_that_cannot_be_read_are_counted_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path, "1.png", 50)
    (tmp_path / "2.png").write_bytes(b"no picture")
    (tmp_path / "3.jpg").write_bytes(b"")
    put(tmp_path, "4.png", 70)
    source = FolderSource.create("door", str(tmp_path))
    with caplog.at_level(logging.WARNING):
        frames = play(source)
        assert source.read() is None
    assert [frame.index for frame in frames] == [0, 1]
    assert source.skipped == 2
    assert source.ended_early is not None
    assert "2 of 4 pictures" in source.ended_early
    assert "2.png, 3.jpg" in source.ended_early
    assert len(caplog.records) == 1
    assert capfd.readouterr() == ("", "")


def test_a_folder_where_no_picture_can_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(b"no picture")
    with pytest.raises(SourceError, match="1 of 1 pictures"):
        play(FolderSource.create("door", str(tmp_path)))


def test_a_folder_without_pictures_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(SourceError, match=r"holds no picture \(1 other") as refusal:
        FolderSource.create("door", str(tmp_path)).open()
    assert ".jpg" in refusal.value.mend


def test_a_folder_that_went_away_is_not_found(tmp_path: Path) -> None:
    source = FolderSource.create("door", str(tmp_path / "gone"))
    with pytest.raises(SourceNotFound):
        source.open()


@pytest.mark.parametrize("mode", ["grey", "alpha", "deep"])
def test_every_kind_of_picture_becomes_bgr(tmp_path: Path, mode: str) -> None:
    kinds: dict[str, np.ndarray[Any, Any]] = {
        "grey": np.full((20, 30), 80, np.uint8),
        "alpha": np.full((20, 30, 4), 80, np.uint8),
        "deep": np.full((20, 30, 3), 80 << 8, np.uint16),
    }
    cv2.imwrite(str(tmp_path / "a.png"), kinds[mode])
    (frame,) = play(FolderSource.create("door", str(tmp_path)))
    assert frame.image.shape == (20, 30, 3)
    assert frame.image.dtype == np.uint8
    assert frame.image.mean() == pytest.approx(80)


def test_the_broken_pictures_of_the_shared_data_do_no_harm(shared: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source = FolderSource.create("door", str(shared / "data" / "broken"))
    frames = play(source)
    assert len(frames) + source.skipped == 6  # a GIF is none of the kinds that are looked for
    assert source.skipped == 3
    assert capfd.readouterr() == ("", "")
