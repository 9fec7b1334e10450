"""Consent, forgetting with its proof, and the export, as a user calls them."""

from __future__ import annotations

import json
import os
import shutil
import stat
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from painted_room import EXTENSIONS, photograph, record
from school_person import ANNA, BO, NAMES, NAMESAKE, School, gallery_of, make_school, picture, vector
from sheets_server import Fault, SheetsServer

from optimind.app import running
from optimind.app.consent import people_to_know
from optimind.app.enrolled import GalleryWatch
from optimind.app.forgetting import finish_forgetting
from optimind.app.housekeeping import housekeeping
from optimind.app.running import RunOptions, run
from optimind.app.sinks import enabled_sinks
from optimind.cli import main
from optimind.config import load_config, sqlite_url
from optimind.core.events import AttendanceStatus
from optimind.errors import GalleryError, GalleryMissing
from optimind.gallery import load_gallery, save_gallery
from optimind.gallery.format import temporary_of
from optimind.gallery.journal import journal_of
from optimind.pipeline.delivery import DeliveryWorker
from optimind.plugin_api import RecordRow
from optimind.storage import Correction, open_ledger

CONFIG = "gallery: g.pickle\n"


class Told:
    """Calls a command and keeps what it said."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.out, self.err = "", ""

    def __call__(self, *arguments: object) -> int:
        self._capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        self.out, self.err = self._capsys.readouterr()
        return code

    @property
    def document(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Told:
    return Told(capsys)


@pytest.fixture
def school(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> School:
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text(CONFIG)
    return make_school(tmp_path, sinks=())


# -- consent


def test_a_consent_of_an_id_that_nobody_has_is_recorded_but_said(school: School, call: Told) -> None:
    assert call("person", "consent", BO, "--by", "Ole Ek") == 0
    assert "nobody" not in call.err
    assert call("person", "consent", "9999", "--by", "Eva Berg") == 0
    assert "nobody with the id 9999" in call.err


def test_consents_are_recorded_listed_and_withdrawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Told
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text(CONFIG + "privacy: {require_consent: true}\n")
    save_gallery(Path("g.pickle"), gallery_of(Path("g.pickle")))
    assert call("person", "list", "--json") == 0
    assert {(p["person_id"], p["template"], p["consent"]) for p in call.document} == {
        (person, True, None) for person in NAMES
    }
    assert not Path("data").exists()
    assert call("person", "consent", ANNA, "--by", "Eva Berg", "--on", "2026-09-01", "--note", "paper 3") == 0
    assert call("person", "consent", BO, "--by", "Ole Ek") == 0
    assert call("person", "list", "--json") == 0
    people = {p["person_id"]: p for p in call.document}
    assert people[ANNA]["consent"] == {
        "given_on": "2026-09-01",
        "given_by": "Eva Berg",
        "recorded_by": people[BO]["consent"]["recorded_by"],
        "note": "paper 3",
    }
    assert people[NAMESAKE]["consent"] is None
    assert call("person", "withdraw", ANNA) == 0
    assert "2 templates were taken out" in call.out
    assert {s.person_id for s in load_gallery(Path("g.pickle")).samples} == {NAMESAKE, BO}
    assert call("person", "withdraw", ANNA) == 2
    assert call("person", "list") == 0
    assert "withdrawn 20" in call.out
    assert "3 people: 2 with a template, 1 with a consent; 1 have a template and no consent" in call.out


def test_a_withdrawal_that_was_cut_off_is_completed_by_the_same_command(
    school: School, call: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("config.yaml").write_text(CONFIG + "privacy: {require_consent: true}\n")

    def fail(*_: object) -> None:
        raise GalleryError("the disk is full", mend="make room")

    with monkeypatch.context() as broken:
        broken.setattr("optimind.cli.person.remove_from_gallery", fail)
        assert call("person", "withdraw", ANNA) == 1
    assert call("person", "withdraw", ANNA) == 0
    assert "2 templates were taken out" in call.out
    assert call("person", "withdraw", ANNA) == 2


@pytest.mark.parametrize(
    "arguments",
    [[], ["7"], ["7", "--by", " "], ["7", "--by", "x", "--on", "1.9.2026"], ["7", "--by", "x", "--on", "2999-01-01"]],
)
def test_half_a_consent_is_none(arguments: list[str], school: School, call: Told) -> None:
    assert call("person", "consent", *arguments) == 2
    assert "mend:" in call.err


def test_many_consents_at_once(school: School, call: Told) -> None:
    Path("c.csv").write_bytes(
        "\ufeffgiven_on;person_id;class;given_by;note\n2026-09-01;11;7b;Ö. Å;\n\n2026-09-02;12;7b;X;a;b\n".encode()
    )
    assert call("person", "consent", "--csv", "c.csv") == 0
    assert call.out == "the consent of 2 people is recorded\n"
    with school.ledger() as ledger:
        kept = [c for c in ledger.consents.all() if c.person_id in {"11", "12"}]
    assert [(c.person_id, str(c.given_on), c.given_by, c.note) for c in kept] == [
        ("11", "2026-09-01", "Ö. Å", ""),
        ("12", "2026-09-02", "X", "a"),
    ]


@pytest.mark.parametrize(
    ("content", "faults"),
    [
        ("person_id,given_by\n1,x\n", ["c.csv:1: the columns given_on are missing"]),
        (
            "person_id,given_on,given_by\n,2026-09-01,x\n2,1.9.26,\n3,2999-01-01,x\n4,2026-09-01,x\n",
            [
                "c.csv:2: person_id is empty",
                "c.csv:3: given_by is empty",
                "c.csv:3: given_on '1.9.26' is no date",
                "c.csv:4: given_on 2999-01-01 lies in the future",
            ],
        ),
        ("person_id,given_on,given_by\n", ["holds no consent"]),
        ('person_id,given_on,given_by\n1,2026-09-01,"x\n', ["c.csv:"]),
        ("", ["columns person_id, given_on, given_by are missing"]),
    ],
)
def test_every_fault_of_the_file_has_its_line(content: str, faults: list[str], school: School, call: Told) -> None:
    Path("c.csv").write_text(content)
    with school.ledger() as ledger:
        before = len(ledger.consents.all())
    assert call("person", "consent", "--csv", "c.csv") == 2
    assert [fault for fault in faults if fault not in call.err] == []
    with school.ledger() as ledger:
        assert len(ledger.consents.all()) == before


def test_nobody_is_encoded_without_a_consent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Told) -> None:
    monkeypatch.chdir(tmp_path)
    Path("extensions").mkdir()
    Path("extensions/painted.py").write_text(EXTENSIONS)
    config = "engine: painted\nplugins_folder: extensions\ngallery: g.pickle\n"
    Path("config.yaml").write_text(config)
    photograph(Path("datasets/ana/1.png"), 1)
    photograph(Path("datasets/bo/1.png"), 12)
    assert call("encode", "--workers", 1) == 0
    assert not Path("data").exists()  # no ledger is made to encode
    Path("config.yaml").write_text(config + "privacy: {require_consent: true}\n")
    assert call("encode", "--workers", 1, "--json") == 3
    assert call.document["people"] == 0
    assert {w["kind"] for w in call.document["warnings"]} == {"no_consent", "person_removed"}
    assert load_gallery(Path("g.pickle")).samples == ()
    assert not Path("data").exists()
    call("person", "consent", "ana", "--by", "x")
    assert call("encode", "--workers", 1) == 3
    assert "no consent is recorded: bo; optimind person consent bo --by NAME" in call.out
    assert [s.person_id for s in load_gallery(Path("g.pickle")).samples] == ["ana"]
    call("person", "consent", "bo", "--by", "x")
    assert call("encode", "--workers", 1) == 0
    assert [s.person_id for s in load_gallery(Path("g.pickle")).samples] == ["ana", "bo"]


def test_an_import_takes_only_those_who_agreed(school: School, call: Told) -> None:
    import pickle  # noqa: PLC0415 - only here

    rng = np.random.default_rng(1)
    rows = [row / np.linalg.norm(row) * 1.4 for row in rng.normal(size=(2, 128))]
    Path("other.pickle").write_bytes(pickle.dumps({"encodings": rows, "names": ["ana", "bo"]}))
    Path("config.yaml").write_text("gallery: new.pickle\nprivacy: {require_consent: true}\n")
    call("person", "consent", "ana", "--by", "x")
    assert call("encode", "--import", "other.pickle") == 3
    assert "left out, for no consent is recorded: bo" in call.out
    assert [s.person_id for s in load_gallery(Path("new.pickle")).samples] == ["ana"]


def test_a_run_knows_only_those_who_agreed(school: School, call: Told, caplog: pytest.LogCaptureFixture) -> None:
    config = load_config(None)
    assert people_to_know(config, school.places.gallery, school.url).people == 3
    Path("config.yaml").write_text(CONFIG + "privacy: {require_consent: true}\n")
    config = load_config(None)
    call("person", "withdraw", BO, "--gallery", "another.pickle")
    assert {s.person_id for s in people_to_know(config, school.places.gallery, school.url).samples} == {ANNA, NAMESAKE}
    assert "1 person is in the gallery without a recorded consent" in caplog.text
    assert NAMES[BO] not in caplog.text
    with pytest.raises(GalleryMissing, match="nobody in it has a recorded consent"):
        people_to_know(config, school.places.gallery, "sqlite:///none/optimind.db")
    assert not Path("none").exists()


# -- forgetting


def test_forget_proves_it_store_by_store(school: School, call: Told) -> None:
    journal_of(school.places.gallery).write_bytes(b"templates of Anna Berg")
    temporary_of(school.places.gallery).write_bytes(b"templates of Anna Berg")
    others = load_gallery(school.places.gallery).samples[2:]
    assert call("person", "forget", ANNA, "--yes", "--json") == 0, call.err
    told = call.document
    assert told["left"] == 0
    assert [(each["store"], each["left"]) for each in told["proof"]] == [
        ("photographs", []),
        ("gallery", []),
        ("ledger, tables", []),
        ("ledger, bytes of its files", []),
    ]
    assert told["removed"] == {
        "visitors": 1,
        "records": 2,
        "sightings": 2,
        "corrections": 1,
        "excuses": 1,
        "members": 1,
        "consents": 1,
        "shots": 1,
        "audit lines": 5,
        "photographs": 3,
        "templates": 2,
        "files of an interrupted encode": 2,
    }
    # And by a search of its own: nothing in any file, but for the other Anna Berg.
    data = school.everything()
    pieces = [
        b"1042771190",
        vector(ANNA).tobytes()[:16],
        vector(ANNA, 1).tobytes()[:16],
        picture("shot of 1042771190")[100:140],
    ]
    pieces += [
        picture(file)[100:140]
        for file in ("1042771190_Anna_Berg.jpg", "1042771190/b.jpg", "10427711900", "10427711901")
    ]
    assert [piece for piece in pieces if piece in data] == []
    assert picture("a stranger0")[100:140] in data
    assert [s.person_id for s in load_gallery(school.places.gallery).samples] == [s.person_id for s in others]
    assert call("person", "forget", ANNA, "--yes") == 0
    assert "nothing was there" in call.out
    assert call("person", "list", "--json") == 0
    assert {p["person_id"] for p in call.document} == {NAMESAKE, BO}


def test_what_is_left_is_an_error_that_says_where(school: School, call: Told) -> None:
    (school.places.dataset / "7/copy.jpg").write_bytes(picture("1042771190/b.jpg"))
    with school.ledger() as ledger:
        ledger.school.excuse(BO, *[ledger.register()[0].date] * 2, why="visits Cara Holm", actor="x")
    assert call("person", "forget", ANNA, "--yes", "--name", "Cara Holm") == 1
    assert "copy.jpg (a copy of a photograph)" in call.out
    assert "left: excuses.why (3)" in call.out
    assert "left: audit.detail (" in call.out
    assert "3 traces are left" in call.err
    (school.places.dataset / "7/copy.jpg").unlink()
    assert "--redact" in call.err
    assert call("person", "forget", ANNA, "--yes", "--name", "Cara Holm", "--redact", "--json") == 0
    assert call.document["removed"] == {"texts of others redacted": 2}
    with school.ledger() as ledger:
        assert "visits [forgotten]" in [excuse.why for excuse in ledger.school.excuses(BO)]
        assert ledger.audit.verify().fault is None


def test_a_roster_that_would_bring_them_back_is_named(school: School, call: Told) -> None:
    Path("config.yaml").write_text(CONFIG + "timetable: {rosters: {csv: rosters.csv}}\n")
    Path("rosters.csv").write_text(f"class,person_id\n7B,{BO}\n7B,{ANNA}\n")
    assert call("person", "forget", ANNA, "--yes") == 3
    assert "rosters.csv:3: this roster still names them" in call.out
    Path("rosters.csv").write_text(f"class,person_id\n7B,{BO}\n")
    assert call("person", "forget", ANNA, "--yes") == 0
    assert "nothing was there (optimind person list" in call.out


@pytest.mark.parametrize("output", ["all", "all.zip"])
def test_an_id_that_is_no_utf_8_is_exported_too(output: str, school: School, call: Told) -> None:
    folder = Path(os.fsdecode(b"datasets/7\xff"))
    folder.mkdir(parents=True)
    (folder / "a.jpg").write_bytes(b"x")
    assert call("person", "export", folder.name, "--output", output) == 0
    assert "1 photographs" in call.out


def test_what_a_correction_says_of_somebody_else_is_said_anew(with_sheet: School, call: Told) -> None:
    with with_sheet.ledger() as ledger:
        (his,) = [row.record_id for row in ledger.register() if row.person_id == BO]
        said = Correction(record_id=his, status=AttendanceStatus.LATE, actor="Ms Hill", why="with cara  HOLM")
        (row,) = ledger.correct([said])
        assert row.reason == "Ms Hill: with cara  HOLM"
    assert call("person", "forget", ANNA, "--yes", "--name", "Cara Holm", "--redact") == 0, call.out
    with with_sheet.ledger() as ledger:
        (after,) = [row for row in ledger.register() if row.person_id == BO]
        assert (after.reason, after.version) == ("Ms Hill: with [forgotten]", row.version + 1)
        assert ledger.outbox.lag("sheets")[0] == 1
        assert ledger.audit.verify().fault is None


@pytest.mark.parametrize("store", ["ledger", "gallery", "datasets"])
def test_somebody_who_is_in_one_store_only(store: str, school: School, call: Told) -> None:
    if store != "ledger":
        shutil.rmtree("data")
    if store != "gallery":
        Path("g.pickle").unlink()
    if store != "datasets":
        shutil.rmtree("datasets")
    assert call("person", "forget", ANNA, "--yes", "--json") == 0, call.err
    assert call.document["left"] == 0
    assert call.document["removed"]
    assert Path("data").exists() is (store == "ledger")
    assert b"1042771190" not in school.everything()


def test_it_asks_first(school: School, call: Told) -> None:
    assert call("person", "forget", ANNA) == 2
    assert "of 1042771190 there is: 3 photographs, 2 templates" in call.err
    assert "2 records" in call.err
    assert len(load_gallery(school.places.gallery).samples) == 4


def test_keep_counts(school: School, call: Told) -> None:
    assert call("person", "forget", ANNA, "--yes", "--keep-counts", "--json") == 0
    assert call.document["removed"]["records made anonymous"] == 2
    with school.ledger() as ledger:
        names = [row.name for row in ledger.register()]
    assert names.count(call.document["pseudonym"]) == 2
    assert len(names) == 4


def test_a_stranger_of_another_name_stays(school: School, call: Told) -> None:
    assert call("person", "forget", "999", "--yes", "--json") == 0
    assert call.document["removed"] == {}
    assert len(load_gallery(school.places.gallery).samples) == 4
    assert call("visitors", "list", "--json") == 0


def test_an_encrypted_school_is_forgotten_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Told) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text(CONFIG + "privacy: {key: {file: k}}\n")
    call("privacy", "key", "new", "--output", "k")
    school = make_school(tmp_path, load_config(None).privacy.sealer(), sinks=())
    assert call("person", "forget", ANNA, "--yes", "--json") == 0, call.err
    assert call.document["removed"]["visitors"] == 1
    assert call.document["removed"]["templates"] == 2
    assert load_gallery(school.places.gallery, load_config(None).privacy.sealer()).people == 2


# -- the Google Sheet


@pytest.fixture
def server() -> Iterator[SheetsServer]:
    with SheetsServer() as running:
        yield running


@pytest.fixture
def with_sheet(tmp_path: Path, server: SheetsServer, monkeypatch: pytest.MonkeyPatch) -> School:
    """A school whose register is in a sheet, with a worksheet of somebody's own that names people."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("optimind.sinks._sheets_worksheet._SETTLE_S", 0.0)
    key = server.write_key(tmp_path)
    Path("config.yaml").write_text(
        CONFIG
        + f"sheets: {{spreadsheet: {server.spreadsheet}, credentials: {{file: {key}}}, endpoint: '{server.url}', "
        "timeout_s: 2, quota: {reads_per_minute: 100000, writes_per_minute: 100000}}\n"
    )
    school = make_school(tmp_path)
    deliver(school)
    roster = replace(server.sheet, title="Roster 7b", sheet_id=77, cells={})
    roster.fill(
        [
            ["The 7b", "", ""],
            ["name", "Person_ID", "note"],
            ["Anna Berg", "1042771190", "sits in front"],
            ["Bo", "7", ""],
        ]
    )
    plain = replace(server.sheet, title="Notes", sheet_id=78, cells={})
    plain.fill([["whatever", "1042771190"]])
    server.sheets |= {"Roster 7b": roster, "Notes": plain}
    return school


def deliver(school: School) -> None:
    (sink,) = enabled_sinks(load_config(None))
    with school.ledger() as ledger:
        worker = DeliveryWorker(ledger, sink, interval_s=0.01)
        worker.start()
        assert worker.flush(20)
        worker.stop()


def people_in(server: SheetsServer) -> list[str]:
    return sorted(str(record["person_id"]) for record in server.sheet.records())


def test_the_rows_go_from_every_worksheet(with_sheet: School, server: SheetsServer, call: Told) -> None:
    assert people_in(server) == [ANNA, ANNA, NAMESAKE, BO]
    requests = len(server.requests)
    assert call("person", "forget", ANNA, "--yes", "--json") == 0, call.err
    (sink,) = call.document["sinks"]
    assert (sink["sink"], sink["state"], sink["records"]) == ("sheets", "done", 2)
    assert people_in(server) == [NAMESAKE, BO]
    lines = server.sheets["Roster 7b"].lines()
    assert [line[0] for line in lines] == ["The 7b", "name", "", "Bo"]
    assert not any("1042771190" in map(str, line) for line in [*lines, *server.sheet.lines()])
    assert server.sheets["Notes"].lines() == [["whatever", "1042771190"]]
    assert len([r for r in server.requests[requests:] if "values" in r]) == 3
    with with_sheet.ledger() as ledger:
        assert ledger.personal.pending() == {}
    deliver(with_sheet)
    assert people_in(server) == [NAMESAKE, BO]


def test_what_google_does_not_take_now_is_done_later(with_sheet: School, server: SheetsServer, call: Told) -> None:
    server.faults.append(Fault("values:batchUpdate", status=503))
    server.faults += [Fault("", status=503) for _ in range(20)]
    assert call("person", "forget", ANNA, "--yes", "--json") == 3
    (sink,) = call.document["sinks"]
    assert (sink["state"], sink["records"]) == ("waits", 2)
    assert call.document["left"] == 0  # in the stores here
    assert people_in(server) == [ANNA, ANNA, NAMESAKE, BO]
    server.faults.clear()
    (made,) = enabled_sinks(load_config(None))
    with with_sheet.ledger() as ledger:
        (report,) = finish_forgetting(ledger, [made])
        assert (report.state, report.records) == ("done", 2)
        assert finish_forgetting(ledger, [made]) == []
    made.close()
    assert people_in(server) == [NAMESAKE, BO]
    # Who it was is read from the rows themselves, so the other worksheet is clean too.
    assert [line[0] for line in server.sheets["Roster 7b"].lines()] == ["The 7b", "name", "", "Bo"]


def test_a_run_does_it_beside_its_work(with_sheet: School, server: SheetsServer, call: Told) -> None:
    with server.down():
        assert call("person", "forget", ANNA, "--yes") == 3
    with with_sheet.ledger() as ledger, housekeeping(load_config(None), ledger, every_s=0.05):
        deadline = time.monotonic() + 20
        while ledger.personal.pending() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert ledger.personal.pending() == {}
    assert people_in(server) == [NAMESAKE, BO]


def test_a_sink_that_delivers_just_now_is_left_to_it(
    with_sheet: School, server: SheetsServer, call: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("optimind.app.forgetting._PATIENCE_S", 0.3)
    with with_sheet.ledger() as ledger, ledger.delivery_lock("sheets") as is_mine:
        assert is_mine
        assert call("person", "forget", ANNA, "--yes", "--json") == 3
    assert call.document["sinks"][0]["state"] == "waits"
    assert call("person", "forget", ANNA, "--yes") == 0
    assert people_in(server) == [NAMESAKE, BO]


def test_a_sink_that_cannot_forget_is_said_once(with_sheet: School, call: Told) -> None:
    Path("mine").mkdir()
    Path("mine/own.py").write_text(
        "from optimind.plugin_api import Settings, Sink\n"
        "class OwnSink(Sink):\n    name = 'own'\n    settings_type = Settings\n"
        "    @classmethod\n    def create(cls, settings): return cls()\n"
        "    def deliver(self, rows): pass\n    def close(self): pass\n"
    )
    Path("config.yaml").write_text(CONFIG + "plugins_folder: mine\nsinks: {own: {}}\n")
    assert call("person", "forget", ANNA, "--yes", "--json") == 3
    states = {sink["sink"]: sink for sink in call.document["sinks"]}
    assert states["own"]["state"] == "cannot"
    assert states["own"]["mend"].count(", r") == 1
    assert states["sheets"]["detail"] == "it is switched off"
    with with_sheet.ledger() as ledger:
        assert ledger.personal.pending() == {"sheets": 2}


# -- all data of one person


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("sealed", [False, True])
def test_the_export_is_whole_readable_and_private(
    sealed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Told
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text(CONFIG + ("privacy: {key: {file: k}}\n" if sealed else ""))
    call("privacy", "key", "new", "--output", "k")
    make_school(tmp_path, load_config(None).privacy.sealer())
    assert call("person", "export", ANNA, "--output", "out") == 0, call.err
    files = content(tmp_path / "out")
    shot = next(name for name in files if name.startswith("shots/r"))
    as_visitor = {name for name in files if name.startswith("shots/visitor-")}
    assert set(files) == {
        "README.txt",
        "data.json",
        "templates.json",
        shot,
        *as_visitor,
        "photographs/1042771190_Anna_Berg.jpg",
        "photographs/1042771190/b.jpg",
        "photographs/1042771190/c.jpg",
    }
    assert files[shot] == picture("shot of 1042771190")
    assert files["photographs/1042771190/b.jpg"] == picture("1042771190/b.jpg")
    data = json.loads(files["data.json"])
    assert {table: len(rows) for table, rows in data.items()} == {
        "records": 2,
        "sightings": 2,
        "corrections": 1,
        "excuses": 1,
        "members": 1,
        "consents": 1,
        "shots": 1,
        "outbox": 2,
        "audit": 5,
        "visitors": 1,
        "visitor_pictures": len(as_visitor),
    }
    assert as_visitor
    assert all(files[name].startswith(b"\xff\xd8") for name in as_visitor)
    assert "Bo Ek" not in files["data.json"].decode()
    assert [np.array_equal(t["embedding"], vector(ANNA, n)) for n, t in enumerate(json.loads(files["templates.json"]))]
    assert "Anna Berg (1042771190)" in files["README.txt"].decode()
    for path in (tmp_path / "out").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
    assert call("person", "export", ANNA, "--output", "out") == 2
    assert call("person", "export", ANNA, "--output", "out.zip") == 0
    assert stat.S_IMODE(Path("out.zip").stat().st_mode) == 0o600
    with zipfile.ZipFile("out.zip") as packed:
        assert packed.testzip() is None
        assert set(packed.namelist()) == set(files)
    assert call("person", "export", "999", "--output", "none") == 2
    assert call("person", "export", ANNA, "--output", "no/such/folder") == 2
    assert not list(tmp_path.glob(".export-*"))


def test_a_run_that_goes_on_knows_who_was_taken_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Told
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("extensions").mkdir()
    Path("extensions/painted.py").write_text(EXTENSIONS)
    Path("config.yaml").write_text(
        "engine: painted\nplugins_folder: extensions\ngallery: g.pickle\nprivacy: {require_consent: true}\n"
        "cameras: [{id: door, source: 'recording?fps=5'}]\nplugins: {attendance: {enabled: true}}\n"
    )
    record(Path("recording"), 1, 12, 25)
    for person, shade in (("Ana", 1), ("Bo", 12)):
        photograph(Path(f"datasets/{person}/1.png"), shade)
        call("person", "consent", person, "--by", "x")
    assert call("encode", "--workers", 1) == 0
    monkeypatch.setattr(running, "GalleryWatch", partial(GalleryWatch, every_s=0.05))
    marked: list[str] = []

    def withdraw(row: RecordRow) -> None:
        marked.append(row.person_id)
        if len(marked) == 1:
            assert call("person", "withdraw", row.person_id) == 0
            time.sleep(1.0)  # so long a picture may take; the gallery is read meanwhile

    run(load_config(None), RunOptions(pace="fast"), stop=threading.Event(), on_marked=withdraw)
    with open_ledger(sqlite_url(tmp_path / "data" / "optimind.db")) as ledger:
        seen_s = {row.person_id: row.seconds_seen for row in ledger.register()}
    assert len(seen_s) == 2
    withdrawn_s, other_s = seen_s.pop(marked[0]), *seen_s.values()
    assert withdrawn_s < 0.5 * other_s


def test_a_visitor_is_not_enrolled_without_a_consent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Told
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("extensions").mkdir()
    Path("extensions/painted.py").write_text(EXTENSIONS)
    config = (
        "engine: painted\nplugins_folder: extensions\ngallery: g.pickle\nvisitors: {keep_days: 30}\n"
        "cameras: [{id: door, source: 'recording?fps=5'}]\n"
    )
    Path("config.yaml").write_text(config)
    record(Path("recording"), 1, 12, 25)
    photograph(Path("datasets/Ana/1.png"), 1)
    assert call("encode", "--workers", 1) == 0
    run(load_config(None), RunOptions(pace="fast"), stop=threading.Event())
    Path("config.yaml").write_text(config + "privacy: {require_consent: true}\n")
    call("person", "consent", "Ana", "--by", "x")
    assert call("visitors", "enrol", 1, "--name", "Bo", "--json") == 3
    assert "no consent of Bo is recorded; optimind person consent Bo --by NAME" in call.document["refused"]
    assert not Path("datasets/Bo").exists()
    call("person", "consent", "Bo", "--by", "x")
    call("visitors", "enrol", 1, "--name", "Bo", "--json")
    assert call.document["enrolled"]
