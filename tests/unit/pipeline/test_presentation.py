"""Which faces a check is shown, how often, and what happens when it fails."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from optimind.core.tracking import Track
from optimind.core.types import Frame
from optimind.pipeline.presentation import FAILURES_BEFORE_OFF, LONG_S, Presentation
from optimind.pipeline.stages import StageTimes
from optimind.plugin_api import PadState, PadVerdict
from optimind.testing.engines import blank
from optimind.testing.pad import FakePadCheck

START = datetime(2026, 9, 1, 8, tzinfo=UTC)
PICTURE = blank()
RED = blank()
RED[:, :, 2] = 255


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def track(number: int = 1, seconds: float = 0.0) -> Track:
    return Track.begun(number, np.array([100.0, 60, 170, 144]), at(seconds))


def watched(check: FakePadCheck, seconds: float, *tracks: Track, fps: float = 10) -> Presentation:
    presentation = Presentation(check, stages=StageTimes())
    for index in range(round(seconds * fps)):
        presentation.watch(Frame("c", index, at(index / fps), PICTURE), tracks)
    return presentation


def seconds_of(check: FakePadCheck, number: str = "1") -> list[float]:
    return [(when - START).total_seconds() for when, _ in check.seen[number]]


def test_a_face_is_shown_at_the_checks_own_pace_until_the_verdict_is_final() -> None:
    check = FakePadCheck(looks=4)
    presentation = watched(check, 9, track())
    assert seconds_of(check) == [0, 0.5, 1, 1.5]
    assert presentation.verdict(1).state is PadState.BONA_FIDE
    assert presentation.suspicion(1) == ""


def test_all_faces_are_shown_in_the_same_frame() -> None:
    check = FakePadCheck(looks=3)
    watched(check, 2, track(1), track(2), track(3))
    assert seconds_of(check, "1") == seconds_of(check, "2") == seconds_of(check, "3") == [0, 0.5, 1]


def test_who_stays_undecided_is_shown_less_often() -> None:
    check = FakePadCheck(looks=1000)
    watched(check, LONG_S + 6, track())
    seen = np.array(seconds_of(check))
    assert np.diff(seen[seen <= LONG_S]).max() == pytest.approx(0.5)
    assert np.diff(seen[seen > LONG_S + 1]).min() == pytest.approx(1.5)


def test_the_box_is_where_the_face_should_be_by_now() -> None:
    moving = track()
    for second in (0.2, 0.4, 0.6):
        moving.see(np.array([100.0, 60, 170, 144]) + 20 * second * np.array([5, 0, 5, 0]), at(second))
    check = FakePadCheck()
    Presentation(check, stages=StageTimes()).watch(Frame("c", 0, at(0.7), PICTURE), [moving])
    [(_, box)] = check.seen["1"]
    assert box == pytest.approx(tuple(moving.box_at(at(0.7))))
    assert box[0] > moving.box[0] + 2


def test_a_face_that_the_last_look_missed_is_not_shown() -> None:
    lost = track()
    lost.misses = 1
    check = FakePadCheck()
    watched(check, 3, lost)
    assert check.seen == {}


def test_a_suspicion_is_remembered_until_the_track_ends() -> None:
    check = FakePadCheck(looks=2)
    stages = StageTimes()
    presentation = Presentation(check, stages=stages)
    for second in (0, 0.5, 1, 1.5):
        presentation.watch(Frame("c", 0, at(second), RED), [track()])
    assert presentation.suspicion(1) == "the face is red"
    presentation.end(1)
    assert (presentation.suspicion(1), check.seen, check.forgotten) == ("", {}, ["1"])
    presentation.end(1)
    presentation.end(9)
    assert check.forgotten == ["1"]
    assert stages.total("presentation")[0] == 2


def test_a_clock_that_is_set_back_stops_nothing() -> None:
    check = FakePadCheck(looks=1000)
    presentation = Presentation(check, stages=StageTimes())
    for second in (100, 100.5, 3, 3.5, 4):
        presentation.watch(Frame("c", 0, at(second), PICTURE), [track()])
    assert seconds_of(check) == [100, 100.5, 3, 3.5, 4]


class _Failing(FakePadCheck):
    def __init__(self, *fails: int) -> None:
        super().__init__(looks=1000)
        self.asked = 0
        self._fails = fails

    def observe(self, *arguments: object) -> PadVerdict:
        self.asked += 1
        if self.asked in self._fails:
            raise ValueError("odd face")
        return super().observe(*arguments)  # type: ignore[arg-type]  # handed on as they are


def test_a_failure_costs_one_look() -> None:
    check = _Failing(2, 5)
    presentation = watched(check, 5, track())
    assert (check.asked, presentation.failures, presentation.is_off) == (10, 2, False)
    assert presentation.last_error == "ValueError: odd face"


def test_a_check_that_always_fails_is_switched_off(caplog: pytest.LogCaptureFixture) -> None:
    check = _Failing(*range(1, 100))
    presentation = watched(check, 9, track())
    assert (check.asked, presentation.failures, presentation.is_off) == (FAILURES_BEFORE_OFF, FAILURES_BEFORE_OFF, True)
    assert presentation.suspicion(1) == ""
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == [
        "the check of presentation attacks is switched off, it failed: ValueError: odd face"
    ]
