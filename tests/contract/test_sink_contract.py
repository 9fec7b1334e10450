"""The contract of sinks, for the fake and for the built-in one on a real HTTP server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from sheets_server import SheetsServer
from webhook_server import WebhookServer

from optimind.errors import DeliveryDelayed
from optimind.plugin_api import Sink
from optimind.sinks.sheets import SheetsSettings, SheetsSink
from optimind.sinks.webhook import WebhookSettings, WebhookSink
from optimind.testing.sinks import MemorySettings, MemorySink, SinkContract, make_row


class TestMemorySink(SinkContract):
    def make_sink(self) -> Sink:
        return MemorySink.create(MemorySettings())

    def held(self, sink: Sink) -> Mapping[str, str]:
        assert isinstance(sink, MemorySink)
        return {key: row.name for key, row in sink.rows.items()}

    def break_target(self, sink: Sink) -> bool:
        assert isinstance(sink, MemorySink)
        sink.failures.append(DeliveryDelayed("down"))
        return True


class TestSheetsSink(SinkContract):
    @pytest.fixture(autouse=True)
    def _server(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        monkeypatch.setattr("optimind.sinks._sheets_worksheet._SETTLE_S", 0.0)
        self.sinks: list[Sink] = []
        with SheetsServer() as self.server:
            self.key = self.server.write_key(tmp_path)
            yield
            for sink in self.sinks:
                sink.close()

    def make_sink(self) -> Sink:
        settings = {
            "spreadsheet": self.server.spreadsheet,
            "credentials": {"file": self.key},
            "endpoint": self.server.url,
            "quota": {"reads_per_minute": 100_000, "writes_per_minute": 100_000, "folder": self.key.parent / "quota"},
        }
        self.sinks.append(SheetsSink.create(SheetsSettings.model_validate(settings)))
        return self.sinks[-1]

    def held(self, sink: Sink) -> Mapping[str, str]:
        if "Log" not in self.server.sheets:
            return {}
        records = self.server.sheet.records()
        found = {str(record["record_id"]): str(record["name"]) for record in records}
        assert len(found) == len(records), "a record is there twice"
        return found

    def break_target(self, sink: Sink) -> bool:
        self.server.editors.clear()
        return True


class TestWebhookSink(SinkContract):
    @pytest.fixture(autouse=True)
    def _server(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        monkeypatch.setenv("WEBHOOK_KEY", "a key")
        with WebhookServer("a key") as self.server:
            yield

    def make_sink(self) -> Sink:
        settings = {"url": self.server.url, "secret": {"env": "WEBHOOK_KEY"}, "batch": 7}
        return WebhookSink.create(WebhookSettings.model_validate(settings))

    def held(self, sink: Sink) -> Mapping[str, str]:
        return {key: str(record["name"]) for key, record in self.server.records.items()}

    def break_target(self, sink: Sink) -> bool:
        self.server.stop()
        return True


class BrokenSink(MemorySink):
    """Lets the network's own errors out."""

    name = "broken"

    def deliver(self, rows: object) -> None:
        raise ConnectionError("down")


class TestTheContractItself:
    """A sink that breaks the contract is caught."""

    @pytest.mark.parametrize(
        "check",
        ["test_keeps_what_it_is_given", "test_replaces_by_record_id", "test_is_idempotent", "test_text_is_text"],
    )
    def test_a_sink_that_loses_rows_fails(self, check: str) -> None:
        class Losing(TestMemorySink):
            __test__ = False

            def held(self, sink: Sink) -> Mapping[str, str]:
                return dict(list(super().held(sink).items())[1:])

        with pytest.raises(AssertionError, match="it should hold"):
            getattr(Losing(), check)()

    def test_a_sink_that_raises_something_else_fails(self) -> None:
        class Raising(TestMemorySink):
            __test__ = False

            def make_sink(self) -> Sink:
                return BrokenSink.create(MemorySettings())

        with pytest.raises(ConnectionError):
            Raising().test_says_later_or_refuses()

    def test_a_sink_that_hides_trouble_fails(self) -> None:
        class Hiding(TestMemorySink):
            __test__ = False

            def break_target(self, sink: Sink) -> bool:
                return True

        with pytest.raises(AssertionError, match="must raise"):
            Hiding().test_says_later_or_refuses()


def test_the_fake_can_fail_before_and_after_it_keeps_the_rows() -> None:
    sink = MemorySink()
    sink.failures = [DeliveryDelayed("one"), DeliveryDelayed("two")]
    with pytest.raises(DeliveryDelayed, match="one"):
        sink.deliver([make_row("r1")])
    assert sink.rows == {}
    sink.fails_after = True
    with pytest.raises(DeliveryDelayed, match="two"):
        sink.deliver([make_row("r1")])
    assert set(sink.rows) == {"r1"}
    sink.deliver([make_row("r2")])
    assert set(sink.rows) == {"r1", "r2"}
