"""The receiver in docs/webhook.md works as it stands there."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import fields
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from optimind.errors import DeliveryRefused
from optimind.plugin_api import RecordRow
from optimind.sinks import _webhook_post
from optimind.sinks.webhook import WebhookSettings, WebhookSink
from optimind.testing.sinks import make_row


@pytest.fixture
def receiver(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The page's program, running; gives its address."""
    monkeypatch.setenv("WEBHOOK_KEY", "a key")
    monkeypatch.chdir(tmp_path)
    (source,) = re.findall(r"```python\n(.*?)```", (repository / "docs/webhook.md").read_text("utf-8"), re.DOTALL)
    names: dict[str, Any] = {"__name__": "receiver"}
    exec(compile(source, "docs/webhook.md", "exec"), names)  # noqa: S102 - our own page
    names["Receiver"].log_message = lambda *_: None
    server = ThreadingHTTPServer(("127.0.0.1", 0), names["Receiver"])
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/attendance"
    server.shutdown()
    server.server_close()
    thread.join()


def deliver(address: str, *rows: RecordRow) -> None:
    sink = WebhookSink.create(WebhookSettings.model_validate({"url": address, "secret": {"env": "WEBHOOK_KEY"}}))
    sink.deliver(rows)
    sink.close()


def kept(folder: Path) -> dict[str, tuple[str, int]]:
    records = json.loads((folder / "records.json").read_text("utf-8"))
    return {key: (record["name"], record["version"]) for key, record in records.items()}


def test_it_keeps_the_newest_version_of_each_record(receiver: str, tmp_path: Path) -> None:
    deliver(receiver, make_row("r1", name="Ana", version=1), make_row("r2", name="王", version=1))
    deliver(receiver, make_row("r1", name="Ana B", version=3))
    deliver(receiver, make_row("r1", name="Ana old", version=2))
    assert kept(tmp_path) == {"r1": ("Ana B", 3), "r2": ("王", 1)}


def test_it_refuses_another_key(receiver: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_KEY", "another key")
    with pytest.raises(DeliveryRefused, match="401"):
        deliver(receiver, make_row("r1"))
    assert not (tmp_path / "records.json").exists()


def test_it_refuses_what_was_recorded_earlier(receiver: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Earlier:
        @staticmethod
        def time() -> float:
            return 1_700_000_000.0

    monkeypatch.setattr(_webhook_post, "time", Earlier)
    with pytest.raises(DeliveryRefused, match="401"):
        deliver(receiver, make_row("r1"))
    assert not (tmp_path / "records.json").exists()


def test_the_page_names_every_field_of_a_record(repository: Path) -> None:
    text = (repository / "docs/webhook.md").read_text("utf-8")
    assert [field.name for field in fields(RecordRow) if f"`{field.name}`" not in text] == []
