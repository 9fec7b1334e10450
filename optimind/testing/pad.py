"""For the tests of checks of presentation attacks: a fake one, and what every check must keep to."""

from __future__ import annotations

import abc
import copy
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Self

import numpy as np

from optimind.plugin_api import Image, PadCheck, PadState, PadVerdict, Settings

__all__ = ["FakePadCheck", "PadContract", "a_room"]

_START = datetime(2026, 9, 1, 8, tzinfo=UTC)
Box = tuple[float, float, float, float]
"""xyxy pixels."""


def a_room(width: int = 320, height: int = 240, *, seed: int = 0) -> Image:
    """A picture full of detail, always the same for one ``seed``."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


class FakePadCheck(PadCheck):
    """Suspects a track at its ``looks``-th picture if that is redder than blue there, else takes it for a person."""

    name: ClassVar[str] = "fake"
    settings_type: ClassVar[type[Settings]] = Settings
    interval_s = 0.5

    def __init__(self, looks: int = 3) -> None:
        self._looks = looks
        self.seen: dict[str, list[tuple[datetime, Box]]] = {}
        self.forgotten: list[str] = []

    @classmethod
    def create(cls, settings: Any) -> Self:  # noqa: ARG003 - the protocol's signature
        """Make the check."""
        return cls()

    def observe(self, track: str, image: Image, box: Box, at: datetime) -> PadVerdict:
        """Count the pictures of ``track``."""
        seen = self.seen.setdefault(track, [])
        seen.append((at, box))
        if len(seen) < self._looks:
            return PadVerdict()
        left, top, right, bottom = (max(0, round(edge)) for edge in box)
        face = image[top:bottom, left:right].reshape(-1, 3)
        if len(face) and face[:, 2].mean() > face[:, 0].mean():
            return PadVerdict(state=PadState.SUSPECTED, liveness=0.1, reason="the face is red", is_final=True)
        return PadVerdict(state=PadState.BONA_FIDE, liveness=0.9, is_final=True)

    def forget(self, track: str) -> None:
        """Forget it, and remember that."""
        self.seen.pop(track, None)
        self.forgotten.append(track)


class PadContract(abc.ABC):
    """What every check must keep to. Inherit, say which class, and let pytest collect your class."""

    pad_type: ClassVar[type[PadCheck]]

    def make(self) -> PadCheck:
        """Make the check as the program does, with its default settings."""
        return self.pad_type.create(self.pad_type.settings_type())

    def test_it_has_a_name_default_settings_and_a_pace(self) -> None:
        """It can be switched on by its name alone, and ``off`` is no name."""
        assert self.pad_type.name.isidentifier()
        assert self.pad_type.name != "off"
        assert issubclass(self.pad_type.settings_type, Settings)
        check = self.make()
        assert isinstance(check, PadCheck)
        assert check.interval_s > 0

    def test_it_answers_with_a_verdict_and_leaves_the_picture_alone(self) -> None:
        """Whatever it thinks of noise, it says so as a verdict."""
        check = self.make()
        for look in range(20):
            picture = a_room(seed=look)
            untouched = copy.deepcopy(picture)
            verdict = check.observe("1", picture, (100, 60, 170, 144), _at(look))
            assert isinstance(verdict, PadVerdict)
            assert np.array_equal(picture, untouched)

    def test_a_face_may_be_anywhere(self) -> None:
        """Boxes between detections are predicted: beyond the rim, beside the picture, larger than it, hardly there."""
        check, picture = self.make(), a_room()
        boxes: list[Box] = [(-40, -40, 30, 44), (300, 200, 370, 284), (900, 900, 970, 984), (-50, -50, 500, 500)]
        boxes += [(100, 60, 100.2, 60.2), (-300, 0, -230, 84)]
        for number, box in enumerate(boxes):
            for look in range(8):
                assert isinstance(check.observe(str(number), picture, box, _at(look)), PadVerdict)

    def test_pictures_may_change_their_size_and_time_may_go_back(self) -> None:
        """A camera is set to another size, a clock is corrected."""
        check = self.make()
        for look, second in enumerate((0, 1, 5, 2, 2, 3)):
            picture = a_room(320 + 40 * look, 240)
            assert isinstance(check.observe("1", picture, (100, 60, 170, 144), _at(second)), PadVerdict)

    def test_an_end_may_come_without_a_beginning(self) -> None:
        """And twice."""
        check = self.make()
        check.forget("7")
        check.observe("7", a_room(), (100, 60, 170, 144), _at(0))
        check.forget("7")
        check.forget("7")

    def test_a_track_that_ended_is_forgotten(self) -> None:
        """A new one of the same name begins as the first did."""
        check = self.make()
        first = [self._look(check, look) for look in range(10)]
        check.forget("1")
        assert [self._look(check, look) for look in range(20, 30)] == first

    def test_two_of_it_share_nothing(self) -> None:
        """One is made for each camera."""
        one, other = self.make(), self.make()
        first = [self._look(one, look) for look in range(10)]
        assert [self._look(other, look) for look in range(10)] == first

    @staticmethod
    def _look(check: PadCheck, look: int) -> PadVerdict:
        return check.observe("1", a_room(), (100, 60, 170, 144), _at(look))


def _at(seconds: float) -> datetime:
    return _START + timedelta(seconds=seconds)
