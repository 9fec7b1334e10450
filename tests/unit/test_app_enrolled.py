"""Who is enrolled may change while a run goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from school_person import ANNA, BO, NAMES, NAMESAKE, School, make_school

from optimind.app.enrolled import GalleryWatch
from optimind.config import load_config
from optimind.core.identification import IdentificationLimits, Identifier
from optimind.errors import GalleryMissing
from optimind.gallery import GalleryFile, load_gallery, save_gallery, to_core
from optimind.gallery.removing import remove_from_gallery
from optimind.sealing import PLAIN
from optimind.storage import NewConsent

LIMITS = IdentificationLimits(max_distance=0.5, fpir=0.01, min_margin=0.03, min_samples=3)


def prepare(gallery: GalleryFile) -> Identifier:
    return Identifier(to_core(gallery), LIMITS)


@pytest.fixture
def school(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> School:
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text("gallery: g.pickle\n")
    return make_school(tmp_path, sinks=())


def watch_of(school: School, **changes: float) -> GalleryWatch:
    return GalleryWatch(load_config(None), school.places.gallery, school.url, **changes)


def known(identifier: Identifier | None) -> set[str]:
    return set() if identifier is None else {each for each in NAMES if identifier.name_of(each) is not None}


def take_out(school: School, *people: str) -> None:
    remove_from_gallery(school.places.gallery, PLAIN, lambda one: one in people)


def test_nothing_is_handed_over_until_somebody_goes(school: School) -> None:
    watch = watch_of(school)
    watch.look(prepare)
    assert watch.take() is None
    take_out(school, ANNA)
    watch.look(prepare)
    assert known(watch.take()) == {NAMESAKE, BO}
    assert watch.take() is None


def test_it_looks_by_itself(school: School) -> None:
    watch = watch_of(school, every_s=0.02)
    with watch.watching(prepare):
        take_out(school, ANNA)
        deadline = time.monotonic() + 20
        while (found := watch.take()) is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert known(found) == {NAMESAKE, BO}


def test_a_consent_that_is_withdrawn_or_given_counts_at_once(school: School) -> None:
    Path("config.yaml").write_text("gallery: g.pickle\nprivacy: {require_consent: true}\n")
    on = load_config(None)
    with school.ledger() as ledger:
        ledger.consents.withdraw(ANNA, actor="t")
        given = [
            NewConsent(person_id=each, given_on=date(2026, 9, 1), given_by="x", note="") for each in (NAMESAKE, BO)
        ]
        ledger.consents.give(given, actor="t")
        watch = GalleryWatch(on, school.places.gallery, school.url)
        ledger.consents.withdraw(BO, actor="t")
        watch.look(prepare)
        assert known(watch.take()) == {NAMESAKE}
        ledger.consents.give(given[1:], actor="t")
        watch.look(prepare)
        assert known(watch.take()) == {NAMESAKE, BO}


def test_where_nobody_is_left_the_run_ends(school: School) -> None:
    watch = watch_of(school)
    take_out(school, *NAMES)
    watch.look(prepare)
    with pytest.raises(GalleryMissing, match="nobody is enrolled"):
        watch.take()


def garbage(school: School) -> None:
    school.places.gallery.write_bytes(b"no gallery")


def of_another_engine(school: School) -> None:
    save_gallery(school.places.gallery, replace(load_gallery(school.places.gallery), embedder="another"))


def gone(school: School) -> None:
    school.places.gallery.unlink()


@pytest.mark.parametrize(
    ("do", "said"), [(garbage, "cannot be used"), (of_another_engine, "start it again"), (gone, "")]
)
def test_what_cannot_be_used_is_said_once_and_those_known_stay(
    school: School, caplog: pytest.LogCaptureFixture, do: Callable[[School], None], said: str
) -> None:
    watch = watch_of(school)
    do(school)
    for _ in range(3):
        watch.look(prepare)
    assert watch.take() is None
    assert len(caplog.records) == bool(said)
    assert said in caplog.text
