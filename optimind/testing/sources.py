"""For the tests of cameras: a source that does what a script says, and what every kind of source must keep to."""

from __future__ import annotations

import abc
import itertools
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Final, Self

import numpy as np

from optimind.plugin_api import Frame, Image, Source, SourceError

__all__ = ["HANG", "FakeSource", "SourceContract"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Hang:
    def __repr__(self) -> str:
        return "HANG"


HANG: Final = _Hang()
"""In the script of a :class:`FakeSource`: wait until the source is closed."""


class FakeSource(Source):
    """A source that follows ``script``: an image is delivered, an exception raised, ``HANG`` waits for ``close``.

    After the script a recording has ended (None). A camera (``live``) goes on in its script when it is opened again and
    then waits for ``close``; a recording starts over. Each ``open`` first raises the next of ``open_faults``, while any
    is left. A recording's frames are ``1 / fps`` apart; a camera's take ``every_s`` seconds each. ``opened`` counts the
    calls of ``open`` that worked, ``closed`` all calls of ``close``. Its spec is ``fake:N`` for N grey pictures.
    """

    name: ClassVar[str] = "fake"

    def __init__(
        self,
        camera: str = "fake",
        script: Sequence[Image | BaseException | _Hang] = (),
        *,
        live: bool = False,
        fps: float = 10.0,
        every_s: float = 0.0,
        open_faults: Sequence[BaseException] = (),
        ended_early: str | None = None,
    ) -> None:
        self.camera = camera
        self.live = live
        self.ended_early = ended_early
        self.opened = 0
        self.closed = 0
        self._script = list(script)
        self._fps = fps
        self._every_s = every_s
        self._open_faults = list(open_faults)
        self._at = 0
        self._index = 0
        self._is_open = False
        self._closing = threading.Event()

    @classmethod
    def accepts(cls, spec: str) -> bool:
        """Whether ``spec`` is ``fake:`` and a number."""
        kind, _, number = spec.partition(":")
        return kind == "fake" and number.isdecimal()

    @classmethod
    def create(cls, camera: str, spec: str) -> Self:
        """Make a recording of as many grey pictures as ``spec`` says."""
        number = int(spec.partition(":")[2])
        return cls(camera, [np.full((48, 64, 3), at % 256, np.uint8) for at in range(number)])

    def open(self) -> None:
        """Raise the next of ``open_faults``, or be open."""
        if self._open_faults:
            raise self._open_faults.pop(0)
        if not self.live:
            self._at = 0
        self._index = 0
        self._closing.clear()
        self._is_open = True
        self.opened += 1

    def read(self) -> Frame | None:
        """Do what the script says next."""
        if not self._is_open:
            raise SourceError(f"the fake camera {self.camera} is not open")
        if self._at >= len(self._script) and not self.live:
            return None
        step = self._script[self._at] if self._at < len(self._script) else HANG
        self._at += 1
        if isinstance(step, BaseException):
            raise step
        if isinstance(step, _Hang) or (self.live and self._closing.wait(self._every_s)):
            self._closing.wait()
            raise SourceError(f"the fake camera {self.camera} was closed")
        index = self._index
        self._index += 1
        if self.live:
            return Frame(self.camera, index, datetime.now(UTC), step.copy())
        position_s = index / self._fps
        return Frame(self.camera, index, _EPOCH + timedelta(seconds=position_s), step.copy(), position_s)

    def close(self) -> None:
        """Be closed, and let a read that hangs go."""
        self.closed += 1
        self._is_open = False
        self._closing.set()


class SourceContract(abc.ABC):
    """What every source must keep to, as tests: derive a ``Test...`` class and give it ``make``.

    ::

        class TestMyCamera(SourceContract):
            spec = "mine://somewhere"

            def make(self) -> Source:
                return MyCamera.create("door", "mine://somewhere")

    Each call of ``make`` gives a new, unopened source of the camera id ``camera`` that delivers at least three frames
    within ``patience_s`` seconds. Set ``spec`` where ``accepts`` shall be tried as well.
    """

    camera: ClassVar[str] = "door"
    spec: str | None = None
    patience_s: ClassVar[float] = 15.0

    @abc.abstractmethod
    def make(self) -> Source:
        """Return a new source, not open yet."""

    def test_it_is_a_named_source(self) -> None:
        """It has all that the protocol names."""
        source = self.make()
        _require(isinstance(source, Source), "it must have every member of Source")
        _require(isinstance(type(source).name, str) and bool(type(source).name), "name must be a text on the class")
        _require(isinstance(source.live, bool), "live must be True or False")

    def test_it_accepts_its_own_address(self) -> None:
        """``accepts`` takes the address that it is made for, and says so with a bool."""
        if self.spec is not None:
            _require(type(self.make()).accepts(self.spec) is True, f"it must accept {self.spec!r}")

    def test_frames_are_well_formed(self) -> None:
        """Frames are BGR uint8, numbered from 0, of this camera, in order; a recording's carry their position."""
        source = self.make()
        began_at = datetime.now(UTC)
        source.open()
        try:
            frames = [self._read(source) for _ in range(3)]
        finally:
            source.close()
        for frame in frames:
            _check_image(frame.image)
            _require(frame.camera == self.camera, f"camera must be {self.camera!r}, not {frame.camera!r}")
        _require([f.index for f in frames] == [0, 1, 2], "index must count from 0")
        if source.live:
            _require(all(f.position_s is None for f in frames), "a camera's frames have no position")
            _require(all(f.captured_at >= began_at for f in frames), "captured_at must be when it was captured")
        else:
            _check_positions(frames)

    def test_frames_are_independent(self) -> None:
        """The next read does not write into a picture that was handed out."""
        source = self.make()
        source.open()
        try:
            first = self._read(source)
            before = first.image.copy()
            self._read(source)
            self._read(source)
        finally:
            source.close()
        _require(bool(np.array_equal(first.image, before)), "each frame must have an image of its own")

    def test_a_recording_ends_with_none(self) -> None:
        """After its last frame a recording answers None, again and again."""
        source = self.make()
        source.open()
        try:
            if source.live:
                return
            while source.read() is not None:
                pass
            _require(source.read() is None, "a recording that has ended stays so")
        finally:
            source.close()

    def test_it_can_be_closed_at_any_time(self) -> None:
        """Closing before ``open`` and twice is harmless; reading afterwards gives no frame."""
        source = self.make()
        source.close()
        source.open()
        self._read(source)
        source.close()
        source.close()
        try:
            frame = source.read()
        except SourceError:
            frame = None
        _require(frame is None, "a closed source gives no frame")

    def test_it_can_be_opened_again(self) -> None:
        """A second ``open`` after ``close`` begins anew, at index 0."""
        source = self.make()
        for _ in range(2):
            source.open()
            try:
                _require(self._read(source).index == 0, "index must count from 0 after each open")
            finally:
                source.close()

    def test_closing_ends_a_reader(self) -> None:
        """``close`` from another thread ends a read loop without harm."""
        source = self.make()
        source.open()
        self._read(source)
        faults: list[BaseException] = []

        def read_on() -> None:
            try:
                while source.read() is not None:
                    time.sleep(0.001)
            except SourceError:
                pass
            except BaseException as fault:  # noqa: BLE001 - handed over to the test's own thread
                faults.append(fault)

        reader = threading.Thread(target=read_on, daemon=True)
        reader.start()
        time.sleep(0.1)
        source.close()
        reader.join(self.patience_s)
        _require(not reader.is_alive(), f"the reader must end within {self.patience_s} s of close()")
        _require(not faults, f"nothing but SourceError may be raised, got {faults}")

    def _read(self, source: Source) -> Frame:
        began_s = time.monotonic()
        frame = source.read()
        if frame is None:
            raise AssertionError("it must give at least three frames")
        _require(time.monotonic() - began_s <= self.patience_s, f"a frame must come within {self.patience_s} s")
        return frame


def _check_image(image: Image) -> None:
    _require(image.ndim == 3 and image.shape[2] == 3 and image.size > 0, f"shape must be (h, w, 3), not {image.shape}")
    _require(image.dtype == np.uint8, f"dtype must be uint8, not {image.dtype}")
    _require(image.flags.c_contiguous, "the image must be contiguous")


def _check_positions(frames: Sequence[Frame]) -> None:
    positions = [frame.position_s for frame in frames if frame.position_s is not None]
    _require(len(positions) == len(frames), "a recording's frames carry position_s")
    _require(positions[0] >= 0, "position_s starts at 0 or later")
    _require(all(a < b for a, b in itertools.pairwise(positions)), "position_s must grow")
    for frame, position_s in zip(frames, positions, strict=True):
        expected = _EPOCH + timedelta(seconds=position_s)
        _require(frame.captured_at == expected, "captured_at must be 1970-01-01 UTC plus position_s")


def _require(kept: bool, rule: str) -> None:
    # Not a bare assert: these run outside pytest's rewriting, and must also fail under python -O.
    if not kept:
        raise AssertionError(rule)
