"""The engine arcface on real photographs: faces of all sizes are found, and people are told apart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from benchmarks.engines_here import TEST_EMBEDDER, install_test_models
from optimind.core.geometry import centres, sizes
from optimind.plugin_api import Detections, EngineError, Image
from optimind.vision import arcface_engine
from optimind.vision.arcface_engine import ArcFaceDetector, ArcFaceEmbedder, ArcFaceSettings
from optimind.weights.store import ModelStore

SETTINGS = ArcFaceSettings(embedder=TEST_EMBEDDER, threads=1)


@pytest.fixture(scope="module", autouse=True)
def models(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("arcface")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        patch.setenv("OPTIMIND_MODELS", str(folder / "models"))
        install_test_models(shared, folder / "models")
        yield folder / "models"


@pytest.fixture(scope="module")
def embedder(models: Path) -> ArcFaceEmbedder:
    return ArcFaceEmbedder.create(SETTINGS)


@pytest.fixture(scope="module")
def portrait(shared: Path) -> Image:
    return read(shared / "data" / "photos" / "lin-manuel-miranda.png")


def read(path: Path) -> Image:
    picture = cv2.imread(str(path))
    assert picture is not None
    return np.asarray(picture, dtype=np.uint8)


def resized(picture: Image, scale: float) -> Image:
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=way), dtype=np.uint8)


@pytest.mark.parametrize("min_face_px", [20, 40, 80])
@pytest.mark.parametrize("face_px", [80, 200, 600, 1500])
def test_a_face_of_any_size_is_found_once(portrait: Image, min_face_px: int, face_px: int) -> None:
    native = 300  # the geometric mean of its box's sides
    found = ArcFaceDetector.create(min_face_px, SETTINGS).detect(resized(portrait, face_px / native))
    assert len(found) == 1
    assert sizes(found.xyxy)[0] == pytest.approx(face_px, rel=0.15)
    assert found.landmarks is not None
    assert found.landmarks.shape == (1, 5, 2)


@pytest.mark.parametrize("min_face_px", [20, 40, 80])
def test_a_face_that_fills_the_picture_is_found(shared: Path, min_face_px: int) -> None:
    picture = read(next((shared / "data" / "faces").glob("A*/*.jpg")))
    detector = ArcFaceDetector.create(min_face_px, SETTINGS)
    (x1, y1, x2, y2) = detector.detect(picture).xyxy[0].clip(0).round().astype(int)
    assert len(detector.detect(resized(picture[y1:y2, x1:x2], 12))) == 1


def test_the_smallest_wanted_face_is_found_and_much_smaller_ones_are_left_out(shared: Path) -> None:
    group = read(shared / "data" / "photos" / "2007_007763.jpg")  # seven people
    measured = np.sort(sizes(ArcFaceDetector.create(20, SETTINGS).detect(group).xyxy))
    assert len(measured) == 7
    for wanted in (int(measured[0]), int(measured[3])):
        found = sizes(ArcFaceDetector.create(wanted, SETTINGS).detect(group).xyxy)
        assert (measured >= wanted).sum() <= len(found)
        assert found.min() >= 0.75 * wanted
    assert len(ArcFaceDetector.create(100, SETTINGS).detect(group)) == 0


def test_boxes_and_landmarks_are_in_pixels_of_the_picture(portrait: Image) -> None:
    once = ArcFaceDetector.create(40, SETTINGS).detect(portrait)
    twice = ArcFaceDetector.create(80, SETTINGS).detect(resized(portrait, 2))
    assert once.landmarks is not None
    assert twice.landmarks is not None
    size = float(sizes(once.xyxy)[0])
    assert np.abs(twice.xyxy / 2 - once.xyxy).max() < 0.1 * size
    assert np.abs(twice.landmarks / 2 - once.landmarks).max() < 0.1 * size
    x1, y1, x2, y2 = once.xyxy[0]
    assert ((once.landmarks[0] > [x1, y1]) & (once.landmarks[0] < [x2, y2])).all()


@pytest.mark.parametrize(
    ("min_face_px", "size", "looked_at"),
    [
        (28, (640, 480), [(640, 480), (267, 200)]),
        (56, (1920, 1080), [(960, 540), (356, 200)]),
        (14, (300, 200), [(600, 400), (300, 200)]),
        (1, (300, 200), [(600, 400), (300, 200)]),  # never more than twice as large
        (280, (1920, 1080), [(192, 108)]),
        (20, (6000, 4000), [(3464, 2309), (300, 200)]),  # the pixel budget
        (40, (1, 1), [(1, 1)]),
        (40, (5000, 3), [(3500, 2)]),
    ],
)
def test_how_large_a_picture_is_looked_at(
    monkeypatch: pytest.MonkeyPatch, min_face_px: int, size: tuple[int, int], looked_at: list[tuple[int, int]]
) -> None:
    seen: list[tuple[int, ...]] = []

    class Recorder:
        def detect(self, image: Image) -> Detections:
            seen.append(image.shape[1::-1])
            return Detections.empty()

    monkeypatch.setattr(arcface_engine, "_yunet", lambda settings: Recorder())
    ArcFaceDetector.create(min_face_px, SETTINGS).detect(np.zeros((size[1], size[0], 3), np.uint8))
    assert seen == looked_at


def test_a_face_to_find_has_a_size() -> None:
    with pytest.raises(EngineError, match="at least 1, got 0"):
        ArcFaceDetector.create(0, SETTINGS)


def faces_of(shared: Path, people: int) -> list[tuple[str, list[Image]]]:
    """Photographs of ``people`` people who have two or more, the same ones each time."""
    folders = [folder for folder in sorted((shared / "data" / "faces").iterdir()) if len(list(folder.iterdir())) > 1]
    chosen = folders[:: len(folders) // people][:people]
    return [(folder.name, [read(path) for path in sorted(folder.iterdir())[:3]]) for folder in chosen]


def main_face(found: Detections, picture: Image) -> Detections:
    """The one nearest to the middle."""
    middle = np.array(picture.shape[1::-1]) / 2
    nearest = int(np.argmin(np.linalg.norm(centres(found.xyxy) - middle, axis=1)))
    return found[nearest : nearest + 1]


@pytest.fixture(scope="module")
def people(shared: Path, embedder: ArcFaceEmbedder) -> tuple[NDArray[np.float64], NDArray[np.int_]]:
    """Embeddings of 40 people's photographs, and whose each is."""
    detector = ArcFaceDetector.create(40, SETTINGS)
    rows, whose = [], []
    for number, (_, pictures) in enumerate(faces_of(shared, 40)):
        for picture in pictures:
            rows.append(embedder.embed(picture, main_face(detector.detect(picture), picture))[0])
            whose.append(number)
    return np.array(rows), np.array(whose)


def test_the_nearest_photograph_is_of_the_same_person(
    people: tuple[NDArray[np.float64], NDArray[np.int_]],
) -> None:
    rows, whose = people
    distance = np.linalg.norm(rows[:, None] - rows[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    assert (whose[distance.argmin(axis=1)] == whose).mean() >= 0.97


def test_distances_are_on_the_common_scale(people: tuple[NDArray[np.float64], NDArray[np.int_]]) -> None:
    rows, whose = people
    distance = np.linalg.norm(rows[:, None] - rows[None], axis=2)
    same = whose[:, None] == whose[None]
    others = ~np.eye(len(rows), dtype=bool)
    assert (distance[same & others] < 0.6).mean() > 0.97
    assert (distance[~same] > 0.6).mean() > 0.97
    assert np.linalg.norm(rows, axis=1) == pytest.approx(np.full(len(rows), 0.5))


def test_small_faces_are_embedded_like_large_ones(shared: Path, embedder: ArcFaceEmbedder) -> None:
    distances = []
    for _, pictures in faces_of(shared, 12):
        picture = pictures[0]
        large = main_face(ArcFaceDetector.create(40, SETTINGS).detect(picture), picture)
        half = resized(picture, 0.5)
        small = main_face(ArcFaceDetector.create(45, SETTINGS).detect(half), half)
        distances.append(np.linalg.norm(embedder.embed(picture, large) - embedder.embed(half, small)))
    assert max(distances) < 0.4


def test_faces_of_a_group_are_embedded_one_by_one(shared: Path, embedder: ArcFaceEmbedder) -> None:
    group = read(shared / "data" / "photos" / "2007_007763.jpg")
    found = ArcFaceDetector.create(20, SETTINGS).detect(group)
    together = embedder.embed(group, found)
    for row in range(len(found)):
        assert np.allclose(embedder.embed(group, found[row : row + 1])[0], together[row], atol=1e-5)


def test_landmarks_are_found_where_a_detector_gives_none(portrait: Image, embedder: ArcFaceEmbedder) -> None:
    found = ArcFaceDetector.create(40, SETTINGS).detect(portrait)
    x1, y1, x2, y2 = found.xyxy[0]
    middle, half = (y1 + y2) / 2, (x2 - x1) / 2
    square = np.array([[x1, middle - half, x2, middle + half]])  # as other detectors have it
    for box in (found.xyxy, square):
        bare = Detections(box, np.ones(1))
        assert np.linalg.norm(embedder.embed(portrait, bare) - embedder.embed(portrait, found)) < 0.15


def test_where_no_face_is_seen_the_given_landmarks_serve(embedder: ArcFaceEmbedder) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (200, 200, 3), np.uint8)
    box = np.array([[50.0, 50.0, 150.0, 150.0]])
    points = np.array([[[80.0, 90], [120, 90], [100, 110], [85, 130], [115, 130]]])
    given = embedder.embed(noise, Detections(box, np.ones(1), points))
    guessed = embedder.embed(noise, Detections(box, np.ones(1)))
    assert np.isfinite(given).all()
    assert not np.allclose(given, guessed)


@pytest.mark.parametrize("mirror", [True, False])
def test_each_face_is_looked_at_in_the_mirror_too(
    portrait: Image, models: Path, monkeypatch: pytest.MonkeyPatch, mirror: bool
) -> None:
    embedder = ArcFaceEmbedder.create(SETTINGS.model_copy(update={"mirror": mirror}))
    given: list[NDArray[np.uint8]] = []

    def vectors(chips: NDArray[np.uint8]) -> NDArray[np.float64]:
        given.append(chips)
        return np.full((len(chips), 128), float(len(given)))

    monkeypatch.setattr(embedder._network, "vectors", vectors)
    monkeypatch.setattr(embedder._network, "comparable", lambda rows: rows)
    row = embedder.embed(portrait, ArcFaceDetector.create(40, SETTINGS).detect(portrait))
    assert len(given) == 1 + mirror
    assert np.array_equal(given[0], given[-1][:, :, ::-1]) == mirror
    assert row[0, 0] == (1.5 if mirror else 1.0)


def test_it_is_described_without_being_loaded(monkeypatch: pytest.MonkeyPatch, embedder: ArcFaceEmbedder) -> None:
    monkeypatch.setattr("optimind.weights.sessions._runtime", None)
    told = ArcFaceEmbedder.describe(SETTINGS)
    assert (told.embedder_id, told.dimension) == (f"{TEST_EMBEDDER}-366db13d", 128)
    assert embedder.info == told
    assert embedder.calibration() is not None


@pytest.mark.parametrize("changes", [{"same_person_distance": 1.1}, {"channels": "BGR"}])
def test_the_same_weights_used_otherwise_are_another_embedder(
    models: Path, embedder: ArcFaceEmbedder, changes: dict[str, object]
) -> None:
    store = ModelStore(models)
    told = store.get(TEST_EMBEDDER).description
    assert told.embedding is not None
    name = f"otherwise-{next(iter(changes)).replace('_', '-')}"
    store.add(told.model_copy(update={"name": name, "embedding": told.embedding.model_copy(update=changes)}))
    other = ArcFaceEmbedder.create(SETTINGS.model_copy(update={"embedder": name}))
    assert other.info.embedder_id[-8:] != embedder.info.embedder_id[-8:]
    assert other.calibration() is None


@pytest.mark.parametrize(
    ("changes", "words", "mend"),
    [
        ({"embedder": "sface"}, "sface is not here", "python main.py models pull sface"),
        ({"embedder": "none"}, "no model called 'none'", "known models"),
        ({"detector": TEST_EMBEDDER}, "is no detector", "name yunet"),
        ({"embedder": "yunet"}, "is no embedder", TEST_EMBEDDER),
    ],
)
def test_a_model_that_is_not_here_is_said(changes: dict[str, str], words: str, mend: str) -> None:
    settings = SETTINGS.model_copy(update=changes)
    for attempt in (ArcFaceEmbedder.describe, ArcFaceEmbedder.create):
        with pytest.raises(EngineError) as caught:
            attempt(settings)
        assert words in caught.value.message
        assert mend in caught.value.mend


def test_a_damaged_detector_is_said(models: Path, shared: Path) -> None:
    file = models / "yunet.onnx"
    file.unlink()
    try:
        file.write_bytes(b"cut off")
        for attempt in (lambda: ArcFaceDetector.create(40, SETTINGS), lambda: ArcFaceEmbedder.describe(SETTINGS)):
            with pytest.raises(EngineError, match="yunet is damaged") as caught:
                attempt()
            assert "models pull yunet" in caught.value.mend
    finally:
        file.unlink()
        file.symlink_to(shared / "models" / "yunet.onnx")


def test_without_onnxruntime_it_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EngineError, match="needs onnxruntime"):
        ArcFaceEmbedder.describe(SETTINGS)


@pytest.mark.parametrize("wrong", [{"threads": 0}, {"thread": 1}, {"detector": 5}])
def test_wrong_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ArcFaceSettings.model_validate(wrong)
