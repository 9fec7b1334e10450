"""For tests of sinks: a sink in memory, and what every sink must do.

A test of a sink is a class based on :class:`SinkContract` that says how to make the sink and how to see what it holds;
pytest then runs all checks::

    class TestMySink(SinkContract):
        def make_sink(self):
            return MySink.create(MySettings(...))

        def held(self, sink):
            return {...}  # record_id -> name, as read back from where the rows went
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any, ClassVar, Self

from optimind.plugin_api import DeliveryDelayed, DeliveryRefused, RecordRow, Settings, Sink

__all__ = ["MemorySettings", "MemorySink", "SinkContract", "make_row"]


class MemorySettings(Settings):
    """Nothing to set."""


class MemorySink(Sink):
    """Keeps rows in ``rows`` by record_id, and every delivery in ``deliveries``.

    What stands in ``failures`` is raised by the next deliveries, one each; with ``fails_after`` true they keep the rows
    first, like a server whose answer is lost.
    """

    name: ClassVar[str] = "memory"
    settings_type: ClassVar[type[Settings]] = MemorySettings

    def __init__(self) -> None:
        self.rows: dict[str, RecordRow] = {}
        self.deliveries: list[list[RecordRow]] = []
        self.failures: list[Exception] = []
        self.fails_after = False
        self.closed = False

    @classmethod
    def create(cls, settings: Any) -> Self:  # noqa: ARG003 - the protocol's form
        """Make the sink."""
        return cls()

    def deliver(self, rows: Sequence[RecordRow]) -> None:
        """Keep ``rows``, or raise what ``failures`` holds."""
        failure = self.failures.pop(0) if self.failures else None
        if failure is None or self.fails_after:
            self.deliveries.append(list(rows))
            self.rows.update((row.record_id, row) for row in rows)
        if failure is not None:
            raise failure

    def forget(self, record_ids: Sequence[str], person_id: str) -> bool:
        """Drop the rows, or raise what ``failures`` holds."""
        if self.failures:
            raise self.failures.pop(0)
        gone = {key for key, row in self.rows.items() if key in set(record_ids) or row.person_id == person_id}
        self.rows = {key: row for key, row in self.rows.items() if key not in gone}
        return True

    def close(self) -> None:
        """Note that it was closed."""
        self.closed = True


def make_row(record_id: str = "r1", **changes: Any) -> RecordRow:
    """Return a plausible record; ``changes`` replace its fields."""
    row = RecordRow(
        record_id=record_id,
        date=date(2026, 9, 1),
        session="maths",
        person_id=f"p-{record_id}",
        name="Grace Hopper",
        status="present",
        first_seen_at=datetime(2026, 9, 1, 8, 0, tzinfo=UTC),
        last_seen_at=datetime(2026, 9, 1, 8, 45, tzinfo=UTC),
        seconds_seen=2650.5,
        camera="room-101",
        similarity=0.83,
        margin=0.21,
        source="camera",
    )
    return replace(row, **changes)


class SinkContract(ABC):
    """What the outbox relies on. Each ``test_`` method is one check; it raises AssertionError where the sink fails."""

    @abstractmethod
    def make_sink(self) -> Sink:
        """Return a fresh sink on an empty target."""

    @abstractmethod
    def held(self, sink: Sink) -> Mapping[str, str]:
        """Return the name in each row where the rows went, by record_id; raise where a record is there twice."""

    def break_target(self, sink: Sink) -> bool:
        """Make the target unreachable; return False where that is impossible (the check is then left out)."""
        del sink
        return False

    def test_is_a_sink(self) -> None:
        """It has a name, settings, and the protocol's methods."""
        sink = self.make_sink()
        _check(isinstance(sink, Sink), "it must be based on optimind.plugin_api.Sink")
        _check(bool(sink.name) and sink.name == sink.name.strip(), "its name must be a plain text")
        _check(issubclass(sink.settings_type, Settings), "its settings_type must be based on Settings")

    def test_keeps_what_it_is_given(self) -> None:
        """Rows of one delivery and of the next are all there."""
        sink = self.make_sink()
        sink.deliver([make_row("r1", name="Ana"), make_row("r2", name="Ben")])
        sink.deliver([make_row("r3", name="Cem")])
        self._expect(sink, {"r1": "Ana", "r2": "Ben", "r3": "Cem"})

    def test_replaces_by_record_id(self) -> None:
        """The same record again replaces the earlier one."""
        sink = self.make_sink()
        sink.deliver([make_row("r1", name="Ana"), make_row("r2", name="Ben")])
        sink.deliver([make_row("r2", name="Benedikt")])
        self._expect(sink, {"r1": "Ana", "r2": "Benedikt"})

    def test_is_idempotent(self) -> None:
        """The same delivery again, as after an answer that never came, changes nothing."""
        sink = self.make_sink()
        rows = [make_row(f"r{number}", name=f"N{number}") for number in range(20)]
        for _ in range(3):
            sink.deliver(rows)
        self._expect(sink, {row.record_id: row.name for row in rows})

    def test_takes_nothing(self) -> None:
        """An empty delivery is fine."""
        sink = self.make_sink()
        sink.deliver([])
        self._expect(sink, {})

    def test_text_is_text(self) -> None:
        """Names are nobody's formulas, and every script arrives."""
        names = [
            "=1+1",
            "+1",
            "-1",
            "@SUM(A1)",
            "'quoted",
            "Łukasz Żak",
            "王小明",
            "O'Brien",
            "a\nb",
            "007",
            "TRUE",
            "🙂",
        ]
        sink = self.make_sink()
        sink.deliver([make_row(f"r{number}", name=name) for number, name in enumerate(names)])
        self._expect(sink, {f"r{number}": name for number, name in enumerate(names)})

    def test_takes_its_own_writing_for_no_change(self) -> None:
        """What it was given is nobody's correction."""
        sink = self.make_sink()
        rows = [make_row("r1"), make_row("r2", status="late")]
        known = {row.record_id: frozenset({row.status}) for row in rows}
        for _ in range(2):
            found = sink.collect(rows, lambda ids: {each: known[each] for each in ids if each in known})
            _check(not list(found), f"nobody changed anything, it found {list(found)!r}")
            sink.deliver(rows)

    def test_forgets_or_says_that_it_cannot(self) -> None:
        """The rows of somebody go, by record or by person, as often as it is asked; and others' stay."""
        sink = self.make_sink()
        sink.deliver([make_row(f"r{number}", name=f"N{number}") for number in range(4)])
        if not sink.forget(["r0"], "p-r1"):
            return
        self._expect(sink, {"r2": "N2", "r3": "N3"})
        for _ in range(2):
            _check(sink.forget(["r2", "never-there"], ""), "it must forget without knowing the person")
        self._expect(sink, {"r3": "N3"})
        sink.deliver([make_row("r4", name="N4")])
        self._expect(sink, {"r3": "N3", "r4": "N4"})

    def test_works_again_after_close(self) -> None:
        """Closing twice is fine."""
        sink = self.make_sink()
        sink.deliver([make_row("r1", name="Ana")])
        sink.close()
        sink.close()

    def test_says_later_or_refuses(self) -> None:
        """Trouble is DeliveryDelayed or DeliveryRefused, and nothing else."""
        sink = self.make_sink()
        if not self.break_target(sink):
            return
        try:
            sink.deliver([make_row("r1")])
        except (DeliveryDelayed, DeliveryRefused) as error:
            _check(bool(error.message), "the error must say what is wrong")
        else:
            raise AssertionError("a delivery to a broken target must raise")

    def _expect(self, sink: Sink, wanted: Mapping[str, str]) -> None:
        found = dict(self.held(sink))
        _check(found == dict(wanted), f"it should hold {dict(wanted)!r}, it holds {found!r}")


def _check(holds: bool, message: str) -> None:
    if not holds:
        raise AssertionError(message)
