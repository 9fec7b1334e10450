"""Three writers, one sheet, and everything that can go wrong: in the end the sheet is what the ledgers say."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest
from faulty_sheets import LATEST_S, FaultySheets
from killed_writers import MANY, Writers
from ledger_marks import url_of
from sheets_server import Sheet

from optimind.plugin_api import RecordRow
from optimind.sinks._sheets_register import FIXED
from optimind.sinks._sheets_table import cells_of
from optimind.storage import open_ledger

SEED = 2026
TITLE = "7B 2026-09"


@pytest.mark.parametrize(
    "kills", [20, pytest.param(200, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])], ids=["short", "long"]
)
def test_in_the_end_the_sheet_is_what_the_ledgers_say(
    tmp_path: Path, kills: int, capsys: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()
    with FaultySheets(SEED) as server:
        settings = {
            "spreadsheet": server.spreadsheet,
            "credentials": {"file": server.write_key(tmp_path)},
            "endpoint": server.url,
            "timeout_s": 0.5,
            "quota": {"reads_per_minute": MANY, "writes_per_minute": MANY, "folder": tmp_path / "quota"},
        }
        ledgers = [tmp_path / "one.db", tmp_path / "two.db"]
        # Two processes on the first ledger, one on the second.
        posts = [(ledgers[0], tmp_path / "a"), (ledgers[0], tmp_path / "b"), (ledgers[1], tmp_path / "c")]
        kill_at_random(Writers(settings), posts, kills)
        server.is_faulty = False
        time.sleep(LATEST_S)  # what is still under way is carried out
        killed_s = time.monotonic() - began
        for process in [Writers({**settings, "timeout_s": 20.0}).finish(path) for path in ledgers]:
            process.join(400)
            assert process.exitcode == 0
        wanted = {row.record_id: row for path in ledgers for row in register(path)}
        found = server.sheet.records()
        letters = wrong_letters(server.sheets[TITLE], wanted.values())
    ids = Counter(str(record["record_id"]) for record in found)
    lost, doubled = set(wanted) - set(ids), {key for key, count in ids.items() if count > 1}
    by_id = {str(record["record_id"]): record for record in found}
    wrong = {
        f"{row.person_id} {name}": (by_id[key].get(name, ""), cell)
        for key, row in wanted.items()
        if key in by_id
        for name, cell in cells_of(row).items()
        if by_id[key].get(name, "") != cell
    }
    with capsys.disabled():
        print(
            f"\n{kills} kills in {killed_s:.0f} s, all delivered {time.monotonic() - began - killed_s:.0f} s later; "
            f"{len(server.requests)} requests, {server.met.total()} faults {dict(sorted(server.met.items()))}; "
            f"{len(wanted)} records, {sum(row.version for row in wanted.values())} versions of them; "
            f"lost {len(lost)}, doubled {len(doubled)}, wrong {len(wrong)}, letters {len(letters)}"
        )
    assert not set(ids) - set(wanted)
    assert {row.source for row in wanted.values()} == {"camera"}, "something was taken for a correction"
    assert (lost, doubled, wrong, letters) == (set(), set(), {}, {}), [
        *lost,
        *doubled,
        *wrong.items(),
        *letters.items(),
    ]
    for path, said in posts:
        check_acknowledged(path, said)


def wrong_letters(sheet: Sheet, records: Iterable[RecordRow]) -> dict[str, tuple[list[str], str]]:
    """Of each person and lesson what stands in the register, row by row, and what should; {} where that is the same."""
    _, sessions, keys, *lines = sheet.lines()
    wanted = {
        (row.person_id, row.session): {"present": "P", "late": "L"}[row.status] for row in records if row.class_id
    }
    stands: dict[tuple[str, str], list[str]] = {}
    for line in lines:
        person = str(line[keys.index("person_id")])
        for session, letter in zip(sessions[len(FIXED) :], line[len(FIXED) :], strict=True):
            if person and letter:
                stands.setdefault((person, str(session)), []).append(str(letter))
    places = stands.keys() | wanted.keys()
    return {
        " ".join(place): (stands.get(place, []), wanted.get(place, ""))
        for place in places
        if stands.get(place) != [wanted.get(place)]
    }


def kill_at_random(writers: Writers, posts: list[tuple[Path, Path]], kills: int) -> None:
    """A process for each post, a ledger and what it says of it; one that is killed is followed by another."""
    chance = random.Random(SEED)  # noqa: S311 - a test's
    running: dict[int, ForkServerProcess] = {}

    def start(post: int) -> None:
        ledger, said = posts[post]
        # Those on one ledger share the numbers between them.
        running[post] = writers.start(ledger, said, len(posts) * lines_of(said) + post, step=len(posts))

    for post in range(len(posts)):
        start(post)
    for _ in range(kills):
        post = chance.randrange(len(posts))
        # However slow the machine is, it has done something; what it does at that moment is anybody's guess.
        enough = lines_of(posts[post][1]) + chance.randrange(10)
        deadline = time.monotonic() + 20
        while lines_of(posts[post][1]) < enough and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.1))
        assert running[post].is_alive()
        running[post].kill()
        running[post].join()
        start(post)
    for process in running.values():
        process.kill()
        process.join()


def lines_of(said: Path) -> int:
    return said.read_text().count("\n") if said.exists() else 0


def register(path: Path) -> list[RecordRow]:
    with open_ledger(url_of(path)) as ledger:
        return ledger.register()


def check_acknowledged(path: Path, said: Path) -> None:
    """What a process said that it had kept is in the ledger, whatever happened to the process."""
    last_seen = {row.person_id: row.last_seen_at for row in register(path)}
    lines = [line.split() for line in said.read_text().splitlines()]
    assert lines
    for person, last_at in lines:
        seen = last_seen[person]
        assert seen is not None
        assert seen >= datetime.fromisoformat(last_at)
