"""How networks are opened, and how many threads they get."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from optimind.plugin_api import EngineError
from optimind.weights import sessions
from optimind.weights.sessions import open_session, thread_count


@pytest.mark.parametrize(
    ("wanted", "told", "expected"),
    [
        (3, "1", 3),
        (None, "1", 1),
        (None, "4,2", 4),
        (None, " 2 ", 2),
        (None, "0", 5),
        (None, "many", 5),
        (None, "", 5),
        (None, None, 5),
    ],
)
def test_threads(monkeypatch: pytest.MonkeyPatch, wanted: int | None, told: str | None, expected: int) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if told is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", told)
    monkeypatch.setattr(sessions, "available_cores", lambda: 5)
    assert thread_count(wanted) == expected


def test_a_network_is_opened_from_a_file_or_its_content(shared: Path) -> None:
    file = shared / "models" / "yunet.onnx"
    for network in (file, str(file), file.read_bytes()):
        session = open_session(network, threads=2)
        assert session.get_inputs()[0].name == "input"
        assert session.get_session_options().intra_op_num_threads == 2
        assert session.get_providers() == ["CPUExecutionProvider"]


@pytest.mark.parametrize("network", [b"no network", b"", "no/such/file.onnx"])
def test_what_is_no_network_is_said(network: bytes | str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(EngineError, match="cannot read the network") as caught:
        open_session(network, threads=1)
    assert "\n" not in caught.value.message
    assert caught.value.mend
    assert capfd.readouterr() == ("", "")


def test_a_missing_onnxruntime_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(EngineError, match="onnxruntime cannot be used") as caught:
        open_session(b"", threads=1)
    assert "requirements.txt" in caught.value.mend
