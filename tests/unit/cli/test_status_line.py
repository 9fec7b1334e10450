"""The line at the bottom of the terminal."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from optimind.cli.status_line import Line, Status, status_line
from optimind.pipeline.replay import Replay, State
from optimind.pipeline.stages import StageTimes
from optimind.pipeline.standing import Standing
from optimind.testing.sources import FakeSource


class Terminal(io.StringIO):
    """Remembers what was written; ``screen`` is what a person sees."""

    def isatty(self) -> bool:
        return True

    def screen(self) -> list[str]:
        lines = [""]
        for piece in self.getvalue().replace("\r\x1b[2K", "\r").splitlines(keepends=True):
            if piece.endswith("\r"):
                lines[-1] = ""
            else:
                lines[-1] += piece.rstrip("\n")
                lines += [""] if piece.endswith("\n") else []
        return lines


@dataclass
class Recognised:
    following: int = 3


@dataclass
class Feed:
    """Stands in for a camera's feed."""

    capture: Any
    state: State = "live"
    processed: int = 0
    recogniser: Recognised = field(default_factory=Recognised)


def standing(*feeds: Feed, delays: StageTimes | None = None, people: tuple[str, ...] = ()) -> Standing:
    given: dict[str, Any] = {"feeds": feeds, "stages": StageTimes(), "workers": [], "marks": None}
    return Standing(**given, delays=delays or StageTimes(), people=set(people))


def recording(position_s: float | None, duration_s: float | None, state: State = "live") -> Replay:
    class Timed(FakeSource):
        pass

    source = Timed("clip", [])
    source.duration_s = duration_s  # type: ignore[attr-defined]  # optional, as any source's
    replay = Replay(source, "clip")
    replay.position_s, replay.state = position_s, state
    return replay


def test_cameras() -> None:
    now_s = 100.0
    status = Status(now_s=lambda: now_s)
    delays = StageTimes()
    door, yard = Feed(SimpleNamespace(camera="door")), Feed(SimpleNamespace(camera="yard"), "stalled", 7)
    now_s += 0.001
    door.processed = 1
    assert status.words(standing(door)) == "door live, faces: 3 | 0 recognised"
    for processed, rate in ((11, "5.0"), (41, "15.0")):
        now_s += 2
        door.processed = processed
        delays.add("frame", 0.081)
        words = status.words(standing(door, yard, delays=delays, people=("ana",)))
        assert words == f"door live, {rate} frames/s, faces: 3 | yard stalled | 1 recognised | 0.08 s behind"


@pytest.mark.parametrize(
    ("replays", "seconds", "how_far", "left"),
    [
        pytest.param([recording(30, 120)], None, ["25%"], "about 1:00 left", id="a quarter in 20 s"),
        pytest.param([recording(1, 3600)], None, ["0%"], "about 19:59:40 left", id="hours"),
        pytest.param([recording(30, 120)], 40, ["75%"], "about 0:07 left", id="--seconds is less"),
        pytest.param([recording(30, 120)], 500, ["25%"], "about 1:00 left", id="--seconds is more"),
        pytest.param([recording(30, None)], 40, ["frame 0"], None, id="nobody knows"),
        pytest.param([recording(None, 120)], None, ["0%"], None, id="not begun"),
        pytest.param([recording(130, 120)], None, ["100%"], "about 0:00 left", id="longer than it said"),
        pytest.param([recording(30, 120), recording(30, 40)], None, ["25%", "75%"], "about 0:33 left", id="two"),
        pytest.param([recording(30, 120), recording(9, None)], None, ["25%", "frame 0"], None, id="one of two"),
    ],
)
def test_recordings(replays: list[Replay], seconds: float | None, how_far: list[str], left: str | None) -> None:
    now_s = 0.0
    status = Status(seconds, now_s=lambda: now_s)
    now_s = 20.0
    *cameras, last = status.words(standing(*(Feed(replay) for replay in replays))).split(" | ")
    assert [words for words in how_far if f"clip {words}," in " ".join(cameras)] == how_far
    assert last == (left or "0 recognised")


def test_an_ended_recording_counts_as_done() -> None:
    now_s = 0.0
    status = Status(now_s=lambda: now_s)
    now_s = 10.0
    ended, other = Feed(recording(10, 100, "ended"), "ended"), Feed(recording(50, 100))
    assert status.words(standing(ended, other)).startswith("clip ended | clip 50%")
    assert status.words(standing(ended, other)).endswith("about 0:03 left")


def test_it_is_cut_to_the_width(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    Line(terminal).draw("x" * 500)
    assert terminal.screen() == ["x" * 79]


def test_what_is_written_goes_before_it() -> None:
    terminal = Terminal()
    line = Line(terminal)
    beside = line.stream(terminal)
    line.draw("first")
    print("a mark", file=beside)
    assert terminal.screen() == ["a mark", ""]
    line.draw("second")
    assert terminal.screen() == ["a mark", "second"]
    beside.writelines(["half ", "a line"])
    line.draw("third")  # somebody is in the middle of a line
    assert terminal.screen() == ["a mark", "half a line"]
    print(" is whole", file=beside)
    line.draw("fourth")
    line.clear()
    assert terminal.screen() == ["a mark", "half a line is whole", ""]
    assert beside.isatty()


def test_a_terminal_that_was_closed_ends_nothing() -> None:
    class Gone(Terminal):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

    line = Line(Gone())
    line.draw("x")
    line.clear()


@contextmanager
def in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """Standard output and error, with the log going there. (No fixture: pytest sets both again after those.)"""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    handler = logging.StreamHandler(terminal)
    logging.getLogger().addHandler(handler)
    yield terminal
    logging.getLogger().removeHandler(handler)


def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    now_s = 0.0
    monkeypatch.setattr("optimind.cli.status_line.time.monotonic", lambda: now_s)

    def at(moment_s: float) -> None:
        nonlocal now_s
        now_s = moment_s

    return at


def test_a_run_in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    at = clock(monkeypatch)
    run = standing(Feed(SimpleNamespace(camera="door"), "connecting"))
    with in_a_terminal(monkeypatch) as terminal:
        with status_line(seconds=None, wanted=True) as show:
            at(10.0)
            show(run)
            assert terminal.screen() == ["door connecting | 0 recognised"]
            logging.getLogger("optimind").warning("lost")
            print("from a plugin")
            assert terminal.screen() == ["lost", "from a plugin", ""]
            at(10.9)
            show(run)  # a second has not passed
            assert terminal.screen() == ["lost", "from a plugin", ""]
            at(11.1)
            show(run)
            assert terminal.screen()[-1] == "door connecting | 0 recognised"
        assert terminal.screen() == ["lost", "from a plugin", ""]
        assert sys.stderr is sys.stdout is terminal
        logging.getLogger("optimind").warning("afterwards")
        assert terminal.screen() == ["lost", "from a plugin", "afterwards", ""]


def test_an_error_takes_it_away_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        with status_line(seconds=None, wanted=True) as show:
            show(standing())
            raise RuntimeError

    with in_a_terminal(monkeypatch) as terminal:
        with pytest.raises(RuntimeError):
            fail()
        assert "0 recognised" in terminal.getvalue()
        assert terminal.screen() == [""]
        assert sys.stderr is terminal


@pytest.mark.parametrize("why", ["not wanted", "no terminal", "a dumb one"])
def test_nothing_at_all(why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with in_a_terminal(monkeypatch) as terminal:
        if why == "no terminal":
            monkeypatch.setattr(terminal, "isatty", lambda: False)
        if why == "a dumb one":
            monkeypatch.setenv("TERM", "dumb")
        with status_line(seconds=None, wanted=why != "not wanted") as show:
            show(standing())
            assert sys.stderr is terminal
        assert terminal.getvalue() == ""
