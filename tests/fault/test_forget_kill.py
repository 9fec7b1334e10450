"""Forgetting somebody, cut off by kill -9 at any step, is completed by doing it again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from school_person import ANNA, BO, NAMESAKE, School, make_school, picture, vector
from sheets_server import SheetsServer

from optimind.app.sinks import enabled_sinks
from optimind.config import load_config
from optimind.gallery import load_gallery
from optimind.pipeline.delivery import DeliveryWorker

REPOSITORY = Path(__file__).resolve().parents[2]
SUPPORT = REPOSITORY / "tests" / "support"
STEPS = [
    "optimind.app.forgetting:VisitorStore.forget",
    "optimind.app.forgetting:Ledger.close",
    "optimind.storage.forgetting:forget",
    "optimind.storage.forgetting:_note",
    "optimind.app.forgetting:_forget_files",
    "optimind.app.forgetting:remove_leftovers",
    "optimind.app.forgetting:remove_files",
    "optimind.app.forgetting:remove_from_gallery",
    "optimind.storage.database:Database.compact",
    "optimind.storage.database:Database.scrub",
    "optimind.sinks._sheets_forget:forget_rows",
    "optimind.storage.forgetting:fulfilled",
]


@pytest.fixture
def server() -> Iterator[SheetsServer]:
    with SheetsServer() as running:
        yield running


@pytest.fixture
def school(tmp_path: Path, server: SheetsServer, monkeypatch: pytest.MonkeyPatch) -> School:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("optimind.sinks._sheets_worksheet._SETTLE_S", 0.0)
    key = server.write_key(tmp_path)
    Path("config.yaml").write_text(
        f"gallery: g.pickle\nsheets: {{spreadsheet: {server.spreadsheet}, credentials: {{file: {key}}}, "
        f"endpoint: '{server.url}', timeout_s: 2, "
        "quota: {reads_per_minute: 100000, writes_per_minute: 100000}}\n"
    )
    made = make_school(tmp_path)
    (sink,) = enabled_sinks(load_config(None))
    with made.ledger() as ledger:
        worker = DeliveryWorker(ledger, sink, interval_s=0.01)
        worker.start()
        assert worker.flush(20)
        worker.stop()
    return made


def child(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the forgetting in a process of its own."""
    return subprocess.run(
        [sys.executable, str(SUPPORT / "forgetting_child.py"), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{SUPPORT}"},
    )


def completed(school: School, server: SheetsServer) -> dict[str, Any]:
    """Do it again, and look that nothing is left anywhere and nothing of others is gone."""
    done = child("none", "")
    assert done.returncode == 0, (done.stdout, done.stderr)
    document: dict[str, Any] = json.loads(done.stdout)
    assert document["left"] == 0
    data = school.everything()
    pieces = (
        b"1042771190",
        vector(ANNA).tobytes()[:16],
        picture("shot of 1042771190")[100:140],
        picture("1042771190/b.jpg")[100:140],
    )
    assert [piece for piece in pieces if piece in data] == []
    assert sorted(str(record["person_id"]) for record in server.sheet.records()) == [NAMESAKE, BO]
    assert load_gallery(school.places.gallery).people == 2
    with school.ledger() as ledger:
        assert {row.person_id for row in ledger.register()} == {NAMESAKE, BO}
        assert ledger.personal.pending() == {}
        assert ledger.audit.verify().fault is None
    return document


@pytest.mark.parametrize(("step", "moment"), [*((step, "before") for step in STEPS), (STEPS[-1], "after")])
def test_killed_at_each_step(step: str, moment: str, school: School, server: SheetsServer) -> None:
    assert child(step, moment).returncode == -signal.SIGKILL
    completed(school, server)


@pytest.mark.slow
@pytest.mark.parametrize("delay_s", [0.07 * number for number in range(1, 9)])
def test_killed_at_any_moment(delay_s: float, school: School, server: SheetsServer) -> None:
    for part in (0.5, 1.0):
        child("time", f"{part * delay_s:.3f}")
    completed(school, server)
