from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimind.core.registers import record_id, seconds_seen, session_date

START = datetime(2026, 9, 1, 8, 0, tzinfo=UTC)
DAY = date(2026, 9, 1)
texts = st.text(st.characters(), max_size=40)
intervals = st.lists(
    st.tuples(st.integers(0, 10_000), st.integers(0, 5_000)).map(
        lambda pair: (START + timedelta(seconds=pair[0]), START + timedelta(seconds=pair[0] + pair[1]))
    ),
    max_size=12,
)


def span(first_s: float, last_s: float) -> tuple[datetime, datetime]:
    return START + timedelta(seconds=first_s), START + timedelta(seconds=last_s)


def test_record_id_is_pinned() -> None:
    # Rows are found in a spreadsheet by it: should it change, every row would be written a second time.
    assert record_id(DAY, "maths", "17") == "re85f503d31c39b77a5be88695e8698e7"


@given(st.dates(), texts, texts)
def test_record_id_is_short_safe_and_repeatable(day: date, session: str, person: str) -> None:
    found = record_id(day, session, person)
    assert re.fullmatch(r"r[0-9a-f]{32}", found)
    assert found == record_id(day, session, person)


@given(st.tuples(st.dates(), texts, texts), st.tuples(st.dates(), texts, texts))
def test_different_keys_have_different_ids(one: tuple[date, str, str], other: tuple[date, str, str]) -> None:
    assert (record_id(*one) == record_id(*other)) == (one == other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("ab", "c"), ("a", "bc")),
        (("", "ab"), ("ab", "")),
        (("a\0", "b"), ("a", "\0b")),
        (("s", "é"), ("s", "e\u0301")),
        (("s", "\udc80"), ("s", "\udc81")),
        (("s", "p"), ("s", "P")),
        (("s", "1"), ("s", "1 ")),
    ],
)
def test_keys_that_look_alike_stay_apart(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert record_id(DAY, *one) != record_id(DAY, *other)


@pytest.mark.parametrize(
    ("spans", "wanted_s"),
    [
        ([], 0.0),
        ([span(0, 0)], 0.0),
        ([span(0, 10)], 10.0),
        ([span(0, 10), span(20, 25)], 15.0),
        ([span(0, 10), span(5, 25)], 25.0),
        ([span(0, 100), span(5, 25), span(30, 40)], 100.0),
        ([span(0, 10), span(10, 20)], 20.0),
        ([span(20.25, 20.5), span(0, 1)], 1.25),
    ],
)
def test_seconds_seen(spans: list[tuple[datetime, datetime]], wanted_s: float) -> None:
    assert seconds_seen(spans) == wanted_s


@given(intervals, st.randoms())
def test_seconds_seen_does_not_depend_on_order_or_repeats(
    spans: list[tuple[datetime, datetime]], random: object
) -> None:
    shuffled = [*spans, *spans]
    random.shuffle(shuffled)  # type: ignore[attr-defined] # hypothesis types its Random as object
    assert seconds_seen(shuffled) == seconds_seen(spans)


@given(intervals, intervals)
def test_more_sightings_never_shorten(
    some: list[tuple[datetime, datetime]], more: list[tuple[datetime, datetime]]
) -> None:
    longer = seconds_seen(some + more)
    assert max(seconds_seen(some), seconds_seen(more)) <= longer <= seconds_seen(some) + seconds_seen(more)


@given(intervals)
def test_seconds_seen_counts_each_second_once(spans: list[tuple[datetime, datetime]]) -> None:
    covered = {
        second
        for first, last in spans
        for second in range(int((first - START).total_seconds()), int((last - START).total_seconds()))
    }
    assert seconds_seen(spans) == len(covered)


@pytest.mark.parametrize(
    ("interval", "message"),
    [
        ((START.replace(tzinfo=None), START), "first_seen_at must carry a time zone"),
        ((START, START.replace(tzinfo=None)), "last_seen_at must carry a time zone"),
        (span(10, 0), "cannot end"),
    ],
)
def test_seconds_seen_refuses(interval: tuple[datetime, datetime], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        seconds_seen([interval])


@pytest.mark.parametrize(
    ("at", "zone", "wanted"),
    [
        (datetime(2026, 8, 31, 23, 30, tzinfo=UTC), "Europe/London", date(2026, 9, 1)),
        (datetime(2026, 12, 31, 23, 30, tzinfo=UTC), "Europe/London", date(2026, 12, 31)),
        (datetime(2026, 9, 1, 2, 0, tzinfo=UTC), "America/New_York", date(2026, 8, 31)),
        (datetime(2026, 9, 1, 0, 30, tzinfo=timezone(timedelta(hours=9))), "UTC", date(2026, 8, 31)),
    ],
)
def test_session_date(at: datetime, zone: str, wanted: date) -> None:
    assert session_date(at, ZoneInfo(zone)) == wanted


def test_session_date_refuses_naive() -> None:
    with pytest.raises(ValueError, match="at must carry a time zone"):
        session_date(datetime(2026, 9, 1, 8, 0), UTC)  # noqa: DTZ001 - the point of the test
