"""Recordings: what is wrong with a file is said in words."""

from __future__ import annotations

import os
import struct
from datetime import timedelta
from pathlib import Path

import pytest
from cameras import write_video

from optimind.plugin_api import Frame, SourceError, SourceNotFound
from optimind.sources._opencv import EPOCH
from optimind.sources.file import FileSource


def play(path: Path | str) -> tuple[list[Frame], str | None]:
    """Return all frames of a recording, and what it says it did not give."""
    source = FileSource.create("door", str(path))
    source.open()
    try:
        frames = []
        while (frame := source.read()) is not None:
            frames.append(frame)
        return frames, source.ended_early
    finally:
        source.close()


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "mp4v"), ("a.avi", "MJPG"), ("a.avi", "XVID"), ("a.mkv", "MJPG"), ("a.mov", "mp4v")]
)
def test_every_frame_comes_at_its_time(tmp_path: Path, name: str, codec: str) -> None:
    frames, shortfall = play(write_video(tmp_path / name, codec, frames=25, fps=10))
    assert [frame.index for frame in frames] == list(range(25))
    assert [frame.position_s for frame in frames] == pytest.approx([at / 10 for at in range(25)])
    assert frames[20].captured_at == EPOCH + timedelta(seconds=2)
    assert frames[0].image.shape == (120, 160, 3)
    assert shortfall is None


def test_how_long_it_is_is_known_once_it_is_open(tmp_path: Path) -> None:
    source = FileSource.create("door", str(write_video(tmp_path / "a.mp4", "mp4v", frames=25, fps=10)))
    assert source.duration_s is None
    source.open()
    assert source.duration_s == pytest.approx(2.5)
    source.live = True
    assert source.duration_s is None
    source.close()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"Dear diary,\nthis is no video.\n" * 50, "looks like text"),
        (b"%PDF-1.7 ...", "looks like a PDF"),
        (b"PK\x03\x04" + bytes(100), "ZIP archive"),
        (b"<html><body>Not found</body></html>", "web page"),
        (bytes(5000), "nothing but zeros"),
        (b"\x1a\x45\xdf\xa3" + b"\x01" * 100, "damaged or has no pictures"),
        (b"\x9f\x03\x11\x00\xee" * 40, "bytes 9f 03 11"),
        ("Überraschung".encode() * 30, "looks like text"),
    ],
)
def test_what_is_no_video_is_named(
    tmp_path: Path, content: bytes, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=said) as refusal:
        play(path)
    assert refusal.value.mend
    assert "clip.mp4" in refusal.value.message
    assert capfd.readouterr() == ("", ""), "nothing but our own message may be printed"


def test_a_missing_file_says_where_it_was_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lesson1.mp4").touch()
    with pytest.raises(SourceNotFound) as refusal:
        play("lesson.mp4")
    assert refusal.value.exit_code == 2
    assert str(tmp_path / "lesson.mp4") in refusal.value.message
    assert f"relative paths start at {tmp_path}" in refusal.value.message
    assert "did you mean lesson1.mp4" in refusal.value.mend


@pytest.mark.parametrize("spec", ["/no/such/folder/a.mp4", "a\0b.mp4", "x" * 5000, "", "~nobody-has-this-name/x"])
def test_an_impossible_path_is_not_found(spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if spec == "":  # is the current folder, when asked for directly
        with pytest.raises(SourceError, match="not a regular file"):
            play(spec)
        return
    with pytest.raises(SourceNotFound) as refusal:
        play(spec)
    assert refusal.value.mend


def test_an_unknown_kind_of_url_hides_its_password() -> None:
    with pytest.raises(SourceNotFound, match="no address that OptiMind reads") as refusal:
        play("rtmp://ann:secret@10.0.0.7/live")
    assert "secret" not in str(refusal.value)
    assert "rtsp://" in refusal.value.mend


def test_a_pipe_is_refused_rather_than_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(SourceError, match="not a regular file"):
        play(tmp_path / "pipe.mp4")


def test_a_file_nobody_may_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "a.mp4", frames=3)
    monkeypatch.setattr("optimind.sources.file.os.access", lambda *_: False)  # the tests may run as root, who may all
    with pytest.raises(SourceError, match="may not be read by this user"):
        play(path)


def test_an_mp4_cut_off_before_its_index_says_so(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    whole = write_video(tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match=r"no index \(moov atom\)") as refusal:
        play(tmp_path / "cut.mp4")
    assert "ffmpeg -i" in refusal.value.mend
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("name", "codec"), [("a.avi", "MJPG"), ("a.avi", "XVID"), ("a.mkv", "MJPG")])
def test_a_recording_that_ends_early_says_how_much_is_missing(tmp_path: Path, name: str, codec: str) -> None:
    path = write_video(tmp_path / name, codec, frames=60)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    frames, shortfall = play(path)
    assert 20 < len(frames) < 40
    assert shortfall is not None
    assert f"{len(frames)} of 60 frames" in shortfall
    assert "ends early" in shortfall
    assert "of 6.0 s" in shortfall


def test_a_damaged_stretch_is_passed_over_and_reported(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=100)
    content = bytearray(path.read_bytes())
    content[len(content) * 4 // 10 : len(content) * 6 // 10] = os.urandom(
        len(content) * 6 // 10 - len(content) * 4 // 10
    )
    path.write_bytes(content)
    frames, shortfall = play(path)
    assert 60 <= len(frames) < 100
    assert frames[-1].position_s == pytest.approx(9.9)
    positions = [frame.position_s or 0 for frame in frames]
    assert positions == sorted(set(positions))
    assert shortfall is not None
    assert f"is damaged: only {len(frames)} of 100 frames" in shortfall


def test_a_recording_filmed_sideways_is_turned_upright(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=3)
    content = bytearray(path.read_bytes())
    matrix_at = content.find(b"tkhd") + 4 + 4 + 20 + 16  # version 0 of ISO 14496-12's track header
    content[matrix_at : matrix_at + 36] = struct.pack(">9i", 0, 65536, 0, -65536, 0, 0, 120 << 16, 0, 1 << 30)
    path.write_bytes(content)
    frames, _ = play(path)
    assert frames[0].image.shape == (160, 120, 3)


def test_reading_before_open_is_an_error_not_a_crash() -> None:
    with pytest.raises(SourceError, match="not open"):
        FileSource.create("door", "a.mp4").read()


def test_opening_again_plays_again(tmp_path: Path) -> None:
    source = FileSource.create("door", str(write_video(tmp_path / "a.mp4", frames=4)))
    for _ in range(2):
        source.open()
        frames = [source.read() for _ in range(5)]
        assert [frame.index if frame else None for frame in frames] == [0, 1, 2, 3, None]
        source.close()
