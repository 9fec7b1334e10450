"""A camera that is connected and shows nothing new is called stalled, and nothing else is."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimind.core.types import Image
from optimind.pipeline.capture import Capture
from optimind.pipeline.stall import StallWatch
from optimind.plugin_api import SourceError, SourceNotFound
from optimind.testing.sources import HANG, FakeSource


def noisy(at: int) -> Image:
    return np.random.default_rng(at).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def one_pixel_off() -> Image:
    """Return picture 0 with one pixel changed, and not one of those that are looked at first."""
    image = noisy(0)
    image[17, 13, 1] ^= 1
    return image


@pytest.mark.parametrize(
    ("pictures", "asked_s", "expected"),
    [
        ([], 100, ""),
        ([(0, 0.0)], 2.9, ""),
        ([(0, 0.0)], 3.0, "no picture came for 3 s"),
        ([(0, 0.0), (1, 2.0)], 4.9, ""),
        ([(0, at / 2) for at in range(20)], 9.9, ""),
        ([(0, at / 2) for at in range(21)], 10.0, "it sends the same picture again and again, for 10 s by now"),
        ([(at % 2, at / 2) for at in range(41)], 20.0, ""),
        ([(0, float(at)) for at in range(11)] + [(1, 11.0)], 11.0, ""),
        ([(0, at / 2) for at in range(21)], 14.0, "no picture came for 3 s"),
    ],
    ids=["before", "early", "silent", "slow", "still", "frozen", "noise", "thawed", "frozen, then silent"],
)
def test_the_verdict(pictures: list[tuple[int, float]], asked_s: float, expected: str) -> None:
    watch = StallWatch(3, 10)
    for at, seen_s in pictures:
        watch.saw(noisy(at), seen_s)
    assert watch.verdict(asked_s) == expected
    watch.reset()
    assert watch.verdict(asked_s + 100) == ""


def test_one_pixel_is_enough_of_a_change() -> None:
    watch = StallWatch(3, 10)
    for at in range(30):
        watch.saw(one_pixel_off() if at % 5 == 4 else noisy(0), at)
        assert watch.verdict(at) == ""


def test_a_picture_whose_rows_do_not_lie_together_is_looked_at_too() -> None:
    watch = StallWatch(3, 10)
    for at in range(12):
        watch.saw(noisy(0)[:, ::2], at)
    assert "same picture" in watch.verdict(11)


@given(gaps_s=st.lists(st.floats(0.01, 2.9), min_size=1, max_size=40), same=st.booleans())
def test_it_is_stalled_exactly_where_nothing_changed_for_long_enough(gaps_s: list[float], same: bool) -> None:
    watch, now_s = StallWatch(3, 10), 5.0
    first_s = now_s
    watch.saw(noisy(0), now_s)
    for at, gap_s in enumerate(gaps_s, start=1):
        now_s += gap_s
        watch.saw(noisy(0 if same else at), now_s)
    assert bool(watch.verdict(now_s)) == (same and now_s - first_s >= 10)


# -- in a capture -----------------------------------------------------------------------------------------------------


def wait_until(true: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline_s, f"waited in vain: {what}"
        time.sleep(0.002)


def test_a_camera_that_hangs_in_its_source_is_noticed_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    source = FakeSource("x", [noisy(0), HANG, noisy(1), HANG], live=True)
    capture = Capture(source, "door", stall_s=0.1, first_retry_s=0.001)
    with caplog.at_level(logging.INFO):
        capture.start()
        with capture._changed:
            assert capture._changed.wait_for(lambda: capture.state == "stalled", 10), "the change is notified"
        assert capture.reason == "no picture came for 0.1 s"
        assert not capture.finished
        time.sleep(0.3)
        source.close()  # the read ends, the camera is connected again
        wait_until(lambda: capture.counts.read == 2, "the second picture")
        wait_until(lambda: capture.state == "stalled", "the second hang")
        wait_until(lambda: len(caplog.records) == 4, "what is told of it, which comes a moment after")
        capture.stop()
    assert capture.state == "stalled", "what was the matter at the end stays to be seen"
    assert [record.getMessage() for record in caplog.records] == [
        "camera door is stalled: no picture came for 0.1 s",
        "camera door: the fake camera x was closed",
        "camera door is back",
        "camera door is stalled: no picture came for 0.1 s",
    ]


def test_the_same_picture_again_and_again_is_stalled_until_it_changes(caplog: pytest.LogCaptureFixture) -> None:
    source = FakeSource("x", [*[noisy(0)] * 30, *map(noisy, range(1, 9)), HANG], live=True, every_s=0.01)
    states = []
    capture = Capture(source, "door", stall_s=60, frozen_s=0.1)
    with caplog.at_level(logging.INFO):
        capture.start()
        while capture.counts.read < 38:
            if capture.newest(10) is not None:
                states.append(capture.state)
        capture.stop()
    assert states[0] == "live"
    assert "stalled" in states, "its pictures are handed out all the same"
    assert [record.getMessage() for record in caplog.records] == [
        "camera door is stalled: it sends the same picture again and again, for 0.1 s by now",
        "camera door is back",
    ]


def test_a_recording_of_a_still_picture_is_no_stalled_camera(caplog: pytest.LogCaptureFixture) -> None:
    capture = Capture(FakeSource("x", [noisy(0)] * 6, fps=10), "door", stall_s=0.02, frozen_s=0.05)
    states = set()
    capture.start()
    while not capture.finished:
        capture.newest(0.02)
        states.add(capture.state)
    assert states <= {"connecting", "live", "ended"}
    assert not caplog.records


def test_another_picture_size_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    small, large = np.zeros((4, 6, 3), np.uint8), np.zeros((8, 12, 3), np.uint8)
    source = FakeSource("x", [small, small, large, large, SourceError("lost"), large, HANG], live=True)
    capture = Capture(source, "door", first_retry_s=0.001)
    with caplog.at_level(logging.INFO):
        capture.start()
        wait_until(lambda: capture.counts.read == 5, "all pictures")
        frame = capture.newest(0)
        capture.stop()
    assert frame is not None
    assert frame.image.shape == (8, 12, 3)
    assert [r.getMessage() for r in caplog.records if "picture" in r.getMessage()] == [
        "camera door: its picture is now 12x8, it was 6x4"
    ]


def test_when_a_frame_arrived_is_known_whatever_the_wall_clock_does() -> None:
    capture = Capture(FakeSource("x", [noisy(0), HANG], live=True), "door")
    before_s = time.monotonic()
    capture.start()
    wait_until(lambda: capture.waiting, "the frame")
    after_s = time.monotonic()
    time.sleep(0.05)
    not_yet_s = capture.arrived_s
    assert capture.newest(0) is not None
    arrived_s = capture.arrived_s
    capture.stop()
    assert not_yet_s is None, "nothing was handed out yet"
    assert arrived_s is not None
    assert before_s <= arrived_s <= after_s


@pytest.mark.parametrize(
    "fault",
    [
        ValueError("cannot open rtsp://user7:hush@10.0.0.7/live"),
        SourceError("no answer from rtsp://user7:hush@10.0.0.7/live", mend="try vlc rtsp://user7:hush@10.0.0.7/live"),
        SourceNotFound("no such camera: rtsp://user7:hush@10.0.0.7/live"),
    ],
    ids=["unexpected", "source error", "not found"],
)
def test_what_a_foreign_source_tells_of_its_password_goes_no_further(
    fault: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    capture = Capture(FakeSource("x", [], live=True, open_faults=[fault]), "door", first_retry_s=60, longest_retry_s=60)
    capture.start()
    wait_until(lambda: capture.state == "failed", "the failure")
    capture.stop()
    assert "10.0.0.7/live" in capture.reason
    assert isinstance(capture.error, SourceNotFound) == isinstance(fault, SourceNotFound)
    for told in (capture.reason, str(capture.error), repr(capture.error), caplog.text):
        assert "hush" not in told
        assert "user7" not in told
