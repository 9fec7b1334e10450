"""Keys, encryption, decryption, a change of keys and sweeping, as a user calls them."""

from __future__ import annotations

import json
import sqlite3
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ledger_marks import make_mark
from school_person import ANNA, BO, NAMES, School, make_school, picture, vector
from typer.testing import CliRunner, Result

from optimind.app.privacy import Sweeper
from optimind.cli import main
from optimind.cli.privacy import app
from optimind.config import load_config
from optimind.errors import ConfigError, SealRefused
from optimind.gallery import load_gallery
from optimind.gallery.journal import journal_of
from optimind.storage import VisitorStore

CONFIG = "gallery: g.pickle\nprivacy:\n  keep_shots_days: 14\n"
PLAIN_PIECES = (vector(ANNA).tobytes()[:16], picture("shot of 7")[:64], picture("a stranger0")[:64])


@pytest.fixture
def school(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> School:
    monkeypatch.chdir(tmp_path)
    settings()
    return make_school(tmp_path)


def settings(extra: str = "") -> None:
    Path("config.yaml").write_text(CONFIG + extra)


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def stores(school: School) -> bytes:
    return school.places.gallery.read_bytes() + b"".join(
        path.read_bytes() for path in sorted((school.folder / "data").iterdir())
    )


def readable(school: School) -> None:
    """Everything can be read with the settings as they are."""
    config = load_config(None)
    assert len(load_gallery(school.places.gallery, config.privacy.sealer()).samples) == 4
    with VisitorStore(school.url, sealer=config.privacy.sealer()) as store:
        shots = store.shots(2)
        assert {shot.picture for shot in shots} == {picture("a stranger0"), picture("a stranger1")}
        assert len(store.vectors("test-embedder")) == 2
    with school.ledger() as ledger:
        (shot,) = ledger.personal.rows(BO)["shots"]
    from optimind.sealing import Purpose  # noqa: PLC0415 - only here

    assert config.privacy.sealer().open(shot["picture"], Purpose.SHOT, "it") == picture("shot of 7")


def test_a_key_is_made_for_its_owner_and_never_written_over(school: School, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["privacy", "key", "new", "--output", "k"]) == 0
    assert stat.S_IMODE(Path("k").stat().st_mode) == 0o600
    text = Path("k").read_text()
    assert text.startswith("optimind-key-1:")
    assert text.strip() not in capsys.readouterr().out
    assert main(["privacy", "key", "new", "--output", "k"]) == 2
    assert "no key is ever written over" in capsys.readouterr().err
    assert Path("k").read_text() == text
    assert main(["privacy", "key", "new", "--output", "none/k"]) == 1
    assert main(["privacy", "encrypt"]) == 2
    assert "no key is set in privacy: key:" in capsys.readouterr().err


def test_encrypt_change_the_key_and_decrypt(school: School) -> None:
    before = school.places.gallery.read_bytes()
    assert all(piece in stores(school) for piece in PLAIN_PIECES)
    for name in ("k1", "k2"):
        call("key", "new", "--output", name)
    settings("  key: {file: k1}\n")
    journal_of(school.places.gallery).write_bytes(b"templates of an interrupted encode")
    readable(school)  # a key that is set reads what is still plain
    done = call("encrypt", "--json")
    assert json.loads(done.stdout) == {"gallery": 1, "visitor_shots": 8, "shots": 2}
    assert not journal_of(school.places.gallery).exists()
    assert [piece for piece in PLAIN_PIECES if piece in stores(school)] == []
    assert NAMES[BO].encode() not in school.places.gallery.read_bytes()
    readable(school)
    assert call("encrypt").stdout == "encrypted: everything was already\n"
    settings("  key: {file: k2}\n")
    with pytest.raises(SealRefused, match="is encrypted with the key"):
        readable(school)
    settings("  key: {file: k1}\n")
    assert call("encrypt", "--new-key", "k2").exit_code == 0
    with pytest.raises(SealRefused):
        readable(school)
    settings("  key: {file: k2}\n")
    readable(school)
    assert call("decrypt").exit_code == 0
    settings()
    readable(school)
    assert school.places.gallery.read_bytes() == before
    assert all(piece in stores(school) for piece in PLAIN_PIECES)


def test_the_plain_file_is_written_over_but_not_a_copy_of_somebodys(school: School) -> None:
    call("key", "new", "--output", "k")
    settings("  key: {file: k}\n")
    before = school.places.gallery.read_bytes()
    Path("copy.pickle").hardlink_to(school.places.gallery)
    with school.places.gallery.open("rb") as old:
        assert call("encrypt").exit_code == 0
        assert old.read() == before
    Path("copy.pickle").rename(school.places.gallery)
    with school.places.gallery.open("rb") as old:
        assert call("encrypt").exit_code == 0
        assert old.read() == bytes(len(before))


def test_a_conversion_that_was_cut_off_is_completed(school: School, monkeypatch: pytest.MonkeyPatch) -> None:
    call("key", "new", "--output", "k1")
    call("key", "new", "--output", "k2")
    settings("  key: {file: k1}\n")
    call("encrypt")
    monkeypatch.setattr("optimind.storage.resealing._AT_ONCE", 1)
    broken = monkeypatch.context()
    with broken as patch:
        calls: list[int] = []

        def is_current(self: object, data: bytes) -> bool:
            calls.append(1)
            if len(calls) > 3:
                raise KeyboardInterrupt
            return False

        patch.setattr("optimind.sealing.Sealer.is_current", is_current)
        assert call("encrypt", "--new-key", "k2").exit_code != 0
    with pytest.raises(SealRefused) as caught:
        readable(school)
    assert "privacy encrypt --new-key FILE again" in caught.value.mend
    assert call("encrypt", "--new-key", "k2").exit_code == 0
    settings("  key: {file: k2}\n")
    readable(school)


@pytest.mark.parametrize(
    ("key", "content", "told"),
    [
        ("{file: none}", None, "privacy.key: the secret's file"),
        ("{env: OPTIMIND_NO_KEY}", None, "privacy.key: the environment variable OPTIMIND_NO_KEY is not set"),
        ("{file: k}", "hello", "holds no key of OptiMind"),
    ],
)
def test_a_key_that_is_none_is_said(school: School, key: str, content: str | None, told: str) -> None:
    settings(f"  key: {key}\n")
    if content is not None:
        Path("k").write_text(content)
    with pytest.raises(ConfigError, match=r"privacy\.key") as caught:
        load_config(None).privacy.sealer()
    assert told in caught.value.message
    assert caught.value.mend
    assert content is None or content not in str(caught.value)


def test_a_key_from_the_environment(school: School, monkeypatch: pytest.MonkeyPatch) -> None:
    call("key", "new", "--output", "k")
    monkeypatch.setenv("OPTIMIND_KEY", Path("k").read_text())
    settings("  key: {env: OPTIMIND_KEY}\n")
    assert call("encrypt").exit_code == 0
    readable(school)
    assert Path("k").read_text().strip() not in load_config(None).shown()


def test_an_encrypted_gallery_is_named_by_every_command(school: School, capsys: pytest.CaptureFixture[str]) -> None:
    call("key", "new", "--output", "k")
    settings("  key: {file: k}\n")
    call("encrypt")
    settings()
    Path("clip").mkdir()
    for arguments in (
        ["encode", "--dataset", "datasets"],
        ["encode", "--import", "g.pickle", "--output", "other.pickle"],
        ["person", "list"],
        ["person", "forget", ANNA, "--yes"],
        ["person", "export", ANNA, "--output", "out"],
        ["run", "--source", "clip"],
    ):
        assert main(arguments) == 1, arguments
        told = capsys.readouterr().err
        assert "g.pickle is encrypted with the key" in told
        assert "privacy: key:" in told
    with school.ledger() as ledger:
        assert ledger.personal.counts(ANNA)["records"] == 2


def test_sweep_says_how_much_went_and_of_nobody(school: School, capsys: pytest.CaptureFixture[str]) -> None:
    settings("  keep_records_days: 3650\n")
    connection = sqlite3.connect(school.folder / "data" / "optimind.db")
    with connection:
        connection.execute("UPDATE shots SET kept_at = '2020-01-01 00:00:00.000000'")
        connection.execute("UPDATE records SET date = '2000-01-01' WHERE person_id = '7'")
        connection.execute("UPDATE outbox SET delivered_version = version")
    connection.close()
    assert main(["privacy", "sweep"]) == 0
    told = capsys.readouterr()
    assert "1 records" in told.out
    assert "2 shots" in told.out
    assert NAMES[BO] not in told.out + told.err
    assert main(["privacy", "sweep", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {}


def test_the_sweeper_of_a_run_looks_once_an_hour(school: School) -> None:
    now = [datetime.now(UTC)]
    with school.ledger() as ledger:
        sweeper = Sweeper(load_config(None), ledger, lambda: now[0])
        sweeper.tick()
        assert "shots" in ledger.personal.counts(BO)
        now[0] += timedelta(days=15)
        sweeper.tick()
        assert "shots" not in ledger.personal.counts(BO)
        ledger.record(make_mark("88"))
        from school_person import add_shot  # noqa: PLC0415 - only here

        from optimind.sealing import PLAIN  # noqa: PLC0415 - only here

        (row,) = [row for row in ledger.register() if row.person_id == "88"]
        with ledger._database.writing() as session:
            add_shot(session, row.record_id, b"JPEG", PLAIN)
        now[0] += timedelta(minutes=59)
        sweeper.tick()
        assert "shots" in ledger.personal.counts("88")
        now[0] += timedelta(minutes=1)
        sweeper.tick()
        assert "shots" not in ledger.personal.counts("88")
