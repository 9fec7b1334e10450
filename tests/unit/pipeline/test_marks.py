"""Marks are never lost because the ledger could not be written for a while."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

import pytest

from optimind.errors import StorageError
from optimind.pipeline.marks import MarkWriter
from optimind.plugin_api import AttendanceMarked, AttendanceStatus, RecordRow
from optimind.testing.plugins import a_sighting

DAY = date(2026, 9, 1)


def mark(seconds: float = 1.0, *, person: str = "anna") -> AttendanceMarked:
    sighting = a_sighting(seconds, person_id=person, track_id=f"track-{person}")
    return AttendanceMarked(
        at=sighting.at, camera="c", date=DAY, session="s", status=AttendanceStatus.PRESENT, sighting=sighting
    )


@dataclass
class Disk:
    """Stands in for the ledger where the writer asks it; full when told so, and ``passing`` are people of elsewhere."""

    full: bool = False
    kept: list[AttendanceMarked] = field(default_factory=list)
    attempts: int = 0
    passing: set[str] = field(default_factory=set)

    @property
    def school(self) -> Disk:
        return self

    def is_passing(self, subject: AttendanceMarked) -> bool:
        return subject.sighting.person_id in self.passing

    def record(self, subject: AttendanceMarked, sinks: Sequence[str]) -> RecordRow:
        self.attempts += 1
        if self.full:
            raise StorageError("the disk is full", mend="make room")
        self.kept.append(subject)
        sighting = subject.sighting
        return RecordRow(
            record_id=f"id-{sighting.person_id}",
            date=subject.date,
            session=subject.session,
            person_id=sighting.person_id,
            name=sighting.name,
            status=str(subject.status),
            first_seen_at=sighting.first_seen_at,
            last_seen_at=sighting.last_seen_at,
            seconds_seen=1.0,
            camera="c",
            similarity=0.7,
            margin=0.2,
            source="camera",
        )


@dataclass
class Setup:
    disk: Disk
    writer: MarkWriter
    announced: list[str]
    now: list[float]


@pytest.fixture
def setup() -> Setup:
    disk, announced, now = Disk(), [], [0.0]
    writer = MarkWriter(
        disk,  # type: ignore[arg-type]  # what of the ledger is asked
        ["sheets"],
        lambda row: announced.append(row.person_id),
        monotonic=lambda: now[0],
    )
    return Setup(disk, writer, announced, now)


def test_a_mark_is_written_at_once_and_a_new_record_is_announced_once(setup: Setup) -> None:
    for seconds in (1, 2, 3):
        setup.writer.write(mark(seconds))
    assert len(setup.disk.kept) == 3
    assert setup.announced == ["anna"]
    assert setup.writer.unsaved == []


def test_who_is_only_passing_is_not_written(setup: Setup) -> None:
    setup.disk.passing.add("ben")
    for person in ("ben", "anna"):
        setup.writer.write(mark(person=person))
    assert ([each.sighting.person_id for each in setup.disk.kept], setup.announced) == (["anna"], ["anna"])
    assert setup.writer.unsaved == []
    setup.disk.passing.clear()  # they stayed until it began
    setup.writer.write(mark(person="ben"))
    assert setup.announced == ["anna", "ben"]


def test_a_full_disk_keeps_the_latest_of_each_sighting_and_loses_none(
    setup: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    setup.disk.full = True
    for seconds in range(1, 100):
        setup.writer.write(mark(seconds))
        setup.writer.write(mark(seconds, person="ben"))
    assert [(m.sighting.person_id, m.at.second) for m in setup.writer.unsaved] == [("anna", 39), ("ben", 39)]
    assert caplog.text.count("cannot be written") == 1
    assert "the disk is full" in setup.writer.error
    setup.disk.full = False
    assert setup.writer.retry(now=True)
    assert [m.sighting.person_id for m in setup.disk.kept] == ["anna", "ben"]
    assert setup.writer.unsaved == []
    assert setup.writer.error == ""
    assert "nothing was lost" in caplog.text


def test_a_failing_ledger_is_not_asked_more_than_every_five_seconds(setup: Setup) -> None:
    setup.disk.full = True
    setup.writer.write(mark())
    for tenth in range(100):
        setup.now[0] = tenth / 10
        setup.writer.retry()
    assert setup.disk.attempts == 2
