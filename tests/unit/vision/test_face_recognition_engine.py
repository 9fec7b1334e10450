"""The reference engine against the library itself."""

from __future__ import annotations

import importlib
import subprocess
import sys
import threading
from pathlib import Path
from types import ModuleType

import cv2
import matplotlib as mpl
import numpy as np
import pytest

from optimind.plugin_api import Detections, EngineError, Image
from optimind.testing.engines import blank
from optimind.vision.face_recognition_engine import PIXEL_BUDGET, FaceRecognitionDetector, FaceRecognitionEmbedder


@pytest.fixture(scope="module")
def portrait() -> Image:
    picture = cv2.imread(str(Path(mpl.get_data_path(), "sample_data", "grace_hopper.jpg")))
    assert picture is not None
    return np.asarray(picture, dtype=np.uint8)


@pytest.fixture(scope="module")
def embedder() -> FaceRecognitionEmbedder:
    return FaceRecognitionEmbedder.create()


class _Recorder:
    """Stands for the library: notes the picture it was given and finds what it was told to."""

    def __init__(self, *found: tuple[int, int, int, int]) -> None:
        self.found = list(found)
        self.shape: tuple[int, ...] = ()

    def face_locations(self, image: Image, number_of_times_to_upsample: int, model: str) -> list[tuple[int, ...]]:
        assert (number_of_times_to_upsample, model) == (0, "hog")
        self.shape = image.shape
        return list(self.found)


@pytest.mark.parametrize(
    ("min_face_px", "size", "looked_at"),
    [
        (80, (640, 480), (640, 480)),
        (60, (1920, 1080), (2560, 1440)),
        (40, (640, 480), (1280, 960)),
        (10, (640, 480), (1280, 960)),  # never more than twice
        (160, (640, 480), (320, 240)),
        (40, (4000, 3000), (4619, 3464)),  # the pixel budget
        (40, (6000, 4000), (6000, 4000)),  # larger than the budget: as it is
        (160, (1, 1), (1, 1)),
    ],
)
def test_picture_is_scaled_to_the_smallest_wanted_face(
    min_face_px: int, size: tuple[int, int], looked_at: tuple[int, int]
) -> None:
    library = _Recorder()
    FaceRecognitionDetector(library, min_face_px).detect(blank(*size))  # type: ignore[arg-type]  # a stand-in
    assert library.shape == looked_at[::-1]
    assert looked_at == size or looked_at[0] * looked_at[1] <= PIXEL_BUDGET * 1.001


def test_boxes_come_back_in_the_original_pixels() -> None:
    library = _Recorder((20, 300, 180, 140))
    found = FaceRecognitionDetector(library, 40).detect(blank(200, 100))  # type: ignore[arg-type]  # a stand-in
    assert found.xyxy.tolist() == [[70, 10, 150, 90]]
    assert found.confidence.tolist() == [1.0]


def test_agrees_with_the_library(portrait: Image, embedder: FaceRecognitionEmbedder) -> None:
    found = FaceRecognitionDetector.create(80).detect(portrait)
    # By name: the import statement at the top of a file would end the tests where a warning is an error.
    library = importlib.import_module("face_recognition")
    rgb = np.ascontiguousarray(portrait[:, :, ::-1])
    theirs = library.face_locations(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), 0)
    assert found.xyxy.tolist() == [[left, top, right, bottom] for top, right, bottom, left in theirs]
    assert len(found) == 1
    ours = embedder.embed(portrait, found)
    assert np.array_equal(ours[0], library.face_encodings(rgb, theirs, model="small")[0])
    # Not normalised, as the format promises.
    assert 1.2 < np.linalg.norm(ours[0]) < 1.7


@pytest.mark.parametrize(
    "box",
    [(-500, -500, -400, -400), (5000, 5000, 5100, 5100), (-1e4, -1e4, 1e4, 1e4), (10.2, 10.2, 10.4, 10.4)],
    ids=["above", "below", "around", "less than a pixel"],
)
def test_any_box_gives_a_row(portrait: Image, embedder: FaceRecognitionEmbedder, box: tuple[float, ...]) -> None:
    given = embedder.embed(portrait, Detections(np.array([box], dtype=float), np.ones(1)))
    assert given.shape == (1, 128)
    assert np.isfinite(given).all()


def test_two_threads_may_use_it_at_once(portrait: Image, embedder: FaceRecognitionEmbedder) -> None:
    detector = FaceRecognitionDetector.create(80)
    expected = embedder.embed(portrait, detector.detect(portrait))
    results: list[bool] = []

    def work() -> None:
        results.extend(np.array_equal(embedder.embed(portrait, detector.detect(portrait)), expected) for _ in range(4))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 12


@pytest.mark.parametrize(
    ("broken", "error", "mend"),
    [
        ("face_recognition_models", ModuleNotFoundError("No module named 'x'", name="x"), "make setup"),
        ("face_recognition_models", ModuleNotFoundError("no", name="pkg_resources"), "setuptools<81"),
        ("face_recognition", ImportError("libcblas.so.3: cannot open"), "make setup"),
        ("face_recognition", RuntimeError("Unable to open the weights"), "make setup"),
        ("face_recognition", SystemExit(), "make setup"),
    ],
)
def test_a_missing_library_is_an_error_with_its_mend(
    monkeypatch: pytest.MonkeyPatch, broken: str, error: BaseException, mend: str
) -> None:
    def fake_import(name: str) -> ModuleType:
        if name == broken:
            raise error
        return ModuleType(name)

    monkeypatch.setattr(importlib, "import_module", fake_import)
    with pytest.raises(EngineError, match="face_recognition cannot start") as raised:
        FaceRecognitionDetector.create(40)
    assert mend in raised.value.mend


def test_min_face_must_be_positive() -> None:
    with pytest.raises(EngineError, match="at least 1"):
        FaceRecognitionDetector.create(0)


def test_importing_the_engine_loads_no_library() -> None:
    code = (
        "import sys, optimind.vision.face_recognition_engine;"
        "assert not {'dlib', 'face_recognition', 'face_recognition_models'} & set(sys.modules), 'loaded'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_loading_warns_of_nothing_and_prints_nothing() -> None:
    code = (
        "import optimind.vision.face_recognition_engine as e;"
        "e.FaceRecognitionDetector.create(40); e.FaceRecognitionEmbedder.create()"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("", "")
