"""The newest frame of a camera, every frame of a recording, and what happens when they fail."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimind.core.types import Frame, Image
from optimind.pipeline.capture import Capture
from optimind.pipeline.replay import FrameCounts, Replay
from optimind.plugin_api import SourceError, SourceNotFound
from optimind.testing.sources import HANG, FakeSource

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


def pictures(count: int) -> list[Image]:
    """Return pictures whose shade is their number."""
    return [np.full((2, 2, 3), at % 256, np.uint8) for at in range(count)]


def quick(source: FakeSource, **options: object) -> Capture:
    """Return a capture with pauses that suit a test."""
    return Capture(source, "door", first_retry_s=0.001, longest_retry_s=0.004, **options)  # type: ignore[arg-type] # the tests' own keywords


def wait_until(true: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline_s, f"waited in vain: {what}"
        time.sleep(0.002)


def take_all(capture: Capture, pause_s: float = 0.0) -> list[Frame]:
    """Take frames until none will come."""
    frames = []
    while not capture.finished:
        frame = capture.newest(0.5)
        if frame is not None:
            frames.append(frame)
            time.sleep(pause_s)
    return frames


class TestCamera:
    def test_only_the_newest_frame_waits(self) -> None:
        capture = quick(FakeSource("x", [*pictures(5), HANG], live=True))
        capture.start()
        wait_until(lambda: capture.counts.read == 5, "five frames")
        frame = capture.newest(0)
        assert frame is not None
        assert frame.image[0, 0, 0] == 4
        assert capture.newest(0) is None, "each frame is handed out once"
        assert capture.counts == FrameCounts(read=5, dropped=4)
        states = [capture.state]
        capture.stop()
        assert [*states, capture.state] == ["live", "ended"]
        assert capture.finished

    def test_frames_carry_the_clock_and_the_camera(self) -> None:
        capture = Capture(FakeSource("x", [*pictures(1), HANG], live=True), "room-101", clock=lambda: START)
        capture.start()
        frame = capture.newest(5)
        capture.stop()
        assert frame is not None
        assert (frame.camera, frame.captured_at, frame.position_s) == ("room-101", START, None)

    def test_a_lost_camera_is_connected_again(self, caplog: pytest.LogCaptureFixture) -> None:
        lost, refused = SourceError("cable cut", mend="mend the cable"), SourceError("refused")
        source = FakeSource("x", [*pictures(2), lost, *pictures(2), HANG], live=True)
        connects = source.open
        refusals = [None, refused, refused, refused]

        def connect() -> None:
            fault = refusals.pop(0) if refusals else None
            if fault:
                raise fault
            connects()

        source.open = connect  # type: ignore[method-assign] # the second to fourth attempt are refused
        capture = quick(source)
        with caplog.at_level(logging.INFO):
            capture.start()
            wait_until(lambda: capture.counts.read == 4, "frames of both connections")
        assert capture.state == "live"
        assert capture.reason == ""
        capture.stop()
        assert [r.message.splitlines()[0] for r in caplog.records] == ["camera door: cable cut", "camera door is back"]

    def test_the_reason_stands_while_it_is_lost(self) -> None:
        source = FakeSource("x", pictures(1), live=True, open_faults=[SourceError("refused", mend="switch it on")] * 99)
        capture = Capture(source, "door", first_retry_s=5)
        capture.start()
        wait_until(lambda: capture.state == "failed", "the failure")
        assert capture.reason == "refused\n  mend: switch it on"
        assert not capture.finished, "it tries again"
        began_s = time.monotonic()
        capture.stop()
        assert time.monotonic() - began_s < 0.5, "stop does not wait for the next attempt"
        assert capture.state == "failed"
        assert capture.finished

    def test_a_camera_that_never_was_there_is_final(self) -> None:
        capture = quick(FakeSource("x", live=True, open_faults=[SourceNotFound("no /dev/video7")] * 2))
        capture.start()
        assert capture.newest(5) is None
        assert capture.finished
        assert (capture.state, capture.reason) == ("failed", "no /dev/video7")

    def test_a_camera_that_is_unplugged_later_is_waited_for(self) -> None:
        source = FakeSource("x", [*pictures(1), SourceError("unplugged"), *pictures(1), HANG], live=True)
        capture = quick(source)
        opens = source.open
        gone = iter([False, True, True, False])

        def open_or_miss() -> None:
            if next(gone):
                raise SourceNotFound("no /dev/video0")
            opens()

        source.open = open_or_miss  # type: ignore[method-assign] # missing twice, then plugged in again
        capture.start()
        wait_until(lambda: capture.counts.read == 2, "the frame after plugging in")
        assert capture.state == "live"
        capture.stop()

    def test_a_stream_that_ends_is_an_outage(self) -> None:
        class Ending(FakeSource):
            def read(self) -> Frame | None:
                return super().read() if self.opened > 1 else None

        source = Ending("x", [*pictures(1), HANG], live=True)
        capture = quick(source)
        capture.start()
        assert capture.newest(5) is not None
        assert source.opened == 2
        capture.stop()

    def test_a_fault_in_a_foreign_source_is_contained(self, caplog: pytest.LogCaptureFixture) -> None:
        source = FakeSource("x", [ZeroDivisionError("oops"), *pictures(1), HANG], live=True)
        capture = quick(source)
        capture.start()
        assert capture.newest(5) is not None
        capture.stop()
        assert "FakeSource raised ZeroDivisionError: oops" in caplog.text
        assert "Traceback" not in caplog.text

    def test_stop_is_prompt_when_the_source_hangs_and_ignores_close(self) -> None:
        release = threading.Event()

        class Deaf(FakeSource):
            def read(self) -> Frame | None:
                release.wait(20)
                return super().read()

        capture = quick(Deaf("x", pictures(3), live=True))
        capture.start()
        began_s = time.monotonic()
        capture.stop()
        assert time.monotonic() - began_s < 3
        release.set()
        assert capture.newest(0.2) is None, "nothing comes after stop"
        assert capture.counts == FrameCounts()

    def test_stop_without_start_and_twice(self) -> None:
        source = FakeSource("x")
        capture = quick(source)
        capture.stop()
        capture.stop()
        assert capture.finished
        assert source.closed == 2

    def test_a_source_that_fails_in_close_does_no_harm(self, caplog: pytest.LogCaptureFixture) -> None:
        class Sticky(FakeSource):
            def close(self) -> None:
                super().close()
                raise OSError("stuck")

        capture = quick(Sticky("x", [*pictures(1), HANG], live=True))
        capture.start()
        assert capture.newest(5) is not None
        capture.stop()
        assert "stuck" in caplog.text

    def test_pauses_grow_to_their_limit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        source = FakeSource("x", live=True, open_faults=[SourceError("refused")] * 12)
        capture = Capture(source, "door", first_retry_s=0.5, longest_retry_s=30)
        pauses: list[float] = []

        def note(timeout: float | None = None) -> bool:
            pauses.append(timeout or 0)
            if len(pauses) == 12:
                capture._stop.set()
            return False

        monkeypatch.setattr(capture._stop, "wait", note)
        capture._run()
        limits = [min(30, 0.5 * 2**at) for at in range(12)]
        assert all(limit / 2 <= pause <= limit for pause, limit in zip(pauses, limits, strict=True))
        assert len({pause / limit for pause, limit in zip(pauses, limits, strict=True)}) > 1, "they are jittered"

    def test_one_consumer_waits_for_several_cameras(self) -> None:
        changed = threading.Condition()
        quiet = Capture(FakeSource("a", [HANG], live=True), "a", changed=changed)
        busy = Capture(FakeSource("b", [*pictures(1), HANG], live=True, every_s=0.2), "b", changed=changed)
        quiet.start()
        busy.start()
        with changed:
            assert changed.wait_for(lambda: quiet.waiting or busy.waiting, 5)
        assert quiet.newest(0) is None
        assert busy.newest(0) is not None
        quiet.stop()
        busy.stop()


class TestRecordingInRealTime:
    def test_frames_come_at_their_positions(self) -> None:
        capture = Capture(FakeSource("x", pictures(11), fps=20), "door", start_at=START)
        began_s = time.monotonic()
        capture.start()
        frames = take_all(capture)
        took_s = time.monotonic() - began_s
        assert 0.45 <= took_s < 2
        assert [f.captured_at for f in frames] == [START + timedelta(seconds=f.index / 20) for f in frames]
        assert frames[-1].position_s == pytest.approx(0.5)
        assert (capture.state, capture.reason) == ("ended", "")

    def test_a_slow_consumer_drops_frames_but_not_the_last(self) -> None:
        capture = Capture(FakeSource("x", pictures(20), fps=100), "door", start_at=START)
        capture.start()
        frames = take_all(capture, pause_s=0.05)
        assert frames[-1].index == 19
        assert capture.counts.dropped == 20 - len(frames) > 0

    def test_without_a_start_the_clock_says_when_it_began(self) -> None:
        capture = Capture(FakeSource("x", pictures(2), fps=100), "door", clock=lambda: START)
        capture.start()
        frames = take_all(capture)
        assert frames[-1].captured_at == START + timedelta(seconds=0.01)

    def test_a_clock_that_jumps_changes_nothing(self) -> None:
        ticks = iter([START, *[START + timedelta(days=9)] * 50])
        capture = Capture(FakeSource("x", pictures(6), fps=20), "door", clock=lambda: next(ticks))
        began_s = time.monotonic()
        capture.start()
        frames = take_all(capture)
        assert 0.2 <= time.monotonic() - began_s < 2
        assert frames[-1].captured_at == START + timedelta(seconds=0.25)

    def test_a_recording_that_cannot_be_read_is_final(self) -> None:
        source = FakeSource("x", [*pictures(1), SourceError("damaged")], fps=100)
        capture = quick(source)
        capture.start()
        assert len(take_all(capture)) == 1
        assert (capture.state, capture.reason) == ("failed", "damaged")
        assert source.opened == 1

    def test_what_a_recording_did_not_give_is_its_reason(self, caplog: pytest.LogCaptureFixture) -> None:
        capture = quick(FakeSource("x", pictures(1), ended_early="3 of 9 frames"))
        capture.start()
        take_all(capture)
        assert (capture.state, capture.reason) == ("ended", "3 of 9 frames")
        assert "3 of 9 frames" in caplog.text

    def test_stop_does_not_wait_for_the_next_frame(self) -> None:
        capture = Capture(FakeSource("x", pictures(2), fps=0.01), "door")
        capture.start()
        assert capture.newest(5) is not None
        began_s = time.monotonic()
        capture.stop()
        assert time.monotonic() - began_s < 0.5

    def test_a_naive_start_is_refused(self) -> None:
        with pytest.raises(ValueError, match="time zone"):
            Capture(FakeSource("x"), "door", start_at=datetime(2026, 3, 2))  # noqa: DTZ001 - the point of the test


@settings(max_examples=25, deadline=None)
@given(
    frames=st.integers(0, 60),
    pauses_ms=st.lists(st.floats(0, 4), min_size=1, max_size=20),
    live=st.booleans(),
    faults=st.sets(st.integers(0, 60), max_size=5),
    stop_after=st.integers(0, 40),
)
def test_no_frame_is_lost_from_the_count(
    frames: int, pauses_ms: list[float], live: bool, faults: set[int], stop_after: int
) -> None:
    script: list[Image | BaseException] = list(pictures(frames))
    if live:
        for at in sorted(faults, reverse=True):
            script.insert(min(at, len(script)), SourceError("lost"))
    capture = quick(FakeSource("x", script, live=live, fps=2000))
    capture.start()
    handed_out: list[int] = []
    deadline_s = time.monotonic() + 10
    for turn in range(10_000):
        frame = capture.newest(0.01)
        if frame is not None:
            handed_out.append(frame.index)
            time.sleep(pauses_ms[turn % len(pauses_ms)] / 1000)
        with capture._changed:
            counts, waiting = FrameCounts(capture._read, capture._dropped), capture._waiting is not None
        assert counts.read == len(handed_out) + counts.dropped + waiting
        if len(handed_out) > stop_after or (counts.read == frames and not waiting) or capture.finished:
            break
        assert time.monotonic() < deadline_s
    capture.stop()
    counts = capture.counts
    assert counts.read == len(handed_out) + counts.dropped + capture.waiting
    assert handed_out == sorted(set(handed_out))
    assert len(handed_out) > stop_after or handed_out[-1:] == ([frames - 1] if frames else [])


class TestReplay:
    def test_every_frame_comes_at_once_in_its_own_time(self) -> None:
        source = FakeSource("x", pictures(50), fps=1)
        replay = Replay(source, "door", start_at=START)
        began_s = time.monotonic()
        frames = list(replay)
        assert time.monotonic() - began_s < 2
        assert [frame.index for frame in frames] == list(range(50))
        assert frames[49].captured_at == START + timedelta(seconds=49)
        assert frames[0].camera == "door"
        assert replay.counts == FrameCounts(read=50, dropped=0)
        assert (replay.state, replay.reason) == ("ended", "")
        assert source.closed == 1

    def test_without_a_start_the_clock_says_when_it_began(self) -> None:
        frames = list(Replay(FakeSource("x", pictures(2), fps=10), "door", clock=lambda: START))
        assert frames[1].captured_at == START + timedelta(seconds=0.1)

    @pytest.mark.parametrize("where", ["open", "read"])
    def test_what_cannot_be_read_is_raised_and_kept(self, where: str) -> None:
        fault = SourceError("damaged", mend="copy it again")
        source = FakeSource("x", [*pictures(1), fault], open_faults=[fault] if where == "open" else [])
        replay = Replay(source, "door")
        with pytest.raises(SourceError, match="damaged"):
            list(replay)
        assert replay.state == "failed"
        assert "copy it again" in replay.reason
        assert replay.counts.read == (0 if where == "open" else 1)
        assert source.closed == 1

    def test_what_a_recording_did_not_give_is_its_reason(self) -> None:
        replay = Replay(FakeSource("x", pictures(1), ended_early="3 of 9 frames"), "door")
        list(replay)
        assert (replay.state, replay.reason) == ("ended", "3 of 9 frames")

    def test_where_it_stands_and_how_long_it_is(self) -> None:
        class Timed(FakeSource):
            duration_s = 0.4

        replay = Replay(Timed("x", pictures(2), fps=5), "door")
        assert (replay.position_s, replay.duration_s) == (None, 0.4)
        assert [replay.position_s for _ in replay] == [0.0, 0.2]
        assert Replay(FakeSource("x", pictures(1)), "door").duration_s is None

    def test_stop_ends_it(self) -> None:
        source = FakeSource("x", pictures(9))
        replay = Replay(source, "door")
        frames = []
        for frame in replay:
            frames.append(frame)
            if frame.index == 2:
                replay.stop()
        assert len(frames) == 3
        assert (replay.state, replay.counts.read) == ("ended", 3)

    def test_a_source_that_ended_is_not_read_again(self) -> None:
        class Once(FakeSource):
            ends = 0

            def read(self) -> Frame | None:
                frame = super().read()
                self.ends += frame is None
                return frame

        source = Once("x", pictures(5))
        assert len(list(Replay(source, "door"))) == 5
        assert source.ends == 1

    def test_leaving_early_closes_the_source(self) -> None:
        source = FakeSource("x", pictures(9))
        frames = iter(Replay(source, "door"))
        next(frames)
        frames.close()  # type: ignore[attr-defined] # it is a generator, as an iterator that cleans up has to be
        assert source.closed == 1
