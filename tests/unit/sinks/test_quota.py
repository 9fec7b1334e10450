"""The bucket of requests that processes share: never more than the quota, whatever clocks and files do."""

from __future__ import annotations

import itertools
import json
import logging
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis.strategies import floats, integers, lists, sampled_from, tuples

from optimind.errors import DeliveryDelayed
from optimind.sinks._quota import Now, Quota, Rate, refilled

MINUTE_S = 60.0


class Clock:
    """The time that truly passes, and a wall clock that people set."""

    def __init__(self) -> None:
        self.true = 1_000.0
        self.set_by = 0.0

    def __call__(self) -> Now:
        return Now(1_800_000_000.0 + self.true + self.set_by, self.true)


def quota_in(folder: Path, per_minute: float = 60, clock: Clock | None = None) -> Quota:
    each = {"reads": per_minute, "writes": per_minute}
    return Quota(folder, "somebody", each, clock=clock or Clock())  # type: ignore[arg-type] # its keys are the kinds


def most_in_a_minute(moments: list[float]) -> int:
    return max((sum(start <= each < start + MINUTE_S for each in moments) for start in moments), default=0)


STEPS = lists(
    tuples(
        integers(0, 2),  # which process asks
        floats(0, 40),  # seconds that pass before
        sampled_from([0.0, 0.0, 0.0, 0.0, 3600.0, -3600.0, 20.0, -20.0]),  # by how much somebody sets the clock
        sampled_from(["", "", "", "", "", "torn", "hold"]),
        integers(1, 3),  # how many requests at once
    ),
    max_size=60,
)


@settings(max_examples=60, deadline=None)
@given(per_minute=sampled_from([6, 20, 60]), steps=STEPS)
def test_never_more_than_the_quota_in_any_minute(
    tmp_path_factory: pytest.TempPathFactory, per_minute: int, steps: list[tuple[int, float, float, str, int]]
) -> None:
    folder, clock = tmp_path_factory.mktemp("quota"), Clock()
    processes = [quota_in(folder, per_minute, clock) for _ in range(3)]
    taken: list[float] = []
    for process, passes_s, set_by, fault, burst in steps:
        clock.true += passes_s
        clock.set_by += set_by
        files = list(folder.glob("*.json"))
        if fault == "torn" and files:
            files[0].write_text(files[0].read_text()[:-9])
        if fault == "hold":
            processes[process].spent("reads", 30.0)
        left = burst * per_minute
        while left and processes[process].attempt(reads=1) == 0:
            left -= 1
            taken.append(clock.true)
    assert most_in_a_minute(taken) <= per_minute


@given(
    wall=floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12),
    machine=floats(0, 1e9),
    tokens=floats(-1e9, 1e9),
)
def test_whatever_was_written_there_is_room_again_within_minutes(wall: float, machine: float, tokens: float) -> None:
    rates = {"reads": Rate.of(60)}
    text = json.dumps({"wall": wall, "machine": machine, "tokens": {"reads": tokens}})
    state = refilled(text, rates, Now(1_800_000_000.0, 5_000.0))
    # Two minutes and a half: the longest hold, and another machine's clock that is ahead.
    state = refilled(state.text(), rates, Now(1_800_000_100.0, 5_100.0))
    assert refilled(state.text(), rates, Now(1_800_000_170.0, 5_170.0)).tokens["reads"] >= 1


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"wall": 1}', '{"wall": NaN, "machine": 1, "tokens": {"reads": 1}}', "\x00" * 99]
)
def test_a_torn_file_is_an_empty_bucket(text: str) -> None:
    assert refilled(text, {"reads": Rate.of(60)}, Now(1.0, 1.0)).tokens == {"reads": 0.0}


def test_a_burst_goes_at_once_and_the_rest_evenly(tmp_path: Path) -> None:
    clock = Clock()
    quota = quota_in(tmp_path, 60, clock)
    assert [quota.attempt(reads=1) for _ in range(13)] == [0.0] * 13
    waits_s = []
    for _ in range(10):
        waits_s.append(quota.attempt(reads=1))
        clock.true += waits_s[-1] + 1e-6
        assert quota.attempt(reads=1) == 0
    assert max(waits_s) < 1.5
    assert quota.attempt(writes=1) == 0, "writes have a bucket of their own"


def test_a_read_and_a_write_are_taken_together_or_not_at_all(tmp_path: Path) -> None:
    quota = quota_in(tmp_path, 60)
    while quota.attempt(writes=1) == 0:
        pass
    assert quota.attempt(reads=1, writes=1) > 0
    assert [quota.attempt(reads=1) for _ in range(13)] == [0.0] * 13


def test_what_google_says_holds_for_all_processes_for_a_minute_at_most(tmp_path: Path) -> None:
    clock = Clock()
    one, other = quota_in(tmp_path, 60, clock), quota_in(tmp_path, 60, clock)
    one.spent("writes", 3600)
    assert other.attempt(reads=1) == 0
    assert 55 < other.attempt(writes=1) < 65
    clock.true += 65
    assert other.attempt(writes=1) == 0


def test_a_hold_does_not_make_room(tmp_path: Path) -> None:
    quota = quota_in(tmp_path)
    quota.spent("reads", 30)
    quota.spent("reads", 0)
    assert quota.attempt(reads=1) > 25


def test_who_waits_gives_up_when_the_run_ends(tmp_path: Path) -> None:
    quota = quota_in(tmp_path)
    quota.spent("reads", 60)
    threading.Timer(0.1, quota.interrupt).start()
    began = time.monotonic()
    with pytest.raises(DeliveryDelayed, match="the run ended"):
        quota.take(reads=1)
    assert time.monotonic() - began < 5


def test_where_nothing_can_be_written_a_process_keeps_to_it_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    quota = quota_in(tmp_path / "file")
    with caplog.at_level(logging.WARNING):
        assert sum(quota.attempt(reads=1) == 0 for _ in range(100)) == 13
    assert len(caplog.records) == 1
    assert "sheets: quota: folder:" in caplog.text


def test_another_machine_whose_clock_is_ahead_makes_no_room(tmp_path: Path) -> None:
    clock, ahead = Clock(), Clock()
    ahead.set_by = 10.0
    here, there = quota_in(tmp_path, 60, clock), quota_in(tmp_path, 60, ahead)
    taken: list[float] = []
    for quota in itertools.islice(itertools.cycle([here, there]), 600):
        clock.true += 0.2
        ahead.true = clock.true + 7.0  # started earlier
        ahead.set_by = 3.0
        if quota.attempt(reads=1) == 0:
            taken.append(clock.true)
    assert 40 < most_in_a_minute(taken) <= 60


def test_processes_share_it(tmp_path: Path) -> None:
    """Four real processes ask as fast as they can; one is killed while it may hold the lock."""
    code = (
        "import sys, time; from pathlib import Path; from optimind.sinks._quota import Quota\n"
        "quota = Quota(Path(sys.argv[1]), 'somebody', {'reads': 1200, 'writes': 1200})\n"
        "print('up', flush=True); sys.stdin.readline(); end = time.time() + 2\n"
        "while time.time() < end:\n"
        "    if quota.attempt(reads=1) == 0: print(time.time(), flush=True)\n"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for child in started:
        assert child.stdout is not None
        assert child.stdout.readline() == "up\n"
    for child in started:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    time.sleep(0.7)
    started[0].kill()
    moments = [float(line) for child in started for line in child.communicate(timeout=60)[0].split()]
    assert [child.returncode for child in started[1:]] == [0, 0, 0]
    rate = Rate.of(1200)
    passed_s = max(moments) - min(moments)
    assert len(moments) <= rate.burst + rate.per_s * passed_s + 1
    assert len(moments) > rate.burst
