"""Unknown people from the recording to the register, with an engine that sees painted faces."""

from __future__ import annotations

import json
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import pytest
from painted_room import EXTENSIONS, photograph, record
from typer.testing import CliRunner, Result

from optimind.app.running import RunOptions, RunResult, run
from optimind.cli import main
from optimind.cli.visitors import app
from optimind.config import load_config
from optimind.engines import engine_for_enrolment
from optimind.errors import StorageError
from optimind.gallery import load_gallery
from optimind.gallery.encoder import encode_dataset
from optimind.gallery.quality import MIN_FACE_PX
from optimind.testing.engines import blank, paint_face

CONFIG = """
engine: painted
plugins_folder: extensions
gallery: g.pickle
timezone: Europe/Berlin
visitors: {{keep_days: {days}}}
cameras: [{{id: door, source: 'recording?fps=5'}}]
plugins: {{attendance: {{enabled: true}}, alarm: {{}}}}
"""
ANA, BO, CY = 1, 12, 25
"""The one who is enrolled, and two who are not."""


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recording of somebody enrolled and two strangers, the gallery, and settings that keep visitors."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "extensions").mkdir()
    (tmp_path / "extensions/painted.py").write_text(EXTENSIONS)
    (tmp_path / "config.yaml").write_text(CONFIG.format(days=30))
    record(tmp_path / "recording", ANA, BO, CY)
    photograph(tmp_path / "datasets/Ana/1.png", ANA)
    config = load_config(None)
    encode_dataset(tmp_path / "datasets", config.gallery, engine_for_enrolment(config, MIN_FACE_PX), 1)
    return tmp_path


def keep(room: Path, days: int) -> None:
    (room / "config.yaml").write_text(CONFIG.format(days=days))


def play() -> RunResult:
    return run(load_config(None), RunOptions(pace="fast"), stop=threading.Event())


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def listed(*arguments: object) -> list[dict[str, Any]]:
    done = call("list", "--json", *arguments)
    assert done.exit_code == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return sorted(found, key=lambda one: one["id"])


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_nobody_is_kept_unless_it_is_switched_on(room: Path) -> None:
    keep(room, 0)
    assert play().summary["visitors"] == {"on": False, "visits": 0, "distinct": 0, "dropped": 0}
    done = call("list")
    assert (done.exit_code, done.stdout) == (0, "no visitors\n")
    assert "keep_days is 0" in done.stderr
    assert not (room / "alarms.txt").exists()


def test_the_same_people_are_the_same_visitors_in_the_next_run(room: Path) -> None:
    for _ in range(2):
        result = play()
        assert result.summary["people"] == ["Ana"]
        assert result.summary["visitors"] == {"on": True, "visits": 2, "distinct": 2, "dropped": 0}
        assert "visitors" in result.summary["stages_ms"]
        assert result.attention == []
    visitors = listed()
    assert [visitor["id"] for visitor in visitors] == [1, 2]
    assert [visitor["cameras"] for visitor in visitors] == [["door"], ["door"]]
    assert {visitor["embedder"] for visitor in visitors} == {"fake-v1"}
    assert [visitor["face_px"] for visitor in visitors] == [80, 80]
    assert listed("--camera", "yard") == []
    assert len(listed("--camera", "door", "--days", "1")) == 2
    text = call("list").stdout
    assert "first seen" in text
    assert "door" in text


def test_a_plugin_hears_of_them_by_number_without_a_face(room: Path) -> None:
    play()
    play()
    lines = (room / "alarms.txt").read_text().splitlines()
    assert sorted(line.split()[:2] for line in lines) == [["1", "door"], ["1", "door"], ["2", "door"], ["2", "door"]]
    assert all("array" not in line and "vector" not in line and "picture" not in line for line in lines)


def test_a_picture_of_them_is_for_its_owner_only(room: Path) -> None:
    play()
    done = call("show", 1, "--output", "sheet.jpg")
    assert done.exit_code == 0, done.stderr
    assert "delete the file" in done.stderr
    sheet = cv2.imread("sheet.jpg")
    assert sheet is not None
    assert sheet.shape[1] == 4 * 240
    assert stat.S_IMODE((room / "sheet.jpg").stat().st_mode) == 0o600
    for output, words in (("none/x.jpg", "can be no picture"), ("x.doc", "can be no picture")):
        assert words in str(call("show", 1, "--output", output).exception)
    assert "no visitor 9" in str(call("show", 9, "--output", "x.jpg").exception)


def test_one_command_enrols_a_visitor(room: Path) -> None:
    play()
    done = call("enrol", 1, "--name", "Bo Lind", "--visits")
    assert done.exit_code == 0, done.output
    assert "Bo Lind (Bo_Lind) is enrolled with 4 photographs; visitor 1 is deleted" in done.stdout
    assert "knows them in a few seconds" in done.stdout
    assert "was here" in done.stdout
    photographs = list((room / "datasets/Bo_Lind").iterdir())
    assert len(photographs) == 4
    assert {stat.S_IMODE(path.stat().st_mode) for path in photographs} == {0o600}
    assert [sample.person_id for sample in load_gallery(room / "g.pickle").samples] == ["Ana", *["Bo_Lind"] * 4]
    assert [one["id"] for one in listed()] == [2]
    result = play()
    assert result.summary["people"] == ["Ana", "Bo_Lind"]
    assert [one["id"] for one in listed()] == [2]
    assert main(["attendance", "--format", "json", "--output", "register.json"]) == 0
    assert {row["name"] for row in json.loads((room / "register.json").read_text())} == {"Ana", "Bo Lind"}


def test_an_enrolment_as_a_document(room: Path) -> None:
    play()
    done = call("enrol", 1, "--person", "0815_Bo", "--json")
    document = json.loads(done.stdout)
    assert (document["enrolled"], document["person_id"], document["name"]) == (True, "0815_Bo", "Bo")
    assert (document["new_person"], document["refused"], document["rejected"]) == (True, "", [])
    assert len(document["photographs"]) == 4
    assert len(document["visits"]) == 1


def small_pictures(database: Path) -> None:
    """As if the camera had been too far away."""
    picture = blank(40, 40)
    paint_face(picture, BO, 10, 10, 20)
    data = cv2.imencode(".png", picture)[1].tobytes()
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE visitor_shots SET picture = ? WHERE visitor_id = 1", (data,))
    connection.close()


def two_faces(database: Path) -> None:
    photograph(Path("two.png"), BO, CY)
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE visitor_shots SET picture = ? WHERE visitor_id = 1", (Path("two.png").read_bytes(),))
    connection.close()


def no_picture(database: Path) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE visitor_shots SET picture = ? WHERE visitor_id = 1", (b"\xff\xd8 cut off",))
    connection.close()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [(small_pictures, "too_small"), (two_faces, "several_faces"), (no_picture, "unreadable")],
)
def test_who_cannot_be_enrolled_leaves_nothing_behind(room: Path, spoil: Callable[[Path], None], reason: str) -> None:
    play()
    spoil(room / "data/optimind.db")
    before, gallery = everything(room / "datasets"), (room / "g.pickle").read_bytes()
    done = call("enrol", 1, "--name", "Bo Lind")
    assert done.exit_code == 3
    assert "was not enrolled; nothing was changed" in done.stdout
    assert reason in done.stdout
    assert everything(room / "datasets") == before
    assert (room / "g.pickle").read_bytes() == gallery
    assert [one["id"] for one in listed()] == [1, 2]


def test_pictures_are_added_to_somebody_only_if_they_look_like_it(room: Path) -> None:
    play()
    before = everything(room / "datasets")
    done = call("enrol", 1, "--person", "Ana")
    assert done.exit_code == 3
    assert "does not look like Ana (Ana)" in done.stdout
    assert everything(room / "datasets") == before
    assert len(listed()) == 2
    assert call("enrol", 1, "--name", "Bo").exit_code == 0
    # The other one was enrolled by a photograph in the meantime.
    photograph(room / "datasets/Cy/1.png", CY)
    config = load_config(None)
    encode_dataset(room / "datasets", config.gallery, engine_for_enrolment(config, MIN_FACE_PX), 1)
    refused = call("enrol", 2, "--name", "Somebody else")
    assert refused.exit_code == 3
    assert "looks like Cy (Cy), who is enrolled" in refused.stdout
    done = call("enrol", 2, "--name", "cy")
    assert done.exit_code == 0, done.output
    assert "Cy (Cy) has 4 photographs more; visitor 2 is deleted" in done.stdout


def test_whoever_insists_may_do_it(room: Path) -> None:
    play()
    done = call("enrol", 1, "--person", "Ana", "--force", "--json")
    assert json.loads(done.stdout)["enrolled"]
    assert len(list((room / "datasets/Ana").iterdir())) == 5


def test_a_person_whose_photographs_are_not_in_the_gallery_cannot_be_compared(room: Path) -> None:
    play()
    photograph(room / "datasets/Dana/1.png", 40)
    done = call("enrol", 1, "--name", "Dana")
    assert (done.exit_code, "run encode first" in done.stdout) == (3, True)


def test_what_else_changes_with_an_enrolment_is_said(room: Path) -> None:
    photograph(room / "datasets/Ana/2.png", ANA, size_px=90)
    config = load_config(None)
    encode_dataset(room / "datasets", config.gallery, engine_for_enrolment(config, MIN_FACE_PX), 1)
    play()
    (room / "datasets/Ana/2.png").unlink()
    photograph(room / "datasets/Dana/1.png", 40)
    photograph(room / "datasets/Dana/2.png")
    done = call("enrol", 1, "--name", "Bo", "--json")
    assert json.loads(done.stdout)["others"] == {"enrolled": 1, "rejected": 1, "removed": 1}
    # What was not used before either is nothing new.
    photograph(room / "datasets/Eva/1.png", 33)
    done = call("enrol", 2, "--name", "Cy")
    assert "1 are new in the gallery, 0 are no longer in it, and 0 could not be used\n" in done.stdout
    assert "encode says why" not in done.stdout


def test_where_nothing_else_changes_nothing_is_said(room: Path) -> None:
    play()
    assert "of the other photographs" not in call("enrol", 1, "--name", "Bo").stdout
    assert json.loads(call("enrol", 2, "--person", "Ana", "--json").stdout)["others"] is None


def test_that_nothing_was_changed_is_said_only_where_it_is_so(room: Path) -> None:
    play()
    # The same pictures are photographs of somebody else: the encoder takes neither.
    with sqlite3.connect(room / "data/optimind.db") as connection:
        pictures = connection.execute("SELECT picture FROM visitor_shots WHERE visitor_id = 1").fetchall()
    connection.close()
    (room / "datasets/Dana").mkdir()
    for number, (picture,) in enumerate(pictures):
        (room / f"datasets/Dana/{number}.jpg").write_bytes(picture)
    done = call("enrol", 1, "--name", "Bo")
    assert done.exit_code == 3
    assert "visitor 1 was not enrolled; no photograph of theirs was added" in done.stdout
    assert "nothing was changed" not in done.stdout
    assert "could not be used; encode says why" in done.stdout
    assert not (room / "datasets/Bo").exists()
    assert [one["id"] for one in listed()] == [1, 2]


def test_it_shows_how_far_the_encoder_is(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play()
    shown: list[tuple[int, int]] = []

    @contextmanager
    def progress() -> Iterator[Callable[[int, int], None]]:
        yield lambda done, total: shown.append((done, total))

    monkeypatch.setattr("optimind.cli.visitors.photograph_progress", progress)
    assert call("enrol", 1, "--name", "Bo").exit_code == 0
    assert shown[-1] == (5, 5)


def test_a_wrong_folder_of_photographs_empties_no_gallery(room: Path) -> None:
    play()
    done = call("enrol", 1, "--name", "Bo", "--dataset", "elsewhere")
    assert "without a photograph in elsewhere" in str(done.exception)
    assert not (room / "elsewhere").exists()
    assert len(load_gallery(room / "g.pickle").samples) == 1


def test_an_encoder_that_fails_leaves_nothing_behind(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play()
    before = everything(room / "datasets")

    def fail(*_: object) -> None:
        raise OSError("no")

    monkeypatch.setattr("optimind.gallery.encoder.save_gallery", fail)
    assert call("enrol", 1, "--name", "Bo").exit_code == 1
    assert everything(room / "datasets") == before
    assert len(listed()) == 2


@pytest.mark.parametrize(
    "arguments", [("enrol", 1), ("enrol", 1, "--name", "a", "--person", "b"), ("forget",), ("forget", 1, "--all")]
)
def test_wrong_usage(room: Path, arguments: tuple[object, ...]) -> None:
    play()
    assert main(["visitors", *map(str, arguments)]) == 2


def test_no_database_is_made_by_looking(room: Path) -> None:
    assert main(["visitors", "list"]) == 2
    assert not (room / "data").exists()


def test_forgetting(room: Path) -> None:
    play()
    assert "no visitor 9" in str(call("forget", 1, 9).exception)
    assert len(listed()) == 2
    assert call("forget", 1).stdout == "deleted: 1 visitor, with 1 tracks and 4 pictures\n"
    assert json.loads(call("forget", "--all", "--json").stdout) == {"visitors": 1, "tracks": 1, "pictures": 4}
    assert listed() == []


def test_two_visitors_are_made_one(room: Path) -> None:
    play()
    assert "visitor 2 is visitor 1 now: 1 visit, 8 pictures" in call("merge", 1, 2).stdout
    assert [one["id"] for one in listed()] == [1]
    assert json.loads(call("list", "--json").stdout)[0]["pictures"] == 8
    assert "no visitor 2" in str(call("merge", 1, 2, "--json").exception)


def age(database: Path, *tables: str, visitors: tuple[int, ...] = (1, 2)) -> None:
    """As if these had been kept long ago."""
    with sqlite3.connect(database) as connection:
        for table in tables or ("visitors", "visits", "visitor_shots"):
            long_ago = f"UPDATE {table} SET kept_at = '2020-01-01 00:00:00.000000' WHERE visitor_id = ?"  # noqa: S608
            connection.executemany(long_ago, [(visitor,) for visitor in visitors])
    connection.close()


def test_old_visitors_go_with_any_command_and_any_run(room: Path) -> None:
    play()
    age(room / "data/optimind.db", visitors=(1,))
    assert [one["id"] for one in listed()] == [2]
    play()
    age(room / "data/optimind.db", visitors=(2, 3))
    (room / "recording/0.png").replace(room / "0.png")
    for picture in (room / "recording").iterdir():
        picture.unlink()
    (room / "0.png").replace(room / "recording/0.png")
    play()
    assert listed() == []


def test_a_visitor_without_a_picture_left_cannot_be_shown(room: Path) -> None:
    play()
    age(room / "data/optimind.db", "visitor_shots", visitors=(1,))
    assert [(one["id"], one["pictures"]) for one in listed()] == [(1, 0), (2, 4)]
    assert "no picture any more" in str(call("show", 1, "--output", "x.jpg").exception)


def test_switching_it_off_deletes_everybody(room: Path) -> None:
    play()
    keep(room, 0)
    assert len(listed()) == 2
    play()
    assert listed() == []


def test_who_was_enrolled_by_photographs_is_a_visitor_no_longer(room: Path) -> None:
    play()
    photograph(room / "datasets/Bo/1.png", BO)
    config = load_config(None)
    encode_dataset(room / "datasets", config.gallery, engine_for_enrolment(config, MIN_FACE_PX), 1)
    result = play()
    assert result.summary["people"] == ["Ana", "Bo"]
    assert len(listed()) == 1


def test_a_database_that_is_locked_all_the_time_costs_no_mark(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("optimind.app.visitors.PATIENCE_S", 0.05)
    keep_as_usual = "optimind.storage.visitors.VisitorStore.keep"

    def locked(*_: object) -> None:
        raise StorageError("the ledger cannot be written: another program kept it locked")

    with monkeypatch.context() as patched:
        patched.setattr(keep_as_usual, locked)
        result = play()
    assert result.unsaved == []
    assert result.summary["people"] == ["Ana"]
    assert result.summary["visitors"] == {"on": True, "visits": 0, "distinct": 0, "dropped": 2}
    (sentence,) = result.attention
    assert sentence.startswith("visitors: 2 visits of unknown people could not be kept")
    assert "kept it locked" in sentence
