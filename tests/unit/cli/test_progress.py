"""How far it is, and one Ctrl-C."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator

import pytest

from optimind.cli.progress import one_interrupt, photograph_progress

BOTH = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture
def usual() -> Iterator[None]:
    """The handlers of a program that was just started."""
    before = {number: signal.getsignal(number) for number in BOTH}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("usual")
@pytest.mark.parametrize("how", BOTH)
def test_the_first_ends_it_and_the_next_is_passed_over(how: signal.Signals) -> None:
    with pytest.raises(KeyboardInterrupt), one_interrupt():
        signal.raise_signal(how)
    for number in BOTH:
        signal.raise_signal(number)


@pytest.mark.usefixtures("usual")
def test_afterwards_everything_is_as_it_was() -> None:
    with one_interrupt():
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.usefixtures("usual")
def test_a_program_around_it_keeps_its_own_handler() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with one_interrupt():
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_lines_in_a_log(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    monkeypatch.setattr("optimind.cli.progress.time.monotonic", lambda: now)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)
    with photograph_progress() as on_progress:
        # Forty were known before; from then on two a second.
        for second in range(31):
            now = float(second)
            on_progress(40 + 2 * second, 100)
        # The next folder: what is left is told by its own pace, one a second.
        for second in range(31, 51):
            now = float(second)
            on_progress(second - 31, 60)
    assert capsys.readouterr().err.splitlines() == [
        "60 of 100 photographs, about 20 s left",
        "80 of 100 photographs, about 10 s left",
        "100 of 100 photographs, about 0 s left",
        "9 of 60 photographs, about 51 s left",
        "19 of 60 photographs, about 41 s left",
    ]


def test_a_terminal_has_a_bar_and_no_thread_draws_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    threads = threading.active_count()
    with photograph_progress() as on_progress:
        on_progress(1, 60)
        assert threading.active_count() == threads
        on_progress(60, 60)
    shown = capsys.readouterr().err
    assert "photographs" in shown
    assert "60/60" in shown
