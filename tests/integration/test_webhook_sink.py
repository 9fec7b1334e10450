"""The webhook sink against a real server: what is sent, what each answer means, and what no message may say."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import re
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from webhook_server import Reply, WebhookServer

from optimind.errors import DeliveryDelayed, DeliveryRefused
from optimind.sinks.webhook import WebhookSettings, WebhookSink
from optimind.testing.sinks import make_row

KEY = "correct horse battery staple"
HIDDEN = "T0KEN-in-the-path"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebhookServer]:
    monkeypatch.setenv("WEBHOOK_KEY", KEY)
    with WebhookServer(KEY) as started:
        yield started


def make(server: WebhookServer, **changes: Any) -> WebhookSink:
    settings = {"url": server.url, "secret": {"env": "WEBHOOK_KEY"}, **changes}
    return WebhookSink.create(WebhookSettings.model_validate(settings))


def test_what_is_sent(server: WebhookServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "t0ken")
    row = make_row("r1", name="=1+1 王", starts_at=datetime(2026, 9, 1, 8, 0, tzinfo=UTC), version=3, rule="on_time")
    make(server, headers={"X-Room": "101", "Authorization": {"env": "TOKEN"}}).deliver([row])
    ((path, headers, body),) = server.asked
    assert path == "/hook"
    assert headers["Content-Type"] == "application/json"
    assert (headers["X-Room"], headers["Authorization"]) == ("101", "t0ken")
    document = json.loads(body)
    assert document["delivery"] == headers["X-OptiMind-Delivery"]
    (record,) = document["records"]
    assert (record["record_id"], record["version"], record["name"]) == ("r1", 3, "=1+1 王")
    assert (record["date"], record["starts_at"]) == ("2026-09-01", "2026-09-01T08:00:00.000+00:00")
    assert (record["status"], record["rule"], record["seconds_seen"]) == ("present", "on_time", 2650.5)
    told = headers["X-OptiMind-Timestamp"].encode() + b"." + body
    assert headers["X-OptiMind-Signature"] == "sha256=" + hmac.new(KEY.encode(), told, hashlib.sha256).hexdigest()
    assert abs(int(headers["X-OptiMind-Timestamp"]) - datetime.now(UTC).timestamp()) < 60


def test_the_same_records_have_the_same_delivery_id(server: WebhookServer) -> None:
    sink = make(server)
    for version in (1, 1, 2):
        sink.deliver([make_row("r1", version=version)])
    first, again, newer = (headers["X-OptiMind-Delivery"] for _, headers, _ in server.asked)
    assert first == again != newer


def test_nothing_is_signed_without_a_key(server: WebhookServer) -> None:
    server.key = None
    make(server, secret=None).deliver([make_row("r1")])
    assert "X-OptiMind-Signature" not in server.asked[0][1]


def test_batches(server: WebhookServer) -> None:
    make(server, batch=4).deliver([make_row(f"r{number}") for number in range(10)])
    assert [len(json.loads(body)["records"]) for _, _, body in server.asked] == [4, 4, 2]
    assert len(server.records) == 10


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_every_success_is_one(server: WebhookServer, status: int) -> None:
    server.replies = [Reply(status)]
    make(server).deliver([make_row("r1")])


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_later(server: WebhookServer, status: int) -> None:
    server.replies = [Reply(status)]
    with pytest.raises(DeliveryDelayed, match=str(status)) as caught:
        make(server).deliver([make_row("r1")])
    assert caught.value.retry_after_s is None


@pytest.mark.parametrize(
    ("told", "wait_s"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("-3", 0.0),
        ("1e9", 3600.0),
        ("inf", None),
        ("soon", None),
        (format_datetime(datetime(2020, 1, 1, tzinfo=UTC), usegmt=True), 0.0),
    ],
)
def test_how_long_to_wait(server: WebhookServer, told: str, wait_s: float | None) -> None:
    server.replies = [Reply(429, {"Retry-After": told})]
    with pytest.raises(DeliveryDelayed) as caught:
        make(server).deliver([make_row("r1")])
    assert caught.value.retry_after_s == wait_s


def test_how_long_to_wait_as_a_date(server: WebhookServer) -> None:
    server.replies = [Reply(503, {"Retry-After": format_datetime(datetime.now(UTC) + timedelta(seconds=90))})]
    with pytest.raises(DeliveryDelayed) as caught:
        make(server).deliver([make_row("r1")])
    assert caught.value.retry_after_s == pytest.approx(90, abs=30)


@pytest.mark.parametrize(
    ("status", "mend"),
    [
        (400, "docs/webhook.md"),
        (401, "secret:"),
        (403, "headers:"),
        (404, "url:"),
        (405, "POST"),
        (410, "enabled: false"),
        (413, "batch:"),
        (418, "log"),
        (301, "url:"),
        (302, "url:"),
    ],
)
def test_refused(server: WebhookServer, status: int, mend: str) -> None:
    server.replies = [Reply(status, {"Location": "/elsewhere"})]
    with pytest.raises(DeliveryRefused, match=str(status)) as caught:
        make(server).deliver([make_row("r1")])
    assert mend in caught.value.mend
    assert server.records == {}


def test_an_answer_that_never_came_doubles_nothing(server: WebhookServer) -> None:
    server.replies = [Reply(0, keeps=True)]
    sink = make(server)
    with pytest.raises(DeliveryDelayed, match="cannot be reached"):
        sink.deliver([make_row("r1", name="Ana")])
    sink.deliver([make_row("r1", name="Ana")])
    assert [record["name"] for record in server.records.values()] == ["Ana"]
    first, second = (headers["X-OptiMind-Delivery"] for _, headers, _ in server.asked)
    assert first == second


def test_a_slow_answer_is_later(server: WebhookServer) -> None:
    server.replies = [Reply(silent_s=30)]
    with pytest.raises(DeliveryDelayed, match=r"did not answer in 0\.2 s"):
        make(server, timeout_s=0.2).deliver([make_row("r1")])


def test_a_redirect_on_the_same_host_is_followed(server: WebhookServer) -> None:
    server.replies = [Reply(308, {"Location": "/new"})]
    make(server).deliver([make_row("r1")])
    assert [path for path, _, _ in server.asked] == ["/hook", "/new"]
    assert set(server.records) == {"r1"}


def test_a_redirect_to_another_place_is_not(server: WebhookServer) -> None:
    with WebhookServer(KEY) as other:
        server.replies = [Reply(307, {"Location": other.url})]
        with pytest.raises(DeliveryRefused, match="another place"):
            make(server).deliver([make_row("r1")])
        assert other.asked == []


def test_a_circle_of_redirects_ends(server: WebhookServer) -> None:
    server.replies = [Reply(307, {"Location": "/hook"})] * 9
    with pytest.raises(DeliveryRefused, match="circle"):
        make(server).deliver([make_row("r1")])
    assert len(server.asked) == 4


def test_a_wrong_key_is_refused_and_a_new_one_read_without_a_restart(server: WebhookServer, tmp_path: Path) -> None:
    key = tmp_path / "key.txt"
    key.write_text("wrong\n", encoding="utf-8")
    sink = make(server, secret={"file": str(key)})
    with pytest.raises(DeliveryRefused, match="401"):
        sink.deliver([make_row("r1")])
    key.write_text(KEY + "\n", encoding="utf-8")
    sink.deliver([make_row("r1")])
    assert set(server.records) == {"r1"}


def test_a_missing_key_is_refused(server: WebhookServer) -> None:
    with pytest.raises(DeliveryRefused, match="NOT_SET is not set"):
        make(server, secret={"env": "NOT_SET"}).deliver([make_row("r1")])
    assert server.asked == []


def test_plain_http_is_no_https(server: WebhookServer) -> None:
    address = server.url.replace("http:", "https:")
    with pytest.raises((DeliveryRefused, DeliveryDelayed)) as caught:
        make(server, url=address).deliver([make_row("r1")])
    assert "hook" not in str(caught.value).replace("webhook", "")


@pytest.mark.parametrize("reply", [Reply(500), Reply(404), Reply(0), Reply(307, {"Location": "//[bad"}), Reply(301)])
def test_no_message_says_what_the_address_hides(
    server: WebhookServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, reply: Reply
) -> None:
    server.replies = [reply]
    address = server.url.replace("//", f"//user:{HIDDEN}@").replace("/hook", f"/{HIDDEN}?token={HIDDEN}")
    monkeypatch.setenv("ADDRESS", address)
    with caplog.at_level(logging.INFO), pytest.raises((DeliveryDelayed, DeliveryRefused)) as caught:
        make(server, url={"env": "ADDRESS"}).deliver([make_row("r1")])
    told = "".join(traceback.format_exception(caught.value, chain=True))
    assert HIDDEN not in re.sub(r"(?m)^    .*$", "", told)
    assert HIDDEN not in str(caught.value) + caplog.text


@pytest.mark.parametrize("address", ["http://", "not an address", "https://a b/c", "ftp://school.example/x"])
def test_an_address_from_a_secret_is_judged_too(
    server: WebhookServer, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("ADDRESS", address)
    with pytest.raises(DeliveryRefused, match="address"):
        make(server, url={"env": "ADDRESS"}).deliver([make_row("r1")])


@pytest.mark.parametrize(
    ("settings", "is_fine"),
    [
        ({"url": "https://school.example/hook"}, True),
        ({"url": "http://school.example/hook"}, False),
        ({"url": "http://school.example/hook", "insecure": True}, True),
        ({"url": "http://127.0.0.1:8000/"}, True),
        ({"url": "http://localhost/"}, True),
        ({"url": "http://10.0.0.7/"}, True),
        ({"url": "http://192.168.1.20:8080/x"}, True),
        ({"url": "http://[::1]/"}, True),
        ({"url": "http://8.8.8.8/"}, False),
        ({"url": "http://localhost.school.example/"}, False),
        ({"url": "https://school.example:port/"}, False),
        ({"url": "https://school.example/#part"}, False),
        ({"url": "school.example"}, False),
        ({"url": "https://school.example/", "secret": "written here"}, False),
        ({"url": "https://school.example/", "headers": {"X-A": "b\r\nX-C: d"}}, False),
        ({"url": "https://school.example/", "headers": {"X A": "b"}}, False),
        ({"url": "https://school.example/", "batch": 0}, False),
        ({"url": "https://school.example/", "batch": 501}, False),
        ({"url": "https://school.example/", "timeout_s": 0}, False),
        ({"url": "https://school.example/", "colour": "red"}, False),
        ({}, False),
    ],
)
def test_settings(settings: dict[str, Any], is_fine: bool) -> None:
    if is_fine:
        WebhookSettings.model_validate(settings)
        return
    with pytest.raises(ValidationError):
        WebhookSettings.model_validate(settings)
