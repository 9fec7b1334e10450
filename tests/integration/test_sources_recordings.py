"""Real recordings, from end to end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from optimind.pipeline.replay import Replay
from optimind.plugin_api import SourceError
from optimind.sources.file import FileSource

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


@pytest.mark.shared
def test_a_real_recording_is_replayed_whole(shared: Path) -> None:
    replay = Replay(FileSource.create("door", str(shared / "data/video/crowd.mp4")), "door", start_at=START)
    count = 0
    for frame in replay:
        assert frame.index == count
        assert frame.captured_at == START + timedelta(seconds=frame.position_s or 0)
        assert frame.image.shape == (1080, 1920, 3)
        count += 1
    assert count == 105
    assert frame.position_s == pytest.approx(4.16)
    assert (replay.state, replay.reason) == ("ended", "")


@pytest.mark.shared
@pytest.mark.parametrize("share", [0.5, 0.99])
def test_a_real_recording_cut_off_says_why_it_does_not_play(shared: Path, tmp_path: Path, share: float) -> None:
    whole = (shared / "data/video/crowd.mp4").read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(SourceError, match="moov atom"):
        next(iter(Replay(FileSource.create("door", str(cut)), "door")))


@pytest.mark.shared
def test_a_real_recording_with_its_index_first_plays_as_far_as_it_goes(shared: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(index_first((shared / "data/video/crowd.mp4").read_bytes())[:1_200_000])
    replay = Replay(FileSource.create("door", str(cut)), "door")
    count = sum(1 for _ in replay)
    assert 40 < count < 65
    assert replay.state == "ended"
    assert f"ends early: {count} of 105 frames" in replay.reason


def index_first(mp4: bytes) -> bytes:
    """Return ``mp4`` (ftyp, free, mdat, moov) with moov moved before mdat, as ``ffmpeg -movflags +faststart`` does."""
    at = mp4.rindex(b"moov") - 4
    moov = bytearray(mp4[at:])
    tables = 0
    where = moov.find(b"stco")
    while where >= 0:
        for entry in range(int.from_bytes(moov[where + 8 : where + 12], "big")):
            slot = where + 12 + 4 * entry
            moved = int.from_bytes(moov[slot : slot + 4], "big") + len(moov)
            moov[slot : slot + 4] = moved.to_bytes(4, "big")
        tables += 1
        where = moov.find(b"stco", where + 4)
    assert tables
    return mp4[:32] + bytes(moov) + mp4[32:at]
