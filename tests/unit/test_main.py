"""Whatever ends a command, the answer is an exit code and a message."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from optimind.cli import _guarded
from optimind.errors import ConfigError, GalleryMissing


def ends_with(error: BaseException) -> Callable[..., None]:
    def app(_argv: list[str], **_named: object) -> None:
        raise error

    return app


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (SystemExit(0), 0, ""),
        (SystemExit(None), 0, ""),
        (SystemExit(3), 3, ""),
        (SystemExit(130), 1, "interrupted"),
        (ConfigError("config.yaml:3: x", mend="remove it"), 2, "error: config.yaml:3: x\n  mend: remove it"),
        (GalleryMissing("no gallery"), 1, "error: no gallery"),
        (OSError(28, "No space left on device"), 1, "No space left on device\n  mend:"),
        (ValueError("odd"), 1, "unexpected ValueError: odd\n  mend: this is a mistake in OptiMind"),
    ],
)
def test_exit_codes(error: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _guarded(ends_with(error), []) == code
    told = capsys.readouterr()
    assert said in told.err
    assert told.out == ""


def test_a_mistake_of_ours_can_be_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTIMIND_DEBUG", "1")
    with pytest.raises(ValueError, match="odd"):
        _guarded(ends_with(ValueError("odd")), [])
