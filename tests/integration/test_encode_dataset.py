"""From a folder to a gallery, with the painted engine: what is computed, kept, reported."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from optimind.errors import DatasetError, EngineError, GalleryError, GalleryRefused, Interrupted
from optimind.gallery import EncodeReport, GalleryFile, Sample, load_gallery, save_gallery, to_core
from optimind.gallery import encoder as encoder_module
from optimind.gallery.encoder import encode_dataset
from optimind.plugin_api import Detections, Detector, Embedder, EmbedderInfo, Image, Vectors
from optimind.testing.engines import FakeDetector, FakeEmbedder, FakeEngineFactory, blank, paint_face


class CountingFactory(FakeEngineFactory):
    """Counts the pictures that its engine looked at."""

    detector_name = "fake"

    def __init__(self) -> None:
        super().__init__()
        self.looked: list[tuple[int, ...]] = []
        self.loaded = 0

    def __call__(self) -> tuple[Detector, Embedder]:
        factory = self
        self.loaded += 1

        class Counting(FakeEmbedder):
            def embed(self, image: Image, faces: Detections) -> Vectors:
                factory.looked.append(image.shape)
                return super().embed(image, faces)

        return FakeDetector.create(40), Counting()


def photograph(path: Path, *people: int, size_px: int = 80, mark: int = 0) -> Path:
    """Write a picture of the painted ``people``; ``mark`` makes pictures of the same people differ."""
    picture = blank(120 * max(1, len(people)) + mark, 120)
    for column, person in enumerate(people):
        paint_face(picture, person, 20 + 120 * column, 20, size_px)
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), picture)
    return path


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    for person in range(3):
        for number in range(2):
            photograph(tmp_path / f"data/p{person}/{number}.png", person, mark=number)
    return tmp_path / "data"


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "encodings/g.pickle"


def encode(dataset: Path, output: Path, workers: int = 1) -> tuple[EncodeReport, int]:
    """Return the report and how many pictures were embedded."""
    factory = CountingFactory()
    report = encode_dataset(dataset, output, factory, workers)
    return report, len(factory.looked)


def reasons(report: EncodeReport) -> dict[str, str]:
    return {r.file: r.reason for r in report.rejected}


def left_behind(output: Path) -> list[str]:
    return sorted(p.name for p in output.parent.iterdir())


def test_first_run(dataset: Path, output: Path) -> None:
    report, looked = encode(dataset, output)
    assert (report.people, report.samples, report.enrolled, report.reused, looked) == (3, 6, 6, 0, 6)
    assert (report.rejected, report.warnings, report.needs_a_person) == ((), (), False)
    gallery = load_gallery(output)
    assert [s.file for s in gallery.samples] == [f"p{p}/{n}.png" for p in range(3) for n in range(2)]
    assert [s.embedding.argmax() for s in gallery.samples] == [0, 0, 1, 1, 2, 2]
    assert {round(s.face_px) for s in gallery.samples} == {80}
    assert to_core(gallery).people == 3
    assert left_behind(output) == ["g.pickle", "g.pickle.lock"]


def test_the_report_has_the_fixed_fields(dataset: Path, output: Path) -> None:
    photograph(dataset / "p0/empty.png")
    document = json.loads(json.dumps(encode(dataset, output)[0].as_json()))
    assert list(document) == [
        "people", "samples", "enrolled", "reused", "rejected", "warnings", "seconds", "output",
    ]  # fmt: skip
    assert document["rejected"] == [
        {"file": "p0/empty.png", "reason": "no_face", "detail": "no face of 40 px or more was found in 120 x 120 px"}
    ]
    assert document["output"] == str(output)


def test_an_unchanged_folder_computes_and_writes_nothing(dataset: Path, output: Path) -> None:
    photograph(dataset / "p0/nobody.png")
    (dataset / "p1/broken.png").write_bytes(b"no picture")
    shutil.copy(dataset / "p2/0.png", dataset / "p2/twin.png")
    first, _ = encode(dataset, output)
    before = output.stat().st_mtime_ns
    factory = CountingFactory()
    second = encode_dataset(dataset, output, factory, 1)
    assert (factory.loaded, second.enrolled, second.reused) == (0, 0, 6)
    assert output.stat().st_mtime_ns == before
    # Rejections are remembered and told again.
    assert reasons(first) == {"p0/nobody.png": "no_face", "p1/broken.png": "unreadable", "p2/twin.png": "duplicate"}
    assert second.rejected == first.rejected


def test_only_what_is_new_is_computed(dataset: Path, output: Path) -> None:
    encode(dataset, output)
    photograph(dataset / "p3/0.png", 3)
    report, looked = encode(dataset, output)
    assert (looked, report.people, report.enrolled, report.reused) == (1, 4, 1, 6)


def test_renamed_moved_and_touched_photographs_are_known(dataset: Path, output: Path) -> None:
    encode(dataset, output)
    (dataset / "p0/0.png").rename(dataset / "p0/renamed.png")
    (dataset / "p1").rename(dataset / "Bert")
    os.utime(dataset / "p2/0.png")
    report, looked = encode(dataset, output)
    assert (looked, report.enrolled, report.reused) == (0, 0, 6)
    assert {s.person_id for s in load_gallery(output).samples} == {"p0", "Bert", "p2"}
    assert encode(dataset, output)[1] == 0


def test_a_changed_photograph_is_computed_again(dataset: Path, output: Path) -> None:
    encode(dataset, output)
    photograph(dataset / "p0/0.png", 7)
    report, looked = encode(dataset, output)
    assert (looked, report.enrolled, report.reused) == (1, 1, 5)
    assert load_gallery(output).samples[0].embedding.argmax() == 7


def test_deleted_people_are_gone_from_every_file(dataset: Path, output: Path) -> None:
    encode(dataset, output)
    shutil.rmtree(dataset / "p1")
    report, looked = encode(dataset, output)
    assert (looked, report.people, report.samples) == (0, 2, 4)
    for file in output.parent.iterdir():
        assert b"p1" not in file.read_bytes()


def test_another_embedder_or_version_computes_everything(
    dataset: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode(dataset, output)
    monkeypatch.setattr(encoder_module, "ENCODER", 99)
    assert encode(dataset, output)[1] == 6
    monkeypatch.setattr(FakeEmbedder, "info", EmbedderInfo("fake-v2", FakeEmbedder.info.dimension))
    assert encode(dataset, output)[1] == 6
    assert load_gallery(output).embedder == "fake-v2"


def test_another_detector_looks_again_at_what_was_rejected_only(
    dataset: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photograph(dataset / "p0/small.png", 0, size_px=30)
    report, _ = encode(dataset, output)
    assert reasons(report) == {"p0/small.png": "too_small"}
    (dataset / "p0/small.png").touch()
    monkeypatch.setattr(FakeDetector, "name", "sharper")
    monkeypatch.setattr("optimind.gallery.quality.MIN_FACE_PX", 20)
    report, looked = encode(dataset, output)
    assert (looked, report.enrolled, report.reused) == (1, 1, 6)


@pytest.mark.parametrize(
    ("people", "size_px", "reason"),
    [((), 80, "no_face"), ((1, 2), 80, "several_faces"), ((1,), 30, "too_small")],
)
def test_unusable_photographs(dataset: Path, output: Path, people: tuple[int, ...], size_px: int, reason: str) -> None:
    photograph(dataset / "Zoe/x.png", *people, size_px=size_px)
    report, _ = encode(dataset, output)
    assert reasons(report) == {"Zoe/x.png": reason}
    assert report.rejected[0].detail
    assert report.rejected[0].mend
    assert [(w.kind, w.files) for w in report.warnings] == [("not_enrolled", ("Zoe/x.png",))]
    assert report.needs_a_person


def test_a_much_smaller_face_is_passed_over_and_told(dataset: Path, output: Path) -> None:
    picture = blank(400, 400)
    paint_face(picture, 5, 20, 20, 220)
    paint_face(picture, 6, 250, 250, 140)
    (dataset / "Zoe").mkdir()
    cv2.imwrite(str(dataset / "Zoe/x.png"), picture)
    report, _ = encode(dataset, output)
    assert [(w.kind, w.files) for w in report.warnings] == [("small_faces_ignored", ("Zoe/x.png",))]
    assert not report.needs_a_person
    assert load_gallery(output).samples[0].embedding.argmax() == 5


@pytest.mark.parametrize("size", [(6000, 4000), (1601, 900), (481, 481), (100, 100)])
def test_a_large_photograph_gives_its_face_in_its_own_pixels(
    dataset: Path, output: Path, size: tuple[int, int]
) -> None:
    picture = blank(*size)
    side = min(size) // 2
    paint_face(picture, 4, 10, 10, side)
    (dataset / "Zoe").mkdir()
    cv2.imwrite(str(dataset / "Zoe/x.png"), picture)
    encode(dataset, output)
    sample = load_gallery(output).samples[0]
    assert sample.person_id == "Zoe"
    assert sample.embedding.argmax() == 4
    assert sample.face_px == pytest.approx(side, rel=0.05)


def test_the_same_bytes_and_the_same_picture_are_duplicates(dataset: Path, output: Path) -> None:
    shutil.copy(dataset / "p0/0.png", dataset / "p0/copy.png")
    cv2.imwrite(str(dataset / "p0/other.bmp"), np.asarray(cv2.imread(str(dataset / "p0/0.png"))))
    report, _ = encode(dataset, output)
    assert reasons(report) == {"p0/copy.png": "duplicate", "p0/other.bmp": "duplicate"}
    assert "p0/0.png" in report.rejected[0].detail
    assert report.samples == 6


def test_one_picture_of_two_people_counts_for_neither(dataset: Path, output: Path) -> None:
    shutil.copy(dataset / "p0/0.png", dataset / "p1/stray.png")
    report, _ = encode(dataset, output)
    assert reasons(report) == {"p0/0.png": "duplicate", "p1/stray.png": "duplicate"}
    assert "p1/stray.png, of someone else" in report.rejected[0].detail
    assert report.samples == 5
    # The wrong one is deleted: the right one counts again, and now its face has to be computed.
    (dataset / "p1/stray.png").unlink()
    report, looked = encode(dataset, output)
    assert (report.rejected, report.samples, looked) == ((), 6, 1)
    assert encode(dataset, output)[1] == 0


def test_when_the_kept_twin_goes_the_other_takes_its_place(dataset: Path, output: Path) -> None:
    shutil.copy(dataset / "p0/0.png", dataset / "p0/9.png")
    encode(dataset, output)
    (dataset / "p0/0.png").unlink()
    report, looked = encode(dataset, output)
    assert (report.rejected, report.samples, looked) == ((), 6, 0)


def test_a_wholly_rejected_folder_writes_a_gallery_of_nobody(tmp_path: Path, output: Path) -> None:
    photograph(tmp_path / "data/Zoe/x.png")
    report, _ = encode(tmp_path / "data", output)
    assert (report.people, report.samples, report.needs_a_person) == (0, 0, True)
    assert load_gallery(output).samples == ()


def test_an_empty_folder_leaves_the_gallery_alone(dataset: Path, output: Path, tmp_path: Path) -> None:
    encode(dataset, output)
    before = output.read_bytes()
    (tmp_path / "none").mkdir()
    with pytest.raises(DatasetError, match="no photograph"):
        encode(tmp_path / "none", output)
    assert output.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"precious", b"\x80\x04]."], ids=["empty", "text", "another pickle"])
def test_a_file_that_is_no_gallery_is_not_overwritten(dataset: Path, output: Path, content: bytes) -> None:
    output.parent.mkdir()
    output.write_bytes(content)
    with pytest.raises(GalleryRefused):
        encode(dataset, output)
    assert output.read_bytes() == content


def test_who_is_gone_is_named_and_that_is_all(dataset: Path, output: Path) -> None:
    photograph(dataset / "7_Ole_Dahl.png", 3)
    encode(dataset, output)
    (dataset / "7_Ole_Dahl.png").unlink()
    shutil.rmtree(dataset / "p1")
    report, _ = encode(dataset, output)
    (warning,) = report.warnings
    assert (warning.kind, warning.files, report.needs_a_person) == ("person_removed", (), False)
    assert warning.detail == "in the gallery before and no longer: Ole Dahl (7), p1"
    assert not encode(dataset, output)[0].warnings


def test_a_folder_in_which_nobody_can_be_enrolled_leaves_the_gallery_alone(
    dataset: Path, output: Path, tmp_path: Path
) -> None:
    encode(dataset, output)
    before = output.read_bytes()
    photograph(tmp_path / "wrong/tree/1.png")
    with pytest.raises(DatasetError, match="3 people are enrolled") as raised:
        encode(tmp_path / "wrong", output)
    assert f"rm {output}" in raised.value.mend
    assert output.read_bytes() == before
    assert left_behind(output) == ["g.pickle", "g.pickle.lock"]
    output.unlink()
    assert encode(tmp_path / "wrong", output)[0].people == 0


def test_an_imported_person_is_the_one_of_that_name(dataset: Path, output: Path) -> None:
    output.parent.mkdir()
    imported = Sample("ole_dahl", "ole dahl", np.eye(50)[3])
    save_gallery(output, GalleryFile("fake-v1", 50, (imported,)))
    photograph(dataset / "7_Ole_Dahl.png", 3)
    report, _ = encode(dataset, output)
    assert (report.people, report.samples, report.warnings) == (4, 8, ())
    assert {(s.person_id, s.name) for s in load_gallery(output).samples if not s.file} == {("7", "Ole Dahl")}


def test_imported_people_stay(dataset: Path, output: Path) -> None:
    output.parent.mkdir()
    imported = Sample("Iris", "Iris", np.eye(50)[49])
    save_gallery(output, GalleryFile("fake-v1", 50, (imported,)))
    report, _ = encode(dataset, output)
    assert (report.people, report.samples, report.enrolled, report.reused) == (4, 7, 6, 1)
    assert encode(dataset, output)[0].people == 4


def test_imported_people_whom_another_embedder_drops_are_named(dataset: Path, output: Path) -> None:
    output.parent.mkdir()
    vectors = np.eye(50)
    imported = [
        Sample(person, f"{person} Berg", vectors[number]) for number, person in enumerate(["Iris", "Ole", "p1"])
    ]
    save_gallery(output, GalleryFile("fake-v0", 50, (*imported, imported[0])))
    report, _ = encode(dataset, output)
    (warning,) = [warning for warning in report.warnings if warning.kind == "imported_dropped"]
    # p1 has photographs now, and is not lost.
    assert warning.detail.startswith("Iris Berg, Ole Berg: imported encodings of fake-v0")
    assert (report.people, report.needs_a_person) == (3, True)
    assert not encode(dataset, output)[0].warnings


def _fogged(path: Path) -> None:
    """Take nearly all contrast out of the painted face."""
    picture = cv2.imread(str(path))
    assert picture is not None
    face = picture[:, :, 2] < 60
    picture[:, :, 1][face] = 200 + (picture[:, :, 1][face].astype(int) - 200) // 12
    assert cv2.imwrite(str(path), picture)


class TurnedFactory(CountingFactory):
    """Its faces in pictures of an odd width look far away."""

    def __call__(self) -> tuple[Detector, Embedder]:
        class Turned(FakeDetector):
            def detect(self, image: Image) -> Detections:
                found = super().detect(image)
                frontality = np.full(len(found), 0.3 if image.shape[1] % 2 else 0.9)
                return Detections(found.xyxy, found.confidence, found.landmarks, frontality)

        return Turned.create(40), super().__call__()[1]


def test_a_badly_lit_photograph_is_held_in_reserve(dataset: Path, output: Path) -> None:
    _fogged(dataset / "p0/0.png")
    for number in range(2):
        _fogged(dataset / f"p1/{number}.png")
    report, _ = encode(dataset, output)
    (warning,) = report.warnings
    assert (warning.kind, warning.files) == ("badly_lit", ("p0/0.png", "p1/0.png", "p1/1.png"))
    assert "add one in even light" in warning.detail
    assert (report.people, report.samples, report.needs_a_person) == (3, 6, True)
    # Where there is a better one it is left out, else it has to do.
    templates = {t.person_id: len(t.embeddings) for t in to_core(load_gallery(output)).templates}
    assert templates == {"p0": 1, "p1": 2, "p2": 2}
    again, looked = encode(dataset, output)
    assert (again.warnings, looked) == (report.warnings, 0)
    photograph(dataset / "p1/better.png", 1, mark=7)
    encode(dataset, output)
    assert {t.person_id: len(t.embeddings) for t in to_core(load_gallery(output)).templates}["p1"] == 1


def test_a_face_that_looks_away_is_held_in_reserve(dataset: Path, output: Path) -> None:
    reports = [encode_dataset(dataset, output, TurnedFactory(), 1) for _ in range(2)]
    for report in reports:
        (warning,) = report.warnings
        assert (warning.kind, warning.files) == ("turned_away", ("p0/1.png", "p1/1.png", "p2/1.png"))
    assert [round(s.frontality, 1) for s in load_gallery(output).samples] == [0.9, 0.3] * 3
    assert to_core(load_gallery(output)).samples == 3


def test_progress_counts_to_the_end(dataset: Path, output: Path) -> None:
    encode(dataset, output)
    photograph(dataset / "p4/0.png", 4)
    seen: list[tuple[int, int]] = []
    encode_dataset(dataset, output, FakeEngineFactory(), 1, lambda done, total: seen.append((done, total)))
    assert seen == [(6, 7), (7, 7)]


class Interrupting:
    """Stands for the user who presses Ctrl-C after ``after`` photographs."""

    def __init__(self, after: int) -> None:
        self.after = after

    def __call__(self, done: int, total: int) -> None:
        if done == self.after:
            raise KeyboardInterrupt


def test_an_interrupted_run_goes_on_where_it_stopped(dataset: Path, output: Path) -> None:
    with pytest.raises(Interrupted, match="interrupted: 4 of 6 are kept; run the same command to go on"):
        encode_dataset(dataset, output, FakeEngineFactory(), 1, Interrupting(4))
    assert left_behind(output) == ["g.pickle.journal", "g.pickle.lock"]
    report, looked = encode(dataset, output)
    assert (looked, report.samples, report.enrolled, report.reused) == (2, 6, 2, 4)
    assert left_behind(output) == ["g.pickle", "g.pickle.lock"]


def test_a_photograph_deleted_after_an_interruption_leaves_no_trace(dataset: Path, output: Path) -> None:
    with pytest.raises(Interrupted):
        encode_dataset(dataset, output, FakeEngineFactory(), 1, Interrupting(4))
    shutil.rmtree(dataset / "p0")
    encode(dataset, output)
    for file in output.parent.iterdir():
        assert b"p0/" not in file.read_bytes()


def test_a_gallery_that_cannot_be_written_keeps_the_work(
    dataset: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise GalleryError("full")

    with monkeypatch.context() as patch:
        patch.setattr(encoder_module, "save_gallery", full)
        with pytest.raises(GalleryError, match="full"):
            encode(dataset, output)
    report, looked = encode(dataset, output)
    assert (looked, report.reused) == (0, 6)


class Failing(FakeEngineFactory):
    def __call__(self) -> tuple[Detector, Embedder]:
        class Blunt(FakeEmbedder):
            def embed(self, image: Image, faces: Detections) -> Any:
                if image.shape[1] == 120:
                    raise ZeroDivisionError("no luck")
                return np.zeros((1, 3))

        return FakeDetector.create(40), Blunt()


@pytest.mark.parametrize(
    ("file", "says"), [("p/1.png", r"p/1\.png: ZeroDivisionError: no luck"), ("p/2.png", "returned")]
)
def test_an_engine_that_fails_names_the_photograph(tmp_path: Path, output: Path, file: str, says: str) -> None:
    photograph(tmp_path / "data" / file, 1, mark=int(file[2]) - 1)
    with pytest.raises(EngineError, match=says):
        encode_dataset(tmp_path / "data", output, Failing(), 1)
