"""The law of the second look: whatever comes late, in the end the sink has what the ledger says."""

from __future__ import annotations

import datetime as dt
import shutil
import tempfile
from collections.abc import Collection, Sequence
from contextlib import closing
from pathlib import Path
from typing import ClassVar, Literal, get_args
from unittest import mock

import pytest
from hypothesis import example, given, settings
from hypothesis.strategies import just, lists, one_of, sampled_from, tuples
from ledger_marks import START, make_mark, url_of

from optimind.errors import DeliveryDelayed
from optimind.pipeline import rechecking
from optimind.pipeline.delivery import DeliveryWorker
from optimind.plugin_api import RecordRow, Settings, Sink
from optimind.storage import Ledger

RECHECK_S = 45.0
Outcome = Literal["there", "there, unanswered", "late", "late, unavailable", "never", "busy", "rearranged", "killed"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


class Killed(BaseException):
    """The process is no more."""


class LateSink(Sink):
    """Does with a delivery what ``outcome`` says; what comes late waits in ``under_way``."""

    name: ClassVar[str] = "sheets"
    settings_type: ClassVar[type[Settings]] = Settings
    recheck_s: ClassVar[float | None] = RECHECK_S

    def __init__(self) -> None:
        self.copy: dict[str, RecordRow] = {}
        self.under_way: list[Sequence[RecordRow]] = []
        self.outcome: Outcome = "there"

    @classmethod
    def create(cls, settings: Settings) -> LateSink:
        return cls()

    def deliver(self, rows: Sequence[RecordRow]) -> None:
        if self.outcome in {"there", "there, unanswered", "rearranged"}:
            self.write(rows)
        if self.outcome in {"late", "late, unavailable", "killed"}:
            self.under_way.append(rows)
        if self.outcome == "killed":
            raise Killed
        if self.outcome == "busy":
            raise DeliveryDelayed("busy", retry_after_s=0.0, is_over=True)
        if self.outcome == "late, unavailable":
            raise DeliveryDelayed("unavailable", retry_after_s=0.0)
        if self.outcome == "rearranged":
            raise DeliveryDelayed("rearranged", missing=tuple(self.copy))
        if self.outcome != "there":
            raise DeliveryDelayed("no answer")

    def write(self, rows: Sequence[RecordRow]) -> None:
        self.copy |= {row.record_id: row for row in rows}

    def close(self) -> None:
        return

    def lacking(self, rows: Sequence[RecordRow], earlier: Sequence[RecordRow]) -> Collection[str]:
        return {row.record_id for row in (*rows, *earlier)} - self.copy.keys()


class School:
    """A ledger, its delivery to a sink where everything may come late, and a clock that both go by."""

    def __init__(self, ledger_file: Path) -> None:
        self.now = START
        self.seen_s = 10
        self.ledger = Ledger(url_of(ledger_file), clock=lambda: self.now)
        self.sink = LateSink()
        self.start()

    def monotonic(self) -> float:
        return (self.now - START).total_seconds()

    def time(self, zone: dt.tzinfo) -> dt.datetime:
        return self.now.astimezone(zone)

    def start(self) -> None:
        self.worker = DeliveryWorker(self.ledger, self.sink)

    def mark(self, person: str) -> None:
        """Somebody is seen for longer than anybody was before, so that each mark changes a row."""
        self.seen_s += 1
        self.ledger.record(make_mark(person, last_s=self.seen_s), ["sheets"])

    def turn(self, outcome: Outcome) -> None:
        self.sink.outcome = outcome
        try:
            self.worker._turn(everything=True)
        except Killed:
            self.start()

    def land(self) -> None:
        """The request that is under way longest is carried out, whoever made it."""
        if self.sink.under_way:
            self.sink.write(self.sink.under_way.pop(0))

    def settle(self) -> None:
        """So much time passes that all that was under way has come, and it is time for the next look."""
        while self.sink.under_way:
            self.land()
        self.now += dt.timedelta(seconds=RECHECK_S + 1)

    def empty(self) -> None:
        """Somebody empties the sheet, and a look is due."""
        self.settle()
        self.sink.copy.clear()


@pytest.fixture(scope="module")
def new_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("new") / "ledger.db"
    Ledger(url_of(path)).close()
    return path


STEPS = one_of(
    tuples(just("mark"), sampled_from("ab")),
    tuples(just("turn"), sampled_from(OUTCOMES)),
    tuples(just("turn"), sampled_from(OUTCOMES)),
    tuples(sampled_from(["land", "settle", "empty", "start"])),
)


@given(lists(STEPS, max_size=14))
@example([("mark", "a"), ("turn", "late"), ("mark", "a"), ("turn", "there")])
@example([("mark", "a"), ("turn", "late, unavailable"), ("mark", "a"), ("turn", "there")])
@example([("mark", "a"), ("turn", "there"), ("settle",), ("turn", "there"), ("empty",)])
@example([("mark", "a"), ("turn", "killed"), ("mark", "a"), ("turn", "there")])
@example([("mark", "a"), ("turn", "late"), ("mark", "a"), ("turn", "rearranged"), ("turn", "there")])
@settings(max_examples=100, deadline=None)
def test_in_the_end_the_sink_has_what_the_ledger_says(new_ledger: Path, steps: list[tuple[str, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        school = School(Path(shutil.copy(new_ledger, Path(folder))))
        monotonic = mock.Mock(monotonic=school.monotonic)
        with (
            closing(school.ledger),
            mock.patch.object(rechecking, "time", monotonic),
            mock.patch.object(rechecking, "datetime", mock.Mock(now=school.time)),
        ):
            for name, *arguments in steps:
                getattr(school, name)(*arguments)
            school.mark("c")  # an emptied sheet is noticed after the next delivery
            for _ in range(6):
                school.settle()
                school.turn("there")
            assert school.sink.copy == {row.record_id: row for row in school.ledger.register()}
            assert school.ledger.outbox.lag("sheets") == (0, None)
            assert not school.ledger.outbox.second_look.due("sheets", school.now, 1)
