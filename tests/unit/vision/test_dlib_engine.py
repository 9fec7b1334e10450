"""The engine as a whole: photographs to boxes and embeddings, held to the library."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
from pydantic import ValidationError

from optimind.core.geometry import iou, sizes
from optimind.plugin_api import Detections, EngineError, Image
from optimind.testing.engines import blank
from optimind.vision import _dlib_files, _dlib_graphs, dlib_engine
from optimind.vision._chips import face_chips
from optimind.vision._forms import Precision
from optimind.vision.dlib_engine import PIXEL_BUDGET, DlibDetector, DlibEmbedder, DlibSettings

CLOSE = 0.1


@pytest.fixture(scope="module")
def plain() -> DlibEmbedder:
    return DlibEmbedder.create(DlibSettings(mirror=False))


@pytest.fixture(scope="module")
def portrait() -> Image:
    rgb = skimage.data.astronaut()  # type: ignore[no-untyped-call]  # ships no types
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), dtype=np.uint8)


def _library() -> Any:
    pytest.importorskip("dlib")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("face_recognition")


def _photographs(shared: Path) -> list[Image]:
    paths = sorted((shared / "data" / "faces").glob("*/*.jpg"))[::110]
    return [np.asarray(cv2.imread(str(path)), dtype=np.uint8) for path in paths]


@pytest.mark.parametrize(("precision", "usual"), [("fp32", 0.02), ("int8", 0.05)])
def test_a_photograph_gives_the_librarys_embedding(shared: Path, precision: Precision, usual: float) -> None:
    library = _library()
    detector = DlibDetector.create(66, DlibSettings(precision=precision))
    plain = DlibEmbedder.create(DlibSettings(mirror=False, precision=precision))
    distances = []
    for image in _photographs(shared):
        faces = detector.detect(image)
        boxes = [(round(y1), round(x2), round(y2), round(x1)) for x1, y1, x2, y2 in faces.xyxy.tolist()]
        theirs = library.face_encodings(np.ascontiguousarray(image[:, :, ::-1]), boxes, model="small")
        distances.extend(np.linalg.norm(plain.embed(image, faces) - np.array(theirs).reshape(-1, 128), axis=1))
    assert len(distances) >= 55
    assert np.mean(np.array(distances) <= CLOSE) >= 0.99
    assert np.median(distances) < usual


def test_the_mirrored_average_is_of_both(portrait: Image, plain: DlibEmbedder, monkeypatch: pytest.MonkeyPatch) -> None:
    faces = DlibDetector.create(66, DlibSettings()).detect(portrait)
    average = DlibEmbedder.create(DlibSettings()).embed(portrait, faces)
    usual = plain.embed(portrait, faces)
    monkeypatch.setattr(dlib_engine, "face_chips", lambda *given: face_chips(*given)[:, :, ::-1])
    assert np.allclose(average, (usual + plain.embed(portrait, faces)) / 2, atol=1e-6)
    assert 0.02 < np.linalg.norm(average - usual) < 0.3


def test_it_tells_who_looks_into_the_camera(portrait: Image, shared: Path) -> None:
    detector = DlibDetector.create(66, DlibSettings())
    straight = detector.detect(portrait).frontality
    assert straight is not None
    assert straight.tolist() == [pytest.approx(1.0, abs=0.25)]
    assert detector.detect(blank(200, 200)).frontality is not None
    many = sorted((shared / "data" / "faces").glob("A*/*_0001.jpg"))[:40]
    told = [detector.detect(np.asarray(cv2.imread(str(path)), dtype=np.uint8)).frontality for path in many]
    assert 0.6 < float(np.median(np.concatenate([one for one in told if one is not None]))) < 1.0


@pytest.mark.parametrize("mirror", [True, False])
def test_the_pose_is_told_by_the_points_of_the_embedding(portrait: Image, mirror: bool) -> None:
    faces = DlibDetector.create(66, DlibSettings()).detect(portrait)
    embedder = DlibEmbedder.create(DlibSettings(mirror=mirror))
    ((vectors, frontality),) = embedder.embed_all([(portrait, faces)])
    assert np.array_equal(vectors, embedder.embed(portrait, faces))
    assert faces.frontality is not None
    assert frontality is not None
    assert np.array_equal(frontality, faces.frontality)
    ((nobody, nothing),) = embedder.embed_all([(portrait, faces[:0])])
    assert nothing is not None
    assert (nobody.shape, nothing.shape) == ((0, 128), (0,))


def test_a_portrait_is_found_quickly(shared: Path) -> None:
    detector = DlibDetector.create(66, DlibSettings(precision="int8"))
    overlaps = []
    for image in _photographs(shared):
        usual, quick = detector.detect(image), detector.find_portrait(image)
        if len(usual) == len(quick) == 1:
            overlaps.append(float(iou(usual.xyxy, quick.xyxy)[0, 0]))
    assert len(overlaps) >= 40
    assert np.mean(np.array(overlaps) > 0.6) >= 0.97


@pytest.mark.parametrize(
    ("confidences", "given"),
    [
        ([], []),
        ([1.0], [1.0]),
        ([1.0, 0.3, -0.5], [1.0, 0.3, -0.5]),  # what may be another face
        ([1.0, -0.7], [1.0]),
        ([-0.5], []),  # nothing that is surely one
        ([-0.1, -0.2], []),
    ],
)
def test_what_is_nearly_a_face_is_never_given_alone(confidences: list[float], given: list[float]) -> None:
    class Stub:
        def glance(self, image: Image, threshold: float) -> tuple[Any, Any]:
            seen = np.array([one for one in confidences if one > threshold], dtype=float)
            return np.tile([10.0, 10.0, 90.0, 90.0], (len(seen), 1)), seen

    stub: Any = Stub()
    found = DlibDetector(stub, stub, 66, 0.0).find_portrait(blank(100, 100))
    assert found.confidence.tolist() == given


def test_many_faces_at_once_are_each_embedded(portrait: Image, plain: DlibEmbedder) -> None:
    box = DlibDetector.create(66, DlibSettings()).detect(portrait).xyxy[0]
    moved = box + np.arange(37)[:, None] % 9
    together = plain.embed(portrait, Detections(moved, np.ones(37)))
    alone = [plain.embed(portrait, Detections(one[None], np.ones(1)))[0] for one in moved]
    assert np.abs(together - np.array(alone)).max() < 1e-3


@pytest.mark.parametrize(
    ("min_face_px", "size", "seen"),
    [
        (66, (640, 360), (640, 360)),
        (33, (640, 360), (1280, 720)),
        (10, (640, 360), (1280, 720)),
        (132, (640, 360), (320, 180)),
        (33, (3000, 2000), None),
        (66, (8000, 6000), None),
        (5000, (10, 10), (1, 1)),
    ],
)
def test_the_smallest_face_decides_how_large_the_picture_is_looked_at(
    min_face_px: int, size: tuple[int, int], seen: tuple[int, int] | None
) -> None:
    class Recorder:
        def detect(self, image: Image, threshold: float) -> tuple[Any, Any]:
            self.size = image.shape[1::-1]
            return np.empty((0, 4)), np.empty(0)

        def find(self, pictures: Any) -> Any:
            return [np.empty((len(boxes), 5, 2)) for _, boxes in pictures]

    recorder: Any = Recorder()
    DlibDetector(recorder, recorder, min_face_px, 0.0).detect(blank(*size))
    width, height = recorder.size
    assert (width, height) == seen if seen else width * height == pytest.approx(PIXEL_BUDGET, rel=0.01)


def test_boxes_come_back_in_the_original_pixels_and_inside(portrait: Image) -> None:
    usual = DlibDetector.create(66, DlibSettings()).detect(portrait)
    larger = cv2.resize(portrait, None, fx=2.5, fy=2.5)
    scaled = DlibDetector.create(165, DlibSettings()).detect(np.asarray(larger, dtype=np.uint8))
    assert np.allclose(scaled.xyxy / 2.5, usual.xyxy, atol=4)
    cut = portrait[:, 200:]
    beyond = DlibDetector.create(66, DlibSettings()).detect(cut).xyxy
    assert len(beyond) == 1
    assert beyond[0, 0] == 0
    assert (beyond <= [*cut.shape[1::-1], *cut.shape[1::-1]]).all()


@pytest.mark.parametrize(("width_px", "least"), [(66, 0.97), (90, 1.0)])
def test_faces_of_the_smallest_size_are_found(shared: Path, width_px: int, least: float) -> None:
    detector = DlibDetector.create(66, DlibSettings())
    found = looked = 0
    for image in _photographs(shared)[::2]:
        faces = detector.detect(image)
        main = sizes(faces.xyxy).max(initial=0)
        if main == 0:
            continue
        scale = width_px * 1.08 / main  # a box is a little wider than the face, as YuNet sees it
        smaller = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        looked += 1
        found += len(detector.detect(np.asarray(smaller, dtype=np.uint8))) > 0
    assert looked > 25
    assert found >= least * looked


@pytest.mark.parametrize(
    "box",
    [(-500, -500, -400, -400), (5000, 5000, 5100, 5100), (-1e4, -1e4, 1e4, 1e4), (10.2, 10.2, 10.4, 10.4)],
    ids=["above", "below", "around", "less than a pixel"],
)
def test_any_box_gives_a_row(portrait: Image, plain: DlibEmbedder, box: tuple[float, ...]) -> None:
    given = plain.embed(portrait, Detections(np.array([box], dtype=float), np.ones(1)))
    assert given.shape == (1, 128)
    assert np.isfinite(given).all()


def test_threads_may_share_it(portrait: Image) -> None:
    detector, embedder = DlibDetector.create(66, DlibSettings()), DlibEmbedder.create(DlibSettings())
    expected = embedder.embed(portrait, detector.detect(portrait))
    results: list[bool] = []

    def work() -> None:
        results.extend(np.array_equal(embedder.embed(portrait, detector.detect(portrait)), expected) for _ in range(3))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 9


def test_both_engines_of_these_weights_say_so() -> None:
    assert DlibEmbedder.describe(DlibSettings()).embedder_id == "dlib-resnet-v1"


@pytest.mark.parametrize("wrong", [{"threads": 0}, {"threads": 999}, {"min_confidence": 5}, {"weights": "x"}])
def test_settings_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DlibSettings(**wrong)


def test_min_face_must_be_positive() -> None:
    with pytest.raises(EngineError, match="at least 1"):
        DlibDetector.create(0, DlibSettings())


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package whose files are yet to come, and an empty cache."""

    class Found:
        submodule_search_locations = (str(tmp_path),)

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: Found())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


def test_weights_that_are_not_installed_are_an_error_with_its_mend(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for attempt in (
        lambda: DlibEmbedder.describe(DlibSettings()),
        lambda: DlibEmbedder.create(DlibSettings()),
        lambda: DlibDetector.create(40, DlibSettings()),
    ):
        with pytest.raises(EngineError, match="is not installed") as raised:
            attempt()
        assert "make setup" in raised.value.mend
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EngineError, match="is not installed"):
        DlibEmbedder.describe(DlibSettings())


def test_damaged_weights_are_an_error_with_its_mend(weights: Path) -> None:
    for file in (_dlib_files.EMBEDDER, _dlib_files.DETECTOR, _dlib_files.LANDMARKS):
        (weights / file.name).write_bytes(b"not what it should be")
    assert DlibEmbedder.describe(DlibSettings()).dimension == 128
    for attempt in (
        lambda: DlibEmbedder.create(DlibSettings()),
        lambda: DlibDetector.create(40, DlibSettings()),
    ):
        with pytest.raises(EngineError, match="is damaged") as raised:
            attempt()
        assert "face_recognition_models" in raised.value.mend


def test_it_is_converted_once(portrait: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    faces = DlibDetector.create(66, DlibSettings()).detect(portrait)
    expected = DlibEmbedder.create(DlibSettings()).embed(portrait, faces)
    assert len(list((tmp_path / "optimind").iterdir())) >= 3

    def never() -> Any:
        raise AssertionError("it is converted already")

    monkeypatch.setattr(_dlib_graphs, "onnx_package", never)
    again = DlibDetector.create(66, DlibSettings()).detect(portrait)
    assert np.array_equal(again.xyxy, faces.xyxy)
    assert np.array_equal(DlibEmbedder.create(DlibSettings()).embed(portrait, again), expected)


def test_importing_the_engine_loads_no_library() -> None:
    heavy = {"dlib", "face_recognition", "face_recognition_models", "onnx", "onnxruntime", "pkg_resources"}
    code = f"import sys, optimind.vision.dlib_engine; assert not {heavy} & set(sys.modules), 'loaded'"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_library_is_not_needed(portrait: Image, tmp_path: Path) -> None:
    picture = tmp_path / "portrait.png"
    cv2.imwrite(str(picture), portrait)
    code = (
        "import sys\n"
        "for name in ('dlib', 'face_recognition', 'pkg_resources'): sys.modules[name] = None\n"
        "import cv2\n"
        "from optimind.vision.dlib_engine import DlibDetector, DlibEmbedder, DlibSettings\n"
        f"image = cv2.imread({str(picture)!r})\n"
        "faces = DlibDetector.create(66, DlibSettings()).detect(image)\n"
        "assert DlibEmbedder.create(DlibSettings()).embed(image, faces).shape == (1, 128)\n"
        "assert 'face_recognition_models' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
