from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimind.core.decisions import Decision, Evidence, EvidenceKind, Rule, decide, presence
from optimind.core.events import AttendanceStatus
from optimind.core.timetable import AttendanceRules, Meeting

START = datetime(2026, 9, 7, 8, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
RULES = AttendanceRules(late_after=5 * MINUTE, absent_after=20 * MINUTE, leave_early=5 * MINUTE)
AT_ONCE = AttendanceRules(late_after=timedelta(0), absent_after=timedelta(0))
ALWAYS = [(-15.0, 45.0)]
Span = tuple[float, float]


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def meeting(rules: AttendanceRules = RULES) -> Meeting:
    return Meeting(
        session="7b maths 08:00",
        date=date(2026, 9, 7),
        class_id="7b",
        room="101",
        opens_at=at(-15),
        starts_at=START,
        ends_at=at(45),
        rules=rules,
    )


def seen(first: float, last: float, suspicion: str = "") -> Evidence:
    return Evidence(at(first), at(last), suspicion=suspicion)


def came(minute: float) -> Evidence:
    return Evidence(at(minute), at(minute), EvidenceKind.IN)


def went(minute: float) -> Evidence:
    return Evidence(at(minute), at(minute), EvidenceKind.OUT)


def decided(
    evidence: Sequence[Evidence],
    *,
    rules: AttendanceRules = RULES,
    watched: Sequence[Span] = ALWAYS,
    now: float = 60,
    is_member: bool = True,
    excuse: str | None = None,
) -> Decision | None:
    return decide(
        meeting(rules),
        evidence,
        is_member=is_member,
        excuse=excuse,
        watched=[(at(first), at(last)) for first, last in watched],
        now=at(now),
    )


def said(decision: Decision | None) -> tuple[str, str] | None:
    return None if decision is None else (str(decision.status), str(decision.rule))


# -- when somebody was there ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("evidence", "now", "wanted"),
    [
        ([], 60, []),
        ([seen(0, 10), seen(20, 45)], 60, [(0, 10), (20, 45)]),
        ([seen(0, 10), seen(10, 20), seen(15, 16)], 60, [(0, 20)]),
        ([seen(-60, -15)], 60, []),
        ([seen(-60, 600)], 60, [(-15, 45)]),
        ([seen(45, 50)], 60, []),
        ([seen(3, 3)], 60, [(3, 3)]),
        ([came(1)], 60, [(1, 45)]),
        ([came(1)], 10, [(1, 10)]),
        ([came(1), went(40)], 60, [(1, 40)]),
        ([went(40)], 60, [(40, 40)]),
        ([came(1), came(2), went(40)], 60, [(1, 40)]),
        ([came(1), went(10), went(12)], 60, [(1, 10), (12, 12)]),
        ([came(1), went(10), came(10), went(20)], 60, [(1, 20)]),
        ([came(-20), went(46)], 60, []),
        ([came(45)], 60, []),
        ([went(10), seen(9, 12)], 60, [(9, 12)]),
        ([came(-10), went(-5)], 60, []),  # they were not there yet
        ([went(0)], 60, []),
        ([came(-10), went(-5), came(3), went(45)], 60, [(3, 45)]),
        ([came(-10), went(-5), came(-5)], 60, [(-5, 45)]),
        ([went(-5), seen(-12, -9)], 60, [(-12, -9)]),
    ],
)
def test_presence(evidence: list[Evidence], now: float, wanted: list[Span]) -> None:
    assert presence(meeting(), evidence, at(now)) == [(at(first), at(last)) for first, last in wanted]


def test_a_camera_clock_that_jumps_a_year_gives_presence_in_the_meeting_only() -> None:
    year = 365 * 24 * 60
    assert presence(meeting(), [seen(-year, year)], at(60)) == [(at(-15), at(45))]
    assert presence(meeting(), [seen(year, year + 1), seen(-year, -year), came(-year)], at(60)) == []
    assert presence(meeting(), [came(3)], at(year)) == [(at(3), at(45))]
    # A clock that stands a year back: now is before the evidence.
    assert presence(meeting(), [came(3)], at(-year)) == [(at(3), at(3))]


# -- rules, one table each --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("evidence", "rules", "wanted"),
    [
        ([seen(0, 45)], RULES, ("present", "on_time")),
        ([seen(-15, -14), seen(40, 45)], RULES, ("present", "on_time")),
        ([seen(5, 45)], RULES, ("present", "on_time")),  # at the limit is not over it
        ([seen(5.1, 45)], RULES, ("late", "late")),
        ([seen(20, 45)], RULES, ("late", "late")),
        ([seen(20.1, 45)], RULES, ("absent", "too_late")),
        ([seen(20.1, 45)], replace(RULES, absent_after=None), ("late", "late")),
        ([seen(20.1, 45)], replace(RULES, late_after=None), ("absent", "too_late")),
        ([seen(44, 45)], AttendanceRules(late_after=None), ("present", "on_time")),
        ([seen(0, 40)], RULES, ("present", "on_time")),
        ([seen(0, 39.9)], RULES, ("left_early", "left_early")),
        ([seen(0, 1)], replace(RULES, leave_early=None), ("present", "on_time")),
        ([seen(0, 44.9)], replace(RULES, leave_early=timedelta(0)), ("left_early", "left_early")),
        ([seen(6, 30)], RULES, ("left_early", "left_early")),  # late as well: which counts more is left early
        ([seen(25, 30)], RULES, ("absent", "too_late")),
        ([seen(0, 10), seen(44, 45)], RULES, ("present", "on_time")),
        ([came(0)], RULES, ("present", "on_time")),
        ([came(0), went(30)], RULES, ("left_early", "left_early")),
        ([came(7), went(44)], RULES, ("late", "late")),
        ([came(-15), went(-1), came(7)], RULES, ("late", "late")),
        ([came(-15), went(0)], RULES, ("absent", "went_out")),
        ([seen(-15, -3)], RULES, ("left_early", "left_early")),
        ([seen(-15, -3)], replace(RULES, leave_early=None), ("present", "on_time")),
    ],
)
def test_who_was_there(evidence: list[Evidence], rules: AttendanceRules, wanted: tuple[str, str]) -> None:
    decision = decided(evidence, rules=rules)
    assert said(decision) == wanted
    assert decision is not None
    assert decision.reason


@pytest.mark.parametrize(
    ("now", "changes", "wanted"),
    [
        (19.9, {}, None),
        (20, {}, ("absent", "never_seen")),
        (44, {"rules": replace(RULES, absent_after=None)}, None),
        (45, {"rules": replace(RULES, absent_after=None)}, ("absent", "never_seen")),
        (45, {"rules": replace(RULES, absent_after=timedelta(hours=9))}, ("absent", "never_seen")),
        (60, {"is_member": False}, None),
        (60, {"excuse": "ill"}, ("excused", "excused")),
        (60, {"excuse": "ill", "watched": []}, ("excused", "excused")),
        (60, {"excuse": "ill", "is_member": False}, None),
        (60, {"watched": []}, ("needs_review", "not_watched")),
        (60, {"watched": [(0, 9.9)]}, ("needs_review", "not_watched")),
        (60, {"watched": [(0, 10)]}, ("absent", "never_seen")),
        (60, {"watched": [(0, 5), (3, 8), (15, 17)]}, ("absent", "never_seen")),
        (60, {"watched": [(0, 5), (0, 5)]}, ("needs_review", "not_watched")),  # two cameras at once count once
        (60, {"watched": [(20, 45)]}, ("needs_review", "not_watched")),  # after it was decided
        # Absent in the moment of the start: once a camera can have looked.
        (0.9, {"rules": AT_ONCE}, None),
        (1, {"rules": AT_ONCE}, ("absent", "never_seen")),
        (1, {"rules": AT_ONCE, "watched": []}, ("needs_review", "not_watched")),
    ],
)
def test_who_was_not_seen(now: float, changes: dict[str, object], wanted: tuple[str, str] | None) -> None:
    decision = decided([], now=now, **changes)  # type: ignore[arg-type] # a table's own words
    assert said(decision) == wanted
    assert decision is None or (decision.arrived_at, decision.left_at, decision.seconds_present) == (None, None, 0.0)


@pytest.mark.parametrize(
    ("evidence", "watched", "excuse", "wanted"),
    [
        ([seen(10, 45)], [(6, 45)], None, ("present", "lateness_unknown")),
        ([seen(10, 45)], [(5, 45)], None, ("late", "late")),
        ([seen(30, 45)], [(16, 45)], None, ("present", "lateness_unknown")),
        ([seen(30, 45)], [(16, 45)], "ill", ("present", "lateness_unknown")),
        ([seen(30, 45)], [(15, 45)], None, ("absent", "too_late")),
        ([seen(30, 45)], ALWAYS, "ill", ("excused", "excused")),
        ([seen(3, 45)], [(3, 45)], None, ("present", "on_time")),
        ([seen(10, 30)], ALWAYS, "ill", ("left_early", "left_early")),  # an excuse is for being away
        ([seen(10, 45)], ALWAYS, "ill", ("late", "late")),
        ([seen(0, 25)], [(0, 34)], None, ("present", "on_time")),  # nobody saw whether they stayed
        ([seen(0, 25)], [(0, 35)], None, ("left_early", "left_early")),
        ([seen(10, 25)], [(0, 30)], None, ("late", "late")),
    ],
)
def test_what_was_not_watched_is_held_against_nobody(
    evidence: list[Evidence], watched: list[Span], excuse: str | None, wanted: tuple[str, str]
) -> None:
    assert said(decided(evidence, watched=watched, excuse=excuse)) == wanted


@pytest.mark.parametrize(
    ("evidence", "is_member", "wanted"),
    [
        ([seen(0, 45, "it is flat")], True, ("needs_review", "suspected")),
        ([seen(0, 45), seen(30, 31, "it is flat")], False, ("needs_review", "suspected")),
        ([seen(0, 45), seen(-30, -20, "it is flat")], True, ("present", "on_time")),  # that was before
        ([seen(0, 45), seen(45, 50, "it is flat")], True, ("present", "on_time")),
        ([seen(0, 45)], False, ("needs_review", "not_on_roster")),
        ([went(30)], False, ("needs_review", "not_on_roster")),
    ],
)
def test_what_a_person_must_look_at(evidence: list[Evidence], is_member: bool, wanted: tuple[str, str]) -> None:
    assert said(decided(evidence, is_member=is_member)) == wanted


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, ("absent", "went_out")),
        ({"now": -1}, ("absent", "went_out")),  # from then on, until they come back
        ({"excuse": "ill"}, ("excused", "excused")),
        ({"watched": []}, ("needs_review", "not_watched")),  # they may have come back
        ({"watched": [(0, 4)], "now": 8}, ("absent", "went_out")),
        ({"watched": [(0, 4)], "now": 9}, ("needs_review", "not_watched")),
        ({"is_member": False}, ("needs_review", "not_on_roster")),
    ],
)
def test_who_went_out_before_the_start(changes: dict[str, object], wanted: tuple[str, str]) -> None:
    decision = decided([came(-9), went(-4)], **changes)  # type: ignore[arg-type] # a table's own words
    assert said(decision) == wanted
    assert decision is not None
    assert (decision.arrived_at, decision.left_at) == (None, None)


def test_nobody_left_early_before_the_end() -> None:
    assert said(decided([seen(0, 10)], now=44.9)) == ("present", "on_time")
    assert said(decided([seen(0, 10)], now=45)) == ("left_early", "left_early")


def test_a_decision_says_from_when_to_when() -> None:
    decision = decided([seen(30, 50), seen(-20, 3)])
    assert decision is not None
    assert (decision.arrived_at, decision.left_at, decision.seconds_present) == (at(-15), at(45), 33 * 60.0)


@pytest.mark.parametrize(
    ("evidence", "changes", "words"),
    [
        ([seen(12, 45)], {}, "came 12 min after the start; late after 5 min"),
        ([seen(25, 45)], {}, "came 25 min after the start; absent after 20 min"),
        ([seen(12, 30)], {}, "last seen 15 min before the end; early where more than 5 min are missing; and came 12"),
        ([seen(12, 45)], {"watched": []}, "first seen 12 min after the start, but nobody watched before"),
        ([], {"excuse": "ill"}, "excused: ill"),
        ([], {"excuse": ""}, "excused"),
        ([], {"watched": [(0, 5)]}, "only 25% of the time was watched"),
        ([seen(-9, -2)], {"rules": AttendanceRules()}, "came before the start; was not seen after it"),
        ([seen(-9, -2)], {"rules": AttendanceRules(), "now": 44}, "was there in time"),
        ([came(-9), went(-2)], {}, "went out before the start and was not seen after it"),
        ([came(-9), went(-2)], {"watched": []}, "went out before the start and was not seen after it, but only 0%"),
        ([seen(0, 9, "flat")], {}, "the face may be a picture: flat"),
        ([seen(0, 9)], {"is_member": False}, "not on the roster of 7b"),
        (
            [seen(0.5, 45)],
            {"rules": AttendanceRules(late_after=timedelta(0))},
            "came 30 s after the start; late",
        ),
    ],
)
def test_the_reason_is_for_people(evidence: list[Evidence], changes: dict[str, object], words: str) -> None:
    decision = decided(evidence, **changes)  # type: ignore[arg-type] # a table's own words
    assert decision is not None
    assert words in decision.reason


def test_evidence_is_checked() -> None:
    with pytest.raises(ValueError, match="before it begins"):
        Evidence(at(1), at(0))
    with pytest.raises(ValueError, match=r"Evidence.last_at"):
        Evidence(at(1), datetime(2026, 9, 7, 9, 0))  # noqa: DTZ001 - a naive time, as a mistake


# -- laws -------------------------------------------------------------------------------------------------------------

minutes = st.integers(-40 * 60, 70 * 60).map(lambda seconds: seconds / 60)
spans = st.tuples(minutes, st.integers(0, 3600)).map(lambda pair: (pair[0], pair[0] + pair[1] / 60))
sightings = st.builds(lambda span: seen(*span), spans)
crossings = minutes.flatmap(lambda minute: st.sampled_from([came(minute), went(minute)]))
suspected = st.builds(lambda span, why: seen(span[0], span[1], why), spans, st.sampled_from(["flat", "still"]))
everything = st.lists(st.one_of(sightings, crossings, suspected), max_size=8)
some_rules = st.builds(
    lambda late, more, leave: AttendanceRules(
        late_after=None if late is None else late * MINUTE,
        absent_after=None if more is None else (late or 0) * MINUTE + more * MINUTE,
        leave_early=None if leave is None else leave * MINUTE,
    ),
    st.one_of(st.none(), st.integers(0, 30)),
    st.one_of(st.none(), st.integers(0, 60)),
    st.one_of(st.none(), st.integers(0, 50)),
)
watches = st.lists(spans, max_size=4)
nows = st.sampled_from([0.0, 20.0, 44.9, 45.0, 60.0])


@given(
    st.data(),
    everything,
    watches,
    st.fixed_dictionaries(
        {"rules": some_rules, "now": nows, "is_member": st.booleans(), "excuse": st.sampled_from([None, "ill"])}
    ),
)
def test_the_order_of_evidence_does_not_matter(
    data: st.DataObject, evidence: list[Evidence], watched: list[Span], kind: dict[str, object]
) -> None:
    shuffled = data.draw(st.permutations([*evidence, *evidence[:2]]))  # some of it twice
    one = decided(evidence, watched=watched, **kind)  # type: ignore[arg-type] # the same for both
    other = decided(shuffled, watched=[*reversed(watched), *watched], **kind)  # type: ignore[arg-type]
    assert one == other


@given(everything, nows)
def test_presence_is_apart_in_order_and_inside(evidence: list[Evidence], now: float) -> None:
    found = presence(meeting(), evidence, at(now))
    assert all(at(-15) <= first <= last <= at(45) for first, last in found)
    assert all(before < first for (_, before), (first, _) in pairwise(found))
    assert presence(meeting(), [Evidence(*span) for span in found if span[0] < at(45)], at(now)) == found


_BETTER = {
    AttendanceStatus.ABSENT: 0,
    AttendanceStatus.EXCUSED: 1,
    AttendanceStatus.LEFT_EARLY: 2,
    AttendanceStatus.LATE: 3,
    AttendanceStatus.PRESENT: 4,
}


@given(st.lists(st.one_of(sightings, crossings), max_size=6), sightings, some_rules, st.sampled_from([None, "ill"]))
def test_more_evidence_never_makes_somebody_more_absent(
    evidence: list[Evidence], more: Evidence, rules: AttendanceRules, excuse: str | None
) -> None:
    before = decided(evidence, rules=rules, excuse=excuse)
    after = decided([*evidence, more], rules=rules, excuse=excuse)
    assert before is not None
    assert after is not None
    assert _BETTER[after.status] >= _BETTER[before.status]
    assert after.seconds_present >= before.seconds_present


@given(everything, some_rules, st.sampled_from([None, "ill"]))
def test_what_is_not_watched_never_makes_somebody_absent(
    evidence: list[Evidence], rules: AttendanceRules, excuse: str | None
) -> None:
    unwatched = decided(evidence, rules=rules, watched=[], excuse=excuse)
    assert unwatched is not None
    assert unwatched.status is not AttendanceStatus.ABSENT
    assert unwatched.status is not AttendanceStatus.LATE


@given(everything, some_rules, watches)
def test_a_roster_and_an_excuse_change_nothing_but_what_they_are_for(
    evidence: list[Evidence], rules: AttendanceRules, watched: list[Span]
) -> None:
    plain = decided(evidence, rules=rules, watched=watched)
    excused = decided(evidence, rules=rules, watched=watched, excuse="ill")
    guest = decided(evidence, rules=rules, watched=watched, is_member=False)
    assert plain is not None
    assert excused is not None
    if excused != plain:
        assert (plain.status, excused.rule) in {
            (AttendanceStatus.ABSENT, Rule.EXCUSED),
            (AttendanceStatus.NEEDS_REVIEW, Rule.EXCUSED),
        }
    assert (guest is None) == (not any(meeting().overlaps(each.first_at, each.last_at) for each in evidence))
    assert guest is None or guest.status is AttendanceStatus.NEEDS_REVIEW


@given(everything, some_rules, watches)
def test_after_the_end_nothing_changes_by_itself(
    evidence: list[Evidence], rules: AttendanceRules, watched: list[Span]
) -> None:
    found = [decided(evidence, rules=rules, watched=watched, now=now) for now in (45, 46, 60 * 24 * 365)]
    assert found[0] == found[1] == found[2]
