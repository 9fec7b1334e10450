"""The Sheets sink when something goes wrong: at the network, at Google, with the key, with the share."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sheets_rows import expected, names, rows
from sheets_server import EMAIL, Fault, SheetsServer

from optimind.errors import DeliveryDelayed, DeliveryRefused
from optimind.sinks.sheets import SheetsSink

pytest_plugins = ("sheets_fixtures",)

LATER = [
    (Fault(status=429, headers={"Retry-After": "3"}), 3.0),
    (Fault(status=429), None),
    (Fault(status=500), None),
    (Fault(status=503, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}), 0.0),
    (Fault(status=503, headers={"Retry-After": "soon"}), None),
    (Fault(status=429, headers={"Retry-After": "nan"}), None),
    (Fault(status=503, headers={"Retry-After": "999999"}), 3600.0),
    (Fault(status=502, body=b"<html>Bad gateway</html>"), None),
    (Fault(status=200, body=b"<html>Please log in to the school network</html>"), None),
    (Fault(status=200, body={"unexpected": True}), None),
    (Fault(status=403, body={"error": {"code": 403, "status": "RESOURCE_EXHAUSTED", "message": "quota"}}), None),
    (Fault(reset=True, times=2), None),
    (Fault(delay_s=0.6), None),
]


@pytest.mark.parametrize(("fault", "retry_after_s"), LATER, ids=[str(number) for number in range(len(LATER))])
@pytest.mark.parametrize(
    ("path", "after"),
    [("values:batchGet", False), ("values:batchUpdate", False), ("values:batchUpdate", True)],
    ids=["reading", "before the write", "after the write"],
)
def test_trouble_means_later_and_then_all_is_there_once(
    server: SheetsServer,
    make_sink: Callable[..., SheetsSink],
    fault: Fault,
    retry_after_s: float | None,
    *,
    path: str,
    after: bool,
) -> None:
    sink = make_sink(timeout_s=0.3 if fault.delay_s else 2.0)
    sink.deliver(rows("a", "b"))
    injected = Fault(**{**vars(fault), "path": path, "after": after})
    server.faults.append(injected)
    if after and fault.status == 200 and not isinstance(fault.body, bytes):
        sink.deliver(rows("b", "c"))  # a write's answer is not looked at: what was written is read back
    else:
        with pytest.raises(DeliveryDelayed) as caught:
            sink.deliver(rows("b", "c"))
        assert caught.value.retry_after_s == retry_after_s
        # Reading changes nothing, and of a write with an answer like that the rows were looked for.
        is_read = path == "values:batchGet" or isinstance(fault.body, dict)
        assert caught.value.is_over == (is_read or fault.status == 429)
        assert caught.value.mend
    server.faults.clear()
    sink.deliver(rows("b", "c"))
    assert names(server) == expected("a", "b", "c")


@pytest.mark.parametrize("fault", [Fault("token", reset=True, times=9), Fault("token", delay_s=0.6, times=9)], ids=str)
def test_a_silent_sign_in_means_later(server: SheetsServer, make_sink: Callable[..., SheetsSink], fault: Fault) -> None:
    sink = make_sink(timeout_s=0.3)
    server.faults.append(Fault(**vars(fault)))
    with pytest.raises(DeliveryDelayed, match="cannot be reached"):
        sink.deliver(rows("a"))
    server.faults.clear()
    sink.deliver(rows("a"))
    assert names(server) == expected("a")


def test_a_broken_sign_in_means_later(server: SheetsServer, sink: SheetsSink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("google.auth._exponential_backoff._DEFAULT_INITIAL_INTERVAL_SECONDS", 0.0)
    monkeypatch.setattr("google.auth._exponential_backoff.time.sleep", lambda _s: None)
    server.faults.append(Fault("token", status=503, times=9, body=b"try again"))
    with pytest.raises(DeliveryDelayed, match="sign-in is down"):
        sink.deliver(rows("a"))


def test_nobody_listening_means_later(make_sink: Callable[..., SheetsSink]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(DeliveryDelayed, match="cannot be reached"):
        make_sink(endpoint=f"http://127.0.0.1:{port}").deliver(rows("a"))


def revoke(server: SheetsServer) -> None:
    server.editors.clear()


def switch_off(server: SheetsServer) -> None:
    server.api_enabled = False


def move(server: SheetsServer) -> None:
    server.spreadsheet += "x"


def disable_key(server: SheetsServer) -> None:
    server.key_disabled = True
    server.tokens.clear()


def protect(server: SheetsServer) -> None:
    message = "You are trying to edit a protected cell or object."
    body = {"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": message}}
    server.faults.append(Fault("values:batchUpdate", status=400, body=body, times=9))


def expire_everything(server: SheetsServer) -> None:
    server.faults.append(Fault("/v4/", status=401, times=99))


@pytest.mark.parametrize(
    ("do", "message", "mend"),
    [
        (revoke, "may not be written", f"share it with {EMAIL} as Editor"),
        (switch_off, "API is off", "enable it in the Google Cloud project"),
        (move, "does not exist", "correct sheets: spreadsheet:"),
        (disable_key, "does not let the service account", "check this machine's clock"),
        (protect, "trying to edit a protected cell", "unprotected"),
        (expire_everything, "does not accept", "make a JSON key"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_a_person_must_mend_is_refused(
    server: SheetsServer, sink: SheetsSink, do: Callable[[SheetsServer], None], message: str, mend: str
) -> None:
    sink.deliver(rows("a"))
    do(server)
    with pytest.raises(DeliveryRefused, match=message) as caught:
        sink.deliver(rows("b"))
    assert mend in caught.value.mend


def test_it_goes_on_when_the_share_is_given_back(server: SheetsServer, sink: SheetsSink) -> None:
    revoke(server)
    with pytest.raises(DeliveryRefused):
        sink.deliver(rows("a"))
    server.editors.add(EMAIL)
    sink.deliver(rows("a"))
    assert names(server) == expected("a")


def test_a_token_refused_before_its_time_is_renewed(server: SheetsServer, sink: SheetsSink) -> None:
    sink.deliver(rows("a"))
    server.tokens.clear()
    sink.deliver(rows("b"))
    assert server.requests.count("POST /token") == 2
    assert names(server) == expected("a", "b")


def test_a_token_that_has_run_out_is_renewed(server: SheetsServer, make_sink: Callable[..., SheetsSink]) -> None:
    server.token_lifetime_s = 1
    sink = make_sink()
    for each in "abc":
        sink.deliver(rows(each))
    assert names(server) == expected("a", "b", "c")


def bad_keys(server: SheetsServer) -> dict[str, tuple[str, str]]:
    good = server.key()
    return {
        "no JSON": ('{"private_key": "-----BEGIN', "is no JSON"),
        "a list": ("[1]", "no key of a service account"),
        "an OAuth client": (json.dumps({"installed": {"client_secret": "hush"}}), "no key of a service account"),
        "no fields": (json.dumps({"type": "service_account"}), "lacks client_email, private_key, token_uri"),
        "a damaged key": (json.dumps({**good, "private_key": good["private_key"][:200]}), "is damaged"),
        "empty": ("", "is empty"),
    }


@pytest.mark.parametrize("kind", ["no JSON", "a list", "an OAuth client", "no fields", "a damaged key", "empty"])
def test_a_wrong_key_is_explained_and_a_right_one_is_taken_up(
    server: SheetsServer, make_sink: Callable[..., SheetsSink], tmp_path: Path, kind: str
) -> None:
    text, message = bad_keys(server)[kind]
    path = tmp_path / "other.json"
    path.write_text(text, encoding="utf-8")
    sink = make_sink(credentials={"file": path})
    with pytest.raises(DeliveryRefused, match=message) as caught:
        sink.deliver(rows("a"))
    assert str(path) in caught.value.message
    assert caught.value.mend
    assert "BEGIN" not in str(caught.value)
    assert "hush" not in str(caught.value)
    path.write_text(json.dumps(server.key()), encoding="utf-8")
    sink.deliver(rows("a"))
    assert names(server) == expected("a")


def test_a_missing_key_is_explained(make_sink: Callable[..., SheetsSink], tmp_path: Path) -> None:
    with pytest.raises(DeliveryRefused, match="does not exist"):
        make_sink(credentials={"file": tmp_path / "none.json"}).deliver(rows("a"))


def test_the_key_may_be_in_the_environment(
    server: SheetsServer, make_sink: Callable[..., SheetsSink], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHEETS_KEY", json.dumps(server.key()))
    make_sink(credentials={"env": "SHEETS_KEY"}).deliver(rows("a"))
    assert names(server) == expected("a")


def test_no_key_or_token_is_logged_or_told(
    server: SheetsServer, sink: SheetsSink, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    told = []
    sink.deliver(rows("a"))
    leak = {"error": {"code": 400, "status": "X", "message": f"bad token {next(iter(server.tokens))}"}}
    for fault in (
        Fault(status=400, body=leak, times=9),
        Fault(status=401, body=leak, times=9),
        Fault(reset=True, times=9),
    ):
        server.faults.append(fault)
        with pytest.raises((DeliveryDelayed, DeliveryRefused)) as caught:
            sink.deliver(rows("a"))
        told.append(str(caught.value))
        server.faults.clear()
    private = server.key()["private_key"].splitlines()[1]
    for text in [caplog.text, *told]:
        assert private not in text
        assert not [token for token in server.tokens if token in text]


def test_the_token_goes_to_the_configured_hosts_only(
    server: SheetsServer, sink: SheetsSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    resolve = socket.getaddrinfo

    def spy(host: str, *args: Any, **kwargs: Any) -> Any:
        asked.append(host)
        return resolve(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", spy)
    sink.deliver(rows("a"))
    for thread in threading.enumerate():
        if "Boundary" in type(thread).__name__:
            thread.join(5)
    assert set(asked) == {"127.0.0.1"}
