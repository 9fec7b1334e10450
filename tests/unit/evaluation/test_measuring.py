"""From folders of painted people to figures: who is enrolled, who is a stranger, and what is refused."""

from __future__ import annotations

import json
import shutil
import stat
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from optimind.core.calibration import Calibration
from optimind.core.identification import IdentificationLimits, Identifier
from optimind.core.types import Detections, Gallery, Image
from optimind.errors import DatasetError, EngineError, Interrupted, OptiMindError, UsageError
from optimind.evaluation import Evaluation, Folders, Rule, evaluate
from optimind.plugin_api import Detector, Embedder
from optimind.testing.engines import FakeDetector, FakeEmbedder, FakeEngineFactory, blank, paint_face

LIMITS = IdentificationLimits(fpir=0.01, max_distance=0.5, min_margin=0.0, min_samples=1)


def identifier(gallery: Gallery, calibration: Calibration | None) -> Identifier:
    return Identifier(gallery, LIMITS, calibration)


RULE = Rule(identifier, 0.01)


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go, to see what is left there."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def painted(tmp_path: Path) -> Path:
    """Four people with five photographs each in ``in``, three others with three in ``out``."""
    paint(tmp_path / "in", range(4), 5)
    paint(tmp_path / "out", range(10, 13), 3)
    return tmp_path


def paint(folder: Path, people: Iterable[int], photographs: int) -> None:
    for person in people:
        (folder / f"p{person}").mkdir(parents=True)
        for number in range(photographs):
            # No two pictures show the same, or they would be duplicates.
            picture = blank(130 + number, 120)
            paint_face(picture, person, 20, 20, 80)
            assert cv2.imwrite(str(folder / f"p{person}/{number}.png"), picture)


def measure(folder: Path, *, impostors: bool = True, enrol: int = 3, probes: int = 2, rule: Rule = RULE) -> Evaluation:
    folders = Folders(folder / "in", folder / "out" if impostors else None)
    return evaluate(folders, FakeEngineFactory(), rule, enrol=enrol, probes=probes, workers=1)


def kinds(outcome: Evaluation) -> list[str]:
    return [concern.kind for concern in outcome.concerns]


def test_figures_and_document(painted: Path) -> None:
    document = json.loads(json.dumps(measure(painted).as_json(), allow_nan=False))
    assert (document["n"], document["students"], document["strangers"]) == (4, 4, 3)
    assert (document["mated"], document["non_mated"]) == (400, 300)
    assert document["rank1"] == 1
    assert document["fnir"] == {"0.01": 0, "0.001": 0}
    assert set(document["threshold"]) == {"0.01", "0.001", "configured"}
    # Painted strangers are 1.41 apart, and none of them may be accepted.
    assert 1.4 < document["threshold"]["0.001"] <= document["threshold"]["0.01"] < 2**0.5
    assert document["threshold"]["configured"] == 0.5
    assert document["embedder"] == "fake-v1"
    assert document["engine"] == "fake"
    assert document["configured"] == {
        "wanted_fpir": None,
        "fpir": 0,
        "fpir_interval": [0, pytest.approx(0.561, abs=1e-3)],
        "strangers_not_sure": 0,
        "fnir": 0,
        "fnir_interval": [0, pytest.approx(0.490, abs=1e-3)],
        "not_sure": 0,
        "misnamed": 0,
    }
    assert not document["leave_one_out"]
    assert document["left_out"] == {"dataset": {}, "impostors": {}}
    assert document["finest_fpir"] == 1
    assert [point["fpir"] for point in document["det"]] == [0, 1]
    assert [warning["kind"] for warning in document["warnings"]] == ["no_calibration", "few_strangers", "few_students"]


def test_the_same_photographs_give_the_same_figures(painted: Path) -> None:
    first, second = measure(painted).as_json(), measure(painted).as_json()
    del first["seconds"], second["seconds"]
    assert first == second


def test_a_stranger_who_looks_like_a_student_is_named(painted: Path) -> None:
    paint(painted / "out", [3], 3)
    (painted / "out/p3").rename(painted / "out/double")
    for path in (painted / "out/double").iterdir():  # other pictures of the same face
        picture = blank(200, 150 + int(path.stem))
        paint_face(picture, 3, 60, 40, 80)
        cv2.imwrite(str(path), picture)
    outcome = measure(painted)
    assert outcome.configured.fpir.share == 0.25
    assert outcome.named == (("double", "p3", 1.0),)
    assert outcome.rank1.share == 1


@pytest.mark.parametrize("how", ["by id", "by photograph"])
def test_who_is_in_both_folders_is_no_stranger(painted: Path, how: str) -> None:
    if how == "by id":
        paint(painted / "out", [2], 3)
        id_outside = "p2"
    else:
        id_outside = "other name"
        paint(painted / "out", [40], 3)
        (painted / "out/p40").rename(painted / "out" / id_outside)
        shutil.copy(painted / "in/p2/4.png", painted / "out" / id_outside / "copy.png")
    outcome = measure(painted)
    assert outcome.photographs.both == (id_outside,)
    assert outcome.strangers == 3
    assert outcome.configured.fpir.share == 0
    assert "in_both" in kinds(outcome)
    assert outcome.as_json()["in_both"] == [id_outside]


def test_probes_of_fewer_photographs_are_told(painted: Path) -> None:
    outcome = measure(painted, probes=3)
    assert (outcome.trials.mated_samples, outcome.trials.non_mated_samples) == (2, 3)
    (told,) = [concern for concern in outcome.concerns if concern.kind == "short_probes"]
    assert "some probes have 2 of 3 photographs only" in told.detail
    assert "--probes 2" in told.mend


def test_where_nobody_is_left_outside_enrolled_people_are_left_out_in_turn(painted: Path) -> None:
    shutil.rmtree(painted / "out")
    shutil.copytree(painted / "in", painted / "out")
    outcome = measure(painted)
    assert outcome.plan.leave_one_out
    assert (outcome.strangers, len(outcome.photographs.both)) == (4, 4)
    assert kinds(outcome)[1:3] == ["no_impostor", "in_both"]


def test_people_with_too_few_photographs_are_strangers(painted: Path) -> None:
    paint(painted / "in", range(20, 23), 3)
    outcome = measure(painted, impostors=False)
    assert (outcome.people, outcome.too_few) == (4, 3)
    assert outcome.plan.leave_one_out
    assert outcome.strangers == 7
    paint(painted / "in", [*range(5, 10), *range(13, 20), *range(23, 38)], 2)
    outcome = measure(painted, impostors=False)
    assert not outcome.plan.leave_one_out
    assert (outcome.people, outcome.strangers, outcome.too_few) == (4, 30, 30)
    assert "few_strangers" not in kinds(outcome)


def test_what_cannot_be_enrolled_is_left_out_and_counted(painted: Path) -> None:
    cv2.imwrite(str(painted / "in/p0/empty.png"), blank())
    (painted / "in/p1/broken.jpg").write_bytes(b"no picture")
    cv2.imwrite(str(painted / "out/p10/empty.png"), blank())
    outcome = measure(painted)
    assert outcome.as_json()["left_out"] == {"dataset": {"no_face": 1, "unreadable": 1}, "impostors": {"no_face": 1}}
    (told,) = [concern for concern in outcome.concerns if concern.kind == "left_out"]
    assert told.detail == "2 photographs of --dataset were left out, as `encode` would: " + ", ".join(
        f"{number} {reason}" for reason, number in outcome.photographs.left_out.items()
    )
    (painted / "in/p1/broken.jpg").unlink()
    assert "1 photograph of --dataset was left out" in str(measure(painted).concerns)


class TurningDetector(FakeDetector):
    """Sees a face in an upright picture as turned away."""

    def detect(self, image: Image) -> Detections:
        found = super().detect(image)
        return replace(found, frontality=np.full(len(found), 0.2 if image.shape[0] > image.shape[1] else 1.0))


class Turning(FakeEngineFactory):
    def __call__(self) -> tuple[Detector, Embedder]:
        return TurningDetector.create(40), FakeEmbedder()


def turned_away(folder: Path, person: int, photographs: int, *, looks_like: int) -> None:
    (folder / f"p{person}").mkdir(parents=True, exist_ok=True)
    for number in range(photographs):
        picture = blank(130 + number, 200)
        paint_face(picture, looks_like, 20, 20, 80)
        assert cv2.imwrite(str(folder / f"p{person}/turned{number}.png"), picture)


def test_what_is_held_in_reserve_is_tried_and_not_enrolled(painted: Path) -> None:
    # Who looks like nobody when turned away is missed then; if it were enrolled, it would be found.
    turned_away(painted / "in", 3, 5, looks_like=30)
    turned_away(painted / "out", 10, 3, looks_like=0)
    # Who has nothing better is enrolled with it, as `encode` does.
    turned_away(painted / "in", 40, 4, looks_like=40)
    # Three that can be enrolled and one more to try: a student.
    paint(painted / "in", [41], 3)
    turned_away(painted / "in", 41, 1, looks_like=41)
    folders = Folders(painted / "in", painted / "out")
    outcome = evaluate(folders, Turning(), RULE, probes=1, workers=1)
    document = outcome.as_json()
    assert (outcome.people, outcome.too_few) == (6, 0)
    assert document["held_in_reserve"] == {"dataset": 6, "impostors": 3}
    assert [person for person, _ in outcome.often_missed] == ["p3"]
    # Of seven photographs that are left to try two look like the person.
    assert outcome.often_missed[0][1] == pytest.approx(5 / 7, abs=0.15)
    ((stranger, student, share),) = outcome.named
    assert (stranger, student) == ("p10", "p0")
    assert share == pytest.approx(3 / 6, abs=0.15)


def test_what_is_in_reserve_of_a_stranger_with_a_students_id_is_not_the_students(painted: Path) -> None:
    paint(painted / "out", [2], 1)
    turned_away(painted / "out", 2, 3, looks_like=30)
    outcome = evaluate(Folders(painted / "in", painted / "out"), Turning(), RULE, probes=1, workers=1)
    assert outcome.photographs.both == ("p2",)
    assert outcome.as_json()["held_in_reserve"] == {"dataset": 0, "impostors": 0}
    assert outcome.often_missed == ()


def test_who_is_not_tried_is_counted(painted: Path) -> None:
    shutil.rmtree(painted / "in")
    paint(painted / "in", range(20), 3)
    paint(painted / "in", [20, 21, 22], 2)
    outcome = measure(painted, enrol=1)
    assert (outcome.people, outcome.students) == (23, 20)
    assert outcome.as_json()["not_tried"] == {"students": 3, "strangers": 0}


def test_an_engine_without_a_calibration_is_told(painted: Path) -> None:
    told = measure(painted).concerns[0]
    assert told.kind == "no_calibration"
    assert "fake-v1" in told.detail
    assert "optimind models calibrate --faces DIR" in told.mend


def test_a_damaged_calibration_is_found_before_the_long_work(painted: Path) -> None:
    class Damaged(FakeEmbedder):
        def calibration(self) -> Calibration:
            raise EngineError("the calibration cannot be read", mend="make it again")

    class Factory(FakeEngineFactory):
        def __call__(self) -> tuple[Detector, Embedder]:
            return FakeDetector.create(40), Damaged()

    seen: list[int] = []
    with pytest.raises(EngineError, match="the calibration cannot be read"):
        evaluate(Folders(painted / "in"), Factory(), RULE, workers=1, progress=lambda done, _all: seen.append(done))
    assert seen == []


def test_strangers_who_are_named_more_often_than_wanted(painted: Path) -> None:
    rng = np.random.default_rng(0)
    calibration = Calibration(rng.normal(size=(40, 50)), np.array([1e-4, 1e-2]), np.array([50.0, 60.0]), 1.41)

    class Calibrated(FakeEmbedder):
        def calibration(self) -> Calibration:
            return calibration

    class Factory(FakeEngineFactory):
        def __call__(self) -> tuple[Detector, Embedder]:
            return FakeDetector.create(40), Calibrated()

    folders = Folders(painted / "in", painted / "out")
    outcome = evaluate(folders, Factory(), RULE, probes=2, workers=1)
    assert (outcome.configured.wanted, outcome.configured.fpir.share) == (0.01, 1)
    assert kinds(outcome)[0] == "more_named_than_wanted"
    assert outcome.configured.threshold == calibration.limit_for(0.01, 4)


@pytest.mark.parametrize(
    ("enrol", "says"),
    [(5, "--enrol 4 would do"), (9, "--enrol 4 would do"), (3, "--enrol 2 would do")],
)
def test_too_few_photographs(painted: Path, enrol: int, says: str) -> None:
    if enrol == 3:
        for person in range(1, 4):
            for number in (3, 4):
                (painted / f"in/p{person}/{number}.png").unlink()
    with pytest.raises(UsageError, match=r"two people with \d+ usable photographs each are needed") as error:
        measure(painted, enrol=enrol)
    assert says in error.value.mend
    assert f"has {'one' if enrol == 3 else 'none'}" in error.value.message


def test_one_photograph_each(tmp_path: Path) -> None:
    paint(tmp_path / "in", range(3), 1)
    with pytest.raises(UsageError, match="in has none") as error:
        measure(tmp_path, impostors=False, enrol=1)
    assert error.value.mend == "add photographs of different days"


def test_nobody_can_be_used(tmp_path: Path) -> None:
    for file in ("a/1.png", "a/2.png", "b/1.png", "b/2.png"):
        (tmp_path / "in" / file).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / "in" / file), blank())
    with pytest.raises(UsageError, match=r"has none \(4 photographs cannot be enrolled"):
        measure(tmp_path, impostors=False, enrol=1)
    for file in ("a/1.png", "a/2.png", "b/2.png"):
        picture = blank(130, 120 + len(file) + ord(file[0]))
        paint_face(picture, ord(file[0]) % 50, 20, 20 + int(file[2]), 80)
        cv2.imwrite(str(tmp_path / "in" / file), picture)
    with pytest.raises(UsageError, match=r"has one \(1 photograph cannot be enrolled"):
        measure(tmp_path, impostors=False, enrol=1)


@pytest.mark.parametrize(
    ("dataset", "impostors", "says"),
    [
        ("in", "in", "are the same folder"),
        ("in", "in/p1", "lie one in the other"),
        (".", "out", "lie one in the other"),
    ],
)
def test_folders_must_be_apart(painted: Path, dataset: str, impostors: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        evaluate(Folders(painted / dataset, painted / impostors), FakeEngineFactory(), RULE, workers=1)


def test_folders_must_hold_photographs(painted: Path) -> None:
    (painted / "nothing").mkdir()
    with pytest.raises(DatasetError, match="no photograph in"):
        evaluate(Folders(painted / "in", painted / "nothing"), FakeEngineFactory(), RULE, workers=1)
    with pytest.raises(UsageError, match="does not exist"):
        evaluate(Folders(painted / "in", painted / "nowhere"), FakeEngineFactory(), RULE, workers=1)
    (painted / "file").touch()
    with pytest.raises(UsageError, match="is not a folder"):
        evaluate(Folders(painted / "in", painted / "file"), FakeEngineFactory(), RULE, workers=1)


def test_nothing_is_computed_in_vain(painted: Path) -> None:
    class Untouched(FakeEngineFactory):
        def __call__(self) -> tuple[Detector, Embedder]:
            raise AssertionError("the engine was loaded")

    for folders, enrol in (
        (Folders(painted / "in", painted / "nowhere"), 3),
        (Folders(painted / "in", painted / "temporary"), 3),
        (Folders(painted / "in"), 5),
    ):
        with pytest.raises(OptiMindError):
            evaluate(folders, Untouched(), RULE, enrol=enrol, workers=1)


def test_nothing_is_left_behind(painted: Path, temporary: Path) -> None:
    seen: set[int] = set()

    def look(_done: int, _all: int) -> None:
        (folder,) = temporary.iterdir()
        seen.add(stat.S_IMODE(folder.stat().st_mode))

    evaluate(Folders(painted / "in", painted / "out"), FakeEngineFactory(), RULE, workers=1, progress=look)
    assert seen == {0o700}
    assert list(temporary.iterdir()) == []
    assert {p.name for p in painted.iterdir()} == {"in", "out", "temporary"}


def test_ctrl_c_leaves_nothing_behind(painted: Path, temporary: Path) -> None:
    def stop(done: int, _all: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match=r"^interrupted; nothing was kept$"):
        evaluate(Folders(painted / "in"), FakeEngineFactory(), RULE, workers=1, progress=stop)
    assert list(temporary.iterdir()) == []


def test_no_room_for_temporary_files(painted: Path, temporary: Path) -> None:
    temporary.rmdir()
    with pytest.raises(OptiMindError, match="no room for temporary files") as error:
        measure(painted)
    assert "TMPDIR" in error.value.mend


def test_a_disk_that_fills_up(painted: Path, monkeypatch: pytest.MonkeyPatch, temporary: Path) -> None:
    def full(*_arguments: object, **_more: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("optimind.gallery.format.pickle.dump", full)
    with pytest.raises(OptiMindError, match=r"no room for temporary files.*No space left") as error:
        measure(painted)
    assert "--output" not in error.value.mend
    assert list(temporary.iterdir()) == []
